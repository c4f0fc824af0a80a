use super::*;
use serde_json::{Value, json};

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn read(spec: Value) -> Result<Wish, String> {
    let plugin = json!({"metadata": {"name": "datadog"}, "spec": spec});
    let plugin: Plugin = serde_json::from_value(plugin).unwrap();
    Wish::read(&plugin).map_err(|unclear| unclear.to_string())
}

fn with(more: Value) -> Result<Wish, String> {
    let mut spec = json!({"source": {"configMap": {"name": "m"}}, "digest": DIGEST});
    for (name, field) in more.as_object().unwrap() {
        spec[name] = field.clone();
    }
    read(spec)
}

#[test]
fn what_is_not_said_is_the_least() {
    let wish = with(json!({})).unwrap();
    assert_eq!(wish.name, "datadog");
    assert_eq!(wish.permissions, Some(Permissions::default()));
    let key = "plugin.wasm".to_owned();
    assert_eq!(wish.source, Source::ConfigMap { namespace: None, name: "m".into(), key });
    let bundled = read(json!({"source": {"bundled": "nginx"}})).unwrap();
    assert_eq!(bundled.permissions, None, "what is bundled keeps what it may");
    let none = read(json!({"source": {"bundled": "nginx"}, "permissions": {}})).unwrap();
    assert_eq!(none.permissions, Some(Permissions::default()));
    assert_eq!(none.config, None);
    let configured = with(json!({"config": {"b": 1, "a": 2}})).unwrap();
    assert_eq!(configured.config.as_deref(), Some(r#"{"a":2,"b":1}"#));
}

#[test]
fn permissions_name_servers_in_one_form() {
    let http = json!([
        {"url": "https://API.test"},
        {"url": "*", "methods": ["*"], "insecure": true},
    ]);
    let wish = with(json!({"permissions": {"http": http}})).unwrap();
    let http = wish.permissions.unwrap().http;
    assert_eq!(http[0].server, Server::At("https://api.test:443".into()));
    assert_eq!((http[0].methods.join(" "), http[0].insecure), ("GET HEAD".into(), false));
    assert_eq!((&http[1].server, http[1].insecure), (&Server::Any, true));
}

#[test]
fn what_is_wrong_is_named_with_its_field() {
    let auth = json!({"header": "h", "secretRef": {"name": "s", "key": "k"}});
    let table = [
        (json!({"digest": null}), "spec.digest: a component that is not bundled"),
        (json!({"digest": "sha256:AA"}), "spec.digest: write sha256:"),
        (json!({"source": {}}), "spec.source: name exactly one of"),
        (json!({"source": {"url": "http://x/y"}}), "spec.source.url: must start with https"),
        (
            json!({"source": {"ociLayout": {"path": "x"}}}),
            "spec.source.ociLayout.path: must be an absolute",
        ),
        (json!({"source": {"file": "x.wasm"}}), "spec.source.file: must be an absolute"),
        (json!({"verify": {"key": "k"}}), "spec.verify: only what is in a registry"),
        (
            json!({"source": {"oci": "a.test/x"}, "verify": {"key": "k", "keyless": {}}}),
            "spec.verify.keyless: this controller checks signatures of keys",
        ),
        (
            json!({"source": {"oci": "a.test/x"}, "verify": {}}),
            "spec.verify: name exactly one of key and keySecretRef",
        ),
        (json!({"egress": {"proxy": "proxy:3128"}}), "spec.egress.proxy: \"proxy:3128\" is no"),
        (json!({"egress": {"proxy": "http://a/b"}}), "spec.egress.proxy: \"http://a/b\" is no"),
        (json!({"egress": {"caBundle": "x"}}), "spec.egress.caBundle: write certificates"),
        (json!({"swapPolicy": "Never"}), "spec.swapPolicy: \"Never\" is neither"),
        (json!({"limits": {"memory": "1Ti"}}), "spec.limits.memory: write bytes"),
        (json!({"limits": {"memory": "1Gi"}}), "spec.limits.memory: write at least"),
        (json!({"limits": {"wall": "soon"}}), "spec.limits.wall: \"soon\" is no duration"),
        (json!({"limits": {"concurrency": 0}}), "spec.limits.concurrency: write 1"),
        (
            json!({"permissions": {"http": [{"url": "https://a.test/x"}]}}),
            "spec.permissions.http[0].url: write scheme",
        ),
        (
            json!({"permissions": {"http": [{"url": "*", "auth": auth}]}}),
            "spec.permissions.http[0].auth: name the server",
        ),
        (
            json!({"permissions": {"http": [{"url": "*", "methods": ["get"]}]}}),
            "spec.permissions.http[0].methods: write \"get\" in capitals",
        ),
        (
            json!({"permissions": {"kubernetes": [
                {"apiVersion": "v1", "kinds": ["Secret"], "verbs": ["get"]}
            ]}}),
            "spec.permissions.kubernetes[0].kinds: no router is given Secret",
        ),
        (
            json!({"permissions": {"kubernetes": [
                {"apiVersion": "v1", "kinds": ["Pod"], "verbs": ["watch"]}
            ]}}),
            "spec.permissions.kubernetes[0].verbs: \"watch\" is none; there are get, find",
        ),
        (
            json!({"permissions": {"kubernetes": [
                {"apiVersion": "v1", "kinds": ["Pod"], "verbs": ["get"], "scope": "all"}
            ]}}),
            "spec.permissions.kubernetes[0].scope: \"all\" is none",
        ),
    ];
    for (more, expected) in table {
        let error = with(more.clone()).unwrap_err();
        assert!(error.starts_with(expected), "{more}: {error}");
    }
}

#[test]
fn no_list_of_objects_is_the_usual_and_an_empty_one_is_nothing() {
    let rights =
        |given: Value| with(json!({ "permissions": given })).unwrap().permissions.unwrap().rights();
    assert_eq!(rights(json!({})), Rights::Usual);
    assert_eq!(rights(json!({"kubernetes": []})), Rights::NONE);
    let pods = json!({"apiVersion": "v1", "kinds": ["Pod"], "verbs": ["get", "find"]});
    let Rights::Granted(list) = rights(json!({"kubernetes": [pods]})) else { panic!() };
    assert_eq!(list[0].to_string(), "Pod of v1: get, find, in the rollout's namespace");
}

#[test]
fn every_secret_is_read_once() {
    let secret = json!({"name": "s", "key": "k"});
    let auth = json!({"header": "h", "prefix": "Bearer ", "secretRef": secret});
    let wish = with(json!({"permissions": {
        "http": [{"url": "https://a.test", "auth": auth}, {"url": "https://b.test", "auth": auth}],
        "secrets": [{"alias": "t", "secretRef": secret}],
    }}));
    let wish = wish.unwrap();
    let secret = Secret { namespace: None, name: "s".into(), key: "k".into() };
    assert_eq!(wish.secrets(), [&secret]);
}
