//! `sluice set image`: release other images.

use std::process::ExitCode;

use kube::api::PostParams;
use serde_json::Value;

use super::output::print;
use super::workload;
use crate::client::{Cluster, ClusterArgs, json, word};

/// How often a write is tried that somebody else was faster than.
const TRIES: usize = 5;
/// The lists in which containers are.
const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Arguments of the command.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  sluice set image shop web=registry.example/shop:2.0\n  \
    sluice set image shop '*=registry.example/shop:2.0'\n\nA rollout with spec.workloadRef has \
    its images in the object that it refers to, which is changed then.")]
pub struct Args {
    /// Whose images to change: the name of a rollout.
    #[arg(value_name = "ROLLOUT")]
    pub name: String,
    /// The name of a container, and its image; `*` is every container.
    #[arg(required = true, value_name = "CONTAINER=IMAGE", value_parser = change)]
    pub changes: Vec<Change>,
}

/// A container, or `*` for all, and the image that it is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    container: String,
    image: String,
}

fn change(text: &str) -> Result<Change, String> {
    match text.split_once('=') {
        Some((container, image)) if !container.is_empty() && !image.is_empty() => {
            Ok(Change { container: container.to_owned(), image: image.to_owned() })
        }
        Some(_) | None => Err("expected CONTAINER=IMAGE, as in web=shop:2.0".to_owned()),
    }
}

/// Read the object, change it and write it, again where somebody else was faster.
pub async fn run(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(cluster).await?;
    for attempt in 1.. {
        let rollout = cluster.rollout(&args.name).await?;
        let workload = workload::of(&rollout)?;
        let mut object = json(&workload.read(&cluster).await?)?;
        let Some(template) = object.pointer_mut(workload.template) else {
            anyhow::bail!("{} \"{}\" has no pod template", word(&workload.kind), workload.name);
        };
        let before = template.clone();
        set_images(template, &args.changes)?;
        if *template == before {
            print(&format!("rollout '{}' has these images already\n", args.name))?;
            return Ok(ExitCode::SUCCESS);
        }
        let object = serde_json::from_value(object)?;
        let api = cluster.api(&workload.kind);
        match api.replace(&workload.name, &PostParams::default(), &object).await {
            Ok(_) => break,
            Err(kube::Error::Api(status)) if status.is_conflict() && attempt < TRIES => {}
            Err(error) => {
                let doing = format!("change {} \"{}\"", word(&workload.kind), workload.name);
                return Err(cluster.explain(&doing, error).into());
            }
        }
    }
    print(&format!("rollout '{}' image updated\n", args.name))?;
    Ok(ExitCode::SUCCESS)
}

/// Change the images in a pod template.
///
/// # Errors
/// Names a container that is not there, and those that are.
fn set_images(template: &mut Value, changes: &[Change]) -> anyhow::Result<()> {
    for Change { container, image } in changes {
        let mut names = Vec::new();
        let mut is_found = false;
        for list in LISTS {
            let containers = template.pointer_mut(&format!("/spec/{list}"));
            for found in containers.and_then(Value::as_array_mut).into_iter().flatten() {
                let name = found["name"].as_str().unwrap_or_default().to_owned();
                if *container == name || container == "*" {
                    found["image"] = image.clone().into();
                    is_found = true;
                }
                names.push(name);
            }
        }
        if !is_found {
            anyhow::bail!(
                "unable to find container named \"{container}\"; there are: {}",
                names.join(", ")
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{change, set_images};

    fn template() -> Value {
        json!({"spec": {
            "initContainers": [{"name": "migrate", "image": "shop:1"}],
            "containers": [{"name": "web", "image": "shop:1"}, {"name": "log", "image": "log:1"}],
        }})
    }

    fn set(changes: &[&str]) -> anyhow::Result<Value> {
        let mut template = template();
        let changes: Vec<_> = changes.iter().map(|text| change(text).unwrap()).collect();
        set_images(&mut template, &changes)?;
        Ok(template)
    }

    #[test]
    fn containers_are_found_by_name_wherever_they_are() {
        let seen = set(&["web=shop:2", "migrate=shop:2"]).unwrap();
        assert_eq!(seen["spec"]["containers"][0]["image"], "shop:2");
        assert_eq!(seen["spec"]["initContainers"][0]["image"], "shop:2");
        assert_eq!(seen["spec"]["containers"][1]["image"], "log:1", "others are left alone");
        let all = set(&["*=shop:3"]).unwrap();
        assert_eq!(all.to_string().matches("shop:3").count(), 3);
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        let error = set(&["wbe=shop:2"]).unwrap_err().to_string();
        assert_eq!(error, "unable to find container named \"wbe\"; there are: migrate, web, log");
    }

    #[test]
    fn an_image_may_have_any_sign_in_it() {
        let digest = change("web=shop@sha256:abc=").unwrap();
        assert_eq!((digest.container.as_str(), digest.image.as_str()), ("web", "shop@sha256:abc="));
        for text in ["web", "=shop:2", "web="] {
            assert!(change(text).is_err(), "{text}");
        }
    }
}
