//! `sluice plugin grant`: what a component asks for, as the Plugin object that would give it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, ensure};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use sluice_api::Plugin;
use sluice_api::plugin::{
    ConfigMapSource, HttpPermission, KubernetesPermission, PluginPermissions, PluginSource,
    PluginSpec, SecretPermission, SecretRef,
};
use sluice_author::{build, inspect, project::Project};
use sluice_plugins::{Asked, Wish};
use sluice_wasm::Outline;

use super::super::output::print;

/// Arguments of the command.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A component, or a project's folder that was built.
    #[arg(default_value = ".", value_name = "PATH")]
    path: PathBuf,
    #[command(flatten)]
    source: From,
    /// The name under which Rollouts and metrics use it. Default: what it calls itself, or the
    /// name of its file.
    #[arg(long)]
    name: Option<String>,
    /// Where a secret is that it asks for by an alias; may be repeated.
    #[arg(long = "secret", value_name = "ALIAS=[NAMESPACE/]NAME/KEY")]
    secrets: Vec<String>,
}

/// Where the controller will find the component.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct From {
    /// In a registry, as `sluice plugin push` prints it.
    #[arg(long, value_name = "REFERENCE")]
    oci: Option<String>,
    /// Behind a URL, https://.
    #[arg(long)]
    url: Option<String>,
    /// In a ConfigMap, under binaryData.
    #[arg(long, value_name = "[NAMESPACE/]NAME/KEY")]
    config_map: Option<String>,
    /// In a file that the controller can read: an absolute path.
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
}

/// Do it. Nothing is sent anywhere: the object is for reading first.
pub fn run(args: Args) -> anyhow::Result<()> {
    let path = match build::is_project(&args.path) {
        true => Project::open(&args.path)?.component(),
        false => args.path.clone(),
    };
    Ok(print(&text(&path, args)?)?)
}

fn text(path: &Path, args: Args) -> anyhow::Result<String> {
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let outline = Outline::of(&bytes).with_context(|| shown.to_string())?;
    let facts = inspect::inspect(path)?;
    let asked = Asked::read(&outline.imports, outline.manifest.as_deref());
    let permissions = permissions(&facts.manifest, &asked, &args.secrets)?;
    let own = facts.manifest.get("name").and_then(Value::as_str).map(str::to_owned);
    let of_file = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = args.name.or(own).or_else(of_file).ok_or_else(|| anyhow!("say --name"))?;
    // The name of an object has no slash and no capitals, the name of a component may.
    let of_object = name.replace(['/', '_'], "-").to_lowercase();
    let plugin = Plugin {
        api_version: "sluice.dev/v1alpha1".to_owned(),
        kind: "Plugin".to_owned(),
        spec: PluginSpec {
            name: (of_object != name).then_some(name),
            source: source(args.source)?,
            digest: Some(facts.digest),
            permissions: Some(permissions),
            ..PluginSpec::default()
        },
        metadata: ObjectMeta { name: Some(of_object), ..ObjectMeta::default() },
        status: None,
    };
    let wish = Wish::read(&plugin).map_err(|error| anyhow!("{error}"))?;
    let mut text =
        String::from("# What it asks for, with its reasons. All of it is yours to refuse.\n");
    let nothing = asked.lines().is_empty().then(|| "nothing".to_owned());
    for line in asked.lines().into_iter().chain(nothing) {
        text.push_str(&format!("#   {line}\n"));
    }
    let given = wish.permissions.unwrap_or_default();
    let missing = asked.missing(&given);
    if !missing.is_empty() {
        text.push_str("# It names no server or object for these; add those that its users need.\n");
        for line in missing {
            text.push_str(&format!("#   {line}\n"));
        }
    }
    text.push_str(&serde_saphyr::to_string(&plugin)?);
    Ok(text)
}

/// Exactly what the manifest names, and where the secrets are.
fn permissions(
    manifest: &serde_json::Map<String, Value>,
    asked: &Asked,
    secrets: &[String],
) -> anyhow::Result<PluginPermissions> {
    let list = |what: &str| {
        manifest.get("grants").and_then(|grants| grants.get(what)).cloned().filter(|v| !v.is_null())
    };
    let unclear = |what: &str, error: serde_json::Error| {
        anyhow!("the manifest of the component is wrong in grants.{what}: {error}")
    };
    let http: Option<Vec<HttpPermission>> = list("http")
        .map(serde_json::from_value)
        .transpose()
        .map_err(|error| unclear("http", error))?;
    let kubernetes: Option<Vec<KubernetesPermission>> = list("kubernetes")
        .map(serde_json::from_value)
        .transpose()
        .map_err(|error| unclear("kubernetes", error))?;
    let mut given = Vec::new();
    for text in secrets {
        let (alias, place) = text
            .split_once('=')
            .ok_or_else(|| anyhow!("--secret {text}: write ALIAS=[NAMESPACE/]NAME/KEY"))?;
        ensure!(
            asked.secrets.iter().any(|known| known == alias),
            "--secret {text}: it asks for no secret '{alias}'; those that it asks for: {}",
            or_none(&asked.secrets)
        );
        let (namespace, name, key) = place_of(place).with_context(|| format!("--secret {text}"))?;
        let secret_ref = SecretRef { namespace, name, key };
        given.push(SecretPermission { alias: alias.to_owned(), secret_ref });
    }
    for alias in &asked.secrets {
        ensure!(
            given.iter().any(|one| one.alias == *alias),
            "it asks for the secret '{alias}': say where that is, --secret {alias}=NAME/KEY"
        );
    }
    let secrets = (!given.is_empty()).then_some(given);
    Ok(PluginPermissions { http, kubernetes, secrets })
}

fn source(from: From) -> anyhow::Result<PluginSource> {
    let config_map = match &from.config_map {
        Some(place) => {
            let read = place_of(place).with_context(|| format!("--config-map {place}"))?;
            let (namespace, name, key) = read;
            Some(ConfigMapSource { namespace, name, key: Some(key) })
        }
        None => None,
    };
    let From { oci, url, file, .. } = from;
    Ok(PluginSource { oci, url, file, config_map, ..PluginSource::default() })
}

fn place_of(text: &str) -> anyhow::Result<(Option<String>, String, String)> {
    let parts: Vec<_> = text.split('/').map(str::to_owned).collect();
    ensure!(parts.iter().all(|part| !part.is_empty()), "write [NAMESPACE/]NAME/KEY");
    match <[String; 3]>::try_from(parts) {
        Ok([namespace, name, key]) => Ok((Some(namespace), name, key)),
        Err(parts) => match <[String; 2]>::try_from(parts) {
            Ok([name, key]) => Ok((None, name, key)),
            Err(_) => Err(anyhow!("write [NAMESPACE/]NAME/KEY")),
        },
    }
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(manifest: Value, secrets: &[&str]) -> Result<PluginPermissions, String> {
        let asked = Asked::read(&[], Some(&manifest.to_string()));
        let secrets: Vec<_> = secrets.iter().map(|text| (*text).to_owned()).collect();
        let manifest = manifest.as_object().cloned().unwrap_or_default();
        permissions(&manifest, &asked, &secrets).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_secret_is_given_only_where_it_is_asked_for_and_said_to_be() {
        let manifest = json!({"grants": {"secrets": ["token"]}});
        let missing = given(manifest.clone(), &[]).unwrap_err();
        assert!(missing.ends_with("--secret token=NAME/KEY"), "{missing}");
        let other = given(manifest.clone(), &["key=a/b"]).unwrap_err();
        assert!(other.contains("asks for no secret 'key'") && other.ends_with("token"), "{other}");
        let shape = given(manifest.clone(), &["token=a"]).unwrap_err();
        assert_eq!(shape, "--secret token=a: write [NAMESPACE/]NAME/KEY");
        for (text, namespace) in [("token=b/c", None), ("token=a/b/c", Some("a".to_owned()))] {
            let secrets = given(manifest.clone(), &[text]).unwrap().secrets.unwrap();
            let expected = SecretRef { namespace, name: "b".to_owned(), key: "c".to_owned() };
            assert_eq!(secrets[0].secret_ref, expected);
        }
    }

    #[test]
    fn what_is_no_grant_is_named() {
        let wrong = given(json!({"grants": {"http": [{"methods": ["GET"]}]}}), &[]).unwrap_err();
        assert!(wrong.contains("grants.http") && wrong.contains("url"), "{wrong}");
    }
}
