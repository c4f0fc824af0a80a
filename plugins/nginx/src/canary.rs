//! The canary Ingress: a copy of the stable one that leads to the canary's Service.

use serde_json::{Map, Value, json};
use sluice_sdk::traffic::Routing;

use crate::config::Config;
use crate::problem::Problem;

/// The version of the API that Ingresses are read and written in.
pub const API_VERSION: &str = "networking.k8s.io/v1";

/// The annotation that named the class before `ingressClassName` did.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

const SUFFIX: &str = "-canary";

/// The longest name that an Ingress may have, in bytes.
const LONGEST_NAME: usize = 253;

/// The name of the canary of an Ingress: `<rollout>-<ingress>-canary`, cut before the suffix if
/// it were too long.
pub fn name(rollout: &str, ingress: &str) -> String {
    let mut name = format!("{rollout}-{ingress}");
    let mut end = name.len().min(LONGEST_NAME - SUFFIX.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name + SUFFIX
}

/// The canary Ingress as it should be.
///
/// What others keep in the metadata of an existing one stays, except for annotations: these
/// steer the data plane, so one that the user no longer asks for has to go.
///
/// # Errors
/// If nothing in `stable` leads to the stable Service, or `existing` is not the rollout's.
pub fn wanted(
    w: &Routing,
    c: &Config,
    stable: &Value,
    existing: Option<&Value>,
) -> Result<Value, Problem> {
    let ingress = text(&stable["metadata"]["name"]);
    let spec = spec(w, stable).ok_or_else(|| Problem::NoRules {
        ingress: ingress.to_owned(),
        service: w.stable.service.clone(),
        field: c.ingress_field(),
    })?;
    let mut canary = match existing {
        Some(canary) => {
            check_owner(w, canary)?;
            canary.clone()
        }
        None => bare(w, &name(&w.rollout, ingress)),
    };
    canary["metadata"]["annotations"] = annotations(w, c, stable);
    canary["spec"] = spec;
    Ok(canary)
}

/// Whether the rollout controls this object.
pub fn is_ours(w: &Routing, object: &Value) -> bool {
    check_owner(w, object).is_ok()
}

fn bare(w: &Routing, name: &str) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "Ingress",
        "metadata": {
            "name": name,
            "namespace": w.namespace,
            "ownerReferences": [{
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Rollout",
                "name": w.rollout,
                "uid": w.rollout_uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
    })
}

fn check_owner(w: &Routing, canary: &Value) -> Result<(), Problem> {
    let owners = canary["metadata"]["ownerReferences"].as_array();
    let controller = owners.into_iter().flatten().find(|owner| owner["controller"] == true);
    let (kind, name) = match controller {
        Some(owner) if owner["uid"] == *w.rollout_uid => return Ok(()),
        Some(owner) => (text(&owner["kind"]), text(&owner["name"])),
        None => ("", ""),
    };
    let ingress = text(&canary["metadata"]["name"]).to_owned();
    let rollout = w.rollout.clone();
    if (kind, name) == ("Rollout", &*rollout) {
        return Err(Problem::LeftBehind { ingress, rollout });
    }
    let owner = match kind {
        "" => "nothing".to_owned(),
        kind => format!("{kind} `{name}`"),
    };
    Err(Problem::Controlled { ingress, owner, rollout })
}

fn annotations(w: &Routing, c: &Config, stable: &Value) -> Value {
    let mut all = Map::new();
    if let Some(class) = stable["metadata"]["annotations"].get(CLASS_ANNOTATION) {
        all.insert(CLASS_ANNOTATION.to_owned(), class.clone());
    }
    for (name, value) in &c.additional_ingress_annotations {
        all.insert(c.annotation(name), json!(value));
    }
    for (name, value) in &c.canary_ingress_annotations {
        all.insert(name.clone(), json!(value));
    }
    all.insert(c.annotation("canary"), json!("true"));
    all.insert(c.annotation("canary-weight"), json!(w.canary.weight.to_string()));
    if w.total_weight != 100 {
        all.insert(c.annotation("canary-weight-total"), json!(w.total_weight.to_string()));
    }
    Value::Object(all)
}

/// `None` if nothing leads to the stable Service.
fn spec(w: &Routing, stable: &Value) -> Option<Value> {
    let rules = stable["spec"]["rules"].as_array()?;
    let rules: Vec<Value> = rules.iter().filter_map(|r| rule(w, r)).collect();
    if rules.is_empty() {
        return None;
    }
    let mut spec = json!({ "rules": rules });
    for field in ["ingressClassName", "tls"] {
        if let Some(value) = stable["spec"].get(field) {
            spec[field] = value.clone();
        }
    }
    Some(spec)
}

fn rule(w: &Routing, rule: &Value) -> Option<Value> {
    let paths = rule["http"]["paths"].as_array()?;
    let mut paths: Vec<Value> = paths
        .iter()
        .filter(|path| path["backend"]["service"]["name"] == *w.stable.service)
        .cloned()
        .collect();
    if paths.is_empty() {
        return None;
    }
    for path in &mut paths {
        path["backend"]["service"]["name"] = json!(w.canary.service);
    }
    let mut rule = rule.clone();
    rule["http"]["paths"] = Value::Array(paths);
    Some(rule)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn a_name_is_cut_before_its_suffix() {
        assert_eq!(name("shop", "web"), "shop-web-canary");
        let long = name("shop", &"x".repeat(300));
        assert_eq!(long.len(), 253);
        assert!(long.ends_with("xx-canary"));
        assert!(name("shop", &"é".repeat(200)).len() <= 253);
    }
}
