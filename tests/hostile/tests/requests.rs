//! Requests that mean to reach somebody else than the grant says. What a component asks is judged
//! by the same reading of its URL by which it is sent.
#![expect(clippy::unwrap_used, reason = "helpers of tests may")]

use std::sync::Arc;

use sluice_hostile::{Record, asking, assert_calm, host, measure};
use sluice_port::http::{Egress as _, HttpError, HttpRequest};
use sluice_wasm::{Bounds, Network, Origin, Terms};

/// What reaches the network of a component that may speak to `http://metrics.test` alone.
async fn reaches(url: &str) -> Vec<HttpRequest> {
    let network = Arc::new(Record::default());
    let host = host(network.clone()).await;
    let grants = serde_json::json!({"http": [{"url": "http://metrics.test"}]});
    let grants = Some(serde_json::from_value(grants).unwrap());
    let terms = Terms { grants, ..Terms::default() };
    let origin = Origin::Other("test".to_owned());
    host.install_on("attacker", asking(url), origin, terms).await.unwrap();
    let _ = measure(&host, "attacker").await;
    assert_calm(&host).await;
    network.take()
}

#[tokio::test]
async fn a_url_that_only_looks_like_the_granted_server_is_denied() {
    for url in [
        "http://metrics.test.evil.test/",
        "http://metrics.test@evil.test/",
        "http://metrics.test:80@evil.test/",
        "http://metrics.test%40evil.test/",
        "http://evil.test/metrics.test",
        "http://evil.test?http://metrics.test/",
        "http://evil.test#@metrics.test/",
        "http://evil.test\\@metrics.test/",
        "http:\\\\evil.test\\metrics.test",
        "http://evil.test\t@metrics.test.evil.test/",
        "http://metrics.test:8080/",
        "https://metrics.test/",
        "http://metrics\u{3002}test.evil.test/",
        "http://xn--metrics-.test/",
        "//metrics.test/",
        "metrics.test",
        "file:///etc/passwd",
        "gopher://metrics.test/",
        "http://169.254.169.254/latest/meta-data",
        "http://[fd00:ec2::254]/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://[::ffff:169.254.169.254]/",
        "http://kubernetes.default.svc/api",
    ] {
        let sent = reaches(url).await;
        assert!(sent.is_empty(), "{url} was sent as {:?}", sent[0].url);
    }
}

#[tokio::test]
async fn another_spelling_of_the_granted_server_reaches_that_server() {
    for url in ["http://metrics.test/a", "http://METRICS.test/", "http://metrics.test:80/"] {
        let sent = reaches(url).await;
        assert_eq!(sent.len(), 1, "{url}");
        let host = sent[0].url.to_ascii_lowercase();
        assert!(host.starts_with("http://metrics.test"), "{host}");
    }
}

#[tokio::test]
async fn headers_that_would_split_or_misdirect_a_request_are_refused() {
    let network =
        Network::new(Bounds { allowed: vec!["127.0.0.0/8".parse().unwrap()], ..Bounds::default() })
            .unwrap();
    for (name, value) in [
        ("Host", "evil.test"),
        ("host", "evil.test"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "upgrade"),
        ("Upgrade", "websocket"),
        ("Proxy-Authorization", "Basic x"),
        ("X-Fine", "a\r\nHost: evil.test"),
        ("X-Fine", "a\nHost: evil.test"),
        ("X-Fine", "a\0b"),
        ("X-Fine\r\nHost", "evil.test"),
        ("X Fine", "a"),
        ("", "a"),
    ] {
        let request = HttpRequest {
            method: "GET".to_owned(),
            // Nobody is asked: port 9 discards, and what is wrong is found before.
            url: "http://127.0.0.1:9/".to_owned(),
            headers: vec![(name.to_owned(), value.to_owned())],
            timeout_ms: 1_000,
            max_body: 100,
            ..HttpRequest::default()
        };
        let answer = network.send("attacker", request).await;
        assert!(matches!(answer, Err(HttpError::InvalidRequest(_))), "{name:?}: {answer:?}");
    }
}
