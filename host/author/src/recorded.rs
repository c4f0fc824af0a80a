//! A network that answers from a case and writes down what it was asked.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};
use url::Url;

use crate::cases::{Exchange, Request};
use crate::difference::difference;

/// What a network does with requests.
#[derive(Clone, Debug, Default)]
pub(crate) enum Mode {
    /// Answers what was recorded.
    #[default]
    Recorded,
    /// Fails the same way every time.
    Fails(HttpError),
    /// Answers the same thing every time.
    Answers(HttpResponse),
    /// Never answers.
    Silent,
}

/// The network.
#[derive(Default)]
pub(crate) struct Recorded {
    play: Mutex<Play>,
}

#[derive(Default)]
struct Play {
    mode: Mode,
    exchanges: Vec<(Exchange, bool)>,
    asked: usize,
    problems: Vec<String>,
}

/// What came of a call, as the network saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// How many requests there were.
    pub(crate) asked: usize,
    /// What was wrong with them.
    pub(crate) problems: Vec<String>,
}

impl Recorded {
    /// Begins anew.
    pub(crate) fn begin(&self, exchanges: &[Exchange], mode: Mode) {
        let exchanges = exchanges.iter().map(|exchange| (exchange.clone(), false)).collect();
        *self.locked() = Play { mode, exchanges, asked: 0, problems: Vec::new() };
    }

    /// What was seen since then. Recorded requests that were not sent are problems too.
    pub(crate) fn end(&self) -> Seen {
        let mut play = std::mem::take(&mut *self.locked());
        if matches!(play.mode, Mode::Recorded) {
            let unsent = play.exchanges.iter().filter(|(_, used)| !used);
            play.problems.extend(unsent.map(|(exchange, _)| {
                format!("not asked for: {} {}", exchange.request.method, exchange.request.url)
            }));
        }
        Seen { asked: play.asked, problems: play.problems }
    }

    fn locked(&self) -> MutexGuard<'_, Play> {
        self.play.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a request is answered; `None` is nothing, ever.
    fn answer(&self, request: &HttpRequest) -> Option<Result<HttpResponse, HttpError>> {
        let mut play = self.locked();
        play.asked += 1;
        match &play.mode {
            Mode::Fails(error) => Some(Err(error.clone())),
            Mode::Answers(response) => Some(Ok(response.clone())),
            Mode::Silent => None,
            Mode::Recorded => Some(play.next(request)),
        }
    }
}

impl Play {
    fn next(&mut self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let next = self.exchanges.iter().position(|(exchange, used)| {
            !used
                && exchange.request.method == request.method
                && same_url(&exchange.request, request)
        });
        let Some(at) = next else {
            let text = format!("{} {}", request.method, request.url);
            self.problems.push(format!(
                "asked for what the case has no answer to: {text}\n{}",
                suggestion(request)
            ));
            return Err(HttpError::Other(format!("the case has no answer to {text}")));
        };
        if let Some(earlier) = self.exchanges[..at].iter().find(|(_, used)| !used) {
            let earlier = format!("{} {}", earlier.0.request.method, earlier.0.request.url);
            let text = format!("{} {}", request.method, request.url);
            self.problems.push(format!("asked for {text} before {earlier}"));
        }
        self.exchanges[at].1 = true;
        let exchange = self.exchanges[at].0.clone();
        if let Some(problem) = compare(&exchange.request, request) {
            self.problems.push(problem);
        }
        match exchange.error {
            Some(error) => Err(error.into()),
            None => Ok(HttpResponse {
                status: exchange.response.status,
                headers: exchange.response.headers.clone().into_iter().collect(),
                body: exchange.response.bytes(),
            }),
        }
    }
}

impl Egress for Recorded {
    fn send<'a>(
        &'a self,
        _plugin: &'a str,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        Box::pin(async move {
            match self.answer(&request) {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }
}

/// URLs are the same when they mean the same: a space in a query is `+` or `%20`.
fn same_url(expected: &Request, sent: &HttpRequest) -> bool {
    let parts = |text: &str| {
        let mut url = text.parse::<Url>().ok()?;
        let fields: Vec<_> = url.query_pairs().into_owned().collect();
        url.set_query(None);
        Some((url, fields))
    };
    parts(&expected.url) == parts(&sent.url)
}

/// What differs between a request as recorded and as it was sent, as far as the case cares.
fn compare(expected: &Request, sent: &HttpRequest) -> Option<String> {
    let mut want = serde_json::Map::new();
    let mut got = serde_json::Map::new();
    for (name, value) in &expected.headers {
        want.insert(name.clone(), json!(value));
        let found = sent.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        got.insert(name.clone(), found.map_or(Value::Null, |(_, value)| json!(value)));
    }
    let (mut want, mut got) = match want.is_empty() {
        true => (json!({}), json!({})),
        false => (json!({"headers": want}), json!({"headers": got})),
    };
    let body = sent.body.as_deref().unwrap_or_default();
    if let Some(json) = &expected.json {
        want["json"] = json.clone();
        got["json"] = serde_json::from_slice(body).unwrap_or_else(|_| text(body));
    } else if let Some(text) = &expected.body {
        want["body"] = json!(text);
        got["body"] = self::text(body);
    }
    let difference = difference(&want, &got)?;
    Some(format!("{} {} differs:\n{difference}", expected.method, expected.url))
}

fn text(body: &[u8]) -> Value {
    json!(String::from_utf8_lossy(body))
}

/// What to add to the case.
fn suggestion(request: &HttpRequest) -> String {
    let mut wanted = json!({"method": request.method, "url": request.url});
    if let Some(body) = request.body.as_deref().filter(|body| !body.is_empty()) {
        match serde_json::from_slice::<Value>(body) {
            Ok(json) => wanted["json"] = json,
            Err(_) => wanted["body"] = text(body),
        }
    }
    let entry = json!({"http": [{"request": wanted, "response": {"status": 200, "json": {}}}]});
    let entry = crate::difference::yaml(&entry);
    let lines: Vec<_> = entry.lines().map(|line| format!("    {line}")).collect();
    format!("  to allow it, add to the case:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(text: &str) -> Exchange {
        serde_saphyr::from_str(text).unwrap()
    }

    fn sent(method: &str, url: &str, body: &str) -> HttpRequest {
        HttpRequest {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: vec![("X-Team".to_owned(), "shop".to_owned())],
            body: Some(body.as_bytes().to_vec()),
            ..HttpRequest::default()
        }
    }

    #[test]
    fn requests_are_held_to_what_was_recorded() {
        let network = Recorded::default();
        let one = exchange("{request: {method: POST, url: 'http://a', json: {count: 1}}}");
        network.begin(std::slice::from_ref(&one), Mode::Recorded);
        assert!(network.answer(&sent("POST", "http://a/", r#"{"count": 1}"#)).unwrap().is_ok());
        assert_eq!(network.end(), Seen { asked: 1, problems: vec![] });

        network.begin(std::slice::from_ref(&one), Mode::Recorded);
        assert!(network.answer(&sent("POST", "http://a/", r#"{"count": 2}"#)).unwrap().is_ok());
        let seen = network.end();
        assert!(seen.problems[0].contains("-   count: 1\n  +   count: 2"), "{seen:?}");

        network.begin(&[one], Mode::Recorded);
        assert!(network.answer(&sent("GET", "http://a/", "")).unwrap().is_err());
        let seen = network.end();
        assert!(seen.problems[0].contains("url: http://a/"), "{seen:?}");
        assert_eq!(seen.problems[1], "not asked for: POST http://a");
    }

    #[test]
    fn urls_that_mean_the_same_are_the_same() {
        let expected = exchange("{request: {url: 'http://a/?q=x+y%3D1'}}").request;
        for (url, same) in [
            ("http://a:80/?q=x%20y=1", true),
            ("http://a/?q=x", false),
            ("http://a/b?q=x+y%3D1", false),
            ("https://a/?q=x+y%3D1", false),
        ] {
            assert_eq!(same_url(&expected, &sent("GET", url, "")), same, "{url}");
        }
    }

    #[test]
    fn headers_that_matter_must_be_there_and_others_may() {
        let network = Recorded::default();
        for (headers, problems) in [("{x-team: shop}", 0), ("{x-team: bank}", 1), ("{a: b}", 1)] {
            let one = exchange(&format!("{{request: {{url: 'http://a', headers: {headers}}}}}"));
            network.begin(&[one], Mode::Recorded);
            assert!(network.answer(&sent("GET", "http://a/", "")).unwrap().is_ok());
            assert_eq!(network.end().problems.len(), problems, "{headers}");
        }
    }
}
