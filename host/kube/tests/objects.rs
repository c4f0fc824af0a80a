//! What a router may touch through the Kubernetes shell, and what it is refused.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use sluice_kube::objects::RouterObjects;
use sluice_port::drive::{AccessError, Objects as _};
use sluice_port::rights::{Grant, Rights, Written};
use sluice_port::{ObjectQuery, ObjectRef};

const ISTIO: &str = "networking.istio.io/v1";

/// An API server that knows some paths and writes down all that it is asked.
#[derive(Clone, Default)]
struct Server {
    known: Arc<BTreeMap<&'static str, Value>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new() -> Self {
        let kinds = |version: &str, kinds: &[(&str, &str, bool)]| {
            let resources: Vec<_> = kinds
                .iter()
                .map(|(kind, name, namespaced)| {
                    json!({"kind": kind, "name": name, "singularName": "", "namespaced": namespaced,
                           "verbs": ["get", "list", "patch", "delete", "create"]})
                })
                .collect();
            json!({"kind": "APIResourceList", "groupVersion": version, "resources": resources})
        };
        let route = |name: &str| json!({"metadata": {"name": name, "namespace": "shop"}});
        let gateway = "gateway.networking.k8s.io/v1";
        let known = [
            (
                "/apis/networking.istio.io/v1",
                kinds(ISTIO, &[("VirtualService", "virtualservices", true)]),
            ),
            (
                "/apis/gateway.networking.k8s.io/v1",
                kinds(gateway, &[("GatewayClass", "gatewayclasses", false)]),
            ),
            ("/api/v1", kinds("v1", &[("ConfigMap", "configmaps", true)])),
            (
                "/apis/networking.istio.io/v1/namespaces/shop/virtualservices",
                json!({"metadata": {}, "items": [route("web"), route("other")]}),
            ),
            ("/apis/networking.istio.io/v1/namespaces/shop/virtualservices/web", route("web")),
            (
                "/apis/gateway.networking.k8s.io/v1/gatewayclasses/a",
                json!({"apiVersion": gateway, "kind": "GatewayClass", "metadata": {"name": "a"}}),
            ),
            ("/api/v1/namespaces/shop/configmaps/lb", route("lb")),
        ];
        Self { known: Arc::new(known.into()), asked: Arc::default() }
    }

    fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let path = request.uri().path().to_owned();
            server.asked.lock().unwrap().push(format!("{} {path}", request.method()));
            let found = server.known.get(path.as_str()).cloned();
            let status = if found.is_some() { 200 } else { 404 };
            let missing = json!({"kind": "Status", "status": "Failure", "code": 404,
                                 "reason": "NotFound", "message": "not found"});
            let body = Body::from(found.unwrap_or(missing).to_string().into_bytes());
            let answer = Response::builder().status(status).body(body);
            std::future::ready(answer.map_err(tower::BoxError::from))
        });
        Client::new(service, "default")
    }

    fn router(&self, rights: Rights) -> RouterObjects {
        let config = json!({"virtualService": {"name": "web.edge"}});
        RouterObjects::to_look(self.client(), "shop", "mesh", config, rights)
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn grant(api_version: &str, kind: &str, verbs: &[&str], scope: &str, names: &[&str]) -> Grant {
    let texts =
        |texts: &[&str]| -> Vec<String> { texts.iter().map(|text| (*text).to_owned()).collect() };
    let names = texts(names);
    Grant::read(Written {
        api_version,
        kinds: &texts(&[kind]),
        verbs: &texts(verbs),
        scope: Some(scope),
        names: (!names.is_empty()).then_some(names.as_slice()),
    })
    .unwrap()
}

fn query(
    api_version: &str,
    kind: &str,
    namespace: Option<&str>,
    name: Option<&str>,
) -> ObjectQuery {
    ObjectQuery {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        label_selector: None,
    }
}

/// The refusal, which came before the API server heard anything.
async fn refused(server: &Server, router: &RouterObjects, query: &ObjectQuery) -> String {
    let answer = router.find(query).await;
    let Err(AccessError::NotGranted(why)) = answer else { panic!("{query:?}: {answer:?}") };
    assert_eq!(server.asked(), Vec::<String>::new(), "{query:?}");
    why
}

#[tokio::test]
async fn a_router_without_a_list_reaches_no_secret_and_no_namespace_that_nobody_named() {
    let server = Server::new();
    let router = server.router(Rights::Usual);
    let secret = query("v1", "Secret", None, Some("tokens"));
    let why = refused(&server, &router, &secret).await;
    assert_eq!(why, "router 'mesh' may not touch Secret of v1: no router is given that");
    let map = query("v1", "ConfigMap", None, Some("lb"));
    assert!(refused(&server, &router, &map).await.contains("carries no routing"));
    let elsewhere = query(ISTIO, "VirtualService", Some("bank"), Some("web"));
    assert!(refused(&server, &router, &elsewhere).await.contains("does not name that namespace"));
    let usual = query(ISTIO, "VirtualService", None, Some("web"));
    assert_eq!(router.find(&usual).await.map(|found| found.len()), Ok(1));
    let named = query(ISTIO, "VirtualService", Some("edge"), Some("web"));
    assert_eq!(router.find(&named).await.map(|found| found.len()), Ok(0), "it may look there");
}

#[tokio::test]
async fn a_router_with_a_list_reaches_nothing_that_is_not_on_it() {
    let server = Server::new();
    let router = server.router(Rights::Granted(vec![
        grant(ISTIO, "VirtualService", &["get", "find"], "rollout-namespace", &["web"]),
        grant("v1", "ConfigMap", &["get"], "rollout-namespace", &[]),
    ]));
    for (api_version, kind, namespace, name) in [
        (ISTIO, "DestinationRule", None, Some("web")),
        (ISTIO, "VirtualService", None, Some("other")),
        (ISTIO, "VirtualService", Some("edge"), Some("web")),
        ("networking.k8s.io/v1", "Ingress", None, Some("web")),
        ("v1", "ConfigMap", None, None),
        ("v1", "ConfigMap", Some("edge"), Some("lb")),
        ("v1", "Secret", None, Some("lb")),
    ] {
        let query = query(api_version, kind, namespace, name);
        let why = refused(&server, &router, &query).await;
        assert!(why.starts_with("router 'mesh' may not "), "{why}");
    }
    let map = query("v1", "ConfigMap", None, Some("lb"));
    assert_eq!(router.find(&map).await.map(|found| found.len()), Ok(1));
    let all = router.find(&query(ISTIO, "VirtualService", None, None)).await.unwrap();
    assert!(all.len() == 1 && all[0].contains(r#""name":"web""#), "others are not shown: {all:?}");
    server.asked();

    let object = |name: &str| {
        json!({"apiVersion": ISTIO, "kind": "VirtualService", "metadata": {"name": name}})
            .to_string()
    };
    let there = json!({"apiVersion": ISTIO, "kind": "VirtualService",
                       "metadata": {"name": "web", "namespace": "shop"}});
    let put = |name: &str, found: Vec<String>| {
        let (object, router) = (object(name), &router);
        async move { router.put(&object, &found).await.unwrap_err().to_string() }
    };
    assert!(put("web", vec![there.to_string()]).await.contains("patch VirtualService web"));
    assert!(put("new", vec![]).await.contains("create VirtualService new"));
    let target = ObjectRef {
        api_version: ISTIO.to_owned(),
        kind: "VirtualService".to_owned(),
        namespace: None,
        name: "web".to_owned(),
    };
    let gone = router.remove(&target).await.unwrap_err().to_string();
    assert!(gone.contains(r#"needs the grant {"apiVersion": "networking.istio.io/v1""#), "{gone}");
    assert_eq!(server.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn what_belongs_to_no_namespace_is_read_with_a_grant_for_the_cluster_alone() {
    let server = Server::new();
    let gateway = "gateway.networking.k8s.io/v1";
    let class = query(gateway, "GatewayClass", None, Some("a"));
    let all = ["get", "patch", "create", "remove"];
    for (rights, found) in [
        (Rights::Usual, None),
        (
            Rights::Granted(vec![grant(gateway, "GatewayClass", &all, "rollout-namespace", &[])]),
            None,
        ),
        (Rights::Granted(vec![grant(gateway, "GatewayClass", &all, "cluster", &[])]), Some(1)),
    ] {
        let router = server.router(rights);
        assert_eq!(router.find(&class).await.map(|found| found.len()).ok(), found);
        let object =
            json!({"apiVersion": gateway, "kind": "GatewayClass", "metadata": {"name": "a"}});
        let put = router.put(&object.to_string(), &[object.to_string()]).await;
        assert!(matches!(put, Err(AccessError::NotGranted(_))), "{put:?}");
    }
}

#[tokio::test]
async fn a_name_is_a_name_and_leads_nowhere_else() {
    let server = Server::new();
    let router = server.router(Rights::Usual);
    let strange = [
        (ISTIO, "VirtualService", None, "../secrets/db"),
        (ISTIO, "VirtualService", None, ".."),
        (ISTIO, "VirtualService", None, "web/status"),
        (ISTIO, "VirtualService", None, "web?dryRun=All"),
        (ISTIO, "VirtualService", None, "web%2fstatus"),
        (ISTIO, "VirtualService", None, "web#"),
        (ISTIO, "VirtualService", None, ""),
        (ISTIO, "VirtualService", Some("shop/secrets"), "web"),
        (ISTIO, "VirtualService", Some(""), "web"),
        ("networking.istio.io/../../api/v1", "VirtualService", None, "web"),
        ("networking.istio.io/", "VirtualService", None, "web"),
        ("/v1", "VirtualService", None, "web"),
        (ISTIO, "VirtualService/x", None, "web"),
    ];
    for (version, kind, namespace, name) in strange {
        let found = router.find(&query(version, kind, namespace, Some(name))).await;
        assert!(
            matches!(found, Err(AccessError::Invalid(_))),
            "{version} {kind} {name}: {found:?}"
        );
        let target = ObjectRef {
            api_version: version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        };
        let removed = router.remove(&target).await;
        assert!(matches!(removed, Err(AccessError::Invalid(_))), "{name}: {removed:?}");
        let object = json!({"apiVersion": version, "kind": kind,
                            "metadata": {"name": name, "namespace": namespace}});
        let put = router.put(&object.to_string(), &[]).await;
        assert!(matches!(put, Err(AccessError::Invalid(_))), "{name}: {put:?}");
    }
    assert_eq!(server.asked(), [""; 0], "the API server hears of none");
    assert!(router.find(&query(ISTIO, "VirtualService", None, Some("web"))).await.is_ok());
}
