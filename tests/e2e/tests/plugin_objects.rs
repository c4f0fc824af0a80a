//! Plugin objects on a real control plane: taken in, refused, approved, taken back, kept.

#[path = "../../../host/wasm/tests/fixture/mod.rs"]
mod fixture;
mod other_nginx;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{any, post};
use axum::{Json, Router};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::Api;
use kube::api::{ListParams, ObjectMeta, Patch, PatchParams};
use other_nginx::{other_nginx, weights};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sluice_bundled::BUNDLED;
use sluice_e2e::{
    Controller, History, Kind, Namespace, Rollout, build_example, eventually, manifest,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const LIMIT: Duration = Duration::from_secs(60);

fn bundled(name: &str) -> Result<Vec<u8>> {
    let found = BUNDLED.iter().find(|component| component.name == name);
    Ok(found.with_context(|| format!("{name} is not bundled"))?.bytes.to_vec())
}

/// How a provider made of text does what it is asked.
#[derive(Clone, Copy, PartialEq)]
enum Does {
    /// It answers its number, and finds every configuration right.
    Answer,
    /// It answers its number, and finds no configuration right.
    RefuseAll,
    /// It traps when it measures.
    Trap,
}

fn provider(number: f64, does: Does) -> Vec<u8> {
    let act = "(func $act (param $what i32) (result i32)";
    let check = r#"#validate") (param i32 i32) (result i32)"#;
    let mut module = fixture::provider_module(number)
        .replace("(call $act (local.get 10))", "(call $act (i32.const 0))");
    if does == Does::Trap {
        module = module.replace(act, &format!("{act} unreachable"));
    }
    if does != Does::RefuseAll {
        module = module.replace(check, &format!("{check} (return (i32.const 1024))"));
    }
    fixture::component("sluice:metric/metric-provider", &module)
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// One Plugin object of a test, whose component is in a ConfigMap.
struct Plugin<'n> {
    namespace: &'n Namespace,
    name: String,
    /// The controller that looks after it, if it is not the shared one.
    instance: Option<String>,
}

/// The label that says which controller looks after an object.
const INSTANCE: &str = "argo-rollouts.argoproj.io/controller-instance-id";

impl<'n> Plugin<'n> {
    /// A Plugin of a name that no other test uses, which stands for `component`.
    fn new(namespace: &'n Namespace, component: &str) -> Self {
        let name = format!("{component}-{}", namespace.name());
        Self { namespace, name, instance: None }
    }

    /// Puts a component into the ConfigMap.
    async fn put(&self, bytes: &[u8]) -> Result<()> {
        let data = BTreeMap::from([("plugin.wasm".to_owned(), ByteString(bytes.to_vec()))]);
        let map = ConfigMap {
            metadata: ObjectMeta { name: Some("component".to_owned()), ..ObjectMeta::default() },
            binary_data: Some(data),
            ..ConfigMap::default()
        };
        let api: Api<ConfigMap> =
            Api::namespaced(self.namespace.client().clone(), self.namespace.name());
        api.patch("component", &PatchParams::apply("e2e").force(), &Patch::Apply(map)).await?;
        Ok(())
    }

    /// Wants the component of this digest in the ConfigMap, with further fields in `more`.
    async fn want(&self, digest: &str, more: Value) -> Result<()> {
        let mut spec = json!({
            "source": {"configMap": {"name": "component", "namespace": self.namespace.name()}},
            "digest": digest,
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            spec[name] = value.clone();
        }
        let mut plugin = json!({
            "apiVersion": "sluice.dev/v1alpha1",
            "kind": "Plugin",
            "metadata": {"name": self.name},
            "spec": spec,
        });
        if let Some(instance) = &self.instance {
            plugin["metadata"]["labels"] = json!({INSTANCE: instance});
        }
        self.namespace.apply(&plugin.to_string()).await.map(drop)
    }

    async fn install(&self, bytes: &[u8], more: Value) -> Result<Value> {
        self.put(bytes).await?;
        self.want(&digest(bytes), more).await?;
        let wanted = digest(bytes);
        let status = self.until("Ready", &[]).await?;
        ensure!(status["digest"] == *wanted, "{status}");
        Ok(status)
    }

    /// Awaits a phase, and a message with these parts, for the spec as it is.
    async fn until(&self, phase: &str, parts: &[&str]) -> Result<Value> {
        eventually(&format!("{} to be {phase} with {parts:?}", self.name), LIMIT, async || {
            let plugin = self.namespace.get(Kind::PLUGIN, &self.name).await?;
            let status = &plugin["status"];
            let current = status["observedGeneration"] == plugin["metadata"]["generation"];
            let message = status["message"].as_str().unwrap_or_default();
            let said = parts.iter().all(|part| message.contains(part));
            ensure!(current && status["phase"] == phase && said, "{status:#}");
            Ok(status.clone())
        })
        .await
    }

    /// Awaits an Event, which is in the namespace `default`, since a Plugin has none.
    async fn until_event(&self, reason: &str) -> Result<()> {
        let api: Api<Event> = Api::namespaced(self.namespace.client().clone(), "default");
        let selector = format!("involvedObject.kind=Plugin,involvedObject.name={}", self.name);
        eventually(&format!("{reason} about {}", self.name), LIMIT, async || {
            let events = api.list(&ListParams::default().fields(&selector)).await?.items;
            let reasons: Vec<_> = events.iter().filter_map(|e| e.reason.as_deref()).collect();
            ensure!(reasons.contains(&reason), "{reasons:?}");
            Ok(())
        })
        .await
    }

    async fn until_gone(&self) -> Result<()> {
        eventually(&format!("{} to be gone", self.name), LIMIT, async || {
            let found = self.namespace.find(Kind::PLUGIN, &self.name).await?;
            ensure!(found.is_none(), "{:#}", found.unwrap_or_default());
            Ok(())
        })
        .await
    }
}

async fn begin(test: &str) -> Result<Namespace> {
    let namespace = Namespace::new(test).await?;
    Controller::shared(&namespace).await?;
    Ok(namespace)
}

/// Makes an AnalysisRun that asks a provider, with further fields of its metric in `more`.
async fn run(
    namespace: &Namespace,
    name: &str,
    provider: &str,
    config: Value,
    more: Value,
) -> Result<()> {
    let mut metric = json!({"name": "kpi", "provider": {"plugin": {provider: config}}});
    for (name, value) in more.as_object().into_iter().flatten() {
        metric[name] = value.clone();
    }
    let run = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {"name": name},
        "spec": {"metrics": [metric]},
    });
    namespace.apply(&run.to_string()).await.map(drop)
}

/// Awaits the phase of a run, and returns its measurements.
async fn until_run(namespace: &Namespace, name: &str, phase: &str) -> Result<Vec<Value>> {
    eventually(&format!("the run {name} to be {phase}"), LIMIT, async || {
        let run = namespace.get(Kind::ANALYSIS_RUN, name).await?;
        ensure!(run["status"]["phase"] == phase, "{:#}", run["status"]);
        let measurements = run["status"]["metricResults"][0]["measurements"].as_array();
        Ok(measurements.cloned().unwrap_or_default())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundled_router_is_replaced_in_the_middle_of_a_release_and_comes_back() -> Result<()> {
    let namespace = begin("replaced").await?;
    let web = Rollout::new(&namespace, "web");
    let written = History::record(&namespace, Kind::INGRESS, "web-web-canary", weights).await?;
    namespace.apply(&manifest::services()).await?;
    namespace.apply(manifest::INGRESS).await?;
    let steps = "steps: [{setWeight: 20}, {pause: {}}, {setWeight: 60}, {pause: {}}, \
                 {setWeight: 80}, {pause: {}}]";
    let canary = format!("{}, {steps}", manifest::NGINX);
    namespace.apply(&manifest::rollout(5, &canary, "")).await?;
    web.until_phase("Healthy", LIMIT).await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;

    let plugin = Plugin::new(&namespace, "nginx");
    let named = json!({"name": "nginx"});
    let status = plugin.install(&other_nginx()?, named.clone()).await?;
    ensure!(status["interface"] == "sluice:traffic/router@0.1.0", "{status}");
    plugin.until_event("PluginReady").await?;
    web.resume().await?;
    web.until_paused_at(3, LIMIT).await?;
    let old = |weight: &str| (Some(weight.to_owned()), None);
    let new = |weight: &str| (None, Some(weight.to_owned()));
    let so_far = written.ends_with(&new("60"), LIMIT).await?;
    assert_eq!(so_far, [old("0"), old("20"), new("60")], "the new router went on by itself");

    let wrong = format!("sha256:{}", "0".repeat(64));
    plugin.want(&wrong, named).await?;
    let found = digest(&other_nginx()?);
    let status = plugin.until("Failed", &["the digest of what was found is", &found]).await?;
    ensure!(status["digest"] == *found, "the last good router stays: {status}");
    plugin.until_event("PluginFailed").await?;

    namespace.delete(Kind::PLUGIN, &plugin.name).await?;
    plugin.until_gone().await?;
    web.resume().await?;
    web.until_paused_at(5, LIMIT).await?;
    let all = written.ends_with(&old("80"), LIMIT).await?;
    assert_eq!(all[3..], [old("80")], "the bundled one is back, though the rollout refers to it");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_touches_the_objects_that_its_plugin_lists_and_no_others() -> Result<()> {
    let namespace = begin("listed").await?;
    let plugin = Plugin::new(&namespace, "router");
    let of = |kind: &str, verbs: Value| json!([{"apiVersion": "networking.k8s.io/v1", "kinds": [kind], "verbs": verbs}]);
    let given = |list: Value| json!({"permissions": {"kubernetes": list}});
    let wrong = given(of("Ingress", json!(["get", "fetch"])));
    ensure!(plugin.want(&digest(b""), wrong).await.is_err(), "the definition knows the verbs");
    let secrets = json!([{"apiVersion": "v1", "kinds": ["Secret"], "verbs": ["get"]}]);
    let bytes = bundled("nginx")?;
    plugin.put(&bytes).await?;
    plugin.want(&digest(&bytes), given(secrets)).await?;
    plugin
        .until("Failed", &["permissions.kubernetes[0].kinds", "no router is given Secret"])
        .await?;

    let status = plugin.install(&bytes, given(of("NetworkPolicy", json!(["get"])))).await?;
    let line = "kubernetes NetworkPolicy of networking.k8s.io/v1: get, in the rollout's namespace";
    assert_eq!(status["granted"], json!([line]));
    let web = Rollout::new(&namespace, "web");
    namespace.apply(&manifest::services()).await?;
    namespace.apply(manifest::INGRESS).await?;
    let router = manifest::NGINX
        .replace("{nginx: {", &format!("{{plugins: {{{}: {{", plugin.name))
        .replace("web}}", "web}}}");
    let canary = format!("{router}, steps: [{{setWeight: 20}}, {{pause: {{}}}}]");
    namespace.apply(&manifest::rollout(1, &canary, "")).await?;
    eventually("the router to be refused", LIMIT, async || {
        let events = web.events().await?;
        let refused = |message: &str| message.contains("may not get Ingress web");
        ensure!(events.iter().any(|event| refused(&event.message)), "{events:#?}");
        Ok(())
    })
    .await?;

    let all = of("Ingress", json!(["get", "patch", "create"]));
    plugin.install(&bytes, given(all)).await?;
    web.until_phase("Healthy", LIMIT).await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    assert_eq!(web.nginx_weight("web").await?, Some(20), "what is listed is written");
    Ok(())
}

/// A metrics server that answers those who know the password.
async fn metrics() -> Result<String> {
    const ANSWER: &str = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"0.99"]}]}}"#;
    let answer = async |headers: HeaderMap| {
        let known = headers.get("x-password").is_some_and(|value| value == "open sesame");
        if known { Ok(ANSWER) } else { Err((StatusCode::FORBIDDEN, "who are you?")) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(any(answer))).await });
    Ok(address)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asks_for_more_than_it_is_given_waits_and_then_uses_a_credential_unseen() -> Result<()>
{
    let namespace = begin("approval").await?;
    let plugin = Plugin::new(&namespace, "asks");
    let bytes = bundled("prometheus")?;
    plugin.put(&bytes).await?;
    plugin.want(&digest(&bytes), json!({})).await?;
    let status = plugin.until("PendingApproval", &["http to at least one server"]).await?;
    ensure!(status["pending"].as_array().is_some_and(|pending| pending.len() == 1), "{status}");
    ensure!(status["digest"].is_null() && status["granted"].is_null(), "{status}");
    plugin.until_event("PluginPendingApproval").await?;

    let secret = "{apiVersion: v1, kind: Secret, metadata: {name: metrics}, \
                  stringData: {password: open sesame}}";
    namespace.apply(secret).await?;
    let address = metrics().await?;
    let secret = json!({"name": "metrics", "key": "password", "namespace": namespace.name()});
    let auth = json!({"header": "x-password", "secretRef": secret});
    let http = json!([{"url": address, "methods": ["GET", "POST"], "auth": auth}]);
    plugin.want(&digest(&bytes), json!({"permissions": {"http": http}})).await?;
    let status = plugin.until("Ready", &[]).await?;
    let granted = status["granted"][0].as_str().unwrap_or_default();
    ensure!(granted.contains(&address) && granted.ends_with("x-password is added"), "{status}");
    let config = json!({"address": address, "query": "up"});
    let judged = json!({"successCondition": "result[0] > 0.95"});
    run(&namespace, "judge", &plugin.name, config, judged).await?;
    until_run(&namespace, "judge", "Successful").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_faults_bring_the_last_good_component_back() -> Result<()> {
    let namespace = begin("faults").await?;
    let plugin = Plugin::new(&namespace, "kpi");
    let now = json!({"swapPolicy": "Immediate"});
    let good = provider(1.0, Does::Answer);
    plugin.install(&good, now.clone()).await?;
    let bad = provider(2.0, Does::Trap);
    plugin.install(&bad, now).await?;
    let metric = json!({"successCondition": "result == 1", "interval": "1s", "count": 2,
        "consecutiveErrorLimit": 5});
    run(&namespace, "judge", &plugin.name, json!({}), metric).await?;
    let measurements = until_run(&namespace, "judge", "Successful").await?;
    let phases: Vec<_> = measurements.iter().filter_map(|m| m["phase"].as_str()).collect();
    assert_eq!(phases, ["Error", "Error", "Error", "Successful", "Successful"]);
    let status = plugin.until("Degraded", &["3 of its first 3 calls", "unreachable"]).await?;
    ensure!(status["digest"] == *digest(&good), "{status}");
    ensure!(status["rejectedDigest"] == *digest(&bad), "{status}");
    plugin.until_event("PluginRolledBack").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_with_the_component_that_it_began_with() -> Result<()> {
    let namespace = begin("pinned").await?;
    let plugin = Plugin::new(&namespace, "kpi");
    plugin.install(&provider(1.0, Does::Answer), json!({})).await?;
    let metric = json!({"successCondition": "result == 1", "failureCondition": "result == 2",
        "interval": "1s"});
    run(&namespace, "first", &plugin.name, json!({}), metric.clone()).await?;
    until_run(&namespace, "first", "Running").await?;
    let measured = async |more: usize| {
        eventually("more measurements", LIMIT, async || {
            let run = namespace.get(Kind::ANALYSIS_RUN, "first").await?;
            let result = &run["status"]["metricResults"][0];
            let successful = result["successful"].as_u64().unwrap_or_default();
            ensure!(successful >= more as u64 && result["failed"].is_null(), "{result:#}");
            Ok(successful as usize)
        })
        .await
    };
    let so_far = measured(1).await?;
    plugin.install(&provider(2.0, Does::Answer), json!({})).await?;
    run(&namespace, "second", &plugin.name, json!({}), metric).await?;
    until_run(&namespace, "second", "Failed").await?;
    measured(so_far + 3).await?;
    Ok(())
}

/// A template that asks a provider.
async fn template(namespace: &Namespace, provider: &str) -> Result<()> {
    let template = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "judge"},
        "spec": {"metrics": [{"name": "kpi", "provider": {"plugin": {provider: {"a": 1}}}}]},
    });
    namespace.apply(&template.to_string()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_refuses_a_configuration_that_is_in_use_does_not_take_over() -> Result<()> {
    let namespace = begin("rehearsed").await?;
    let plugin = Plugin::new(&namespace, "kpi");
    let good = provider(1.0, Does::Answer);
    plugin.install(&good, json!({})).await?;
    template(&namespace, &plugin.name).await?;
    let picky = provider(2.0, Does::RefuseAll);
    plugin.put(&picky).await?;
    plugin.want(&digest(&picky), json!({})).await?;
    let user = format!("AnalysisTemplate {}/judge", namespace.name());
    let status = plugin.until("Failed", &["refuses configurations", &user, "no thanks"]).await?;
    ensure!(status["digest"] == *digest(&good), "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_stays_while_somebody_refers_to_it() -> Result<()> {
    let namespace = begin("needed").await?;
    let plugin = Plugin::new(&namespace, "kpi");
    plugin.install(&provider(1.0, Does::Answer), json!({})).await?;
    template(&namespace, &plugin.name).await?;
    namespace.delete(Kind::PLUGIN, &plugin.name).await?;
    plugin.until_event("PluginRemovalRefused").await?;
    run(&namespace, "still", &plugin.name, json!({}), json!({"successCondition": "result == 1"}))
        .await?;
    until_run(&namespace, "still", "Successful").await?;
    let found = namespace.get(Kind::PLUGIN, &plugin.name).await?;
    let message = found["status"]["message"].as_str().unwrap_or_default();
    ensure!(message.contains("stays until nobody refers to it"), "{message}");
    namespace.delete(Kind::ANALYSIS_TEMPLATE, "judge").await?;
    plugin.until_gone().await
}

/// Awaits that the run `first` has this many good measurements, and no bad one.
async fn until_measured(namespace: &Namespace, least: u64) -> Result<u64> {
    eventually("more measurements", LIMIT, async || {
        let run = namespace.get(Kind::ANALYSIS_RUN, "first").await?;
        let result = &run["status"]["metricResults"][0];
        let successful = result["successful"].as_u64().unwrap_or_default();
        ensure!(successful >= least && result["failed"].is_null(), "{result:#}");
        Ok(successful)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_with_its_component_also_after_a_restart() -> Result<()> {
    let namespace = Namespace::new("restarted").await?;
    let instance = namespace.name().to_owned();
    let arguments = ["--instance-id", &instance];
    let mut controller = Controller::start_wide(&namespace, &arguments).await?;
    controller.until_ready().await?;
    let mut plugin = Plugin::new(&namespace, "kpi");
    plugin.instance = Some(instance.clone());
    plugin.install(&provider(1.0, Does::Answer), json!({})).await?;
    let metric = json!({"name": "kpi", "interval": "1s", "successCondition": "result == 1",
        "failureCondition": "result == 2", "provider": {"plugin": {&plugin.name: {}}}});
    let start = async |name: &str| {
        let run = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
            "metadata": {"name": name, "labels": {INSTANCE: instance}},
            "spec": {"metrics": [metric]}});
        namespace.apply(&run.to_string()).await.map(drop)
    };
    start("first").await?;
    until_measured(&namespace, 1).await?;
    let other = provider(2.0, Does::Answer);
    let status = plugin.install(&other, json!({})).await?;
    let before = digest(&provider(1.0, Does::Answer));
    ensure!(status["previousDigest"] == *before, "{status}");

    controller.kill()?;
    let so_far = until_measured(&namespace, 1).await?;
    controller.restart()?;
    controller.until_ready().await?;
    start("second").await?;
    until_run(&namespace, "second", "Failed").await?;
    until_measured(&namespace, so_far + 3).await?;
    let page = controller.http("/metrics").await?;
    let older = format!(
        "sluice_component_older{{component=\"{}\",kind=\"metric provider\"}} 1",
        plugin.name
    );
    ensure!(page.contains(&older), "{page}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_had_delays_nobody() -> Result<()> {
    let namespace = Namespace::new("mute").await?;
    // It takes connections and says nothing.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let plugin = json!({"apiVersion": "sluice.dev/v1alpha1", "kind": "Plugin",
        "metadata": {"name": namespace.name(), "labels": {INSTANCE: namespace.name()}},
        "spec": {"name": "prometheus", "digest": digest(b"never"),
            "source": {"oci": format!("{}/acme/never:1", mute.local_addr()?)}}});
    namespace.cluster().install_crds().await?;
    namespace.apply(&plugin.to_string()).await?;
    let arguments = ["--instance-id", namespace.name()];
    let mut controller = Controller::start_wide(&namespace, &arguments).await?;
    controller.until_ready().await?;
    let address = metrics().await?;
    let run = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
        "metadata": {"name": "judge", "labels": {INSTANCE: namespace.name()}},
        "spec": {"metrics": [{"name": "up", "successCondition": "result[0] > 0.95",
            "provider": {"prometheus": {"address": address, "query": "up",
                "headers": [{"key": "x-password", "value": "open sesame"}]}}}]}});
    namespace.apply(&run.to_string()).await?;
    until_run(&namespace, "judge", "Successful").await?;
    let found = namespace.get(Kind::PLUGIN, namespace.name()).await?;
    ensure!(found["status"]["phase"] == "Pending", "it is still fetched: {found:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_for_one_namespace_has_components_and_writes_nothing() -> Result<()> {
    let namespace = Namespace::new("scoped").await?;
    let instance = namespace.name().to_owned();
    let arguments = ["--instance-id", &instance];
    let mut controller = Controller::start(&namespace, &arguments).await?;
    controller.until_ready().await?;
    let mut plugin = Plugin::new(&namespace, "kpi");
    plugin.instance = Some(instance.clone());
    let bytes = provider(1.0, Does::Answer);
    plugin.put(&bytes).await?;
    plugin.want(&digest(&bytes), json!({})).await?;
    let metric = json!({"name": "kpi", "successCondition": "result == 1", "count": 1,
        "provider": {"plugin": {&plugin.name: {}}}});
    eventually("the component to be there", LIMIT, async || {
        let page = controller.http("/metrics").await?;
        ensure!(page.contains(&format!("component=\"{}\"", plugin.name)));
        Ok(())
    })
    .await?;
    let run = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
        "metadata": {"name": "judge", "labels": {INSTANCE: instance}},
        "spec": {"metrics": [metric]}});
    namespace.apply(&run.to_string()).await?;
    until_run(&namespace, "judge", "Successful").await?;
    let found = namespace.get(Kind::PLUGIN, &plugin.name).await?;
    ensure!(found["status"].is_null() && found["metadata"]["finalizers"].is_null(), "{found:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_is_configured_in_its_plugin() -> Result<()> {
    let namespace = begin("notifier").await?;
    let (told, mut heard) = mpsc::unbounded_channel();
    let hear = post(async move |Json(body): Json<Value>| {
        // Nobody listens any more when the test is over.
        let _ = told.send(body);
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    let routes = Router::new().route("/hook", hear);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let built = tokio::task::spawn_blocking(|| build_example("webhook")).await??;
    let bytes = std::fs::read(&built).with_context(|| built.display().to_string())?;

    let plugin = Plugin::new(&namespace, "webhook");
    let http = json!([{"url": "*", "methods": ["POST"], "insecure": true}]);
    let given = |config: Value| json!({"permissions": {"http": http}, "config": config});
    plugin.put(&bytes).await?;
    plugin.want(&digest(&bytes), given(json!({"url": url, "colour": "red"}))).await?;
    plugin.until("Failed", &["spec.config: ", "colour"]).await?;
    plugin.want(&digest(&bytes), given(json!({"url": url}))).await?;
    plugin.until("Ready", &[]).await?;

    let subscribed = format!(
        "{{name: web, annotations: {{notifications.argoproj.io/subscribe.on-rollout-completed.{}: \
         ops}}}}",
        plugin.name
    );
    let rollout = manifest::rollout(1, "steps: []", "").replacen("{name: web}", &subscribed, 1);
    namespace.apply(&rollout).await?;
    let body = tokio::time::timeout(LIMIT, heard.recv()).await.context("nobody was told")?;
    let body = body.context("the server is gone")?;
    assert_eq!((&body["reason"], &body["rollout"]), (&json!("RolloutCompleted"), &json!("web")));
    assert_eq!(body["recipients"], json!(["ops"]));
    Ok(())
}
