//! Image references, as everybody writes them.

use std::fmt;
use std::net::Ipv4Addr;

use super::RegistryError;

const HUB: &str = "docker.io";
const HUB_SERVER: &str = "registry-1.docker.io";

/// `[SERVER/]REPOSITORY[:TAG][@DIGEST]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Host and, if it is not the usual one, port.
    pub server: String,
    /// The repository.
    pub repository: String,
    /// The tag; `latest` if there is neither tag nor digest.
    pub tag: Option<String>,
    /// The digest of the manifest.
    pub digest: Option<String>,
}

impl Reference {
    /// Read one.
    ///
    /// # Errors
    /// [`RegistryError::Reference`].
    pub fn read(text: &str) -> Result<Self, RegistryError> {
        let wrong = || RegistryError::Reference(text.to_owned());
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) if sluice_plugins::wish::is_digest(digest) => {
                (rest, Some(digest.to_owned()))
            }
            Some(_) => return Err(wrong()),
            None => (text, None),
        };
        let (server, path) = match rest.split_once('/') {
            Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => {
                (first, path)
            }
            _ => (HUB, rest),
        };
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (path, None),
        };
        let is_word = |text: &str, more: &str| {
            let fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c) || more.contains(c);
            !text.is_empty() && text.chars().all(fine)
        };
        let repository = match server {
            HUB if !repository.contains('/') => format!("library/{repository}"),
            _ => repository.to_owned(),
        };
        // A URL has no such parts: another repository would be asked for.
        let is_dots = |part: &str| part == "." || part == "..";
        let parts = repository.split('/').all(|part| is_word(part, "") && !is_dots(part));
        let fine = parts
            && is_word(server, ":")
            && tag.as_ref().is_none_or(|tag| is_word(tag, "") && tag.len() <= 128)
            && repository.chars().all(|c| !c.is_ascii_uppercase());
        let tag = tag.or_else(|| digest.is_none().then(|| "latest".to_owned()));
        let server = server.to_owned();
        fine.then_some(Self { server, repository, tag, digest }).ok_or_else(wrong)
    }

    /// What is asked for: the digest, or else the tag.
    pub fn version(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }

    /// The URL of something in the repository. As with Docker, a registry on this machine is
    /// spoken to in the clear.
    pub fn url(&self, path: &str) -> String {
        let server = if self.server == HUB { HUB_SERVER } else { &self.server };
        let host = server.split(':').next().unwrap_or(server);
        // A name may begin like an address of this machine and be somebody else's.
        let is_here = host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
        let scheme = if host == "localhost" || is_here { "http" } else { "https" };
        format!("{scheme}://{server}/v2/{}/{path}", self.repository)
    }

    /// Where to ask for the right to read the repository, or to write to it as well.
    pub fn token_url(&self, realm: &str, service: Option<&str>, writes: bool) -> String {
        let actions = if writes { "pull,push" } else { "pull" };
        let mark = if realm.contains('?') { '&' } else { '?' };
        let scope = format!("scope=repository:{}:{actions}", self.repository);
        let escape = |text: &str| -> String {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-~".contains(&byte);
            text.bytes()
                .map(|byte| match plain(byte) {
                    true => char::from(byte).to_string(),
                    false => format!("%{byte:02X}"),
                })
                .collect()
        };
        let service = service.map(|service| format!("&service={}", escape(service)));
        format!("{realm}{mark}{scope}{}", service.unwrap_or_default())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.server, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, String) {
        let reference = Reference::read(text).unwrap();
        (reference.to_string(), reference.url("blobs/x"))
    }

    #[test]
    fn references_are_those_of_docker() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let table = [
            (
                "acme/x".to_owned(),
                "docker.io/acme/x:latest".to_owned(),
                "https://registry-1.docker.io/v2/acme/x/blobs/x",
            ),
            (
                "x:1".to_owned(),
                "docker.io/library/x:1".to_owned(),
                "https://registry-1.docker.io/v2/library/x/blobs/x",
            ),
            (
                "ghcr.io/a/b:1.4".to_owned(),
                "ghcr.io/a/b:1.4".to_owned(),
                "https://ghcr.io/v2/a/b/blobs/x",
            ),
            (
                "r.test:5000/a".to_owned(),
                "r.test:5000/a:latest".to_owned(),
                "https://r.test:5000/v2/a/blobs/x",
            ),
            (
                "localhost:5000/a".to_owned(),
                "localhost:5000/a:latest".to_owned(),
                "http://localhost:5000/v2/a/blobs/x",
            ),
            (
                "127.evil.test/a".to_owned(),
                "127.evil.test/a:latest".to_owned(),
                "https://127.evil.test/v2/a/blobs/x",
            ),
            (
                format!("ghcr.io/a/b@{digest}"),
                format!("ghcr.io/a/b@{digest}"),
                "https://ghcr.io/v2/a/b/blobs/x",
            ),
        ];
        for (text, whole, url) in table {
            assert_eq!(read(&text), (whole, url.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in
            ["", "A/b", "ghcr.io/", "ghcr.io/a b", "a@sha256:1", "a:b:c", "a/../b", "a/./b", "a//b"]
        {
            assert!(Reference::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_is_asked_for_the_repository() {
        let reference = Reference::read("ghcr.io/a/b").unwrap();
        assert_eq!(
            reference.token_url("https://t.test/token", Some("a&b"), true),
            "https://t.test/token?scope=repository:a/b:pull,push&service=a%26b"
        );
    }
}
