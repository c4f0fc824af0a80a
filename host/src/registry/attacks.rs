//! Registries that lie, trickle, flood and point elsewhere. Each is refused in words that say why,
//! and none gets more of us than a bounded time and a bounded answer.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};
use sluice_wasm::{Bounds, Network, Outline};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Credentials, LAYER, MANIFEST, Reference, Registry};
use crate::fetch::digest_of;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const COMPONENT: &[u8] = b"not even a component";

/// A raw answer, head and body.
type Answer = Vec<u8>;

/// An answer with these bytes after its head.
fn answer(status: &str, headers: &str, body: &[u8]) -> Answer {
    let mut whole = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n").into_bytes();
    whole.extend(body);
    whole
}

/// An answer whose length is what it says.
fn whole(body: &[u8]) -> Answer {
    answer("200 OK", &format!("Content-Length: {}\r\n", body.len()), body)
}

/// A manifest with one layer like this.
fn manifest(media: &str, digest: &Value, size: &Value) -> Vec<u8> {
    let layer = json!({"mediaType": media, "digest": digest, "size": size});
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer]});
    manifest.to_string().into_bytes()
}

/// The manifest of `layer` as an honest registry has it.
fn honest(layer: &[u8]) -> Vec<u8> {
    manifest(LAYER, &json!(digest_of(layer)), &json!(layer.len()))
}

/// A registry on this machine that answers a manifest, then a layer; `endless` is sent again and
/// again after the layer. Everything else is not there. What it was asked is kept.
struct Attacker {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Attacker {
    async fn with(manifest: Answer, layer: Answer, endless: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let known = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let head = head(&mut stream).await;
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let (answer, endless) = match path.as_str() {
                    path if path.contains("/manifests/") => (manifest.clone(), &b""[..]),
                    path if path.contains("/blobs/") => (layer.clone(), endless),
                    _ => (answer("404 Not Found", "Content-Length: 0\r\n", b""), &b""[..]),
                };
                known.lock().unwrap().push(head);
                tokio::spawn(async move {
                    // Whoever asked may have had enough, which is what these tests are about.
                    let _ = stream.write_all(&answer).await;
                    while !endless.is_empty() && stream.write_all(endless).await.is_ok() {}
                });
            }
        });
        Self { address, asked }
    }

    async fn answering(manifest: Answer) -> Self {
        Self::with(manifest, whole(COMPONENT), b"").await
    }

    /// What comes of pulling from it; this machine is within bounds, and nothing else unusual is.
    async fn pull(&self) -> Result<Vec<u8>, String> {
        let allowed = vec!["127.0.0.1/32".parse().unwrap()];
        let network = Network::new(Bounds { allowed, ..Bounds::default() }).unwrap();
        let reference = Reference::read(&format!("{}/acme/x:1", self.address)).unwrap();
        let auths = json!({"auths": {self.address.to_string(): {"auth": "YTpi"}}}).to_string();
        let credentials = Credentials::read(auths.as_bytes(), &reference.server);
        let pulled = Registry::new(&network, reference, credentials).pull(false).await;
        pulled.map(|(bytes, _)| bytes).map_err(|error| error.to_string())
    }

    /// Why nothing can be pulled, without the address of this registry.
    async fn refusal(&self) -> String {
        let why = self.pull().await.expect_err("it was pulled");
        let address = self.address.to_string();
        assert!(why.starts_with(&address), "who is it? {why}");
        why.replace(&address, "HERE")
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|head| head.lines().next().unwrap_or_default().to_owned()).collect()
    }
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

#[tokio::test]
async fn what_is_honest_is_pulled() {
    let registry = Attacker::answering(whole(&honest(COMPONENT))).await;
    assert_eq!(registry.pull().await, Ok(COMPONENT.to_vec()));
}

#[tokio::test]
async fn a_manifest_of_a_gibibyte_is_not_read_to_its_end() {
    let announced = answer("200 OK", "Content-Length: 1073741824\r\n", &vec![b' '; 5 << 20]);
    let chunk = format!("500000\r\n{}\r\n0\r\n\r\n", " ".repeat(5 << 20));
    let chunked = answer("200 OK", "Transfer-Encoding: chunked\r\n", chunk.as_bytes());
    for manifest in [announced, chunked] {
        let why = Attacker::answering(manifest).await.refusal().await;
        assert_eq!(why, "HERE: more than the 4194304 bytes that it may have");
    }
}

#[tokio::test]
async fn a_layer_without_an_end_is_not_read_to_its_end() {
    let begun = answer("200 OK", "Transfer-Encoding: chunked\r\n", b"");
    let chunk = b"10\r\n0123456789abcdef\r\n";
    let manifest = whole(&honest(COMPONENT));
    let endless = Attacker::with(manifest.clone(), begun, chunk).await;
    assert_eq!(endless.refusal().await, "HERE: more than the 65536 bytes that it may have");
    // No length at all, and then one header after the other.
    let begun = b"HTTP/1.1 200 OK\r\n".to_vec();
    let headers = Attacker::with(manifest, begun, b"X-More: and more\r\n").await.refusal().await;
    assert!(headers.starts_with("HERE: "), "{headers}");
}

#[tokio::test]
async fn a_layer_that_is_longer_or_shorter_than_was_said_is_refused() {
    let longer = [COMPONENT, b" and more"].concat();
    let says_less = format!("Content-Length: {}\r\n", COMPONENT.len());
    let says_more = "Content-Length: 1000\r\n";
    let other = |size: usize| manifest(LAYER, &json!(digest_of(COMPONENT)), &json!(size));
    let manifests = [honest(COMPONENT), honest(&longer), honest(COMPONENT), other(19), other(21)];
    let layers = [
        whole(&longer),
        answer("200 OK", &says_less, &longer),
        answer("200 OK", says_more, COMPONENT),
        whole(COMPONENT),
        whole(COMPONENT),
    ];
    let expected = [
        "HERE/acme/x:1: what is there is not what sha256:",
        "HERE/acme/x:1: what is there is not what sha256:",
        "HERE: ",
        "HERE/acme/x:1: 20 bytes, and the manifest says 19",
        "HERE/acme/x:1: 20 bytes, and the manifest says 21",
    ];
    for ((manifest, layer), expected) in manifests.iter().zip(layers).zip(expected) {
        let why = Attacker::with(whole(manifest), layer, b"").await.refusal().await;
        assert!(why.starts_with(expected), "{why}");
    }
}

#[tokio::test]
async fn what_is_packed_is_not_unpacked() {
    let packed = answer("200 OK", "Content-Encoding: gzip\r\nContent-Length: 2\r\n", b"\x1f\x8b");
    let by = r#"HERE/acme/x:1: it comes packed by "gzip", and unasked"#;
    assert_eq!(Attacker::answering(packed.clone()).await.refusal().await, by);
    let registry = Attacker::with(whole(&honest(COMPONENT)), packed, b"").await;
    assert_eq!(registry.refusal().await, by);
    let asked = registry.asked.lock().unwrap().join("");
    assert_eq!(asked.to_ascii_lowercase().matches("accept-encoding: identity").count(), 2);

    let image = "application/vnd.oci.image.layer.v1.tar+gzip";
    let image = manifest(image, &json!(digest_of(COMPONENT)), &json!(COMPONENT.len()));
    let why = Attacker::answering(whole(&image)).await.refusal().await;
    assert!(why.contains("with 0 layers of application/wasm"), "{why}");
    // A bomb that says it is a component is only bytes, and no component.
    let bomb = [b"\x1f\x8b\x08\0\0\0\0\0\0\x03".as_slice(), &[0xff; 1000]].concat();
    let registry = Attacker::with(whole(&honest(&bomb)), whole(&bomb), b"").await;
    assert!(Outline::of(&registry.pull().await.unwrap()).is_err());
}

#[tokio::test]
async fn tokens_are_not_asked_for_where_they_should_not_be() {
    let elsewhere = [
        ("http://tokens.test/token", "is no place to ask for a token"),
        ("//tokens.test/token", "is no place to ask for a token"),
        ("file:///etc/passwd", "is no place to ask for a token"),
        ("https://169.254.169.254/token", "leads to 169.254.169.254, which is out of bounds"),
        ("https://[::ffff:169.254.169.254]/", "leads to 169.254.169.254, which is out of bounds"),
        ("https://2852039166/token", "leads to 169.254.169.254, which is out of bounds"),
        ("https://127.0.0.2/token", "leads to 127.0.0.2, which is out of bounds"),
    ];
    for (realm, expected) in elsewhere {
        let challenge = format!("WWW-Authenticate: Bearer realm=\"{realm}\"\r\n");
        let registry = Attacker::answering(answer("401 No", &challenge, b"")).await;
        let why = registry.refusal().await;
        assert!(why.contains(expected), "{realm}: {why}");
    }
}

#[tokio::test]
async fn who_asks_is_not_told_to_another_server() {
    let elsewhere = Attacker::answering(whole(b"{}")).await;
    let challenge = "WWW-Authenticate: Basic\r\n";
    let registry = Attacker::answering(answer("401 No", challenge, b"")).await;
    let why = registry.refusal().await;
    assert_eq!(why, "HERE answers 401 to pull the manifest");
    let told = registry.asked.lock().unwrap().join("");
    assert_eq!(told.matches("Basic YTpi").count(), 1, "once asked, it is told: {told}");

    let to = format!("Location: http://{}/v2/acme/x/manifests/1\r\n", elsewhere.address);
    let registry = Attacker::answering(answer("307 There", &to, b"")).await;
    let why = registry.refusal().await;
    assert_eq!(why, "HERE/acme/x:1: it is elsewhere, and not behind an https:// URL");
    assert!(elsewhere.asked().is_empty(), "{:?}", elsewhere.asked());
}

#[tokio::test]
async fn redirects_end_and_lead_nowhere_forbidden() {
    let to = |location: &str| answer("302 There", &format!("Location: {location}\r\n"), b"");
    let circle = Attacker::answering(to("/v2/acme/x/manifests/1")).await;
    assert_eq!(circle.refusal().await, "HERE/acme/x:1: it is elsewhere again and again");
    assert_eq!(circle.asked().len(), 6, "{:?}", circle.asked());
    for location in ["https://169.254.169.254/x", "https://[fd00:ec2::254]/x"] {
        let why = Attacker::answering(to(location)).await.refusal().await;
        assert!(why.contains("out of bounds"), "{location}: {why}");
    }
    for location in ["http://169.254.169.254/x", "//169.254.169.254/x", "ftp://a.test/", "x", ""] {
        let why = Attacker::answering(to(location)).await.refusal().await;
        assert!(why.ends_with("and not behind an https:// URL"), "{location}: {why}");
    }
}

#[tokio::test]
async fn an_index_is_refused_and_not_followed() {
    let itself = json!({"mediaType": INDEX, "digest": "1", "size": 1});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [itself]});
    let registry = Attacker::answering(whole(index.to_string().as_bytes())).await;
    let expected =
        format!("HERE/acme/x:1: {INDEX} with 0 layers of application/wasm, and one is wanted");
    assert_eq!(registry.refusal().await, expected);
    assert_eq!(registry.asked().len(), 1, "{:?}", registry.asked());
    let nested = "[".repeat(1 << 20);
    let why = Attacker::answering(whole(nested.as_bytes())).await.refusal().await;
    assert!(why.contains("recursion limit"), "{why}");
}

#[tokio::test]
async fn a_layer_has_a_digest_and_a_size_that_mean_something() {
    let hex = "a".repeat(64);
    for digest in [
        json!(format!("sha256:{}", &hex[1..])),
        json!(format!("sha256:{hex}a")),
        json!(format!("sha512:{hex}{hex}")),
        json!(format!("md5:{}", &hex[32..])),
        json!(format!("sha256:{}", "../".repeat(21) + "a")),
        json!(format!("sha256:{}", "é".repeat(32))),
        json!(""),
        json!(["sha256"]),
        Value::Null,
    ] {
        let registry = Attacker::answering(whole(&manifest(LAYER, &digest, &json!(20)))).await;
        let why = registry.refusal().await;
        assert!(why.contains("the layer's digest is"), "{digest}: {why}");
        assert_eq!(registry.asked().len(), 1, "{digest}: {:?}", registry.asked());
    }
    let digest = json!(digest_of(COMPONENT));
    for size in [Value::Null, json!("20"), json!(-1), json!(1.5)] {
        let why =
            Attacker::answering(whole(&manifest(LAYER, &digest, &size))).await.refusal().await;
        assert!(why.ends_with(&format!("the layer's size is {size}")), "{why}");
    }
    let huge = manifest(LAYER, &digest, &json!(u64::MAX));
    let why = Attacker::answering(whole(&huge)).await.refusal().await;
    assert!(why.ends_with("18446744073709551615 bytes are too many for a component"), "{why}");
}

#[tokio::test]
async fn one_that_has_too_much_to_do_says_for_how_long() {
    let body = json!({"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]});
    let busy = answer("429 Busy", "Retry-After: 30\r\n", body.to_string().as_bytes());
    let why = Attacker::answering(busy).await.refusal().await;
    let expected = "HERE answers 429 to pull the manifest: slow down; it asks to be left alone for \
                    30 seconds";
    assert_eq!(why, expected);
}

/// A registry that answers every request correctly, each after a minute and a half, and sends us on
/// before it does.
struct Trickle;

impl Egress for Trickle {
    fn send<'a>(
        &'a self,
        _: &'a str,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        Box::pin(async move {
            let took = Duration::from_secs(90);
            assert!(took.as_millis() < u128::from(request.timeout_ms), "its own limit is longer");
            tokio::time::sleep(took).await;
            let headers = vec![("location".to_owned(), "/again".to_owned())];
            Ok(HttpResponse { status: 307, headers, body: Vec::new() })
        })
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_uses_up_every_limit_is_given_up_all_the_same() {
    let reference = Reference::read("slow.test/acme/x:1").unwrap();
    let began = tokio::time::Instant::now();
    let pulled = Registry::new(&Trickle, reference, None).pull(true).await;
    let why = pulled.err().map(|error| error.to_string());
    let expected = "slow.test/acme/x:1: it is not all there after 300 seconds";
    assert_eq!(why.as_deref(), Some(expected));
    assert_eq!(began.elapsed().as_secs(), 300);
}
