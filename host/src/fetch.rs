//! What servers have for us: asked for with a limit on everything, and known by its digest.

use sha2::{Digest, Sha256};
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};

/// How long one request may take, in milliseconds.
const REQUEST: u64 = 120_000;
/// How many times a server may send us elsewhere.
const MOST_REDIRECTS: usize = 5;

/// Why there is no answer.
#[derive(Debug)]
pub enum Lost {
    /// A request failed.
    Failed(HttpError),
    /// A server sends us to where it is less safe.
    Elsewhere,
    /// Servers send us elsewhere again and again.
    Circling,
}

/// A request for what is at a URL.
pub fn get(url: String) -> HttpRequest {
    HttpRequest { method: "GET".to_owned(), url, timeout_ms: REQUEST, ..HttpRequest::default() }
}

/// The answer to a request; where something is read, redirects are followed. `also` is the header
/// that a request to a URL gets beside its own.
///
/// # Errors
/// See [`Lost`].
pub async fn follow(
    network: &dyn Egress,
    mut request: HttpRequest,
    also: impl Fn(&str) -> Option<(String, String)>,
) -> Result<HttpResponse, Lost> {
    for _ in 0..=MOST_REDIRECTS {
        let mut next = request.clone();
        next.headers.extend(also(&next.url));
        let answer = network.send("", next).await.map_err(Lost::Failed)?;
        let moved = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
        if !moved || !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Ok(answer);
        }
        request.url = redirect(&request.url, &answer).ok_or(Lost::Elsewhere)?;
    }
    Err(Lost::Circling)
}

/// Where a server sends us, if that is no less safe.
pub fn redirect(from: &str, answer: &HttpResponse) -> Option<String> {
    let location = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("location"));
    let base: http::Uri = from.parse().ok()?;
    let location = location?.1.as_str();
    if location.starts_with("https://") {
        return Some(location.to_owned());
    }
    let absolute = location.starts_with('/') && !location.starts_with("//");
    let (scheme, host) = (base.scheme_str()?, base.authority()?);
    absolute.then(|| format!("{scheme}://{host}{location}"))
}

/// A failed request in words.
pub fn words(error: HttpError) -> String {
    match error {
        HttpError::NotGranted(why)
        | HttpError::InvalidRequest(why)
        | HttpError::Connect(why)
        | HttpError::Other(why) => why,
        HttpError::Timeout => "no answer in time".to_owned(),
        HttpError::TooLarge(most) => format!("more than the {most} bytes that it may have"),
    }
}

/// `sha256:` and the digest in hexadecimal.
pub fn digest_of(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_to_https_or_stay_with_the_server() {
        let to = |location: &str| {
            let headers = vec![("Location".to_owned(), location.to_owned())];
            redirect("https://a.test/x?y", &HttpResponse { headers, ..HttpResponse::default() })
        };
        assert_eq!(to("https://b.test/z").as_deref(), Some("https://b.test/z"));
        assert_eq!(to("/z?w").as_deref(), Some("https://a.test/z?w"));
        for refused in ["http://b.test/", "//b.test/", "ftp://b.test/", ""] {
            assert_eq!(to(refused), None, "{refused}");
        }
    }
}
