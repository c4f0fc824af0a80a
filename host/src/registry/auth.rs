//! Who asks a registry, and how it wants to be told.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// A user and a password or token, as `USER:PASSWORD` in base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials(String);

impl Credentials {
    /// Those for a registry in a file of the form of `~/.docker/config.json`, which is also that of
    /// a Secret of the type `kubernetes.io/dockerconfigjson`.
    pub fn read(config: &[u8], server: &str) -> Option<Self> {
        let config: Value = serde_json::from_slice(config).ok()?;
        let auths = config["auths"].as_object()?;
        let hub = ["https://index.docker.io/v1/", "index.docker.io"];
        let names = |name: &String| {
            let bare = name.trim_start_matches("https://").trim_start_matches("http://");
            let bare = bare.split('/').next().unwrap_or(bare);
            bare == server || (server == "docker.io" && hub.contains(&name.as_str()))
        };
        let (_, entry) = auths.iter().find(|(name, _)| names(name))?;
        if let Some(auth) = entry["auth"].as_str().filter(|auth| !auth.is_empty()) {
            STANDARD.decode(auth).ok()?;
            return Some(Self(auth.to_owned()));
        }
        let (user, password) = (entry["username"].as_str()?, entry["password"].as_str()?);
        Some(Self(STANDARD.encode(format!("{user}:{password}"))))
    }

    /// Those of the person at the keyboard: `$DOCKER_CONFIG/config.json`, or that in `~/.docker`.
    pub fn of_user(server: &str) -> Option<Self> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let folder = set("DOCKER_CONFIG").map(PathBuf::from);
        let folder = folder.or_else(|| Some(PathBuf::from(set("HOME")?).join(".docker")))?;
        Self::read(&std::fs::read(folder.join("config.json")).ok()?, server)
    }

    /// The header's value.
    pub fn basic(&self) -> String {
        format!("Basic {}", self.0)
    }
}

/// What a registry wants before it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// User and password.
    Basic,
    /// A token from there.
    Bearer {
        /// Where.
        realm: String,
        /// For which service.
        service: Option<String>,
    },
}

impl Challenge {
    /// Read the header `WWW-Authenticate`.
    pub fn read(header: &str) -> Option<Self> {
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        match scheme.to_ascii_lowercase().as_str() {
            "basic" => Some(Self::Basic),
            "bearer" => {
                let value = |wanted: &str| {
                    let at = rest.find(&format!("{wanted}=\""))? + wanted.len() + 2;
                    rest[at..].split('"').next().map(str::to_owned)
                };
                Some(Self::Bearer { realm: value("realm")?, service: value("service") })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_found_for_their_registry_alone() {
        let config = br#"{"auths": {
            "ghcr.io": {"auth": "YTpi"},
            "https://r.test:5000/v2/": {"username": "u", "password": "p"},
            "https://index.docker.io/v1/": {"auth": "aHVi"},
            "broken.test": {"auth": "?"}
        }}"#;
        let found = |server: &str| Credentials::read(config, server).map(|found| found.basic());
        assert_eq!(found("ghcr.io").as_deref(), Some("Basic YTpi"));
        assert_eq!(found("r.test:5000").as_deref(), Some("Basic dTpw"));
        assert_eq!(found("docker.io").as_deref(), Some("Basic aHVi"));
        for server in ["broken.test", "hcr.io", "ghcr.io.evil.test", "r.test"] {
            assert_eq!(found(server), None, "{server}");
        }
    }

    #[test]
    fn a_challenge_says_where_tokens_are() {
        let bearer = r#"Bearer realm="https://auth.test/token",service="r.test",scope="x""#;
        let (realm, service) = ("https://auth.test/token".to_owned(), Some("r.test".to_owned()));
        assert_eq!(Challenge::read(bearer), Some(Challenge::Bearer { realm, service }));
        assert_eq!(Challenge::read("Basic realm=\"test\""), Some(Challenge::Basic));
        assert_eq!(Challenge::read("Negotiate"), None);
    }
}
