//! The way to the network, for components: no redirects, no address that is out of bounds, and
//! never more bytes than were asked for.
//!
//! An address is judged when it is dialled: names are resolved here, and only what passed is
//! handed to the connector, so a name that resolves to something else the next time gains nothing.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};

use crate::way::Detour;

/// Which addresses may be reached.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// Networks that are allowed although they are out of bounds otherwise.
    pub allowed: Vec<IpNet>,
    /// Whether private networks are out of bounds as well.
    pub public_only: bool,
}

impl Bounds {
    /// Whether `address` may be reached. Private networks may: that is where metrics are.
    pub fn admit(&self, address: IpAddr) -> bool {
        let address = plain(address);
        let closed = out_of_bounds(address) || (self.public_only && is_private(address));
        self.allowed.iter().any(|net| net.contains(&address)) || !closed
    }
}

/// An IPv4 address that is written as an IPv6 one is that IPv4 address.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return IpAddr::V4(v4);
    }
    let parts = v6.segments();
    // 64:ff9b::/96, by which IPv4 is reached from networks that only have IPv6.
    if parts[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [a, b] = parts[6].to_be_bytes();
        let [c, d] = parts[7].to_be_bytes();
        return IpAddr::V4(Ipv4Addr::new(a, b, c, d));
    }
    address
}

/// This machine, this link, many machines, or none: nowhere a metrics server is by accident.
fn out_of_bounds(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.octets()[0] == 0
                || v4 == Ipv4Addr::new(100, 100, 100, 200)
                || v4 == Ipv4Addr::new(168, 63, 129, 16)
        }
        IpAddr::V6(v6) => {
            let metadata = v6.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254];
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
                || metadata
        }
    }
}

/// A network of somebody's own, which is where a cluster's Services and pods are.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            // 100.64.0.0/10 is between providers and their customers, and in clusters for pods.
            v4.is_private() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

struct Resolver {
    bounds: Arc<Bounds>,
    /// Proxies are the operator's choice, wherever they are.
    proxies: Arc<BTreeSet<String>>,
}

/// The host names of proxies in the environment.
fn proxies() -> BTreeSet<String> {
    let names =
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    let values = names.iter().filter_map(|name| std::env::var(name).ok());
    let hosts = values.filter_map(|value| {
        let url = if value.contains("://") { value } else { format!("http://{value}") };
        Some(Url::parse(&url).ok()?.host_str()?.to_owned())
    });
    hosts.collect()
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let bounds = self.bounds.clone();
        let proxy = self.proxies.contains(name.as_str());
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let admit = |address: &SocketAddr| proxy || bounds.admit(address.ip());
            let admitted: Vec<SocketAddr> = found.iter().copied().filter(admit).collect();
            match (admitted.is_empty(), found.first()) {
                (true, Some(address)) => Err(Refused::new(&name, address.ip()).into()),
                (true, None) => Err(format!("{name} has no address").into()),
                (false, _) => Ok(Box::new(admitted.into_iter()) as Addrs),
            }
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error(
    "{name} leads to {address}, which is out of bounds for components unless the operator allows it"
)]
struct Refused {
    name: String,
    address: IpAddr,
}

impl Refused {
    fn new(name: &str, address: IpAddr) -> Self {
        Self { name: name.to_owned(), address }
    }
}

/// The real network.
pub struct Network {
    bounds: Arc<Bounds>,
    checked: Client,
    unchecked: Client,
}

impl Network {
    /// The network within `bounds`: the system's resolver and trust roots, `SSL_CERT_FILE`, and
    /// proxies from the environment.
    pub fn new(bounds: Bounds) -> Result<Self, HttpError> {
        Self::by(bounds, &Detour::default())
    }

    /// The same by a detour.
    pub(crate) fn by(bounds: Bounds, detour: &Detour) -> Result<Self, HttpError> {
        let bounds = Bounds { public_only: bounds.public_only || detour.public_only, ..bounds };
        let (proxy, authorities) = (detour.proxy()?, detour.authorities()?);
        // Another part of the process may have chosen a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let bounds = Arc::new(bounds);
        let proxies = match &proxy {
            Some((_, host)) => BTreeSet::from([host.clone()]),
            None => proxies(),
        };
        let proxies = Arc::new(proxies);
        let resolver = || Resolver { bounds: bounds.clone(), proxies: proxies.clone() };
        let client = |insecure: bool| {
            let mut builder = Client::builder();
            if let Some((proxy, _)) = &proxy {
                builder = builder.no_proxy().proxy(proxy.clone());
            }
            if !authorities.is_empty() {
                builder = builder.tls_certs_merge(authorities.iter().cloned());
            }
            builder
                .redirect(reqwest::redirect::Policy::none())
                .dns_resolver(Arc::new(resolver()))
                .tls_danger_accept_invalid_certs(insecure)
                .connect_timeout(Duration::from_secs(10))
                .pool_max_idle_per_host(4)
                .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|error| HttpError::Other(chain(&error)))
        };
        Ok(Self { checked: client(false)?, unchecked: client(true)?, bounds })
    }

    async fn go(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let invalid = |error: String| HttpError::InvalidRequest(error);
        let url: Url =
            request.url.parse().map_err(|error| invalid(format!("{}: {error}", request.url)))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid(format!("{}: the scheme must be http or https", request.url)));
        }
        self.literal(&url)?;
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|error| invalid(error.to_string()))?;
        let client = if request.insecure { &self.unchecked } else { &self.checked };
        let mut builder = client
            .request(method, url)
            .headers(headers(&request.headers)?)
            .timeout(Duration::from_millis(request.timeout_ms.max(1)));
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let mut answer = builder.send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        let pairs = answer.headers().iter().map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let headers = pairs.collect();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if (body.len() + chunk.len()) as u64 > request.max_body {
                return Err(HttpError::TooLarge(request.max_body));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpResponse { status, headers, body })
    }

    /// An address in the place of a name is never resolved, so it is judged here. The URL parser
    /// has turned every way to write one, such as `0x7f.1`, into the plain one.
    fn literal(&self, url: &Url) -> Result<(), HttpError> {
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match address {
            Ok(address) if !self.bounds.admit(address) => {
                Err(HttpError::NotGranted(Refused::new(host, plain(address)).to_string()))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, HttpError> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let bad = |error: String| HttpError::InvalidRequest(format!("header {name:?}: {error}"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|e| bad(e.to_string()))?;
        // Who is called and how much is sent is the connection's business.
        if OF_THE_CONNECTION.contains(&key.as_str()) {
            return Err(bad("it is set by the host".to_owned()));
        }
        let value = HeaderValue::from_str(value).map_err(|e| bad(e.to_string()))?;
        headers.append(key, value);
    }
    Ok(headers)
}

fn failed(error: reqwest::Error) -> HttpError {
    if error.is_timeout() {
        return HttpError::Timeout;
    }
    if let Some(refused) = refusal(&error) {
        return HttpError::NotGranted(refused.to_string());
    }
    let text = chain(&error);
    if error.is_connect() { HttpError::Connect(text) } else { HttpError::Other(text) }
}

/// The resolver's refusal, which the client reports as any other failure to connect.
fn refusal(error: &reqwest::Error) -> Option<&Refused> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(refused) = cause.downcast_ref() {
            return Some(refused);
        }
        next = cause.source();
    }
    None
}

/// Headers that say how a request is carried and to whom, in lower case: the host's own business.
/// A component that could set them would speak to the proxies and servers on the way, not to the
/// one that it was granted.
pub(crate) const OF_THE_CONNECTION: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// An error with its causes. The URL stays out of it, since it may carry a credential.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(cause) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    if text.is_empty() { "the request failed".to_owned() } else { text }
}

impl Egress for Network {
    fn send<'a>(
        &'a self,
        _plugin: &'a str,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        Box::pin(self.go(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_judged_however_they_are_written() {
        let table = [
            ("10.1.2.3", true),
            ("192.168.1.1", true),
            ("93.184.216.34", true),
            ("127.0.0.1", false),
            ("127.9.9.9", false),
            ("169.254.169.254", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:169.254.169.254", false),
            ("64:ff9b::a9fe:a9fe", false),
            ("fe80::1", false),
            ("fd00:ec2::254", false),
            ("fd00::1", true),
        ];
        let bounds = Bounds::default();
        for (address, admitted) in table {
            assert_eq!(bounds.admit(address.parse().unwrap()), admitted, "{address}");
        }
        let allowed = vec!["127.0.0.0/8".parse().unwrap(), "10.9.0.0/16".parse().unwrap()];
        let allowed = Bounds { allowed, public_only: true };
        assert!(allowed.admit("::ffff:127.0.0.1".parse().unwrap()));
        assert!(allowed.admit("10.9.1.1".parse().unwrap()), "what is allowed stays allowed");
        for address in ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1"] {
            assert!(!allowed.admit(address.parse().unwrap()), "{address}");
        }
        for address in ["93.184.216.34", "100.128.0.1", "2606:2800:220:1::1"] {
            assert!(allowed.admit(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn numbers_in_urls_are_addresses() {
        let network = Network::new(Bounds::default()).unwrap();
        for url in ["http://0x7f.1/", "http://2130706433/", "http://0177.0.0.1/", "http://[::1]/"] {
            let refused = network.literal(&url.parse().unwrap());
            assert!(matches!(refused, Err(HttpError::NotGranted(_))), "{url}: {refused:?}");
        }
    }
}
