//! AnalysisTemplates, from a file or from the cluster.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use kube::Api;
use serde_json::{Value, json};
use sluice_wire::analysis::template::{Template, TemplateError, unite_references, unite_specs};
use sluice_wire::field::Field;
use sluice_wire::objects::TemplateName;

use crate::client::{
    Cluster, analysis_templates, cluster_analysis_templates, is_not_found, json as json_of,
};

/// Names of templates have neither slashes nor these endings.
pub fn is_file(text: &str) -> bool {
    let ends = [".yaml", ".yml", ".json"].iter().any(|end| text.ends_with(end));
    ends || text.contains('/') || Path::new(text).is_file()
}

/// The templates of a file, united.
///
/// # Errors
/// There is none, or they do not fit together.
pub fn of_file(path: &Path) -> anyhow::Result<Template> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).map_err(|error| anyhow!("{shown}: {error}"))?;
    let kinds = ["AnalysisTemplate", "ClusterAnalysisTemplate"];
    let templates: Vec<_> = documents
        .iter()
        .filter(|document| document["kind"].as_str().is_some_and(|kind| kinds.contains(&kind)))
        .map(|document| {
            let name = document["metadata"]["name"].as_str().unwrap_or_default();
            (name, Field::root(document).get("spec"))
        })
        .collect();
    anyhow::ensure!(!templates.is_empty(), "{shown}: there is no AnalysisTemplate in it");
    let all = templates.iter().map(|(name, spec)| (*name, spec));
    unite_specs(all).with_context(|| shown.to_string())
}

/// A template of the cluster with those that it refers to; `wide` is a ClusterAnalysisTemplate.
///
/// # Errors
/// One is not there, or they do not fit together.
pub async fn of_cluster(name: &str, wide: bool, cluster: &Cluster) -> anyhow::Result<Template> {
    let references = json!([{"templateName": name, "clusterScope": wide}]);
    let mut found: Vec<(TemplateName, Value)> = Vec::new();
    loop {
        let find = |wanted: &TemplateName| {
            found.iter().find(|(name, _)| name == wanted).map(|(_, template)| template)
        };
        match unite_references(&Field::root(&references), find) {
            Ok(template) => return Ok(template),
            Err(TemplateError::NotFound(missing)) => {
                let template = fetch(&missing, cluster).await?;
                found.push((missing, template));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn fetch(wanted: &TemplateName, cluster: &Cluster) -> anyhow::Result<Value> {
    if !wanted.cluster {
        let object = cluster.object(&analysis_templates(), &wanted.name).await?;
        return Ok(json_of(&object)?);
    }
    let kind = cluster_analysis_templates();
    let api: Api<kube::api::DynamicObject> = Api::all_with(cluster.client.clone(), &kind);
    let doing = format!("get clusteranalysistemplate \"{}\"", wanted.name);
    match api.get(&wanted.name).await {
        Ok(object) => Ok(json_of(&object)?),
        Err(error) if is_not_found(&error) => {
            bail!("there is no ClusterAnalysisTemplate {:?}", wanted.name)
        }
        Err(error) => Err(cluster.explain(&doing, error).into()),
    }
}
