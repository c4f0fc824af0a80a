//! What a component may do beyond computing. Empty permits nothing.

use reqwest::Url;
use serde::Deserialize;

/// What one component may do.
///
/// As text it is JSON, such as
/// `{"http": [{"url": "https://api.example.com", "methods": ["GET"], "insecure": false}]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grants {
    /// The servers that it may speak to.
    #[serde(default)]
    pub http: Vec<HttpGrant>,
    /// The aliases of the secrets that it may read. Which secret each is, is not said here.
    #[serde(default)]
    pub secrets: Vec<String>,
}

/// A server that a component may speak to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpGrant {
    /// Which one.
    pub url: Server,
    /// The methods, in capitals; `*` is any. Default: GET and HEAD.
    #[serde(default = "read_only")]
    pub methods: Vec<String>,
    /// Whether it may ask not to check the server's certificate. Default: false.
    #[serde(default)]
    pub insecure: bool,
}

/// A server: `*`, or scheme, host and, if it is not the scheme's own, port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Server {
    /// Any server. Addresses that are out of bounds for components stay so.
    Any,
    /// This one.
    At {
        /// `http` or `https`.
        scheme: String,
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
}

/// The text names no server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no server: write scheme and host, such as https://api.example.com:443, or *")]
pub struct NoServer(String);

impl TryFrom<String> for Server {
    type Error = NoServer;

    fn try_from(text: String) -> Result<Self, NoServer> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let url = Url::parse(&text).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        });
        url.as_ref().and_then(Self::of).ok_or(NoServer(text))
    }
}

impl Server {
    /// The server that a URL leads to.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        Some(Self::At {
            scheme: url.scheme().to_owned(),
            host: url.host_str()?.to_owned(),
            port: url.port_or_known_default()?,
        })
    }
}

fn read_only() -> Vec<String> {
    vec!["GET".to_owned(), "HEAD".to_owned()]
}

impl Grants {
    /// Any server and method: what the controller's own providers have, whose users name the
    /// servers.
    pub fn any_server() -> Self {
        let any = HttpGrant { url: Server::Any, methods: vec!["*".to_owned()], insecure: true };
        Self { http: vec![any], secrets: Vec::new() }
    }

    /// Whether a request may go out; if not, the grant that is missing.
    pub(crate) fn admit(&self, method: &str, url: &Url, insecure: bool) -> Result<(), String> {
        let asked = Server::of(url);
        let fits = |grant: &HttpGrant| {
            (grant.url == Server::Any || Some(&grant.url) == asked.as_ref())
                && grant.methods.iter().any(|granted| granted == "*" || granted == method)
                && (grant.insecure || !insecure)
        };
        if self.http.iter().any(fits) {
            return Ok(());
        }
        let server = url.origin().ascii_serialization();
        let insecure = if insecure { r#", "insecure": true"# } else { "" };
        Err(format!(r#"needs the grant {{"url": "{server}", "methods": ["{method}"]{insecure}}}"#))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(grants: &str, method: &str, url: &str, insecure: bool) -> Result<(), String> {
        let grants: Grants = serde_json::from_str(grants).unwrap();
        grants.admit(method, &url.parse().unwrap(), insecure)
    }

    #[test]
    fn scheme_host_port_method_and_trust_must_all_fit() {
        let one = r#"{"http": [{"url": "https://api.test"}]}"#;
        assert_eq!(admitted(one, "GET", "https://api.test:443/v1?a=b", false), Ok(()));
        for (method, url, insecure) in [
            ("POST", "https://api.test/", false),
            ("GET", "http://api.test/", false),
            ("GET", "https://api.test:8443/", false),
            ("GET", "https://api.test.evil.test/", false),
            ("GET", "https://api.test@evil.test/", false),
            ("GET", "https://api.test/", true),
        ] {
            assert!(admitted(one, method, url, insecure).is_err(), "{method} {url}");
        }
    }

    #[test]
    fn a_denial_is_the_grant_that_is_missing() {
        let missing = admitted("{}", "POST", "https://api.test/v1", true).unwrap_err();
        let grant = r#"{"url": "https://api.test", "methods": ["POST"], "insecure": true}"#;
        assert_eq!(missing, format!("needs the grant {grant}"));
        let given = format!(r#"{{"http": [{grant}]}}"#);
        assert_eq!(admitted(&given, "POST", "https://api.test/v1", true), Ok(()));
    }

    #[test]
    fn what_is_no_server_is_refused_when_it_is_read() {
        for text in ["api.test", "ftp://api.test", "https://api.test/v1", "https://u@api.test", ""]
        {
            assert!(Server::try_from(text.to_owned()).is_err(), "{text}");
        }
        let typo = serde_json::from_str::<Grants>(r#"{"htpp": []}"#).unwrap_err();
        assert!(typo.to_string().contains("htpp"), "{typo}");
    }
}
