//! `sluice create analysisrun`: a run of an AnalysisTemplate, without a release.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context as _, anyhow};
use kube::api::{DynamicObject, PostParams};
use serde_json::{Map, Value, json};
use sluice_api::keys::CONTROLLER_INSTANCE_ID;
use sluice_wire::analysis::arguments::{ArgumentError, PLACEHOLDER, Values, fill};
use sluice_wire::analysis::metric::parse;
use sluice_wire::analysis::template::Template;
use sluice_wire::field::Field;

use super::output::print;
use super::templates::{of_cluster, of_file};
use crate::client::{Cluster, ClusterArgs, analysis_runs};

/// Arguments of the command.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    sluice create analysisrun --from success-rate -a service=web\n  \
    sluice create analysisrun --from-file template.yaml --name try-1")]
pub struct Args {
    /// The name of an AnalysisTemplate of the cluster.
    #[arg(
        long,
        visible_alias = "from-template",
        value_name = "NAME",
        required_unless_present = "from_file",
        conflicts_with = "from_file"
    )]
    from: Option<String>,
    /// A file with an AnalysisTemplate, instead of one of the cluster.
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// The template is a ClusterAnalysisTemplate.
    #[arg(long, requires = "from")]
    global: bool,
    /// The name of the run. Default: that of the template, and something that makes it unique.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The beginning of its name.
    #[arg(long, value_name = "PREFIX", conflicts_with = "name")]
    generate_name: Option<String>,
    /// The controller that is to take it, by its --instance-id.
    #[arg(long, value_name = "ID")]
    instance_id: Option<String>,
    /// An argument of the template.
    #[arg(short = 'a', long = "argument", value_name = "NAME=VALUE")]
    arguments: Vec<Argument>,
}

#[derive(Clone, Debug)]
struct Argument {
    name: String,
    value: String,
}

impl FromStr for Argument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

/// Make it; the controller does the rest.
pub async fn run(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(cluster).await?;
    let template = match (&args.from, &args.from_file) {
        (Some(name), _) => of_cluster(name, args.global, &cluster).await?,
        (None, Some(path)) => of_file(path)?,
        (None, None) => return Err(anyhow!("name a template with --from or --from-file")),
    };
    let run = analysis_run(&args, template)?;
    let object: DynamicObject = serde_json::from_value(run)?;
    let created = cluster.api(&analysis_runs()).create(&PostParams::default(), &object).await;
    let created = created.map_err(|error| cluster.explain("create an analysisrun", error))?;
    let name = created.metadata.name.unwrap_or_default();
    print(&format!("analysisrun '{name}' created\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// The object, after a look at whether it could run.
fn analysis_run(args: &Args, template: Template) -> anyhow::Result<Value> {
    let given = args.arguments.iter().map(|one| json!({"name": one.name, "value": one.value}));
    let filled = fill(&template.args, &given.collect::<Vec<_>>()).map_err(|error| match error {
        ArgumentError::Unresolved(name) => {
            anyhow!("the template has an argument without a value: give it by -a {name}=VALUE")
        }
        other => other.into(),
    })?;
    let values = Values::of(&filled, |_| Ok(PLACEHOLDER.to_owned()))?;
    let metrics: Result<Vec<_>, _> =
        template.metrics.iter().map(|metric| values.substitute(metric)).collect();
    let (dry_run, retention) = (json!(template.dry_run), json!(template.retention));
    parse(&metrics?, &Field::root(&dry_run), &Field::root(&retention)).context("the template")?;
    let mut spec = Map::new();
    for (name, list) in [
        ("metrics", template.metrics),
        ("args", filled),
        ("dryRun", template.dry_run),
        ("measurementRetention", template.retention),
    ] {
        if !list.is_empty() {
            spec.insert(name.to_owned(), Value::Array(list));
        }
    }
    let mut metadata = match (&args.name, &args.generate_name) {
        (Some(name), _) => json!({ "name": name }),
        (None, Some(prefix)) => json!({ "generateName": prefix }),
        (None, None) => {
            let origin = args.from.clone().or_else(|| template.origins.first().cloned());
            json!({"generateName": format!("{}-", origin.unwrap_or_else(|| "run".to_owned()))})
        }
    };
    if let Some(instance) = &args.instance_id {
        metadata["labels"] = json!({CONTROLLER_INSTANCE_ID: instance});
    }
    Ok(json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": metadata,
        "spec": spec,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(more: &[&str]) -> Args {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let words = [&["create", "--from", "rate"], more].concat();
        <Line as clap::Parser>::parse_from(words).args
    }

    fn template(count: Value) -> Template {
        Template {
            metrics: vec![json!({"name": "m", "count": count, "interval": "5s",
                "provider": {"prometheus": {"query": "up{app='{{args.service}}'}"}}})],
            args: vec![json!({"name": "service"}), json!({"name": "n", "value": "3"})],
            dry_run: vec![json!({"metricName": "m"})],
            ..Template::default()
        }
    }

    #[test]
    fn a_run_is_what_the_template_says_with_its_arguments() {
        let words = ["-a", "service=web", "--instance-id", "blue"];
        let run = analysis_run(&args(&words), template(json!("{{args.n}}"))).unwrap();
        assert_eq!(run["metadata"]["generateName"], "rate-");
        assert_eq!(run["metadata"]["labels"][CONTROLLER_INSTANCE_ID], "blue");
        assert_eq!(run["spec"]["args"][0], json!({"name": "service", "value": "web"}));
        assert_eq!(run["spec"]["metrics"][0]["count"], "{{args.n}}", "the controller fills it in");
        assert_eq!(run["spec"]["dryRun"], json!([{"metricName": "m"}]));
        assert!(run["spec"].get("measurementRetention").is_none(), "{run}");
        let named = analysis_run(&args(&["-a", "service=a", "--name=x"]), template(json!(1)));
        assert_eq!(named.unwrap()["metadata"], json!({"name": "x"}));
    }

    #[test]
    fn a_run_that_could_not_run_is_not_made() {
        let missing = analysis_run(&args(&[]), template(json!(1))).unwrap_err().to_string();
        assert!(missing.contains("-a service=VALUE"), "{missing}");
        let wrong = analysis_run(&args(&["-a", "service=a"]), template(json!("many"))).unwrap_err();
        assert!(format!("{wrong:#}").contains("count is no whole number"), "{wrong:#}");
    }
}
