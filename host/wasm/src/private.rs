//! What a component may use without holding it: credentials that the host adds to its requests,
//! and secrets that it asks for by alias.

use std::collections::BTreeMap;
use std::fmt;

use reqwest::Url;

use crate::grants::Server;

/// Values of Secrets for one component. They are in no log, no metric and no debug output.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Private {
    /// Headers for requests to a server. The first that fits a request is added to it, and takes
    /// the place of a header of that name which the component set.
    pub credentials: Vec<Credential>,
    /// Secrets by the alias that the component asks with.
    pub secrets: BTreeMap<String, Vec<u8>>,
}

/// A header that carries a credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// For requests to which server; [`Server::Any`] is none, since a credential is for somebody.
    pub server: Server,
    /// The header's name.
    pub header: String,
    /// All of its value.
    pub value: String,
}

impl Private {
    /// Add to a request what is for its server.
    pub(crate) fn sign(&self, url: &Url, headers: &mut Vec<(String, String)>) {
        let fits = |credential: &&Credential| match &credential.server {
            Server::Any => false,
            server @ Server::At { .. } => Some(server) == Server::of(url).as_ref(),
        };
        let Some(credential) = self.credentials.iter().find(fits) else { return };
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case(&credential.header));
        headers.push((credential.header.clone(), credential.value.clone()));
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Private")
            .field("credentials", &self.credentials)
            .field("secrets", &self.secrets.keys())
            .finish()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("server", &self.server)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn private() -> Private {
        let server = Server::try_from("https://api.test".to_owned()).unwrap();
        let credential =
            Credential { server, header: "Authorization".into(), value: "Bearer hunter2".into() };
        Private { credentials: vec![credential], ..Private::default() }
    }

    fn signed(url: &str) -> Vec<(String, String)> {
        let mut headers = vec![("authorization".to_owned(), "my own".to_owned())];
        private().sign(&url.parse().unwrap(), &mut headers);
        headers
    }

    #[test]
    fn a_credential_goes_to_its_server_and_nowhere_else() {
        let header = ("Authorization".to_owned(), "Bearer hunter2".to_owned());
        assert_eq!(signed("https://api.test:443/v1"), [header]);
        for url in ["http://api.test/v1", "https://api.test:8443/", "https://api.test.evil.test/"] {
            assert_eq!(signed(url)[0].1, "my own", "{url}");
        }
    }

    #[test]
    fn values_are_in_no_debug_output() {
        let mut private = private();
        private.secrets.insert("token".into(), b"hunter2".to_vec());
        let text = format!("{private:?}");
        assert!(text.contains("token") && text.contains("Authorization"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(!text.contains("104, 117"), "{text}");
    }
}
