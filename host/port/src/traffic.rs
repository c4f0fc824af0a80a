//! Traffic routers: the routing that a rollout wants, and the objects that carry it.

/// Names that a router may list among its capabilities.
pub mod capability {
    /// `setHeaderRoute` steps.
    pub const HEADER_ROUTES: &str = "header-routes";
    /// `setMirrorRoute` steps.
    pub const MIRROR_ROUTES: &str = "mirror-routes";
    /// Weighted experiment templates.
    pub const ADDITIONAL_DESTINATIONS: &str = "additional-destinations";
    /// `verify` can tell whether the data plane converged.
    pub const VERIFY: &str = "verify";
    /// Ping-pong services.
    pub const PING_PONG: &str = "ping-pong";
}

/// One side of a split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// Name of the Service; empty where the rollout names none.
    pub service: String,
    /// Value of `rollouts-pod-template-hash`; empty while there is no ReplicaSet.
    pub pod_hash: String,
    /// Of [`Routing::total_weight`].
    pub weight: u32,
}

/// How a string is matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StringMatch {
    /// The whole string.
    Exact(String),
    /// Its beginning.
    Prefix(String),
    /// A regular expression in the data plane's dialect.
    Regex(String),
}

/// One header and how its value is matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMatch {
    /// The header's name.
    pub name: String,
    /// Its value.
    pub value: StringMatch,
}

/// Requests that match go to the canary, whatever the weights say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRoute {
    /// One of the managed routes.
    pub name: String,
    /// All must match.
    pub headers: Vec<HeaderMatch>,
}

/// One way in which a request can match a mirror route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorMatch {
    /// The HTTP method.
    pub method: Option<StringMatch>,
    /// The path.
    pub path: Option<StringMatch>,
    /// All must match.
    pub headers: Vec<HeaderMatch>,
}

/// Requests that match are copied to the canary; answers to the copies are dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorRoute {
    /// One of the managed routes.
    pub name: String,
    /// Any may match.
    pub matches: Vec<MirrorMatch>,
    /// Of the matching requests, 0 to 100.
    pub percentage: u32,
}

/// Everything that the rollout wants of the data plane, complete at every call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// Namespace of the rollout.
    pub namespace: String,
    /// Name of the rollout.
    pub rollout: String,
    /// UID of the rollout.
    pub rollout_uid: String,
    /// The router's part of `trafficRouting` as JSON.
    pub config: String,
    /// Where the stable share goes.
    pub stable: Destination,
    /// Where the canary's share goes.
    pub canary: Destination,
    /// Experiments and the like.
    pub additional: Vec<Destination>,
    /// The sum of all weights; 100 unless the user chose otherwise.
    pub total_weight: u32,
    /// Header routes in force.
    pub header_routes: Vec<HeaderRoute>,
    /// Mirror routes in force.
    pub mirror_routes: Vec<MirrorRoute>,
    /// Names this rollout may create and remove, in order of precedence.
    pub managed_routes: Vec<String>,
    /// A JSON object keyed by capability; `{}` today.
    pub extensions: String,
}

/// Coordinates of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef {
    /// Such as `networking.k8s.io/v1`.
    pub api_version: String,
    /// Such as `Ingress`.
    pub kind: String,
    /// `None` for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: String,
}

/// What a router must see.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectQuery {
    /// Such as `networking.k8s.io/v1`.
    pub api_version: String,
    /// Such as `Ingress`.
    pub kind: String,
    /// `None`: the rollout's namespace.
    pub namespace: Option<String>,
    /// `None`: all that match `label_selector`.
    pub name: Option<String>,
    /// In the API's own notation.
    pub label_selector: Option<String>,
}

/// A wanted change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The object as it should be, as JSON; created if it is absent.
    Put(String),
    /// The object is to go.
    Remove(ObjectRef),
}

/// Whether the data plane runs the wanted routing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// It does.
    Converged,
    /// Not yet; the text says what is waited for.
    Pending(String),
    /// Nothing in the objects can tell.
    CannotTell,
}
