//! Components that are called from the command line, with what a real API server has of them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sluice_bundled::BUNDLED;
use sluice_e2e::{Answers, Controller, Kind, Namespace, Rollout, manifest, sluice};

const LIMIT: Duration = Duration::from_secs(60);

/// A bundled component as a file, and the folder that it is in.
fn file(name: &str) -> Result<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let found = BUNDLED.iter().find(|component| component.name == name);
    let path = folder.path().join(format!("{name}.wasm"));
    std::fs::write(&path, found.with_context(|| format!("{name} is not bundled"))?.bytes)?;
    Ok((folder, path))
}

fn shown(text: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_shows_what_it_would_write_and_writes_nothing() -> Result<()> {
    let namespace = Namespace::new("preview").await?;
    Controller::shared(&namespace).await?;
    namespace.apply(&manifest::services()).await?;
    namespace.apply(manifest::INGRESS).await?;
    let canary = format!("{}, steps: [{{setWeight: 10}}, {{pause: {{}}}}]", manifest::NGINX);
    namespace.apply(&manifest::rollout(1, &canary, "")).await?;
    let web = Rollout::new(&namespace, "web");
    web.until_phase("Healthy", LIMIT).await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    let before = namespace.get(Kind::INGRESS, "web-web-canary").await?;

    let (folder, component) = file("nginx")?;
    let component = component.to_string_lossy();
    let words = ["plugin", "run", &component, "--rollout", "web", "--weight", "35"];
    let (well, text) = sluice(&namespace, &words).await?;
    ensure!(well, "{text}");
    let changes =
        ["changes", "networking.k8s.io/v1 Ingress web-web-canary", "Nothing was written."];
    shown(&text, &changes)?;
    shown(&text, &[r#"canary-weight: "10""#, r#"canary-weight: "35""#])?;
    assert_eq!(namespace.get(Kind::INGRESS, "web-web-canary").await?, before);

    let grants = folder.path().join("grants.json");
    std::fs::write(&grants, r#"{"kubernetes": []}"#)?;
    let grants = grants.to_string_lossy();
    let (well, text) = sluice(&namespace, &[&words[..], &["--grants", &grants]].concat()).await?;
    ensure!(!well, "{text}");
    shown(&text, &["router 'nginx' may not", "needs the grant"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_of_the_cluster_is_measured_and_run() -> Result<()> {
    let namespace = Namespace::new("measured").await?;
    namespace.cluster().install_crds().await?;
    let server = Answers::start("0.97").await?;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tokens"},
                        "stringData": {"web": "hunter2-hunter2"}});
    namespace.apply(&secret.to_string()).await?;
    let from_secret = json!({"secretKeyRef": {"name": "tokens", "key": "web"}});
    let template = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "rate"},
        "spec": {
            "args": [{"name": "service"}, {"name": "token", "valueFrom": from_secret}],
            "metrics": [{
                "name": "rate",
                "successCondition": "result[0] > 0.99",
                "provider": {"prometheus": {
                    "address": server.url(),
                    "query": "up{app='{{args.service}}'}",
                    "headers": [{"key": "x-token", "value": "{{args.token}}"}],
                }},
            }],
        },
    });
    namespace.apply(&template.to_string()).await?;

    let (folder, component) = file("prometheus")?;
    let (component, grants) = (component.to_string_lossy(), folder.path().join("grants.json"));
    std::fs::write(&grants, r#"{"http": [{"url": "*", "methods": ["*"]}]}"#)?;
    let recording = folder.path().join("live.yaml");
    let (grants, recording) = (grants.to_string_lossy(), recording.to_string_lossy());
    let words = ["plugin", "run", &component, "--template", "rate", "--arg", "service=web"];
    let more = ["--grants", &grants, "--egress-allow", "127.0.0.0/8", "--record", &recording];
    let (well, text) = sluice(&namespace, &[&words[..], &more].concat()).await?;
    ensure!(well, "{text}");
    shown(
        &text,
        &["up{app='web'}", "0.97", "result[0] > 0.99   does not hold", "judged     Failed"],
    )?;
    let recorded = std::fs::read_to_string(&*recording)?;
    shown(&recorded, &["secret-tokens-web"])?;
    for text in [&text, &recorded] {
        ensure!(!text.contains("hunter2"), "{text}");
    }

    let create = ["create", "analysisrun", "--from", "rate", "--name", "by-hand"];
    let (well, text) = sluice(&namespace, &create).await?;
    ensure!(!well && text.contains("-a service=VALUE"), "{text}");
    let (well, text) = sluice(&namespace, &[&create[..], &["-a", "service=web"]].concat()).await?;
    ensure!(well && text == "analysisrun 'by-hand' created\n", "{text}");
    let run = namespace.get(Kind::ANALYSIS_RUN, "by-hand").await?;
    assert_eq!(run["spec"]["args"][0], json!({"name": "service", "value": "web"}));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_is_begun_again_without_its_status() -> Result<()> {
    let namespace = Namespace::new("again").await?;
    namespace.cluster().install_crds().await?;
    let experiment = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": "try"},
        "spec": {"templates": [{
            "name": "one",
            "selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a"}},
                         "spec": {"containers": [{"name": "main", "image": "example:1"}]}},
        }]},
    });
    namespace.apply(&experiment.to_string()).await?;
    let failed = json!({"status": {"phase": "Failed"}});
    namespace.merge(Kind::EXPERIMENT, "try", &failed).await?;
    let (well, text) = sluice(&namespace, &["retry", "experiment", "try"]).await?;
    ensure!(well && text == "experiment 'try' retried\n", "{text}");
    let status = namespace.get(Kind::EXPERIMENT, "try").await?["status"].clone();
    assert_eq!(status, Value::Null);
    Ok(())
}
