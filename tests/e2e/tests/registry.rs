//! Components in a real registry: pushed by the command line, pulled by the controller.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
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

/// The bundled router nginx as a file, with a mark by which it is no test's but this one's, so that
/// it was never fetched before.
fn component(namespace: &Namespace) -> Result<PathBuf> {
    let found = BUNDLED.iter().find(|component| component.name == "nginx");
    let mut bytes = found.context("nginx is not bundled")?.bytes.to_vec();
    let mark = namespace.name().as_bytes();
    // A section that means nothing: its number, its length, and its name with the length of that.
    let length = u8::try_from(mark.len())?;
    bytes.extend([0, length + 1, length]);
    bytes.extend(mark);
    let file = run_folder()?.join(format!("nginx-{}.wasm", namespace.name()));
    std::fs::write(&file, bytes)?;
    Ok(file)
}

fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
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
    let file = component(&namespace)?;
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
    let (docker, file) = (run_folder()?.join("docker"), component(&namespace)?);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_answer_delays_no_other_plugin() -> Result<()> {
    let namespace = Namespace::new("hangs").await?;
    let controller = Controller::shared(&namespace).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let wanted = |name: &str, source: Value, digest: &str| {
        json!({"apiVersion": "sluice.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": name},
            "spec": {"source": source, "digest": digest}})
        .to_string()
    };
    let slow = format!("slow-{}", namespace.name());
    let zeros = format!("sha256:{}", "0".repeat(64));
    let nowhere = json!({"oci": format!("{address}/acme/nginx@{zeros}")});
    namespace.apply(&wanted(&slow, nowhere, &zeros)).await?;
    // It has been asked, and says nothing for as long as the connection is held here.
    let asked = tokio::time::timeout(LIMIT, listener.accept()).await.context("nobody asked")??;

    let file = component(&namespace)?;
    let digest = sha256(&std::fs::read(&file)?);
    let other = format!("other-{}", namespace.name());
    let source = json!({"file": file.to_str().context("the path is not UTF-8")?});
    namespace.apply(&wanted(&other, source, &digest)).await?;
    until(&namespace, &other, "Ready", &digest).await?;
    let plugin = namespace.get(Kind::PLUGIN, &slow).await?;
    ensure!(plugin["status"]["phase"] == "Pending", "{:#}", plugin["status"]);
    controller.http("/readyz").await?;
    drop(asked);
    namespace.delete(Kind::PLUGIN, &slow).await
}

/// Puts a blob into the repository `acme/nginx`, as the protocol of registries says, and describes
/// it.
async fn put_blob(address: &str, media: &str, bytes: Vec<u8>) -> Result<Value> {
    let (digest, size) = (sha256(&bytes), bytes.len());
    let client = reqwest::Client::new();
    let uploads = format!("http://{address}/v2/acme/nginx/blobs/uploads/");
    let begun = client.post(uploads).send().await?.error_for_status()?;
    let place = begun.headers()["location"].to_str()?.to_owned();
    let place = if place.starts_with('/') { format!("http://{address}{place}") } else { place };
    let mark = if place.contains('?') { '&' } else { '?' };
    let put = client.put(format!("{place}{mark}digest={digest}")).body(bytes);
    put.send().await?.error_for_status()?;
    Ok(json!({"mediaType": media, "digest": digest, "size": size}))
}

/// Who signs, and the key by which that is known.
fn signer() -> Result<(EcdsaKeyPair, String)> {
    const PREFIX: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";
    let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_ASN1_SIGNING);
    let failed = |_| anyhow::anyhow!("no pair of keys");
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(failed)?;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random)
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    // The prefix ends with the first byte of the point.
    let der = [&STANDARD.decode(PREFIX)?, &pair.public_key().as_ref()[1..]].concat();
    Ok((pair, pem::encode(&pem::Pem::new("PUBLIC KEY", der))))
}

/// Puts what `cosign sign --key` puts beside `manifest`: a signature of a payload about `about`.
async fn sign(address: &str, pair: &EcdsaKeyPair, manifest: &str, about: &str) -> Result<()> {
    let payload = json!({"critical": {
        "identity": {"docker-reference": format!("{address}/acme/nginx")},
        "image": {"docker-manifest-digest": about},
        "type": "cosign container image signature",
    }, "optional": null});
    let payload = payload.to_string().into_bytes();
    let signature = pair.sign(&SystemRandom::new(), &payload);
    let signature = signature.map_err(|_| anyhow::anyhow!("not signed"))?;
    let media = "application/vnd.dev.cosign.simplesigning.v1+json";
    let mut layer = put_blob(address, media, payload).await?;
    layer["annotations"] =
        json!({"dev.cosignproject.cosign/signature": STANDARD.encode(signature.as_ref())});
    let media = "application/vnd.oci.image.config.v1+json";
    let config = put_blob(address, media, b"{}".to_vec()).await?;
    let signed = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config,
        "layers": [layer]});
    let tag = format!("{}.sig", manifest.replace(':', "-"));
    let put = reqwest::Client::new()
        .put(format!("http://{address}/v2/acme/nginx/manifests/{tag}"))
        .header("content-type", MANIFEST)
        .body(signed.to_string());
    put.send().await?.error_for_status()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_signed_with_the_key_is_taken_in() -> Result<()> {
    let namespace = Namespace::new("signed").await?;
    Controller::shared(&namespace).await?;
    let registry = Registry::start("signed", false).await?;
    let address = registry.address.as_str();
    let reference = format!("{address}/acme/nginx:1.0");
    let (source, digest) =
        push(&run_folder()?.join("nobody"), &reference, &component(&namespace)?).await?;
    let manifest = source.split_once('@').context("no digest")?.1;
    let ((pair, key), (stranger, strangers)) = (signer()?, signer()?);

    let name = format!("signed-{}", namespace.name());
    let wanted = |verify: Value| {
        json!({"apiVersion": "sluice.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": name},
            "spec": {"source": {"oci": source}, "digest": digest, "verify": verify}})
        .to_string()
    };
    namespace.apply(&wanted(json!({"key": key}))).await?;
    until(&namespace, &name, "Failed", "there is no signature of sha256:").await?;
    sign(address, &stranger, manifest, manifest).await?;
    until(&namespace, &name, "Failed", "is only one of another key").await?;
    let other = format!("sha256:{}", "0".repeat(64));
    sign(address, &pair, manifest, &other).await?;
    until(&namespace, &name, "Failed", "one of this key for another manifest").await?;
    sign(address, &pair, manifest, manifest).await?;
    until(&namespace, &name, "Ready", &digest).await?;

    // It was fetched already, and is looked at anew for each key.
    namespace.apply(&wanted(json!({"key": strangers}))).await?;
    let status = until(&namespace, &name, "Failed", "is only one of another key").await?;
    ensure!(status["digest"] == digest, "what was in use stays in use: {status}");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cosign"},
        "stringData": {"cosign.pub": key}});
    namespace.apply(&secret.to_string()).await?;
    let secret = json!({"name": "cosign", "key": "cosign.pub", "namespace": namespace.name()});
    let by_secret = json!({"keySecretRef": secret});
    namespace.apply(&wanted(by_secret)).await?;
    until(&namespace, &name, "Ready", &digest).await?;
    let keyless = json!({"keyless": {"subject": "x"}});
    namespace.apply(&wanted(keyless)).await?;
    until(&namespace, &name, "Failed", "spec.verify.keyless: this controller").await?;
    Ok(())
}
