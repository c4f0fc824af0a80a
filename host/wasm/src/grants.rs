//! What a component may do beyond computing. Empty permits nothing.

use reqwest::Url;
use serde::Deserialize;
use sluice_port::Rights;
use sluice_port::rights::{Grant, Written, Wrong};

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
    /// The objects that a router may touch. Absent is what routers usually may, and an empty list
    /// nothing.
    #[serde(default)]
    pub kubernetes: Option<Vec<KubernetesGrant>>,
}

/// Objects that a router may touch; written like `permissions.kubernetes` of a Plugin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenGrant")]
pub struct KubernetesGrant(pub Grant);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenGrant {
    api_version: String,
    kinds: Vec<String>,
    verbs: Vec<String>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    names: Option<Vec<String>>,
}

impl TryFrom<WrittenGrant> for KubernetesGrant {
    type Error = Wrong;

    fn try_from(written: WrittenGrant) -> Result<Self, Wrong> {
        let WrittenGrant { api_version, kinds, verbs, scope, names } = &written;
        let (scope, names) = (scope.as_deref(), names.as_deref());
        Grant::read(Written { api_version, kinds, verbs, scope, names }).map(Self)
    }
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
        Self { http: vec![any], ..Self::default() }
    }

    /// Which objects a router with these grants may touch.
    pub fn rights(&self) -> Rights {
        match &self.kubernetes {
            None => Rights::Usual,
            Some(grants) => {
                Rights::Granted(grants.iter().map(|KubernetesGrant(one)| one.clone()).collect())
            }
        }
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
    fn no_list_of_objects_is_the_usual_and_an_empty_one_is_nothing() {
        let rights = |text: &str| serde_json::from_str::<Grants>(text).unwrap().rights();
        assert_eq!(rights("{}"), Rights::Usual);
        assert_eq!(rights(r#"{"kubernetes": []}"#), Rights::NONE);
        assert_eq!(Grants::any_server().rights(), Rights::Usual, "bundled routers");
    }

    #[test]
    fn what_is_no_server_is_refused_when_it_is_read() {
        for text in ["api.test", "ftp://api.test", "https://api.test/v1", "https://u@api.test", ""]
        {
            assert!(Server::try_from(text.to_owned()).is_err(), "{text}");
        }
        let typo =
            r#"{"kubernetes": [{"apiVersion": "v1", "kinds": ["Pod"], "verbs": ["watch"]}]}"#;
        let typo = serde_json::from_str::<Grants>(typo).unwrap_err().to_string();
        assert!(typo.contains("\"watch\" is none; there are get, find"), "{typo}");
        let typo = serde_json::from_str::<Grants>(r#"{"htpp": []}"#).unwrap_err();
        assert!(typo.to_string().contains("htpp"), "{typo}");
    }
}
