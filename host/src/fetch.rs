//! What servers have for us: asked for with a limit on everything, and known by its digest.

use std::future::Future;
use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use sha2::{Digest, Sha256};
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};

/// How long one request may take, in milliseconds.
const REQUEST: u64 = 120_000;
/// How long everything may take that one component needs, be it however many requests. Each of them
/// has its own limit, and a server that uses up every one would keep us for an hour.
const WHOLE: Duration = Duration::from_secs(300);
/// The longest that a server can ask to be left alone.
const LONGEST_REST: Duration = Duration::from_secs(3600);
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
    /// What is sent is packed, though nobody asked for that: in what way.
    Packed(String),
}

/// A request for what is at a URL, as it is: how much a packed answer becomes is known only when it
/// is there.
pub fn get(url: String) -> HttpRequest {
    let headers = vec![("accept-encoding".to_owned(), "identity".to_owned())];
    let method = "GET".to_owned();
    HttpRequest { method, url, headers, timeout_ms: REQUEST, ..HttpRequest::default() }
}

/// Do all that one component needs, unless it takes too long altogether.
///
/// # Errors
/// It did: in words.
pub async fn in_time<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let done = tokio::time::timeout(WHOLE, work).await;
    done.map_err(|_| format!("it is not all there after {} seconds", WHOLE.as_secs()))
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
        if let Some(packed) = header(&answer, "content-encoding").filter(|way| way != "identity") {
            return Err(Lost::Packed(packed));
        }
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
    let base: http::Uri = from.parse().ok()?;
    let location = header(answer, "location")?;
    if location.starts_with("https://") {
        return Some(location);
    }
    let absolute = location.starts_with('/') && !location.starts_with("//");
    let (scheme, host) = (base.scheme_str()?, base.authority()?);
    absolute.then(|| format!("{scheme}://{host}{location}"))
}

/// The first header of a name.
pub fn header(answer: &HttpResponse, name: &str) -> Option<String> {
    let found = answer.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.clone())
}

/// For how long a server that has too much to do asks to be left alone, as seconds or as a time.
pub fn rest(answer: &HttpResponse) -> Option<Duration> {
    let asked = header(answer, "retry-after").filter(|_| matches!(answer.status, 429 | 503))?;
    let rest = match asked.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = DateTimeParser::new().parse_timestamp(&asked).ok()?;
            until.duration_since(jiff::Timestamp::now()).try_into().ok()?
        }
    };
    Some(rest.min(LONGEST_REST))
}

/// What such a server asks, in words.
pub fn left_alone(rest: Duration) -> String {
    format!("it asks to be left alone for {} seconds", rest.as_secs())
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
    fn a_server_is_left_alone_for_as_long_as_it_says_and_no_longer_than_an_hour() {
        let asked = |status, text: &str| {
            let headers = vec![("Retry-After".to_owned(), text.to_owned())];
            rest(&HttpResponse { status, headers, ..HttpResponse::default() })
        };
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        assert_eq!(asked(429, "60"), Some(minute));
        assert_eq!(asked(503, "18446744073709551615"), Some(hour));
        assert_eq!(asked(429, "Thu, 31 Dec 9998 23:59:59 GMT"), Some(hour));
        let soon = (jiff::Timestamp::now() + minute).strftime("%a, %d %b %Y %T GMT").to_string();
        let rest = asked(429, &soon).unwrap();
        assert!(rest <= minute && rest > minute / 2, "{rest:?}");
        for past_or_nonsense in ["Sun, 06 Nov 1994 08:49:37 GMT", "-1", "soon", "", "1e9"] {
            assert_eq!(asked(429, past_or_nonsense), None, "{past_or_nonsense}");
        }
        assert_eq!(asked(404, "60"), None, "what is not there does not come by waiting");
    }

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
