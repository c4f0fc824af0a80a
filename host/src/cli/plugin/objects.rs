//! Plugin objects of a cluster, as people see them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use kube::Api;
use kube::api::ListParams;
use sluice_api::Plugin;
use sluice_api::plugin::PluginStatus;
use sluice_plugins::{Asked, Source, Wish};
use sluice_view::{human_age, render_table};
use sluice_wasm::Outline;

use super::super::output::print;
use crate::client::{Cluster, ClusterArgs, is_not_found};
use crate::fetch::digest_of;

/// `sluice plugin list`.
pub async fn list(cluster: &ClusterArgs) -> anyhow::Result<()> {
    let cluster = Cluster::connect(cluster).await?;
    let api: Api<Plugin> = Api::all(cluster.client.clone());
    let all = api.list(&ListParams::default()).await.map_err(|error| {
        if is_not_found(&error) {
            return crate::client::Error::UnknownKind { plural: "plugins".to_owned() };
        }
        cluster.explain("list plugins", error)
    })?;
    if all.items.is_empty() {
        eprintln!("No plugins found; the bundled components need none.");
        return Ok(());
    }
    Ok(print(&table(&all.items, Timestamp::now()))?)
}

/// `sluice plugin inspect NAME`.
pub async fn inspect(cluster: &ClusterArgs, name: &str, json: bool) -> anyhow::Result<()> {
    let plugin = find(cluster, name).await?;
    let text = match json {
        true => format!("{:#}\n", serde_json::to_value(&plugin)?),
        false => page(&plugin),
    };
    Ok(print(&text)?)
}

/// `sluice plugin diff OLD NEW`: what changes if one takes the place of the other. Each is a file,
/// or the name of a Plugin.
pub async fn diff(cluster: &ClusterArgs, old: &str, new: &str) -> anyhow::Result<()> {
    let (old, new) = (facts(cluster, old).await?, facts(cluster, new).await?);
    Ok(print(&difference(&old, &new))?)
}

async fn find(cluster: &ClusterArgs, name: &str) -> anyhow::Result<Plugin> {
    let cluster = Cluster::connect(cluster).await?;
    let api: Api<Plugin> = Api::all(cluster.client.clone());
    match api.get(name).await {
        Ok(plugin) => Ok(plugin),
        Err(error) if is_not_found(&error) => Err(anyhow!(
            "{name} is neither a file nor a Plugin of this cluster; `sluice plugin list` shows \
             those that there are"
        )),
        Err(error) => Err(cluster.explain(&format!("get plugin \"{name}\""), error).into()),
    }
}

/// What two components are compared by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Facts {
    what: String,
    digest: String,
    interface: String,
    asks: BTreeSet<String>,
}

async fn facts(cluster: &ClusterArgs, what: &str) -> anyhow::Result<Facts> {
    if Path::new(what).is_file() {
        let bytes = std::fs::read(what).with_context(|| format!("cannot read {what}"))?;
        let outline = Outline::of(&bytes).with_context(|| what.to_owned())?;
        let asked = Asked::read(&outline.imports, outline.manifest.as_deref());
        return Ok(Facts {
            what: what.to_owned(),
            digest: digest_of(&bytes),
            interface: outline.speaks,
            asks: asked.lines().into_iter().collect(),
        });
    }
    let plugin = find(cluster, what).await?;
    let status = plugin.status.unwrap_or_default();
    Ok(Facts {
        what: format!("Plugin {what}"),
        digest: status.digest.unwrap_or_else(|| "nothing in use".to_owned()),
        interface: status.interface.unwrap_or_default(),
        asks: status.requested.unwrap_or_default().into_iter().collect(),
    })
}

fn difference(old: &Facts, new: &Facts) -> String {
    let mut text = String::new();
    let mut line = |mark: char, words: &str| {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{mark} {words}");
    };
    for asked in new.asks.difference(&old.asks) {
        line('+', &format!("asks for {asked}"));
    }
    for asked in old.asks.difference(&new.asks) {
        line('-', &format!("no longer asks for {asked}"));
    }
    if old.interface != new.interface {
        line('-', &format!("speaks {}", old.interface));
        line('+', &format!("speaks {}", new.interface));
    }
    if old.digest == new.digest {
        line(' ', &format!("{} and {} are the same component", old.what, new.what));
    } else {
        line('-', &format!("{} ({})", old.digest, old.what));
        line('+', &format!("{} ({})", new.digest, new.what));
    }
    text
}

fn short(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}

fn table(plugins: &[Plugin], now: Timestamp) -> String {
    let titles = ["NAME", "COMPONENT", "PHASE", "DIGEST", "CALLS", "FAULTS", "AGE"];
    let mut rows = vec![titles.map(str::to_owned)];
    for plugin in plugins {
        let status = plugin.status.clone().unwrap_or_default();
        let name = plugin.metadata.name.clone().unwrap_or_default();
        let created = plugin.metadata.creation_timestamp.as_ref();
        let age = created.map_or(0, |created| now.as_second() - created.0.as_second());
        let count = |count: Option<i64>| count.map_or("-".to_owned(), |count| count.to_string());
        rows.push([
            name.clone(),
            plugin.spec.name.clone().unwrap_or(name),
            status.phase.clone().unwrap_or_else(|| "Unseen".to_owned()),
            status.digest.as_deref().map_or("-", short).to_owned(),
            count(status.calls),
            count(status.traps),
            human_age(age),
        ]);
    }
    render_table(&rows, 0)
}

fn page(plugin: &Plugin) -> String {
    let status = plugin.status.clone().unwrap_or_default();
    let name = plugin.metadata.name.as_deref().unwrap_or_default();
    let mut text = String::new();
    let mut line = |words: String| {
        let _ = writeln!(text, "{}", words.trim_end());
    };
    line(format!("{name}   {}", status.phase.as_deref().unwrap_or("Unseen")));
    if let Some(message) = &status.message {
        line(message.clone());
    }
    match Wish::read(plugin) {
        Ok(wish) => {
            if wish.name != name {
                line(format!("component  {}", wish.name));
            }
            line(format!("source     {}", source(&wish.source)));
        }
        Err(unclear) => line(format!("source     {unclear}")),
    }
    line(format!("wanted     {}", plugin.spec.digest.as_deref().unwrap_or("the bundled one")));
    line(format!("in use     {}", status.digest.as_deref().unwrap_or("nothing")));
    for (label, digest) in
        [("before", &status.previous_digest), ("rejected", &status.rejected_digest)]
    {
        if let Some(digest) = digest {
            line(format!("{label:<10} {digest}"));
        }
    }
    if let Some(interface) = &status.interface {
        line(format!("speaks     {interface}"));
    }
    for (label, list) in [
        ("can", &status.capabilities),
        ("asks for", &status.requested),
        ("pending", &status.pending),
        ("granted", &status.granted),
    ] {
        for (index, item) in list.iter().flatten().enumerate() {
            let label = if index == 0 { label } else { "" };
            line(format!("{label:<10} {item}"));
        }
    }
    line(used(&status));
    for (label, error) in [("first", &status.first_error), ("last", &status.last_error)] {
        if let Some(error) = error {
            let message = error.message.replace('\n', "\n             ");
            line(format!("{label:<10} {} {message}", error.time));
        }
    }
    text
}

fn used(status: &PluginStatus) -> String {
    let count = |count: Option<i64>| count.unwrap_or_default();
    format!(
        "used       {} calls, {} faults, {} requests, {} denied",
        count(status.calls),
        count(status.traps),
        count(status.requests),
        count(status.denied)
    )
}

fn source(source: &Source) -> String {
    match source {
        Source::ConfigMap { namespace, name, key } => match namespace {
            Some(namespace) => format!("key {key} of ConfigMap {namespace}/{name}"),
            None => format!("key {key} of ConfigMap {name} beside the controller"),
        },
        Source::Url(url) => url.clone(),
        Source::File(path) => path.clone(),
        Source::Oci { reference, .. } => reference.clone(),
        Source::OciLayout { path, name: Some(name) } => format!("layout {path} {name}"),
        Source::OciLayout { path, name: None } => format!("layout {path}"),
        Source::Bundled(name) => format!("bundled {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plugin() -> Plugin {
        let digest = format!("sha256:{}", "a".repeat(64));
        serde_json::from_value(json!({
            "metadata": {"name": "datadog", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"name": "acme/datadog", "source": {"configMap": {"name": "m"}},
                     "digest": digest},
            "status": {"phase": "PendingApproval", "message": "asks for more", "digest": digest,
                "interface": "sluice:metric/provider@0.1.0", "requested": ["http a GET: why", "b"],
                "pending": ["b"], "granted": ["http a GET"], "calls": 7, "traps": 1, "denied": 2,
                "firstError": {"time": "2026-01-02T00:00:00Z", "message": "trapped\nat x"}},
        }))
        .unwrap()
    }

    #[test]
    fn a_list_is_a_line_each() {
        let now: Timestamp = "2026-01-01T00:01:35Z".parse().unwrap();
        let text = table(&[plugin()], now);
        let expected = "\
NAME     COMPONENT     PHASE            DIGEST               CALLS  FAULTS  AGE
datadog  acme/datadog  PendingApproval  sha256:aaaaaaaaaaaa  7      1       95s
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_page_says_what_it_asks_is_given_and_used() {
        let text = page(&plugin());
        for line in [
            "datadog   PendingApproval",
            "asks for more",
            "component  acme/datadog",
            "source     key plugin.wasm of ConfigMap m beside the controller",
            "asks for   http a GET: why",
            "           b",
            "pending    b",
            "granted    http a GET",
            "used       7 calls, 1 faults, 0 requests, 2 denied",
            "first      2026-01-02T00:00:00Z trapped",
            "             at x",
        ] {
            assert!(text.lines().any(|there| there == line), "{line}:\n{text}");
        }
    }

    #[test]
    fn what_is_asked_anew_comes_first() {
        let facts = |what: &str, asks: &[&str]| Facts {
            what: what.to_owned(),
            digest: format!("sha256:{what}"),
            interface: "i".to_owned(),
            asks: asks.iter().map(|ask| (*ask).to_owned()).collect(),
        };
        let text = difference(&facts("old", &["a", "b"]), &facts("new", &["b", "c"]));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            ["+ asks for c", "- no longer asks for a", "- sha256:old (old)", "+ sha256:new (new)"]
        );
        let same = difference(&facts("x", &[]), &facts("x", &[]));
        assert_eq!(same, "  x and x are the same component\n");
    }
}
