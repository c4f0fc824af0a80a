//! URLs of servers.

use sluice_sdk::metric::{Error, Result};

/// The variable of the controller's environment that names the server of all metrics which name
/// none.
pub const VARIABLE: &str = "ARGO_ROLLOUTS_PROMETHEUS_ADDRESS";

/// Whether queries can go there.
///
/// # Errors
/// [`Error::InvalidConfig`], if it is empty or no URL.
pub fn check(address: &str) -> Result<()> {
    if address.is_empty() {
        return Err(Error::invalid_config(format!(
            "address: prometheus address is not configured; set it here, or {VARIABLE} for the \
             controller"
        )));
    }
    let host = address
        .split_once("://")
        .filter(|(scheme, _)| is_scheme(scheme))
        .map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    match host {
        Some(host) if !host.is_empty() && !host.contains(char::is_whitespace) => Ok(()),
        _ => Err(Error::invalid_config(format!(
            "address: prometheus address is not is url format: `{address}`; it should be like \
             http://prometheus.monitoring:9090"
        ))),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// The URL of one of the API's resources, such as `query`. What the address has for a path and a
/// query stays.
pub fn resource(address: &str, name: &str) -> String {
    let address = address.split('#').next().unwrap_or_default();
    let (base, query) = match address.split_once('?') {
        Some((base, query)) => (base, Some(query)),
        None => (address, None),
    };
    let url = format!("{}/api/v1/{name}", base.trim_end_matches('/'));
    match query {
        Some(query) if !query.is_empty() => format!("{url}?{query}"),
        _ => url,
    }
}

/// A URL for messages: without its query, and without the name and the password that it may have
/// before its host, since messages are kept where more people read than may sign in.
pub fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        for good in ["http://p", "https://p:9090/", "http://10.0.0.1:80/base?tenant=a"] {
            assert_eq!(check(good), Ok(()));
        }
        for bad in ["p:9090", "http://", "http:///path", "://p", "1http://p", "http://a b"] {
            let error = check(bad).unwrap_err();
            assert!(error.message().contains("prometheus address is not is url format"), "{bad}");
        }
    }

    #[test]
    fn resources_keep_the_path_and_the_query_of_the_address() {
        assert_eq!(resource("http://p", "query"), "http://p/api/v1/query");
        assert_eq!(resource("http://p/base/", "query"), "http://p/base/api/v1/query");
        assert_eq!(resource("http://p/b?t=a#x", "query"), "http://p/b/api/v1/query?t=a");
    }

    #[test]
    fn messages_have_no_password() {
        for (url, shown) in [
            ("http://ann:s3cret@p:9090/api/v1/query?query=up", "http://p:9090/api/v1/query"),
            ("http://ann:s@cret@p", "http://p"),
            ("http://p/a@b", "http://p/a@b"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }
}
