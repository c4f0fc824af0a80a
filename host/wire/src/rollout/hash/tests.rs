use super::*;
use serde_json::json;

/// Lines of a hash and a template.
fn vectors(text: &'static str) -> Vec<(&'static str, Value)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (hash, template) = line.split_once(' ').unwrap();
            (hash, serde_json::from_str(template).unwrap())
        })
        .collect()
}

fn compare(vectors: &[(&str, Value)], hash: fn(&Value, Option<u32>) -> String, undated: bool) {
    let wrong: Vec<_> = vectors
        .iter()
        .filter(|(expected, template)| hash(template, None) != *expected)
        .map(|(_, template)| {
            let text = serialised(&TEMPLATE, "PodTemplateSpec", Some(template), undated);
            format!("{template}\n    is written {text}")
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), vectors.len(), wrong.join("\n"));
}

#[test]
fn every_template_has_the_hash_that_go_gives_it() {
    let vectors = vectors(include_str!("vectors.txt"));
    assert!(vectors.len() > 200);
    compare(&vectors, template_hash, false);
}

#[test]
fn templates_have_the_hashes_of_older_libraries_too() {
    let vectors = vectors(include_str!("vectors-before-1.9.txt"));
    assert!(vectors.len() > 20);
    compare(&vectors, template_hash_before_1_9, true);
}

/// Published by Argo's own end-to-end tests.
#[test]
fn a_known_template_has_the_hash_that_argo_gives_it() {
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
fn collisions_are_part_of_the_hash() {
    let template = json!({"spec": {"containers": [{"name": "c", "image": "i"}]}});
    let hashes = [None, Some(0), Some(1)].map(|collisions| template_hash(&template, collisions));
    assert_ne!(hashes[0], hashes[1]);
    assert_ne!(hashes[1], hashes[2]);
}

#[test]
fn a_field_that_is_newer_than_the_table_makes_another_revision() {
    let template = |spec: Value| template_hash(&json!({"spec": spec}), None);
    let plain = template(json!({"containers": []}));
    let newer = template(json!({"containers": [], "fromTheFuture": {"b": 1, "a": 2}}));
    assert_ne!(plain, newer);
    let text = r#"{"fromTheFuture": {"a": 2, "b": 1}, "containers": []}"#;
    assert_eq!(newer, template(serde_json::from_str(text).unwrap()), "order does not matter");
    assert_eq!(plain, template(json!({"containers": [], "fromTheFuture": null})));
}

#[test]
fn steps_are_written_as_argo_writes_them() {
    let written = |steps: Value| {
        let mut writer = Writer { table: &STEPS, undated: false, out: String::new() };
        writer.write(&Kind::List(Box::new(Kind::Object("CanaryStep"))), Some(&steps));
        writer.out
    };
    let table = [
        (
            json!([{"pause": {"duration": "5m"}, "setWeight": 0}]),
            r#"[{"setWeight":0,"pause":{"duration":"5m"}}]"#,
        ),
        (json!([{"pause": {}}, {}]), r#"[{"pause":{}},{}]"#),
        (
            json!([{"analysis": {"args": [{"value": "", "name": "a"}], "templates": [{"templateName": "t"}]}}]),
            r#"[{"analysis":{"templates":[{"templateName":"t"}],"args":[{"name":"a"}],"analysisRunMetadata":{}}}]"#,
        ),
        (
            json!([{"setHeaderRoute": {"match": [{"headerValue": {"exact": "<"}, "headerName": "h"}], "name": "r"}}]),
            r#"[{"setHeaderRoute":{"name":"r","match":[{"headerName":"h","headerValue":{"exact":"\u003c"}}]}}]"#,
        ),
        (
            json!([{"plugin": {"config": {"b": 1, "a": []}, "name": "p"}}]),
            r#"[{"plugin":{"name":"p","config":{"a":[],"b":1}}}]"#,
        ),
        (
            json!([{"experiment": {"templates": [{"specRef": "canary", "name": "x", "replicas": 1}]}}]),
            r#"[{"experiment":{"templates":[{"name":"x","specRef":"canary","replicas":1,"metadata":{}}],"analysisRunMetadata":{}}}]"#,
        ),
    ];
    for (steps, expected) in table {
        assert_eq!(written(steps), expected);
    }
    assert_eq!(steps_hash(None), steps_hash(Some(&json!([]))));
    assert_ne!(steps_hash(None), steps_hash(Some(&json!([{}]))));
}
