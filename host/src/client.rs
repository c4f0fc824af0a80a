//! The way to the API server: which one, as whom, in which namespace; and its refusals in words.

use std::error::Error as StdError;
use std::path::PathBuf;

use clap::Args;
use http::header::{HeaderValue, USER_AGENT};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher;
use kube::{Api, Client};
use serde_json::Value;
use sluice_wire::rollout::recall::run_phase;

/// How requests name their sender.
const AGENT: &str = concat!("sluice/", env!("CARGO_PKG_VERSION"));

/// Which cluster, and where in it. As `kubectl` has them.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Namespace; the context's own when absent.
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,
    /// Context of the kubeconfig; the current one when absent.
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// Path of a kubeconfig; when absent, the files of $KUBECONFIG, then ~/.kube/config, then
    /// the service account of the pod.
    #[arg(long, global = true, value_name = "PATH")]
    pub kubeconfig: Option<PathBuf>,
}

/// What a request to the cluster can end in, other than well.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No configuration says where the cluster is, or it is not usable.
    #[error("cannot load the cluster's configuration: {0}")]
    Config(String),
    /// The API server does not answer.
    #[error("cannot reach the API server at {server}: {reason}")]
    Unreachable {
        /// The server's address.
        server: String,
        /// What the connection failed with.
        reason: String,
    },
    /// The API server has no such kind.
    #[error(
        "this cluster does not know {plural}: install their definition with \
         `sluice crds | kubectl apply --server-side -f -`"
    )]
    UnknownKind {
        /// The kind's plural name.
        plural: String,
    },
    /// The object does not exist.
    #[error("{kind} \"{name}\" not found in namespace \"{namespace}\": {advice}")]
    NotFound {
        /// Its kind, in one lower-case word.
        kind: String,
        /// The name that was asked for.
        name: String,
        /// The namespace that was looked into.
        namespace: String,
        /// What to do about it.
        advice: String,
    },
    /// The user lacks a permission.
    #[error("not allowed to {doing}: {message}")]
    Forbidden {
        /// What was tried.
        doing: String,
        /// The server's words.
        message: String,
    },
    /// Any other refusal or failure.
    #[error("failed to {doing}: {message}")]
    Failed {
        /// What was tried.
        doing: String,
        /// The server's words, or the causes that the client knows.
        message: String,
    },
}

/// A connection to one cluster.
#[derive(Clone)]
pub struct Cluster {
    /// The client.
    pub client: Client,
    /// The namespace that commands work in.
    pub namespace: String,
    server: String,
}

impl Cluster {
    /// Find the cluster that the arguments name. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub async fn connect(args: &ClusterArgs) -> Result<Self, Error> {
        Self::over_config(load(args).await?, args)
    }

    /// The same for the controller, whose client repeats nothing by itself: an eviction that a
    /// disruption budget refuses would be repeated for minutes, and nobody would learn what is
    /// waited for. The controller decides anew and tries again at its own intervals.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub async fn connect_to_control(args: &ClusterArgs) -> Result<Self, Error> {
        let mut config = load(args).await?;
        config.default_retry = false;
        Self::over_config(config, args)
    }

    fn over_config(mut config: Config, args: &ClusterArgs) -> Result<Self, Error> {
        // Audit logs and the API server's own figures tell clients apart by this.
        config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
        let server = config.cluster_url.to_string();
        let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| Error::Config(causes(&error)))?;
        Ok(Self { client, namespace, server })
    }

    /// A cluster behind a client that is already there.
    #[cfg(test)]
    pub fn over(client: Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned(), server: "https://test".to_owned() }
    }

    /// Objects of a kind in the namespace.
    pub fn api(&self, kind: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, kind)
    }

    /// One rollout.
    ///
    /// # Errors
    /// [`Error::NotFound`] names rollouts with a similar name.
    pub async fn rollout(&self, name: &str) -> Result<Value, Error> {
        json(&self.object(&rollouts(), name).await?)
    }

    /// One object of a kind.
    ///
    /// # Errors
    /// [`Error::NotFound`] names objects with a similar name.
    pub async fn object(&self, kind: &ApiResource, name: &str) -> Result<DynamicObject, Error> {
        match self.api(kind).get(name).await {
            Ok(object) => Ok(object),
            Err(error) if is_not_found(&error) => Err(self.missing(kind, name).await),
            Err(error) => Err(self.explain(&format!("get {} \"{name}\"", word(kind)), error)),
        }
    }

    /// Merge a patch into one object.
    ///
    /// # Errors
    /// As [`Cluster::object`].
    pub async fn merge(&self, kind: &ApiResource, name: &str, patch: &Value) -> Result<(), Error> {
        match self.api(kind).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => Ok(()),
            Err(error) if is_not_found(&error) => Err(self.missing(kind, name).await),
            Err(error) => Err(self.explain(&format!("change {} \"{name}\"", word(kind)), error)),
        }
    }

    /// All objects of a kind in the namespace that carry the label, if one is given.
    ///
    /// # Errors
    /// [`Error::UnknownKind`] when the cluster has no such kind.
    pub async fn list(&self, kind: &ApiResource, label: Option<&str>) -> Result<Vec<Value>, Error> {
        self.list_from(&self.api(kind), kind, label).await
    }

    /// All objects behind `api`, which are of `kind`, that carry the label, if one is given.
    ///
    /// # Errors
    /// As [`Cluster::list`].
    pub async fn list_from(
        &self,
        api: &Api<DynamicObject>,
        kind: &ApiResource,
        label: Option<&str>,
    ) -> Result<Vec<Value>, Error> {
        let parameters =
            ListParams { label_selector: label.map(str::to_owned), ..ListParams::default() };
        let list = api.list(&parameters).await.map_err(|error| {
            if is_not_found(&error) {
                Error::UnknownKind { plural: kind.plural.clone() }
            } else {
                self.explain(&format!("list {}", kind.plural), error)
            }
        })?;
        list.iter().map(json).collect()
    }

    /// The error for an object that is not there, with help to find the one that was meant.
    pub async fn missing(&self, kind: &ApiResource, name: &str) -> Error {
        let names: Vec<String> = match self.list(kind, None).await {
            Ok(others) => others
                .iter()
                .filter_map(|object| object.pointer("/metadata/name")?.as_str().map(str::to_owned))
                .collect(),
            // Without the kind there can be no object of it; say that instead.
            Err(error @ Error::UnknownKind { .. }) => return error,
            Err(_) => Vec::new(),
        };
        Error::NotFound {
            kind: word(kind),
            name: name.to_owned(),
            namespace: self.namespace.clone(),
            advice: advice(name, &names),
        }
    }

    /// A watch's error in words, and whether it will stay: a missing permission or kind does, and
    /// everything else is worth another try.
    pub fn explain_watch(&self, doing: &str, error: watcher::Error) -> (Error, bool) {
        let error = match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => error,
            watcher::Error::WatchError(status) => kube::Error::Api(status),
            error @ watcher::Error::NoResourceVersion => {
                let message = error.to_string();
                return (Error::Failed { doing: doing.to_owned(), message }, true);
            }
        };
        let is_missing = is_not_found(&error);
        let error = self.explain(doing, error);
        let is_lasting = is_missing || matches!(error, Error::Forbidden { .. });
        (error, is_lasting)
    }

    /// A client's error in words. `doing` follows "failed to".
    pub fn explain(&self, doing: &str, error: kube::Error) -> Error {
        let doing = doing.to_owned();
        match error {
            kube::Error::Api(status) if status.is_forbidden() => {
                Error::Forbidden { doing, message: status.message }
            }
            kube::Error::Api(status) => Error::Failed { doing, message: status.message },
            kube::Error::Service(error) => {
                Error::Unreachable { server: self.server.clone(), reason: causes(error.as_ref()) }
            }
            kube::Error::HyperError(error) => {
                Error::Unreachable { server: self.server.clone(), reason: causes(&error) }
            }
            error => Error::Failed { doing, message: causes(&error) },
        }
    }
}

async fn load(args: &ClusterArgs) -> Result<Config, Error> {
    let options = KubeConfigOptions { context: args.context.clone(), ..Default::default() };
    let broken = |error: &dyn StdError| Error::Config(causes(error));
    match &args.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path).map_err(|error| broken(&error))?;
            Config::from_custom_kubeconfig(file, &options).await.map_err(|error| broken(&error))
        }
        // A context can only be found in a file, so a service account will not do.
        None if args.context.is_some() => {
            Config::from_kubeconfig(&options).await.map_err(|error| broken(&error))
        }
        None => Config::infer().await.map_err(|error| {
            Error::Config(format!("{}; name a file with --kubeconfig", causes(&error)))
        }),
    }
}

/// An error and its causes in one line. A cause that repeats what is already said is left out.
pub fn causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

/// Whether an error says that the object, or its kind, does not exist.
///
/// For a kind that it does not know the server answers in plain text, without a reason, so only
/// the code tells.
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404 || status.is_not_found())
}

/// How to get from a wrong name to a right one.
fn advice(name: &str, others: &[String]) -> String {
    const SHOWN: usize = 5;
    const NEAR: f64 = 0.75;
    let quoted = |names: &[&str]| {
        names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
    };
    let mut near: Vec<(f64, &str)> = others
        .iter()
        .map(|other| (strsim::jaro_winkler(name, other), other.as_str()))
        .filter(|(likeness, _)| *likeness >= NEAR)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let near: Vec<&str> = near.into_iter().map(|(_, other)| other).take(3).collect();
    if !near.is_empty() {
        return format!("did you mean {}?", quoted(&near));
    }
    let shown: Vec<&str> = others.iter().map(String::as_str).take(SHOWN).collect();
    match others.len() {
        0 => "there are none; give another namespace with -n".to_owned(),
        count if count > SHOWN => {
            format!("there are {} and {} more", quoted(&shown), count - SHOWN)
        }
        _ => format!("there are {}", quoted(&shown)),
    }
}

/// An object as JSON.
///
/// # Errors
/// [`Error::Failed`] when it is not representable, which no answer of a server is.
pub fn json(object: &DynamicObject) -> Result<Value, Error> {
    serde_json::to_value(object).map_err(|error| Error::Failed {
        doing: "read an object".to_owned(),
        message: error.to_string(),
    })
}

/// The kind Rollout.
pub fn rollouts() -> ApiResource {
    delivery("Rollout", "rollouts")
}

/// The kind AnalysisRun.
pub fn analysis_runs() -> ApiResource {
    delivery("AnalysisRun", "analysisruns")
}

/// Whether an AnalysisRun has ended.
pub fn has_ended(run: &Value) -> bool {
    run_phase(run.pointer("/status/phase").and_then(Value::as_str)).is_over()
}

/// The kind Experiment.
pub fn experiments() -> ApiResource {
    delivery("Experiment", "experiments")
}

/// The kind ReplicaSet.
pub fn replica_sets() -> ApiResource {
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("apps", "v1", "ReplicaSet"),
        "replicasets",
    )
}

/// The kind Deployment.
pub fn deployments() -> ApiResource {
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("apps", "v1", "Deployment"),
        "deployments",
    )
}

/// The kind PodTemplate.
pub fn pod_templates() -> ApiResource {
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("", "v1", "PodTemplate"),
        "podtemplates",
    )
}

/// The kind Service.
pub fn services() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "Service"), "services")
}

/// The kind AnalysisTemplate.
pub fn analysis_templates() -> ApiResource {
    delivery("AnalysisTemplate", "analysistemplates")
}

/// The kind ClusterAnalysisTemplate, which belongs to no namespace.
pub fn cluster_analysis_templates() -> ApiResource {
    delivery("ClusterAnalysisTemplate", "clusteranalysistemplates")
}

/// The kind Pod.
pub fn pods() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "Pod"), "pods")
}

/// A kind in one lower-case word, as `kubectl` writes it.
pub fn word(kind: &ApiResource) -> String {
    kind.kind.to_lowercase()
}

fn delivery(kind: &str, plural: &str) -> ApiResource {
    let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", kind);
    ApiResource::from_gvk_with_plural(&kind, plural)
}

#[cfg(test)]
mod tests {
    use super::advice;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn near_names_are_offered_best_first() {
        let others = names(&["shop-web", "desk", "shop"]);
        assert_eq!(advice("shp", &others), "did you mean \"shop\", \"shop-web\"?");
    }

    #[test]
    fn without_a_near_name_all_are_told_up_to_a_few() {
        assert_eq!(advice("shop", &names(&["desk", "till"])), "there are \"desk\", \"till\"");
        let many = names(&["aa", "bb", "cc", "dd", "ee", "ff", "gg"]);
        assert!(advice("zzz", &many).ends_with("\"ee\" and 2 more"));
    }

    #[test]
    fn an_empty_namespace_points_to_others() {
        assert_eq!(advice("shop", &[]), "there are none; give another namespace with -n");
    }
}
