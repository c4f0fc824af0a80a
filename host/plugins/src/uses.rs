//! Who refers to a component by its name, and how it is configured there.

use std::collections::BTreeMap;

use serde_json::Value;
use sluice_wire::field::Field;
use sluice_wire::keys::NOTIFICATION_SUBSCRIBE_PREFIX;
use sluice_wire::notify::subscriptions;

/// What a component is to those who refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A provider of metrics.
    Metric,
    /// A traffic router.
    Router,
    /// A step of a canary.
    Step,
    /// A notifier.
    Notifier,
}

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
/// component `name` as this. Sorted.
pub fn uses<'o>(name: &str, role: Role, objects: impl IntoIterator<Item = &'o Value>) -> Vec<Use> {
    let mut found = Vec::new();
    for object in objects {
        let root = Field::root(object);
        let text = |path: &str| root.at(path).str().unwrap_or_default().to_owned();
        let id = match text("metadata.namespace").as_str() {
            "" => text("metadata.name"),
            namespace => format!("{namespace}/{}", text("metadata.name")),
        };
        let by = format!("{} {id}", text("kind"));
        let canary = root.at("spec.strategy.canary");
        let metrics = || root.at("spec.metrics").items();
        let places: Vec<_> = match (role, text("kind") == "Rollout") {
            (Role::Router, true) => {
                let routing = canary.get("trafficRouting");
                vec![routing.get(name), routing.get("plugins").get(name)]
            }
            (Role::Step, true) => {
                let steps = canary.get("steps").items();
                let steps = steps.iter().map(|step| step.get("plugin"));
                let steps = steps.filter(|step| step.get("name").str() == Some(name));
                steps.map(|step| step.get("config")).collect()
            }
            (Role::Notifier, true) => {
                let subscribed = subscriptions(object).into_iter();
                let of_it = subscribed.filter(|one| one.service == name);
                found.extend(of_it.map(|one| Use {
                    by: by.clone(),
                    field: format!(
                        "metadata.annotations[{NOTIFICATION_SUBSCRIBE_PREFIX}{}.{name}]",
                        one.trigger
                    ),
                    // It is configured with the component, and not by those who use it.
                    config: Value::Null.to_string(),
                }));
                continue;
            }
            (Role::Metric, false) => metrics()
                .iter()
                .map(|metric| metric.get("provider"))
                .flat_map(|from| [from.get(name), from.get("plugin").get(name)])
                .collect(),
            (Role::Router | Role::Step | Role::Notifier, false) | (Role::Metric, true) => {
                Vec::new()
            }
        };
        for place in places {
            // A step without a configuration refers to its component all the same.
            let config = match (place.value(), role) {
                (Some(config), _) => sorted(config).to_string(),
                (None, Role::Step) => Value::Null.to_string(),
                (None, Role::Metric | Role::Router | Role::Notifier) => continue,
            };
            found.push(Use { by: by.clone(), field: place.path().to_owned(), config });
        }
    }
    found.sort();
    found
}

/// A value whose members are in the order of their names, whoever made it.
pub fn sorted(value: &Value) -> Value {
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
                "metadata": {"namespace": "shop", "name": "web", "annotations": {
                    "notifications.argoproj.io/subscribe.on-rollout-aborted.chat": "ops",
                }},
                "spec": {"strategy": {"canary": {"trafficRouting": {
                    "nginx": {"stableIngress": "web", "annotationPrefix": "a"},
                    "plugins": {"acme/mesh": {"x": 1}},
                }, "steps": [
                    {"setWeight": 10},
                    {"plugin": {"name": "acme/approval", "config": {"ask": "ops"}}},
                    {"plugin": {"name": "acme/approval"}},
                ]}}},
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
        let found = |name: &str, role: Role| -> Vec<String> {
            let uses = uses(name, role, &objects);
            uses.iter().map(|u| format!("{} {} {}", u.by, u.field, u.config)).collect()
        };
        let routing = "Rollout shop/web spec.strategy.canary.trafficRouting";
        assert_eq!(
            found("nginx", Role::Router),
            [format!(r#"{routing}.nginx {{"annotationPrefix":"a","stableIngress":"web"}}"#)]
        );
        assert_eq!(
            found("acme/mesh", Role::Router),
            [format!(r#"{routing}.plugins.acme/mesh {{"x":1}}"#)]
        );
        let template = "ClusterAnalysisTemplate judge spec.metrics";
        assert_eq!(
            found("prometheus", Role::Metric),
            [format!(r#"{template}[0].provider.prometheus {{"query":"up"}}"#)]
        );
        assert_eq!(
            found("acme/datadog", Role::Metric),
            [format!(r#"{template}[1].provider.plugin.acme/datadog {{"a":1,"q":"b"}}"#)]
        );
        let steps = "Rollout shop/web spec.strategy.canary.steps";
        assert_eq!(
            found("acme/approval", Role::Step),
            [
                format!(r#"{steps}[1].plugin.config {{"ask":"ops"}}"#),
                format!("{steps}[2].plugin.config null"),
            ]
        );
        let key = "notifications.argoproj.io/subscribe.on-rollout-aborted.chat";
        let told = format!("Rollout shop/web metadata.annotations[{key}] null");
        assert_eq!(found("chat", Role::Notifier), [told]);
        assert_eq!(found("nginx", Role::Notifier), Vec::<String>::new());
        assert_eq!(found("nginx", Role::Metric), Vec::<String>::new());
        assert_eq!(found("prometheus", Role::Router), Vec::<String>::new());
    }
}
