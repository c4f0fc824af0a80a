//! Components in a real registry: pushed by the command line, pulled by the controller.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sluice_bundled::BUNDLED;
use sluice_e2e::{
    Controller, Kind, Namespace, Process, cargo_build, eventually, run_folder, workspace_root,
};
use tokio::net::{TcpListener, TcpStream};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LIMIT: Duration = Duration::from_secs(60);
/// Of the user `ann` with the password `secret`.
const HTPASSWD: &str = "ann:$2a$05$4twZ62cgcxKXFhaqlo9bsenMQRZhcoQwQkcXhTBtdCOOqBS28jP0i\n";
/// `ann:secret` in base64.
const AUTH: &str = "YW5uOnNlY3JldA==";

/// A registry that runs until it is dropped.
struct Registry {
    address: String,
    _process: Process,
}

impl Registry {
    async fn start(name: &str, closed: bool) -> Result<Self> {
        let script = workspace_root().join("tests/registry/build.sh");
        let built = Command::new(script).stderr(std::process::Stdio::inherit()).output()?;
        ensure!(built.status.success(), "the registry is not built, see above");
        let binary = PathBuf::from(String::from_utf8(built.stdout)?.trim());
        // The port is free when it was just given back.
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.to_string();
        let mut arguments = vec![address.clone().into()];
        if closed {
            let file = run_folder()?.join("htpasswd");
            std::fs::write(&file, HTPASSWD)?;
            arguments.push(file.into_os_string());
        }
        let log = run_folder()?.join(format!("registry-{name}.log"));
        let process = Process::start("registry", &binary, &arguments, &[], &log)?;
        eventually("the registry to answer", LIMIT, async || {
            TcpStream::connect(&address).await.map(drop).map_err(Into::into)
        })
        .await?;
        Ok(Self { address, _process: process })
    }
}

/// The bundled router nginx as a file.
fn component() -> Result<PathBuf> {
    let found = BUNDLED.iter().find(|component| component.name == "nginx");
    let file = run_folder()?.join("nginx.wasm");
    std::fs::write(&file, found.context("nginx is not bundled")?.bytes)?;
    Ok(file)
}

/// Runs `sluice plugin` with the Docker configuration in `docker`.
async fn plugin(docker: &Path, arguments: &[&str]) -> Result<Output> {
    let binary = match std::env::var_os("SLUICE_BIN") {
        Some(binary) => binary.into(),
        None => tokio::task::spawn_blocking(|| cargo_build("sluice", "sluice")).await??,
    };
    let mut command = Command::new(binary);
    command.arg("plugin").args(arguments).env("DOCKER_CONFIG", docker);
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

/// Pushes, and returns the source and the digest that the command prints for a Plugin.
async fn push(docker: &Path, reference: &str, file: &Path) -> Result<(String, String)> {
    let file = file.to_str().context("the path is not UTF-8")?;
    let output = plugin(docker, &["push", reference, file]).await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let after = |mark: &str| {
        let rest = text.split_once(mark).with_context(|| text.clone())?.1;
        Ok::<_, anyhow::Error>(rest.split(['}', '\n']).next().unwrap_or_default().to_owned())
    };
    Ok((after("oci: ")?, after("digest: ")?))
}

async fn until(namespace: &Namespace, name: &str, phase: &str, part: &str) -> Result<Value> {
    eventually(&format!("{name} to be {phase}"), LIMIT, async || {
        let plugin = namespace.get(Kind::PLUGIN, name).await?;
        let status = &plugin["status"];
        let said = status["message"].as_str().is_some_and(|message| message.contains(part));
        ensure!(status["phase"] == phase && said, "{status:#}");
        Ok(status.clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_component_is_pulled_by_digest() -> Result<()> {
    let namespace = Namespace::new("registry").await?;
    Controller::shared(&namespace).await?;
    let registry = Registry::start("open", false).await?;
    let nobody = run_folder()?.join("nobody");
    let file = component()?;
    let reference = format!("{}/acme/nginx:1.0", registry.address);
    let (source, digest) = push(&nobody, &reference, &file).await?;
    ensure!(source.starts_with(&format!("{reference}@sha256:")), "{source}");
    let again = push(&nobody, &reference, &file).await?;
    assert_eq!(again, (source.clone(), digest.clone()), "the same is the same");

    let manifest = format!("http://{}/v2/acme/nginx/manifests/1.0", registry.address);
    let asked = reqwest::Client::new().get(manifest).header("accept", MANIFEST);
    let manifest: Value = serde_json::from_str(&asked.send().await?.text().await?)?;
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["layers"][0]["digest"], digest);

    let name = format!("pulled-{}", namespace.name());
    let wanted = |source: &str, digest: &str| {
        json!({"apiVersion": "sluice.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": name},
            "spec": {"source": {"oci": source}, "digest": digest}})
        .to_string()
    };
    let wrong = format!("sha256:{}", "0".repeat(64));
    namespace.apply(&wanted(&source, &wrong)).await?;
    until(&namespace, &name, "Failed", "the digest of what was found is").await?;
    namespace.apply(&wanted(&source, &digest)).await?;
    let status = until(&namespace, &name, "Ready", &digest).await?;
    ensure!(status["interface"] == "sluice:traffic/router@0.1.0", "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_registry_is_opened_by_a_secret() -> Result<()> {
    let namespace = Namespace::new("closed").await?;
    Controller::shared(&namespace).await?;
    let registry = Registry::start("closed", true).await?;
    let (docker, file) = (run_folder()?.join("docker"), component()?);
    let reference = format!("{}/acme/nginx:1.0", registry.address);
    let refused = push(&docker, &reference, &file).await.unwrap_err().to_string();
    ensure!(refused.contains("answers 401"), "{refused}");
    let config = json!({"auths": {&registry.address: {"auth": AUTH}}}).to_string();
    std::fs::create_dir_all(&docker)?;
    std::fs::write(docker.join("config.json"), &config)?;
    let (source, digest) = push(&docker, &reference, &file).await?;

    let name = format!("closed-{}", namespace.name());
    let mut plugin = json!({"apiVersion": "sluice.dev/v1alpha1", "kind": "Plugin",
        "metadata": {"name": name}, "spec": {"source": {"oci": source}, "digest": digest}});
    namespace.apply(&plugin.to_string()).await?;
    until(&namespace, &name, "Failed", "answers 401").await?;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pull"},
        "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": config}});
    namespace.apply(&secret.to_string()).await?;
    plugin["spec"]["pullSecret"] = json!({"name": "pull", "namespace": namespace.name()});
    namespace.apply(&plugin.to_string()).await?;
    until(&namespace, &name, "Ready", &digest).await?;
    Ok(())
}
