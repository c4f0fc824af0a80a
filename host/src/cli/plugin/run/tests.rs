use serde_json::json;

use super::*;
use sluice_port::http::{HttpRequest, HttpResponse};

fn rollout() -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": "web", "uid": "u-1"},
        "spec": {"strategy": {"canary": {
            "stableService": "web-stable", "canaryService": "web-canary",
            "trafficRouting": {
                "managedRoutes": [{"name": "by-header"}], "maxTrafficWeight": 1000,
                "nginx": {"stableIngress": "web"}, "plugins": {"acme/mesh": {"x": 1}},
            },
            "steps": [
                {"setWeight": 10},
                {"plugin": {"name": "acme/approval", "config": {"ask": "ops"}}},
                {"plugin": {"name": "acme/approval"}},
            ],
        }}},
        "status": {"stableRS": "aaa", "currentPodHash": "bbb"},
    })
}

#[test]
fn a_router_is_told_what_the_rollout_says_and_the_weight() {
    let (name, routing) = router::routing(&rollout(), "mesh", 200).unwrap();
    assert_eq!((name.as_str(), routing.config.as_str()), ("acme/mesh", r#"{"x":1}"#));
    assert_eq!((routing.stable.service.as_str(), routing.stable.weight), ("web-stable", 800));
    assert_eq!((routing.canary.pod_hash.as_str(), routing.canary.weight), ("bbb", 200));
    assert_eq!(routing.managed_routes, ["by-header"]);
    assert_eq!(router::routing(&rollout(), "nginx", 0).unwrap().0, "nginx");
    let table = [("other", 10, "it names: acme/mesh, nginx"), ("mesh", 1001, "go up to 1000")];
    for (component, weight, part) in table {
        let error = router::routing(&rollout(), component, weight).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let mut swapped = rollout();
    swapped["spec"]["strategy"]["canary"]["pingPong"] =
        json!({"pingService": "ping", "pongService": "pong"});
    swapped["status"]["canary"] = json!({"stablePingPong": "pong"});
    let (_, routing) = router::routing(&swapped, "mesh", 1).unwrap();
    assert_eq!(
        (routing.stable.service.as_str(), routing.canary.service.as_str()),
        ("pong", "ping")
    );
}

#[test]
fn a_step_is_found_by_its_component_or_its_index() {
    let found = step::find(&rollout(), "approval", None).unwrap();
    assert_eq!(found, ("acme/approval".to_owned(), 1, json!({"ask": "ops"})));
    assert_eq!(step::find(&rollout(), "approval", Some(2)).unwrap().2, Value::Null);
    for (component, index, part) in [
        ("other", None, "takes one of: 1 (acme/approval), 2"),
        ("approval", Some(0), "no plugin step"),
    ] {
        let error = step::find(&rollout(), component, index).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn secrets_are_named_and_not_written_on_the_command_line() {
    let credential = |text: &str| text.parse::<Credential>().map(drop);
    assert_eq!(credential("https://api.test Authorization=env:TOKEN"), Ok(()));
    for (text, part) in [
        ("https://api.test", "write the server and the header"),
        ("* Authorization=env:TOKEN", "one server"),
        ("https://api.test/v1 A=env:B", "is no server"),
        ("https://api.test Authorization", "NAME=VALUE"),
    ] {
        let error = credential(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
    assert!("=x".parse::<Named>().is_err() && "a".parse::<Named>().is_err());
}

#[test]
fn what_is_shown_of_a_request_holds_no_secret() {
    let mut hidden = sluice_author::hidden::Hidden::default();
    hidden.hide("token", "hunter2");
    let request = HttpRequest {
        method: "GET".to_owned(),
        url: "https://api.test/?token=hunter2".to_owned(),
        headers: vec![("Authorization".to_owned(), "Bearer hunter2".to_owned())],
        ..HttpRequest::default()
    };
    let headers = vec![("Content-Type".to_owned(), "text/plain".to_owned())];
    let answer = HttpResponse { status: 200, headers, body: b"you are hunter2\nhello".to_vec() };
    let asked = sluice_author::live::Asked { request, answer: Ok(answer), took: Duration::ZERO };
    let heard = sluice_author::live::Heard {
        at: "2026-03-01T12:00:00Z".parse().unwrap(),
        answer: Ok(()),
        requests: vec![asked],
        denied: 1,
        took: Duration::ZERO,
    };
    let lines = ["info: asks with hunter2".to_owned()];
    let text = show::call("run", &heard, &lines, &hidden);
    assert!(!text.contains("hunter2"), "{text}");
    let expected = "
run
  asked      GET https://api.test/?token=secret-token
  was told   200 in 0.00 ms, 21 bytes of text/plain
             you are secret-token
             hello
  log        info: asks with secret-token
  denied     1 times; the reason is in what it says of it, or in its log
";
    assert_eq!(text, expected);
}
