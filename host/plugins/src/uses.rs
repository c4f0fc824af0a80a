//! Who refers to a component by its name, and how it is configured there.

use std::collections::BTreeMap;

use serde_json::Value;
use sluice_wire::field::Field;

/// One place that refers to a component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// The object, such as `Rollout shop/web`.
    pub by: String,
    /// The field that refers to it.
    pub field: String,
    /// What the component is given there, as JSON with sorted members.
    pub config: String,
}

/// Every place in these objects, Rollouts, templates and runs of any kind, that refers to the
/// component `name`: as a router if `routes`, and as a provider of metrics otherwise. Sorted.
pub fn uses<'o>(
    name: &str,
    routes: bool,
    objects: impl IntoIterator<Item = &'o Value>,
) -> Vec<Use> {
    let mut found = Vec::new();
    for object in objects {
        let root = Field::root(object);
        let text = |path: &str| root.at(path).str().unwrap_or_default().to_owned();
        let id = match text("metadata.namespace").as_str() {
            "" => text("metadata.name"),
            namespace => format!("{namespace}/{}", text("metadata.name")),
        };
        let by = format!("{} {id}", text("kind"));
        let fields = match (text("kind").as_str(), routes) {
            ("Rollout", true) => vec![root.at("spec.strategy.canary.trafficRouting")],
            ("Rollout", false) | (_, true) => Vec::new(),
            (_, false) => {
                root.at("spec.metrics").items().iter().map(|m| m.get("provider")).collect()
            }
        };
        for field in fields {
            let plugins = field.get(if routes { "plugins" } else { "plugin" });
            for place in [field.get(name), plugins.get(name)] {
                if let Some(config) = place.value() {
                    let (by, field) = (by.clone(), place.path().to_owned());
                    found.push(Use { by, field, config: sorted(config).to_string() });
                }
            }
        }
    }
    found.sort();
    found
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(members) => {
            let members: BTreeMap<_, _> =
                members.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            Value::Object(members.into_iter().collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn objects() -> Vec<Value> {
        vec![
            json!({
                "kind": "Rollout",
                "metadata": {"namespace": "shop", "name": "web"},
                "spec": {"strategy": {"canary": {"trafficRouting": {
                    "nginx": {"stableIngress": "web", "annotationPrefix": "a"},
                    "plugins": {"acme/mesh": {"x": 1}},
                }}}},
            }),
            json!({
                "kind": "ClusterAnalysisTemplate",
                "metadata": {"name": "judge"},
                "spec": {"metrics": [
                    {"provider": {"prometheus": {"query": "up"}}},
                    {"provider": {"plugin": {"acme/datadog": {"q": "b", "a": 1}}}},
                ]},
            }),
        ]
    }

    #[test]
    fn components_are_found_by_name_and_kind() {
        let objects = objects();
        let found = |name: &str, routes: bool| -> Vec<String> {
            let uses = uses(name, routes, &objects);
            uses.iter().map(|u| format!("{} {} {}", u.by, u.field, u.config)).collect()
        };
        let routing = "Rollout shop/web spec.strategy.canary.trafficRouting";
        assert_eq!(
            found("nginx", true),
            [format!(r#"{routing}.nginx {{"annotationPrefix":"a","stableIngress":"web"}}"#)]
        );
        assert_eq!(found("acme/mesh", true), [format!(r#"{routing}.plugins.acme/mesh {{"x":1}}"#)]);
        let template = "ClusterAnalysisTemplate judge spec.metrics";
        assert_eq!(
            found("prometheus", false),
            [format!(r#"{template}[0].provider.prometheus {{"query":"up"}}"#)]
        );
        assert_eq!(
            found("acme/datadog", false),
            [format!(r#"{template}[1].provider.plugin.acme/datadog {{"a":1,"q":"b"}}"#)]
        );
        assert_eq!(found("nginx", false), Vec::<String>::new());
        assert_eq!(found("prometheus", true), Vec::<String>::new());
    }
}
