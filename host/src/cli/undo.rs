//! `sluice undo`: want the template of a former revision again.

use std::process::ExitCode;

use serde_json::{Map, Value};
use sluice_api::keys;
use sluice_wire::rollout::hash::{template_digest, without_injected};

use super::output::print;
use super::workload;
use crate::client::{Cluster, ClusterArgs, json, replica_sets};

/// Arguments of the command.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  sluice undo shop\n  sluice undo shop --to-revision 3\n\n\
    Only the template is changed. What follows is a release like any other, or a short way back \
    where the revision still runs or is within spec.rollbackWindow.")]
pub struct Args {
    /// Whose template to change: the name of a rollout.
    #[arg(value_name = "ROLLOUT")]
    pub name: String,
    /// The number of the revision to go back to; 0 is the one before the newest.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub to_revision: u64,
}

/// Find the revision and put its template in.
pub async fn run(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(cluster).await?;
    let rollout = cluster.rollout(&args.name).await?;
    let sets = cluster.list(&replica_sets(), Some(keys::POD_TEMPLATE_HASH)).await?;
    let (number, set) = choose(&rollout, &sets, args.to_revision)?;
    let template = template_of(set);
    let workload = workload::of(&rollout)?;
    let object = json(&workload.read(&cluster).await?)?;
    let present = object.pointer(workload.template).unwrap_or(&Value::Null);
    if template_digest(present, None) == template_digest(&template, None) {
        print(&format!("rollout '{}' has the template of revision {number} already\n", args.name))?;
        return Ok(ExitCode::SUCCESS);
    }
    workload.replace_template(&cluster, &template).await?;
    print(&format!("rollout '{}' undo to revision {number}\n", args.name))?;
    Ok(ExitCode::SUCCESS)
}

/// Why there is nothing to go back to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum NoRevision {
    #[error("rollout '{0}' has no revision before the newest one: there is nothing to go back to")]
    First(String),
    #[error("rollout '{name}' has no revision {wanted}; --to-revision may be one of {known}")]
    Unknown { name: String, wanted: u64, known: String },
}

/// The revision to go back to, and its ReplicaSet.
fn choose<'a>(
    rollout: &Value,
    sets: &'a [Value],
    wanted: u64,
) -> Result<(u64, &'a Value), NoRevision> {
    let uid = rollout.pointer("/metadata/uid");
    let is_ours = |set: &&Value| {
        let owners = set.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let mut owners = owners.into_iter().flatten();
        owners.any(|owner| owner["controller"] == true && owner.get("uid") == uid)
    };
    let numbered = |set: &'a Value| {
        let number = set["metadata"]["annotations"][keys::REVISION].as_str()?.parse().ok()?;
        Some((number, set))
    };
    let mut known: Vec<(u64, &Value)> = sets.iter().filter(is_ours).filter_map(numbered).collect();
    known.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let name = rollout["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if wanted == 0 {
        return known.get(1).copied().ok_or(NoRevision::First(name));
    }
    known.iter().find(|(number, _)| *number == wanted).copied().ok_or_else(|| {
        let known: Vec<_> = known.iter().map(|(number, _)| number.to_string()).collect();
        NoRevision::Unknown { name, wanted, known: known.join(", ") }
    })
}

/// The template as users wrote it: without the hash, and without what the controller added for
/// the revision's role, which is another one next time.
fn template_of(set: &Value) -> Value {
    let mut template = set.pointer("/spec/template").cloned().unwrap_or_default();
    let added = set["metadata"]["annotations"][keys::EPHEMERAL_METADATA].as_str();
    let added: Value = added.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        // The server writes that a template was created never.
        metadata.remove("creationTimestamp");
        remove(metadata, "labels", [keys::POD_TEMPLATE_HASH]);
        for part in ["labels", "annotations"] {
            let keys = added[part].as_object().into_iter().flatten();
            remove(metadata, part, keys.map(|(key, _)| key.as_str()));
        }
    }
    if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut)
        && let Some(affinity) = spec.remove("affinity")
        && let Some(own) = without_injected(&affinity)
    {
        spec.insert("affinity".to_owned(), own);
    }
    template
}

fn remove<'a>(
    metadata: &mut Map<String, Value>,
    part: &str,
    keys: impl IntoIterator<Item = &'a str>,
) {
    let Some(entries) = metadata.get_mut(part).and_then(Value::as_object_mut) else { return };
    for key in keys {
        entries.remove(key);
    }
    if entries.is_empty() {
        metadata.remove(part);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{choose, template_of};

    fn set(number: &str, owner: &str) -> Value {
        json!({"metadata": {
            "name": format!("shop-{number}"),
            "annotations": {"rollout.argoproj.io/revision": number},
            "ownerReferences": [{"controller": true, "uid": owner}],
        }})
    }

    #[test]
    fn the_revision_before_the_newest_is_chosen_unless_one_is_named() {
        let rollout = json!({"metadata": {"name": "shop", "uid": "u"}});
        let sets = [set("2", "u"), set("10", "u"), set("9", "u"), set("11", "somebody else")];
        let chosen = |wanted| choose(&rollout, &sets, wanted).map(|(number, _)| number);
        assert_eq!(chosen(0), Ok(9), "numbers are compared as numbers");
        assert_eq!(chosen(2), Ok(2));
        assert_eq!(
            chosen(11).expect_err("a stranger's").to_string(),
            "rollout 'shop' has no revision 11; --to-revision may be one of 10, 9, 2"
        );
        let error = choose(&rollout, &sets[..1], 0).expect_err("only one").to_string();
        assert!(error.ends_with("there is nothing to go back to"), "{error}");
    }

    #[test]
    fn what_the_controller_added_stays_behind() {
        let apart = json!({"podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [{
                "topologyKey": "kubernetes.io/hostname",
                "namespaces": ["market"],
                "labelSelector": {"matchExpressions": [{
                    "key": "rollouts-pod-template-hash", "operator": "In", "values": ["abc"],
                }]},
            }],
        }});
        let set = json!({
            "metadata": {"annotations": {
                "rollout.argoproj.io/ephemeral-metadata": r#"{"labels":{"role":"canary"}}"#,
            }},
            "spec": {"template": {
                "metadata": {
                    "creationTimestamp": null,
                    "labels": {"app": "shop", "role": "canary", "rollouts-pod-template-hash": "d"},
                },
                "spec": {"containers": [{"name": "web", "image": "shop:1"}], "affinity": apart},
            }},
        });
        let expected = json!({
            "metadata": {"labels": {"app": "shop"}},
            "spec": {"containers": [{"name": "web", "image": "shop:1"}]},
        });
        assert_eq!(template_of(&set), expected);
    }
}
