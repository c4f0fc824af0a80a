//! The harness itself: what other tests take for granted.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use sluice_e2e::{App, History, Kind, Namespace, Process, Prometheus, eventually, run_folder};

const SOON: Duration = Duration::from_secs(20);

/// A Deployment of one pod with `annotations` on its template, as YAML in flow style.
fn deployment(name: &str, annotations: &str) -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata:
      labels: {{app: {name}}}
      annotations: {{{annotations}}}
    spec:
      containers: [{{name: main, image: "example:1"}}]
---"#
    )
}

/// The status of the condition `Ready` of each pod, or the reason why its
/// container waits, by the label `app`.
async fn pods(namespace: &Namespace) -> Result<BTreeMap<String, String>> {
    let pods = namespace.list(Kind::POD, "").await?;
    Ok(pods.iter().map(|pod| (text(pod, "/metadata/labels/app"), readiness(pod))).collect())
}

fn readiness(pod: &Value) -> String {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    let waiting = text(pod, "/status/containerStatuses/0/state/waiting/reason");
    match ready {
        _ if !waiting.is_empty() => waiting,
        Some(ready) => text(ready, "/status"),
        None => String::new(),
    }
}

fn text(object: &Value, path: &str) -> String {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

async fn await_pods(namespace: &Namespace, expected: &[(&str, &str)]) -> Result<()> {
    eventually("the pods' readiness", SOON, async || {
        let seen = pods(namespace).await?;
        let as_expected =
            expected.iter().all(|(app, ready)| seen.get(*app).is_some_and(|seen| seen == ready));
        ensure!(as_expected, "{seen:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_play_what_their_template_asks() -> Result<()> {
    let namespace = Namespace::new("pods").await?;
    let all = [
        ("plain", ""),
        ("never", "sluice.test/ready: never"),
        ("image", "sluice.test/ready: image"),
        ("late", r#"sluice.test/ready: late, sluice.test/after: "2""#),
        ("lapse", r#"sluice.test/ready: lapse, sluice.test/after: "2""#),
        ("crash", r#"sluice.test/ready: crash, sluice.test/after: "2""#),
    ];
    let yaml: String =
        all.iter().map(|(name, annotations)| deployment(name, annotations)).collect();
    let changes = History::record_all(&namespace, Kind::POD, |pod| {
        Some((text(pod, "/metadata/labels/app"), readiness(pod)))
    })
    .await?;
    namespace.apply(&yaml).await?;
    await_pods(
        &namespace,
        &[
            ("plain", "True"),
            ("never", "False"),
            ("image", "ImagePullBackOff"),
            ("late", "True"),
            ("lapse", "False"),
            ("crash", "CrashLoopBackOff"),
        ],
    )
    .await?;

    let of = |app: &str| {
        let all = changes.values().into_iter();
        let mut states: Vec<String> =
            all.filter(|(name, _)| name == app).map(|(_, state)| state).collect();
        states.retain(|state| !state.is_empty());
        states.dedup();
        states
    };
    // What was listed may be ahead of what was watched.
    let played = || ["plain", "late", "lapse", "crash"].map(of);
    let whole = [
        vec!["True"],
        vec!["False", "True"],
        vec!["True", "False"],
        vec!["True", "CrashLoopBackOff"],
    ];
    eventually("every state to have been watched", SOON, async || {
        ensure!(played() == whole, "{:?}", played());
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_living_pod_changes_with_its_annotation() -> Result<()> {
    let namespace = Namespace::new("living").await?;
    namespace.apply(&deployment("web", "")).await?;
    await_pods(&namespace, &[("web", "True")]).await?;
    let pod = text(&namespace.list(Kind::POD, "").await?[0], "/metadata/name");

    let failing = json!({"metadata": {"annotations": {"sluice.test/ready": "never"}}});
    namespace.merge(Kind::POD, &pod, &failing).await?;
    await_pods(&namespace, &[("web", "False")]).await?;

    let well = json!({"metadata": {"annotations": {"sluice.test/ready": null}}});
    namespace.merge(Kind::POD, &pod, &well).await?;
    await_pods(&namespace, &[("web", "True")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_readiness_gate_is_honoured() -> Result<()> {
    let namespace = Namespace::new("gate").await?;
    let pod = r#"
apiVersion: v1
kind: Pod
metadata: {name: gated, labels: {app: gated}}
spec:
  readinessGates: [{conditionType: example.com/open}]
  containers: [{name: main, image: "example:1"}]
"#;
    namespace.apply(pod).await?;
    await_pods(&namespace, &[("gated", "False")]).await?;
    let open = |status: &str| json!({"status": {"conditions": [{"type": "example.com/open", "status": status}]}});
    let pods = namespace.api(Kind::POD).await?;
    for (status, ready) in [("True", "True"), ("False", "False")] {
        let patch = kube::api::Patch::Strategic(open(status));
        pods.patch_status("gated", &kube::api::PatchParams::default(), &patch).await?;
        await_pods(&namespace, &[("gated", ready)]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_misses_no_value() -> Result<()> {
    let namespace = Namespace::new("history").await?;
    let history = History::record(&namespace, Kind::CONFIG_MAP, "counter", |map| {
        map.pointer("/data/count")?.as_str()?.parse::<u32>().ok()
    })
    .await?;
    namespace
        .apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: counter}, data: {count: '0'}}")
        .await?;
    for count in 1..=20 {
        let change = json!({"data": {"count": count.to_string()}});
        namespace.merge(Kind::CONFIG_MAP, "counter", &change).await?;
    }
    assert_eq!(history.ends_with(&20, SOON).await?, (0..=20).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_the_order_of_their_writing() -> Result<()> {
    let namespace = Namespace::new("events").await?;
    for reason in ["First", "Second", "Third"] {
        let name = reason.to_lowercase();
        let event = format!(
            "{{apiVersion: v1, kind: Event, metadata: {{name: {name}}}, type: Normal, reason: {reason}, message: 'm', \
             involvedObject: {{apiVersion: v1, kind: ConfigMap, name: about, namespace: {}}}}}",
            namespace.name(),
        );
        namespace.apply(&event).await?;
    }
    let events = namespace.events(Kind::CONFIG_MAP, "about").await?;
    let reasons: Vec<_> = events.iter().map(|event| event.reason.as_str()).collect();
    assert_eq!(reasons, ["First", "Second", "Third"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_speaks_to_the_cluster() -> Result<()> {
    let namespace = Namespace::new("kubectl").await?;
    let kubectl = async |arguments: &[&str]| namespace.cluster().kubectl(arguments, "").await;
    let nodes = kubectl(&["get", "nodes", "--output=name"]).await?;
    assert!(nodes.contains("node/node-0"), "{nodes}");
    let refused = kubectl(&["get", "pod", "absent"]).await;
    let refused = format!("{:#}", refused.expect_err("an absent pod was found"));
    assert!(refused.contains("NotFound"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_deadline_says_what_was_seen_last() {
    let mut tries = 0;
    let failure =
        eventually("the impossible", Duration::from_millis(150), async || -> Result<()> {
            tries += 1;
            bail!("try {tries}")
        })
        .await
        .expect_err("it succeeded");
    assert_eq!(
        failure.to_string(),
        format!("waited 150ms for the impossible; last seen: try {tries}")
    );
}

#[tokio::test]
async fn a_process_ends_when_it_is_dropped() -> Result<()> {
    let log = run_folder()?.join("sleep.log");
    let process = Process::start("sleep", Path::new("sleep"), &["1000".into()], &[], &log)?;
    let entry = format!("/proc/{}", process.id());
    assert!(Path::new(&entry).exists());
    drop(process);
    assert!(!Path::new(&entry).exists());
    Ok(())
}

#[tokio::test]
async fn a_process_that_ends_by_itself_is_noticed() -> Result<()> {
    let log = run_folder()?.join("echo.log");
    let mut process = Process::start(
        "sh",
        Path::new("sh"),
        &["-c".into(), "echo done; exit 3".into()],
        &[],
        &log,
    )?;
    let status = eventually("the end of the shell", SOON, async || match process.ended()? {
        Some(status) => Ok(status),
        None => bail!("it runs"),
    })
    .await?;
    assert_eq!(status.code(), Some(3));
    assert_eq!(process.log()?, "done\n");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_sees_the_error_rate_of_each_version() -> Result<()> {
    let app = App::start().await?;
    app.set_error_rate("v2", 0.25)?;
    let targets = [("app", app.address())];
    let prometheus = Prometheus::scraping(&targets, Duration::from_millis(250)).await?;
    let mut next = false;
    let _load = app.load(100, move || {
        next = !next;
        if next { "v1".into() } else { "v2".into() }
    })?;

    let errors = |version: &str| {
        let all = format!(r#"rate(http_requests_total{{version="{version}"}}[3s])"#);
        let bad = format!(r#"rate(http_requests_total{{version="{version}",code="500"}}[3s])"#);
        format!("sum({bad}) / sum({all})")
    };
    let await_rate = async |version: &str, expected: f64| {
        eventually(&format!("an error rate of {expected} of {version}"), SOON, async || {
            let rate = prometheus.query(&errors(version)).await?;
            let close = rate.is_some_and(|rate| (rate - expected).abs() < 0.02);
            ensure!(close, "{rate:?}");
            Ok(())
        })
        .await
    };
    await_rate("v2", 0.25).await?;
    await_rate("v1", 0.0).await?;
    app.set_error_rate("v2", 0.0)?;
    await_rate("v2", 0.0).await?;
    let (_, failed) = app.counts("v1");
    assert_eq!(failed, 0);
    Ok(())
}
