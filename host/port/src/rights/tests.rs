use super::*;

fn texts(words: &str) -> Vec<String> {
    words.split_whitespace().map(str::to_owned).collect()
}

fn grant(kinds: &str, verbs: &str, scope: Option<&str>, names: &str) -> Result<Grant, Wrong> {
    let (api_version, kinds) = kinds.split_once(' ').unwrap();
    let names = texts(names);
    Grant::read(Written {
        api_version,
        kinds: &texts(kinds),
        verbs: &texts(verbs),
        scope,
        names: (!names.is_empty()).then_some(names.as_slice()),
    })
}

const ROUTE: &str = "networking.istio.io/v1 VirtualService";

fn touch<'a>(verb: Verb, what: &'a str, name: Option<&'a str>, place: Place) -> Touch<'a> {
    let (api_version, kind) = what.split_once(' ').unwrap();
    Touch { verb, api_version, kind, name, place }
}

#[test]
fn who_has_no_list_may_what_carries_routings_and_nothing_else() {
    let may = |what, place| Rights::Usual.admit(&touch(Verb::Patch, what, Some("a"), place));
    for what in [ROUTE, "networking.k8s.io/v1 Ingress", "gateway.networking.k8s.io/v1 HTTPRoute"] {
        assert_eq!(may(what, Place::Home), Ok(()), "{what}");
        assert_eq!(may(what, Place::Elsewhere), Ok(()), "the configuration is the host's to check");
    }
    for what in ["v1 Secret", "v1 ConfigMap", "apps/v1 Deployment", "istio.io.evil/v1 Route"] {
        assert!(may(what, Place::Home).is_err(), "{what}");
    }
    let wide = may("gateway.networking.k8s.io/v1 GatewayClass", Place::Nowhere).unwrap_err();
    assert!(wide.contains("belongs to no namespace"), "{wide}");
}

#[test]
fn a_list_opens_what_it_says_and_nothing_else() {
    let rights = Rights::Granted(vec![
        grant(ROUTE, "get patch", None, "web").unwrap(),
        grant("v1 ConfigMap", "find", Some("cluster"), "").unwrap(),
    ]);
    let may = |verb, what, name, place| rights.admit(&touch(verb, what, name, place));
    assert_eq!(may(Verb::Get, ROUTE, Some("web"), Place::Home), Ok(()));
    assert_eq!(may(Verb::Patch, ROUTE, Some("web"), Place::Home), Ok(()));
    assert_eq!(may(Verb::Find, "v1 ConfigMap", None, Place::Elsewhere), Ok(()));
    assert_eq!(may(Verb::Find, "v1 ConfigMap", None, Place::Nowhere), Ok(()));
    for (verb, what, name, place) in [
        (Verb::Patch, ROUTE, Some("other"), Place::Home),
        (Verb::Remove, ROUTE, Some("web"), Place::Home),
        (Verb::Create, ROUTE, Some("web"), Place::Home),
        (Verb::Patch, ROUTE, Some("web"), Place::Elsewhere),
        (Verb::Get, "networking.istio.io/v1 DestinationRule", Some("web"), Place::Home),
        (Verb::Get, "networking.istio.io/v1beta1 VirtualService", Some("web"), Place::Home),
        (Verb::Get, "networking.k8s.io/v1 Ingress", Some("web"), Place::Home),
        (Verb::Get, "v1 ConfigMap", Some("a"), Place::Home),
        (Verb::Get, "v1 Secret", Some("a"), Place::Home),
    ] {
        assert!(may(verb, what, name, place).is_err(), "{verb:?} {what} {name:?} {place:?}");
        assert!(Rights::NONE.admit(&touch(verb, what, name, place)).is_err());
    }
}

#[test]
fn what_belongs_to_no_namespace_is_read_and_never_written() {
    let class = "gateway.networking.k8s.io/v1 GatewayClass";
    let all = grant(class, "get find patch create remove", Some("cluster"), "").unwrap();
    let rights = Rights::Granted(vec![all]);
    for verb in Verb::ALL {
        let read = rights.admit(&touch(verb, class, Some("a"), Place::Nowhere));
        assert_eq!(read.is_ok(), matches!(verb, Verb::Get | Verb::Find), "{verb:?}: {read:?}");
    }
}

#[test]
fn a_denial_is_the_grant_that_is_missing() {
    let denied = Rights::NONE.admit(&touch(Verb::Get, ROUTE, Some("web"), Place::Elsewhere));
    assert_eq!(
        denied.unwrap_err(),
        r#"get VirtualService web of networking.istio.io/v1: it needs the grant {"apiVersion": "networking.istio.io/v1", "kinds": ["VirtualService"], "verbs": ["get"], "scope": "cluster"}"#
    );
}

#[test]
fn what_is_wrong_in_a_grant_is_named_with_what_would_be_right() {
    let table = [
        (
            grant(ROUTE, "get fetch", None, ""),
            "verbs: \"fetch\" is none; there are get, find, patch",
        ),
        (grant(ROUTE, "", None, ""), "verbs: write at least one of get, find"),
        (
            grant(ROUTE, "get", Some("all"), ""),
            "scope: \"all\" is none; there are rollout-namespace and cluster",
        ),
        (
            grant("v1 Secret", "get", None, ""),
            "kinds: no router is given Secret of v1; a secret is granted by its alias",
        ),
        (
            grant("argoproj.io/v1alpha1 Rollout", "get", None, ""),
            "kinds: no router is given Rollout",
        ),
        (
            grant("rbac.authorization.k8s.io/v1 Role", "get", None, ""),
            "kinds: no router is given Role",
        ),
        (grant("v1 *", "get", None, ""), "kinds: write at least one, each in full"),
        (grant("* Pod", "get", None, ""), "apiVersion: write one"),
        (grant(ROUTE, "get", None, "a*"), "names: write at least one in full"),
    ];
    for (wrong, expected) in table {
        let text = wrong.unwrap_err().to_string();
        assert!(text.starts_with(expected), "{text}");
    }
}

#[test]
fn who_asks_for_more_than_is_open_is_not_included() {
    let asked = |verbs: &str, scope, names: &str| grant(ROUTE, verbs, scope, names).unwrap();
    assert!(Rights::Usual.include(&asked("get patch", Some("cluster"), "")));
    assert!(!Rights::Usual.include(&grant("v1 ConfigMap", "get", None, "").unwrap()));
    let given = Rights::Granted(vec![asked("get patch", None, "web"), asked("get", None, "")]);
    assert!(given.include(&asked("get patch", None, "web")));
    assert!(given.include(&asked("get", None, "any")));
    assert!(!given.include(&asked("get patch", None, "")), "any name is more than one");
    assert!(!given.include(&asked("get", Some("cluster"), "web")));
    assert!(!Rights::NONE.include(&asked("get", None, "web")));
}

#[test]
fn a_grant_is_a_line_for_people() {
    let one = grant(ROUTE, "get patch", Some("cluster"), "web").unwrap().to_string();
    let line = "VirtualService of networking.istio.io/v1: get, patch, only web, in every namespace \
                that trafficRouting names";
    assert_eq!(one, line);
}
