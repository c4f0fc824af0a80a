//! Traffic routers: from the routing that a rollout wants and the objects that are there, the
//! objects as they should be.
//!
//! A router keeps nothing between calls and reads nothing by itself: the host reads the objects
//! that it asks for, and writes what it answers.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use crate::error::{Error, Result};

/// What a router can do besides weights.
pub mod capability {
    /// Routes by header, as the step `setHeaderRoute` wants.
    pub const HEADER_ROUTES: &str = "header-routes";
    /// Copies of requests, as the step `setMirrorRoute` wants.
    pub const MIRROR_ROUTES: &str = "mirror-routes";
    /// Weight for more than canary and stable, as experiments want.
    pub const ADDITIONAL_DESTINATIONS: &str = "additional-destinations";
    /// `verify` can tell that the data plane does what is wanted.
    pub const VERIFY: &str = "verify";
    /// Requests of one client stay with one version.
    pub const AFFINITY: &str = "affinity";
    /// Two Services that take turns in being the stable one.
    pub const PING_PONG: &str = "ping-pong";
}

/// Where a part of the traffic goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Destination {
    /// A Service; empty where the rollout names none.
    pub service: String,
    /// The value of `rollouts-pod-template-hash`; empty while there is no ReplicaSet.
    pub pod_hash: String,
    /// In parts of [`Routing::total_weight`].
    pub weight: u32,
}

/// How a text is compared.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StringMatch {
    /// It is this text.
    Exact(String),
    /// It begins so.
    Prefix(String),
    /// It matches, in the dialect of the data plane.
    Regex(String),
}

/// A header that must be there, and its value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderMatch {
    /// The header's name.
    pub name: String,
    /// What its value must be.
    pub value: StringMatch,
}

/// What matches goes to the canary, whatever the weights say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeaderRoute {
    /// One of [`Routing::managed_routes`].
    pub name: String,
    /// All of them must match.
    pub headers: Vec<HeaderMatch>,
}

/// One way for a request to match a mirror route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MirrorMatch {
    /// The request's method.
    pub method: Option<StringMatch>,
    /// The request's path.
    pub path: Option<StringMatch>,
    /// All of them must match.
    pub headers: Vec<HeaderMatch>,
}

/// What matches is copied to the canary; answers to the copies are dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MirrorRoute {
    /// One of [`Routing::managed_routes`].
    pub name: String,
    /// One of them must match.
    pub matches: Vec<MirrorMatch>,
    /// How many of the matching requests are copied, in percent.
    pub percentage: u32,
}

/// All that a rollout wants, complete at every call: a route that is not in it goes, if its name
/// is one of the managed routes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Routing {
    /// Namespace of the rollout.
    pub namespace: String,
    /// Name of the rollout.
    pub rollout: String,
    /// UID of the rollout, for owner references.
    pub rollout_uid: String,
    /// The stable version.
    pub stable: Destination,
    /// The canary.
    pub canary: Destination,
    /// Experiments and the like.
    pub additional: Vec<Destination>,
    /// What all weights add up to: 100 unless the user says otherwise.
    pub total_weight: u32,
    /// Routes by header that are in force.
    pub header_routes: Vec<HeaderRoute>,
    /// Mirror routes that are in force.
    pub mirror_routes: Vec<MirrorRoute>,
    /// Names that this rollout may make and remove routes by; earlier ones come first.
    pub managed_routes: Vec<String>,
    /// What later versions want, by the name of the capability; an empty object today.
    pub extensions: Value,
}

/// Where an object of Kubernetes is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectRef {
    /// Such as `networking.k8s.io/v1`.
    pub api_version: String,
    /// Such as `Ingress`.
    pub kind: String,
    /// `None` for kinds that belong to the cluster.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: String,
}

/// What a router has to see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectQuery {
    /// Such as `networking.k8s.io/v1`.
    pub api_version: String,
    /// Such as `Ingress`.
    pub kind: String,
    /// `None` is the rollout's namespace.
    pub namespace: Option<String>,
    /// `None` is every object that the label selector selects.
    pub name: Option<String>,
    /// In the notation of `kubectl --selector`.
    pub label_selector: Option<String>,
}

impl ObjectQuery {
    /// One object in the rollout's namespace.
    pub fn named(
        api_version: impl Into<String>,
        kind: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self {
            api_version: api_version.into(),
            kind: kind.into(),
            name: Some(name.into()),
            ..Self::default()
        }
    }
}

/// What is to be different.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// The whole object as it should be; made if it is not there. The host writes the smallest
    /// patch.
    Put(Value),
    /// The object is to go.
    Remove(ObjectRef),
}

/// Whether the data plane does what is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verification {
    /// It does.
    Converged,
    /// Not yet; the text says what is missing.
    Pending(String),
    /// The objects are as wanted, and nothing tells more: the host waits a while.
    CannotTell,
}

/// A traffic router.
pub trait Router {
    /// The router's part of a rollout.
    type Config: DeserializeOwned;

    /// What it can do besides weights, by the names in [`capability`].
    fn capabilities() -> &'static [&'static str];

    /// Whether a configuration is right, beyond what its type says.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`], if it is not.
    fn validate(config: &Self::Config) -> Result<()>;

    /// Which objects it must see. Asked again with what was found, up to four times, until it
    /// asks for nothing new.
    ///
    /// # Errors
    /// If the routing cannot be had with this configuration.
    fn references(
        wanted: &Routing,
        config: &Self::Config,
        found: &[Value],
    ) -> Result<Vec<ObjectQuery>>;

    /// What has to change, in an order that is safe to stop at any point. Nothing means that the
    /// objects say what is wanted.
    ///
    /// # Errors
    /// If the objects do not allow for the routing.
    fn route(wanted: &Routing, config: &Self::Config, objects: &[Value]) -> Result<Vec<Change>>;

    /// Whether the data plane does what is wanted.
    ///
    /// # Errors
    /// If that cannot be found out.
    fn verify(wanted: &Routing, config: &Self::Config, objects: &[Value]) -> Result<Verification>;

    /// The rollout is going, or uses another router from now on: takes back what is the
    /// rollout's.
    ///
    /// # Errors
    /// If that is not possible.
    fn release(last: &Routing, config: &Self::Config, objects: &[Value]) -> Result<Vec<Change>>;
}

/// Makes a component of a [`Router`]; once in a crate of the type `cdylib`.
///
/// What is asked of the cluster's operator can be said with a reason:
/// `export_traffic_router!(Mine, requests: { objects: "writes Ingresses" })`.
/// It is kept in the component for whoever grants it.
#[macro_export]
macro_rules! export_traffic_router {
    ($router:ty $(, requests: { $($what:ident: $reason:literal),* $(,)? })? $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "a component's exports are declared by hand")]
        const _: () = {
            type Component = $crate::wit::RouterOf<$router>;
            $crate::wit::traffic::__export_traffic_router!(
                Component with_types_in $crate::wit::traffic
            );
            $crate::__manifest!("traffic-router" $(, $($what: $reason),*)?);
        };
    };
}

/// The path of the first field in which two objects differ, such as `spec.rules`, for the words of
/// a [`Verification::Pending`]. Lists are not looked into; for two values of which one is no
/// object, the path is empty.
pub fn first_difference(have: &Value, want: &Value) -> Option<String> {
    if have == want {
        return None;
    }
    let (Value::Object(a), Value::Object(b)) = (have, want) else {
        return Some(String::new());
    };
    // The first by name: the order of a map depends on what else is built with the component.
    let key = a.keys().chain(b.keys()).filter(|key| a.get(*key) != b.get(*key)).min()?;
    let rest = match (a.get(key), b.get(key)) {
        (Some(have), Some(want)) => first_difference(have, want).unwrap_or_default(),
        _ => String::new(),
    };
    Some(match rest.as_str() {
        "" => key.clone(),
        rest => format!("{key}.{rest}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::first_difference;

    #[test]
    fn a_difference_is_named_by_its_path() {
        let have = json!({"spec": {"rules": [1], "name": "a"}, "kind": "X"});
        assert_eq!(first_difference(&have, &have), None);
        let want = json!({"spec": {"rules": [2], "name": "a"}, "kind": "X"});
        assert_eq!(first_difference(&have, &want).as_deref(), Some("spec.rules"));
        assert_eq!(first_difference(&have, &json!({"kind": "X"})).as_deref(), Some("spec"));
        assert_eq!(first_difference(&json!(1), &json!(2)).as_deref(), Some(""));
    }
}
