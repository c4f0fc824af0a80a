//! HTTP: one whole request, one whole answer. The host follows no redirects.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::host;

/// What is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// Absolute.
    pub url: String,
    /// In order; names may repeat.
    pub headers: Vec<(String, String)>,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
    /// In milliseconds. `None` is the host's default; never longer than the call may take.
    pub timeout_ms: Option<u32>,
    /// Whether the server's certificate goes unchecked, which needs a grant.
    pub insecure: bool,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// In order; names may repeat.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// No grant covers this scheme, host, port and method; the text is the missing grant.
    NotGranted(String),
    /// The host cannot send such a request.
    InvalidRequest(String),
    /// No answer in time.
    Timeout,
    /// The name, the connection or the handshake.
    Connect(String),
    /// The answer is larger than the plugin's limit, in bytes.
    TooLarge(u64),
    /// Anything else.
    Other(String),
}

/// Starts a GET request.
pub fn get(url: impl Into<String>) -> Builder {
    request("GET", url)
}

/// Starts a POST request.
pub fn post(url: impl Into<String>) -> Builder {
    request("POST", url)
}

/// Starts a PUT request.
pub fn put(url: impl Into<String>) -> Builder {
    request("PUT", url)
}

/// Starts a request; the method is in capitals.
pub fn request(method: impl Into<String>, url: impl Into<String>) -> Builder {
    let request = Request { method: method.into(), url: url.into(), ..Request::default() };
    Builder { request, failed: None }
}

/// A request that is being put together.
#[derive(Debug)]
#[must_use = "nothing is sent before `send`"]
pub struct Builder {
    request: Request,
    failed: Option<Error>,
}

impl Builder {
    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.headers.push((name.into(), value.into()));
        self
    }

    /// Adds fields to the URL's query, escaped.
    pub fn query<V: AsRef<str>>(mut self, fields: &[(&str, V)]) -> Self {
        if !fields.is_empty() {
            let joint = if self.request.url.contains('?') { '&' } else { '?' };
            self.request.url.push(joint);
            self.request.url.push_str(&encode(fields));
        }
        self
    }

    /// Sends fields as a form.
    pub fn form<V: AsRef<str>>(self, fields: &[(&str, V)]) -> Self {
        self.header("content-type", "application/x-www-form-urlencoded").body(encode(fields))
    }

    /// Sends a value as JSON.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => self.header("content-type", "application/json").body(bytes),
            Err(error) => {
                self.failed = Some(error.into());
                self
            }
        }
    }

    /// Sends bytes.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.request.body = Some(bytes.into());
        self
    }

    /// Sends a user's name and password.
    pub fn basic_auth(self, user: &str, password: &str) -> Self {
        let credentials = base64(format!("{user}:{password}").as_bytes());
        self.header("authorization", format!("Basic {credentials}"))
    }

    /// Waits no longer than this for the answer.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout_ms = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Does not check the server's certificate, if the plugin was granted that.
    pub fn insecure(mut self, insecure: bool) -> Self {
        self.request.insecure = insecure;
        self
    }

    /// The request as it would be sent.
    pub fn build(self) -> Request {
        self.request
    }

    /// Sends it. Any status is an answer: see [`Response::success`] and [`Response::json`].
    ///
    /// # Errors
    /// If nothing came back, as the conversion from [`HttpError`] says, or a body could not be
    /// written as JSON.
    pub fn send(self) -> Result<Response> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok(send(&self.request)?),
        }
    }
}

/// Sends a request, for callers that tell the errors apart.
///
/// # Errors
/// If nothing came back.
pub fn send(request: &Request) -> Result<Response, HttpError> {
    host::send(request)
}

impl Response {
    /// Whether the status is one of 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The answer itself if its status says that all went well.
    ///
    /// # Errors
    /// [`Error::Transient`] for 429 and 5xx, with the seconds of a `Retry-After`; otherwise
    /// [`Error::Failed`] with a code such as `http-404`. The text has the beginning of the body.
    pub fn success(self) -> Result<Self> {
        if self.is_success() {
            return Ok(self);
        }
        Err(self.refusal(format!("HTTP {}{}", self.status, self.excerpt())))
    }

    /// The JSON of the body, if the status says that all went well.
    ///
    /// # Errors
    /// As [`Response::success`], or [`Error::Failed`] with the code `bad-json`.
    pub fn json<T: DeserializeOwned>(self) -> Result<T> {
        Ok(serde_json::from_slice(&self.success()?.body)?)
    }

    /// An error for this status, with a text of the author's own.
    pub fn refusal(&self, message: String) -> Error {
        match self.status {
            429 | 500..=599 => {
                let seconds = self.header("retry-after").and_then(|text| text.trim().parse().ok());
                let error = Error::transient(message);
                match seconds {
                    Some(seconds) => error.after(Duration::from_secs(seconds)),
                    None => error,
                }
            }
            status => Error::failed(format!("http-{status}"), message),
        }
    }

    fn excerpt(&self) -> String {
        const LONGEST: usize = 512;
        let text = self.text();
        let text = text.trim();
        match text.char_indices().nth(LONGEST) {
            _ if text.is_empty() => String::new(),
            Some((end, _)) => format!(": {}…", &text[..end]),
            None => format!(": {text}"),
        }
    }
}

impl From<HttpError> for Error {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::NotGranted(grant) => {
                Self::failed("not-granted", format!("the plugin lacks the grant {grant}"))
            }
            HttpError::InvalidRequest(why) => {
                Self::failed("invalid-request", format!("invalid request: {why}"))
            }
            HttpError::Timeout => Self::transient("no answer in time"),
            HttpError::Connect(why) => Self::transient(format!("cannot connect: {why}")),
            HttpError::TooLarge(limit) => {
                Self::failed("too-large", format!("the answer is larger than {limit} bytes"))
            }
            HttpError::Other(why) => Self::transient(why),
        }
    }
}

/// Fields as in a form or a URL's query.
pub fn encode<V: AsRef<str>>(fields: &[(&str, V)]) -> String {
    let mut out = String::new();
    for (name, value) in fields {
        if !out.is_empty() {
            out.push('&');
        }
        escape(name, &mut out);
        out.push('=');
        escape(value.as_ref(), &mut out);
    }
    out
}

fn escape(text: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) as usize & 63;
            out.push(if digit <= chunk.len() { char::from(DIGITS[value]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_queries_are_escaped() {
        let fields = [("query", "rate(x{a=\"b\"}[5m]) > 0"), ("é", "~")];
        assert_eq!(
            encode(&fields),
            "query=rate%28x%7Ba%3D%22b%22%7D%5B5m%5D%29%20%3E%200&%C3%A9=~"
        );
        assert_eq!(get("http://h/?a=1").query(&[("b", "2")]).build().url, "http://h/?a=1&b=2");
    }

    #[test]
    fn credentials_are_base64() {
        for (text, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
        let request = get("http://h/").basic_auth("Aladdin", "open sesame").build();
        assert_eq!(request.headers[0].1, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn a_busy_server_is_worth_another_try_when_it_says() {
        let headers = vec![("Retry-After".to_owned(), "7".to_owned())];
        let answer = Response { status: 429, headers, body: b"slow down".to_vec() };
        assert_eq!(
            answer.success(),
            Err(Error::Transient {
                message: "HTTP 429: slow down".to_owned(),
                after_ms: Some(7000)
            })
        );
    }

    #[test]
    fn other_refusals_have_a_code() {
        let answer = Response { status: 404, ..Response::default() };
        assert_eq!(answer.success(), Err(Error::failed("http-404", "HTTP 404")));
    }
}
