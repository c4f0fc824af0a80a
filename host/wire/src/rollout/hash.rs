//! The identity of a revision: the hash of its pod template.
//!
//! The number is FNV-1a over the template as Argo's controller serialises it, spelled with letters
//! that form no words. Argo's serialisation follows the field order of Go types; here the order of
//! the fields that templates mostly have is known, and others follow in alphabetical order. A
//! different order only matters for a template that has never had a ReplicaSet: existing ones are
//! found by what the status and their labels say, never by computing this again.

use serde_json::Value;

const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Fields in the order of the Go types, by the name of the field that holds the object.
const ORDERS: &[(&str, &[&str])] = &[
    ("", &["metadata", "spec"]),
    ("metadata", &["name", "generateName", "namespace", "labels", "annotations"]),
    (
        "spec",
        &[
            "volumes",
            "initContainers",
            "containers",
            "ephemeralContainers",
            "restartPolicy",
            "terminationGracePeriodSeconds",
            "activeDeadlineSeconds",
            "dnsPolicy",
            "nodeSelector",
            "serviceAccountName",
            "serviceAccount",
            "automountServiceAccountToken",
            "nodeName",
            "hostNetwork",
            "hostPID",
            "hostIPC",
            "shareProcessNamespace",
            "securityContext",
            "imagePullSecrets",
            "hostname",
            "subdomain",
            "affinity",
            "schedulerName",
            "tolerations",
            "hostAliases",
            "priorityClassName",
            "priority",
            "dnsConfig",
            "readinessGates",
            "runtimeClassName",
            "enableServiceLinks",
            "preemptionPolicy",
            "overhead",
            "topologySpreadConstraints",
            "setHostnameAsFQDN",
            "os",
            "hostUsers",
            "schedulingGates",
            "resourceClaims",
            "resources",
        ],
    ),
    (
        "containers",
        &[
            "name",
            "image",
            "command",
            "args",
            "workingDir",
            "ports",
            "envFrom",
            "env",
            "resources",
            "resizePolicy",
            "restartPolicy",
            "volumeMounts",
            "volumeDevices",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
            "lifecycle",
            "terminationMessagePath",
            "terminationMessagePolicy",
            "imagePullPolicy",
            "securityContext",
            "stdin",
            "stdinOnce",
            "tty",
        ],
    ),
    ("ports", &["name", "hostPort", "containerPort", "protocol", "hostIP"]),
    ("env", &["name", "value", "valueFrom"]),
    ("resources", &["limits", "requests", "claims"]),
];

/// Maps are sorted by key, whatever order they were written in.
const MAPS: &[&str] = &["labels", "annotations", "limits", "requests", "nodeSelector"];

/// The hash of a pod template after so many collisions.
pub fn template_hash(template: &Value, collisions: Option<u32>) -> String {
    let mut text = String::new();
    write(&mut text, "", template);
    let mut sum = fnv(0x811c_9dc5, text.as_bytes());
    if let Some(collisions) = collisions {
        sum = fnv(sum, &u64::from(collisions).to_le_bytes());
    }
    encode(sum)
}

/// The hash of a list of steps; empty for none.
pub fn steps_hash(steps: Option<&Value>) -> String {
    let mut text = String::new();
    write(&mut text, "steps", steps.unwrap_or(&Value::Null));
    encode(fnv(0x811c_9dc5, text.as_bytes()))
}

fn fnv(start: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(start, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

fn encode(sum: u32) -> String {
    let digits = sum.to_string();
    digits.bytes().map(|digit| char::from(LETTERS[usize::from(digit) % LETTERS.len()])).collect()
}

fn write(out: &mut String, holder: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<_> = fields.keys().map(String::as_str).collect();
            let map = MAPS.contains(&holder);
            let order = ORDERS.iter().find(|(name, _)| !map && *name == element_of(holder));
            let known = |name: &str| {
                let order = order.map(|(_, order)| *order).unwrap_or_default();
                order.iter().position(|field| *field == name).unwrap_or(usize::MAX)
            };
            names.sort_by(|a, b| known(a).cmp(&known(b)).then_with(|| a.cmp(b)));
            out.push('{');
            let mut first = true;
            for name in names {
                if !map && is_empty(&fields[name]) && !always_written(holder, name) {
                    continue;
                }
                comma(out, &mut first);
                string(out, name);
                out.push(':');
                write(out, name, &fields[name]);
            }
            if let Some(name) = missing(holder, fields) {
                comma(out, &mut first);
                string(out, name);
                out.push_str(":{}");
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            let mut first = true;
            for item in items {
                comma(out, &mut first);
                write(out, holder, item);
            }
            out.push(']');
        }
        Value::String(text) => string(out, text),
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
}

fn element_of(holder: &str) -> &str {
    if matches!(holder, "initContainers" | "ephemeralContainers") { "containers" } else { holder }
}

/// What Go's `omitempty` leaves out.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

fn always_written(holder: &str, name: &str) -> bool {
    matches!(
        (element_of(holder), name),
        ("", "metadata" | "spec") | ("spec", "containers") | ("containers", "name" | "resources")
    )
}

/// Objects that Go writes even when they are absent.
fn missing(holder: &str, fields: &serde_json::Map<String, Value>) -> Option<&'static str> {
    let absent = |name: &str| !fields.contains_key(name);
    match element_of(holder) {
        "containers" if absent("resources") => Some("resources"),
        _ => None,
    }
}

fn comma(out: &mut String, first: &mut bool) {
    if !*first {
        out.push(',');
    }
    *first = false;
}

/// A string with the escapes of Go's encoder, which is safe inside HTML.
fn string(out: &mut String, text: &str) {
    let escaped = Value::from(text).to_string();
    for c in escaped.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Published by Argo's own end-to-end tests.
    #[test]
    fn known_templates_have_the_hashes_that_argo_gives_them() {
        let mut template = json!({
            "metadata": {"labels": {"app": "canary-scaledowndelay"}},
            "spec": {"containers": [{
                "name": "canary-scaledowndelay",
                "image": "nginx:1.19-alpine",
                "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}],
                "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}}
            }]}
        });
        assert_eq!(template_hash(&template, None), "674d8cf959");
        template["spec"]["containers"][0]["image"] = json!("nginx:1.20-alpine");
        assert_ne!(template_hash(&template, None), "674d8cf959");
    }

    #[test]
    fn the_order_of_writing_does_not_matter() {
        let one = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        let other: Value = serde_json::from_str(
            r#"{"spec":{"containers":[{"image":"i","name":"c"}]},"metadata":{"labels":{"b":"2","a":"1"}}}"#,
        )
        .unwrap();
        assert_eq!(template_hash(&one, None), template_hash(&other, None));
        assert_ne!(template_hash(&one, None), template_hash(&one, Some(0)));
    }
}
