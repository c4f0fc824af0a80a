//! The way out: what is reached, what is refused, and how much comes back.
#![expect(clippy::unwrap_used, reason = "helpers of tests may")]

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};
use sluice_wasm::{Bounds, Detour, Network, Way};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server on this machine that says `answer` to everybody, and what it was sent last.
async fn server(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let answer = answer.replace("REQUEST", &request.replace("\r\n", "|"));
            // The client may be gone, which is what some tests are about.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

/// A network on which this machine is reachable.
fn network() -> Network {
    let allowed = vec!["127.0.0.0/8".parse().unwrap()];
    Network::new(Bounds { allowed, ..Bounds::default() }).unwrap()
}

fn get(url: String) -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        url,
        timeout_ms: 5_000,
        max_body: 100,
        ..HttpRequest::default()
    }
}

async fn send(network: &dyn Egress, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    network.send("test", request).await
}

#[tokio::test]
async fn a_request_is_carried_as_it_is() {
    let address = server("HTTP/1.1 201 Made\r\nX-One: a\r\nX-One: b\r\n\r\nREQUEST").await;
    let request = HttpRequest {
        method: "POST".to_owned(),
        headers: vec![("x-key".to_owned(), "value".to_owned())],
        body: Some(b"body".to_vec()),
        max_body: 1_000,
        ..get(format!("http://{address}/path?q=1"))
    };
    let answer = send(&network(), request).await.unwrap();
    let body = String::from_utf8(answer.body).unwrap();
    assert_eq!(answer.status, 201);
    assert!(body.starts_with("POST /path?q=1 HTTP/1.1|"), "{body}");
    assert!(body.contains("|x-key: value|"), "{body}");
    let ones: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "x-one").collect();
    assert_eq!(ones.len(), 2, "headers that repeat are all there");
}

#[tokio::test]
async fn this_machine_is_out_of_bounds_by_address_and_by_name() {
    let address = server("HTTP/1.1 200 OK\r\n\r\n").await;
    let bounded = Network::new(Bounds::default()).unwrap();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"] {
        let answer = send(&bounded, get(format!("http://{host}:{}/", address.port()))).await;
        let Err(HttpError::NotGranted(text)) = answer else { panic!("{host}: {answer:?}") };
        assert!(text.contains("out of bounds"), "{host}: {text}");
    }
    for url in ["http://169.254.169.254/latest/meta-data", "http://[fd00:ec2::254]/"] {
        let answer = send(&bounded, get(url.to_owned())).await;
        assert!(matches!(answer, Err(HttpError::NotGranted(_))), "{url}: {answer:?}");
    }
    let allowed = send(&network(), get(format!("http://localhost:{}/", address.port()))).await;
    assert_eq!(allowed.unwrap().status, 200);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let address = server("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n").await;
    let answer = send(&network(), get(format!("http://{address}/"))).await.unwrap();
    assert_eq!(answer.status, 302);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read_to_its_end() {
    // No length is announced, and the server would go on for ever.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 16]).await.unwrap();
        let mut piece: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
        while stream.write_all(piece).await.is_ok() {
            piece = &[b'x'; 512];
        }
    });
    let answer = send(&network(), get(format!("http://{address}/"))).await;
    assert_eq!(answer, Err(HttpError::TooLarge(100)));
}

#[tokio::test]
async fn a_server_that_says_nothing_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let request = HttpRequest { timeout_ms: 100, ..get(format!("http://{address}/")) };
    assert_eq!(send(&network(), request).await, Err(HttpError::Timeout));
}

#[tokio::test]
async fn a_server_that_trickles_has_no_more_time_than_one_that_is_silent() {
    // Each read gets something, so only a limit for all of them ends this.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 16]).await.unwrap();
            let begun = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n").await;
            let mut open = begun.is_ok();
            while open {
                pace.tick().await;
                open = stream.write_all(b"x").await.is_ok();
            }
        }
    });
    let request = HttpRequest { timeout_ms: 300, ..get(format!("http://{address}/")) };
    let began = Instant::now();
    assert_eq!(send(&network(), request).await, Err(HttpError::Timeout));
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn nobody_there_is_told_with_the_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let answer = send(&network(), get(format!("http://{address}/"))).await;
    let Err(HttpError::Connect(text)) = answer else { panic!("{answer:?}") };
    assert!(text.contains("refused"), "{text}");
}

#[tokio::test]
async fn what_is_no_request_is_refused_before_it_is_sent() {
    let network = network();
    let bad_method = HttpRequest { method: "GE T".to_owned(), ..get("http://127.0.0.1/".into()) };
    let bad_header = HttpRequest {
        headers: vec![("Host".to_owned(), "other.test".to_owned())],
        ..get("http://127.0.0.1/".into())
    };
    for request in [get("ftp://127.0.0.1/".into()), get("/path".into()), bad_method, bad_header] {
        let answer = send(&network, request.clone()).await;
        assert!(matches!(answer, Err(HttpError::InvalidRequest(_))), "{request:?}: {answer:?}");
    }
}

/// A way on which this machine is reachable.
fn way(detour: Detour) -> Result<Way, HttpError> {
    let allowed = vec!["127.0.0.0/8".parse().unwrap()];
    Way::new(Bounds { allowed, ..Bounds::default() }, &detour)
}

#[tokio::test]
async fn a_proxy_is_asked_for_what_is_elsewhere() {
    let proxy = server("HTTP/1.1 200 Fine\r\n\r\nREQUEST").await;
    let detour = Detour { proxy: Some(format!("http://{proxy}")), ..Detour::default() };
    let request = HttpRequest { max_body: 1_000, ..get("http://metrics.invalid/path".to_owned()) };
    let answer = send(&way(detour).unwrap(), request).await.unwrap();
    let body = String::from_utf8(answer.body).unwrap();
    assert!(body.starts_with("GET http://metrics.invalid/path HTTP/1.1|"), "{body}");
    let none = Detour { proxy: Some("ftp://a.test".to_owned()), ..Detour::default() };
    let none = way(none).unwrap_err();
    assert!(matches!(&none, HttpError::InvalidRequest(why) if why.contains("ftp://a.test")));
}

#[tokio::test]
async fn private_networks_can_be_out_of_bounds_too() {
    let way = way(Detour { public_only: true, ..Detour::default() }).unwrap();
    for url in ["http://10.0.0.1/", "http://192.168.7.7/", "http://[fd00::1]/"] {
        let refused = send(&way, get(url.to_owned())).await;
        assert!(matches!(refused, Err(HttpError::NotGranted(_))), "{url}: {refused:?}");
    }
}

const AUTHORITY: &str = include_str!("fixture/tls/authority.pem");
const CERTIFICATE: &[u8] = include_bytes!("fixture/tls/server.pem");
const KEY: &[u8] = include_bytes!("fixture/tls/server-key.pem");

/// A server on this machine with a certificate of [`AUTHORITY`], and its port.
fn private_server() -> u16 {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let (config, listener) =
        (Arc::new(config), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let session = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(session, stream.unwrap());
            // Whoever does not trust the server has gone by now.
            if stream.read(&mut [0; 4096]).is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 204 Fine\r\nContent-Length: 0\r\n\r\n");
                let _ = stream.flush();
            }
        }
    });
    port
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_where_it_is_named() {
    let url = format!("https://127.0.0.1:{}/", private_server());
    let stranger = send(&network(), get(url.clone())).await;
    assert!(matches!(stranger, Err(HttpError::Connect(_))), "{stranger:?}");
    let detour = Detour { authorities: Some(AUTHORITY.to_owned()), ..Detour::default() };
    let known = send(&way(detour).unwrap(), get(url)).await.unwrap();
    assert_eq!(known.status, 204);
    for text in ["", "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----"] {
        let detour = Detour { authorities: Some(text.to_owned()), ..Detour::default() };
        let refused = way(detour).unwrap_err();
        assert!(matches!(refused, HttpError::InvalidRequest(_)), "{text}: {refused:?}");
    }
}
