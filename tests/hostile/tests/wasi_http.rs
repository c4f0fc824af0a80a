//! `wasi:http`, by a component that a toolchain built: what it may, and that it may nothing that
//! `sluice:host/http` would not do.
#![expect(clippy::unwrap_used, reason = "helpers of tests may")]

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice_hostile::{Heard, Record, assert_calm, host, sending, tight};
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};
use sluice_port::{Components, Fault, Measured, MetricCall};
use sluice_wasm::{
    Bounds, ComponentHost, Credential, Limits, Network, Origin, Outline, Private, Server, Stats,
    Terms,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server on this machine that says `answer` to everybody, and what it was sent.
async fn server(answer: &'static str) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut request, mut piece) = (Vec::new(), [0; 4096]);
            while !is_whole(&request) {
                match stream.read(&mut piece).await {
                    Ok(read) if read > 0 => request.extend_from_slice(&piece[..read]),
                    _ => break,
                }
            }
            keep.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
            // The client may be gone, which is what some tests are about.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, seen)
}

/// Whether a request is there with its head and as much body as that announces.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

/// A network on which this machine is reachable.
fn local() -> Arc<Network> {
    let allowed = vec!["127.0.0.0/8".parse().unwrap()];
    Arc::new(Network::new(Bounds { allowed, ..Bounds::default() }).unwrap())
}

/// A guest that may send requests of any method to these servers.
fn granted(urls: &[&str]) -> Terms {
    let grants: Vec<_> = urls.iter().map(|url| json!({"url": url, "methods": ["*"]})).collect();
    let grants = serde_json::from_value(json!({ "http": grants })).unwrap();
    Terms { grants: Some(grants), ..Terms::default() }
}

/// A guest that may send requests to every server.
fn anywhere() -> Terms {
    granted(&["*"])
}

async fn installed(network: Arc<dyn Egress>, terms: Terms) -> ComponentHost {
    let host = host(network).await;
    let origin = Origin::Other("test".to_owned());
    host.install_on("guest", sending(), origin, terms).await.unwrap();
    host
}

async fn tell(host: &ComponentHost, requests: Value) -> Result<Value, Fault> {
    let config = json!({ "requests": requests }).to_string();
    let call = MetricCall { config, ..MetricCall::default() };
    match host.measure("guest", &call).await?.outcome {
        Measured::Value(value) => Ok(serde_json::from_str(&value).unwrap()),
        other => panic!("{other:?}"),
    }
}

/// What comes of these requests, one outcome for each, and what is counted.
async fn outcomes(network: Arc<dyn Egress>, terms: Terms, requests: Value) -> (Vec<Value>, Stats) {
    let host = installed(network, terms).await;
    let outcomes = tell(&host, requests).await.unwrap();
    assert_calm(&host).await;
    let guest = host.installed().into_iter().find(|info| info.name == "guest").unwrap();
    (outcomes.as_array().unwrap().clone(), guest.stats)
}

fn error(outcome: &Value) -> &str {
    outcome["error"].as_str().unwrap_or("none")
}

const DENIED: &str = "ErrorCode::HttpRequestDenied";

#[tokio::test]
async fn a_granted_request_arrives_and_its_answer_comes_back() {
    let (address, seen) =
        server("HTTP/1.1 201 Made\r\nX-One: a\r\nX-One: b\r\nContent-Length: 6\r\n\r\nanswer")
            .await;
    let (url, body) = (format!("http://{address}"), "x".repeat(100_000));
    let requests = json!([
        {"method": "POST", "url": format!("{url}/path?q=1"), "headers": [["x-key", "value"]],
         "body": body},
        {"url": url},
    ]);
    let (outcomes, stats) = outcomes(local(), granted(&[&url]), requests).await;
    for outcome in &outcomes {
        assert_eq!((&outcome["status"], &outcome["body"]), (&json!(201), &json!("answer")));
        let headers = outcome["headers"].as_array().unwrap();
        let ones = headers.iter().filter(|pair| pair[0] == "x-one").count();
        assert_eq!(ones, 2, "headers that repeat are all there");
    }
    assert_eq!((outcomes.len(), stats.http_calls, stats.denied), (2, 2, 0));
    // Both were under way at once, so either may have come first.
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    assert!(seen[0].starts_with("GET / HTTP/1.1\r\n"), "{}", seen[0]);
    assert!(seen[1].starts_with("POST /path?q=1 HTTP/1.1\r\n"), "{}", &seen[1][..100]);
    assert!(seen[1].contains("\r\nx-key: value\r\n"), "{}", &seen[1][..200]);
    assert!(seen[1].ends_with(&format!("\r\n\r\n{body}")), "all of the body arrives");
}

#[tokio::test]
async fn the_network_cannot_tell_which_interface_a_request_came_by() {
    let network = Arc::new(Record::default());
    let mut requests = Vec::new();
    for by in ["wasi", "sluice"] {
        requests.push(json!({
            "by": by, "method": "Post", "url": "http://metrics.test:80/a b?q=1#x",
            "headers": [["x-one", "a"], ["x-one", "b"]], "body": "body",
        }));
    }
    let terms = granted(&["http://metrics.test"]);
    // What is recorded of a component is what passes here, so a case fits either interface.
    requests[0]["url"] = json!("http://metrics.test:80/a%20b?q=1#x");
    outcomes(network.clone(), terms, json!(requests)).await;
    let mut sent = network.take();
    assert_eq!(sent.len(), 2, "{sent:?}");
    sent.iter_mut().for_each(|request| request.timeout_ms = 0);
    assert_eq!(sent[0], sent[1]);
    assert_eq!((sent[0].method.as_str(), sent[0].insecure), ("POST", false));
}

#[tokio::test]
async fn what_is_not_granted_is_a_value_and_counted_and_the_log_says_what_is_missing() {
    let network = Arc::new(Record::default());
    let heard = Heard::begin();
    let requests = json!([
        {"url": "http://metrics.test/"},
        {"method": "DELETE", "url": "http://metrics.test/"},
        {"url": "https://metrics.test/"},
        {"url": "http://metrics.test:8080/"},
    ]);
    let terms = Terms {
        grants: serde_json::from_value(json!({"http": [{"url": "http://metrics.test"}]})).unwrap(),
        ..Terms::default()
    };
    let (outcomes, stats) = outcomes(network.clone(), terms, requests).await;
    assert_eq!(outcomes[0]["status"], 200);
    for outcome in &outcomes[1..] {
        assert_eq!(error(outcome), DENIED);
    }
    assert_eq!((network.take().len(), stats.http_calls, stats.denied), (1, 4, 3));
    let lines = heard.of_components().join("\n");
    let missing = r#"needs the grant {"url": "http://metrics.test", "methods": ["DELETE"]}"#;
    assert!(lines.contains(missing), "{lines}");
}

#[tokio::test]
async fn a_url_in_parts_that_only_looks_like_the_granted_server_reaches_nobody_else() {
    let network = Arc::new(Record::default());
    let urls = [
        "http://metrics.test@evil.test/",
        "http://metrics.test:80@evil.test/",
        "http://metrics.test%40evil.test/",
        "http://metrics.test.evil.test/",
        "http://evil.test/http://metrics.test/",
        "http://evil.test?http://metrics.test/",
        "http://evil.test\\@metrics.test/",
        "http://evil.test#@metrics.test/",
        "http:///metrics.test/",
        "file://metrics.test/etc/passwd",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "http://kubernetes.default.svc/api",
    ];
    let requests: Vec<_> = urls.iter().map(|url| json!({ "url": url })).collect();
    let terms = granted(&["http://metrics.test"]);
    let (outcomes, _) = outcomes(network.clone(), terms, json!(requests)).await;
    for (url, outcome) in urls.iter().zip(&outcomes) {
        assert_ne!(error(outcome), "none", "{url}");
    }
    assert!(network.take().is_empty());
    // Its path is one, whatever it looks like.
    let path = json!([{"url": "http://metrics.test//evil.test/"}]);
    self::outcomes(network.clone(), granted(&["http://metrics.test"]), path).await;
    assert_eq!(network.take()[0].url, "http://metrics.test//evil.test/");
}

#[tokio::test]
async fn this_machine_and_metadata_are_out_of_bounds_for_wasi_as_for_us() {
    let (address, seen) = server("HTTP/1.1 200 OK\r\n\r\n").await;
    let bounded = Arc::new(Network::new(Bounds::default()).unwrap());
    let hosts = [
        "127.0.0.1",
        "localhost",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "2130706433",
        "169.254.169.254",
        "[fd00:ec2::254]",
    ];
    let port = address.port();
    let requests: Vec<_> =
        hosts.iter().map(|host| json!({"url": format!("http://{host}:{port}/")})).collect();
    let heard = Heard::begin();
    let (outcomes, stats) = outcomes(bounded, anywhere(), json!(requests)).await;
    for (host, outcome) in hosts.iter().zip(&outcomes) {
        assert_eq!(error(outcome), DENIED, "{host}");
    }
    assert_eq!(stats.denied, hosts.len() as u64);
    assert!(seen.lock().unwrap().is_empty());
    let lines = heard.of_components().join("\n");
    assert!(lines.contains("localhost leads to") && lines.contains("out of bounds"), "{lines}");
    let url = format!("http://localhost:{port}/");
    let (allowed, _) = self::outcomes(local(), anywhere(), json!([{ "url": url }])).await;
    assert_eq!(allowed[0]["status"], 200);
}

#[tokio::test]
async fn a_redirect_is_handed_back_and_not_followed() {
    let (address, seen) =
        server("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n").await;
    let requests = json!([{"url": format!("http://{address}/")}]);
    let (outcomes, _) = outcomes(local(), anywhere(), requests).await;
    assert_eq!(outcomes[0]["status"], 302);
    assert!(outcomes[0]["headers"].to_string().contains("/elsewhere"), "{outcomes:?}");
    assert_eq!(seen.lock().unwrap().len(), 1, "nobody went there");
}

#[tokio::test]
async fn headers_that_would_split_or_misdirect_a_request_are_refused_by_wasi_too() {
    let network = Arc::new(Record::default());
    let headers = [
        ("Host", "evil.test"),
        ("Connection", "upgrade"),
        ("Keep-Alive", "timeout=5"),
        ("Upgrade", "websocket"),
        ("TE", "trailers"),
        ("Trailer", "x"),
        ("Expect", "100-continue"),
        ("Transfer-Encoding", "chunked"),
        ("Proxy-Authorization", "Basic x"),
        ("Proxy-Connection", "close"),
        ("X-Fine", "a\r\nHost: evil.test"),
        ("X-Fine", "a\nb"),
        ("X-Fine\r\nHost", "evil.test"),
        ("X Fine", "a"),
        ("", "a"),
        ("Content-Length", "3"),
    ];
    let request = |(name, value): &(&str, &str)| {
        json!({"method": "POST", "url": "http://a.test/", "headers": [[name, value]],
               "body": "GET / HTTP/1.1\r\n\r\n"})
    };
    let requests: Vec<_> = headers.iter().map(request).collect();
    let (outcomes, _) = outcomes(network.clone(), anywhere(), json!(requests)).await;
    for (header, outcome) in headers.iter().zip(&outcomes) {
        assert_ne!(error(outcome), "none", "{header:?}");
    }
    assert!(network.take().is_empty());
    // A length that is right is what clients set, and left to the connection all the same.
    let right = json!([{"method": "POST", "url": "http://a.test/", "body": "four",
                        "headers": [["content-length", "4"]]}]);
    self::outcomes(network.clone(), anywhere(), right).await;
    assert!(network.take()[0].headers.is_empty());
}

#[tokio::test]
async fn bodies_have_the_same_bounds_by_wasi() {
    let (address, seen) = server(concat!("HTTP/1.1 200 OK\r\n\r\n", "a rather long answer")).await;
    let limits = Limits { body_in: 10, body_out: 10_000, ..tight() };
    let terms = Terms { limits: Some(limits), ..anywhere() };
    let url = format!("http://{address}/");
    let requests = json!([
        {"url": url},
        {"method": "POST", "url": url, "body": "x".repeat(10_001)},
    ]);
    let (outcomes, _) = outcomes(local(), terms, requests).await;
    assert_eq!(error(&outcomes[0]), "ErrorCode::HttpResponseBodySize(Some(10))");
    assert_eq!(error(&outcomes[1]), "ErrorCode::HttpRequestBodySize(Some(10000))");
    assert_eq!(seen.lock().unwrap().len(), 1, "what is too large is not begun");
}

#[tokio::test]
async fn a_credential_is_added_on_the_way_and_never_seen() {
    let (address, seen) = server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let (url, other) =
        (format!("http://{address}"), format!("http://localhost:{}", address.port()));
    let credential = Credential {
        server: Server::try_from(url.clone()).unwrap(),
        header: "Authorization".to_owned(),
        value: "Bearer hunter2".to_owned(),
    };
    let private = Private { credentials: vec![credential], ..Private::default() };
    let terms = Terms { private, ..anywhere() };
    let requests = json!([{"url": url, "headers": [["authorization", "its own"]]}]);
    let heard = Heard::begin();
    let host = installed(local(), terms).await;
    let outcome = tell(&host, requests).await.unwrap().to_string();
    tell(&host, json!([{ "url": other }])).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    assert!(seen[0].contains("Bearer hunter2") && !seen[0].contains("its own"), "{}", seen[0]);
    assert!(!seen[1].contains("hunter2"), "it is for one server: {}", seen[1]);
    assert!(outcome.contains("200") && !outcome.contains("hunter2"), "{outcome}");
    assert!(!heard.of_components().join("\n").contains("hunter2"));
}

#[tokio::test]
async fn requests_by_either_interface_count_towards_one_limit() {
    let network = Arc::new(Record::default());
    let limits = Limits { http_calls: 3, ..tight() };
    let terms = Terms { limits: Some(limits), ..anywhere() };
    let by = |by| json!({"by": by, "url": "http://a.test/"});
    let requests = json!([by("sluice"), by("wasi"), by("wasi"), by("wasi"), by("sluice")]);
    let (outcomes, stats) = outcomes(network.clone(), terms, requests).await;
    for outcome in &outcomes[..3] {
        assert_eq!(outcome["status"], 200);
    }
    assert_eq!(error(&outcomes[3]), DENIED);
    assert!(error(&outcomes[4]).contains("one call may send 3 requests"), "{outcomes:?}");
    assert_eq!((network.take().len(), stats.http_calls, stats.denied), (3, 3, 2));
}

#[tokio::test]
async fn a_check_of_a_configuration_has_no_network_by_wasi_either() {
    let network = Arc::new(Record::default());
    let host = installed(network.clone(), anywhere()).await;
    let config = json!({"requests": [{"url": "http://a.test/"}]}).to_string();
    let refused = host.validate_metric("guest", &config).await.unwrap_err();
    assert!(refused.to_string().contains(DENIED), "{refused}");
    assert!(network.take().is_empty());
}

#[tokio::test]
async fn a_server_that_says_nothing_ends_a_little_before_the_call_does() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let limits = Limits { wall: Duration::from_secs(2), ..tight() };
    let terms = Terms { limits: Some(limits), ..anywhere() };
    let host = installed(local(), terms).await;
    for request in [
        json!({ "url": url }),
        json!({"url": url, "timeoutMs": 100}),
        // It waits for an answer to what it has not said.
        json!({"method": "POST", "url": url, "unfinished": true}),
    ] {
        let began = Instant::now();
        let outcome = tell(&host, json!([request])).await.unwrap();
        assert_eq!(error(&outcome[0]), "ErrorCode::HttpResponseTimeout", "{request}");
        let most = if request["timeoutMs"].is_null() { limits.wall } else { limits.wall / 2 };
        assert!(began.elapsed() < most, "{request}: {:?}", began.elapsed());
    }
}

/// A network that never answers, and does not look at the time.
struct Silence;

impl Egress for Silence {
    fn send<'a>(
        &'a self,
        _plugin: &'a str,
        _request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn whoever_waits_for_wasi_for_ever_is_stopped_by_the_clock() {
    let limits = Limits { wall: Duration::from_millis(500), ..tight() };
    let terms = Terms { limits: Some(limits), ..anywhere() };
    let host = installed(Arc::new(Silence), terms).await;
    let began = Instant::now();
    let fault = tell(&host, json!([{"url": "http://a.test/"}])).await;
    assert_eq!(fault, Err(Fault::TimedOut { limit_ms: 500 }));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_calm(&host).await;
}

#[test]
fn what_a_toolchain_imports_is_known_and_asks_for_requests() {
    let outline = Outline::of(&sending()).unwrap();
    let names: Vec<_> = outline.imports.iter().filter_map(|name| name.split('@').next()).collect();
    assert!(names.contains(&"wasi:http/outgoing-handler"), "{names:?}");
    assert!(names.contains(&"wasi:http/types"), "{names:?}");
    assert!(outline.manifest.unwrap().contains("sends what it is told to"));
}
