//! A host for unit tests: it answers from a script and records what it was asked.
//!
//! ```
//! # use sluice_sdk::{Deserialize, Value, json, metric::*, testing::Host};
//! # #[derive(Deserialize)]
//! # struct Config { address: String }
//! # struct Mine;
//! # impl Provider for Mine {
//! #     type Config = Config;
//! #     fn run(_: &Context, c: Config) -> Result<Measurement> {
//! #         let answer: Value = http::get(c.address).send()?.json()?;
//! #         Ok(Measurement::value(answer))
//! #     }
//! # }
//! let ran = Host::new()
//!     .answers("GET http://shop/rate", 503, json!("busy"))
//!     .run::<Mine>(json!({ "address": "http://shop/rate" }));
//! assert!(matches!(ran.result, Err(Error::Transient { .. })));
//! assert_eq!(ran.requests.len(), 1);
//! ```

mod notify;
mod step;

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::Result;
use crate::http::{HttpError, Request, Response};
use crate::log::Level;
use crate::metric::{Context, Measurement, Provider};
use crate::secrets::SecretError;

thread_local!(static HOST: RefCell<Host> = RefCell::default());

/// A host that answers from a script.
#[derive(Debug, Default)]
pub struct Host {
    context: Context,
    step: crate::step::Context,
    now_ms: i64,
    script: Vec<Scripted>,
    secrets: BTreeMap<String, Vec<u8>>,
    variables: BTreeMap<String, String>,
    requests: Vec<Request>,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Scripted {
    route: String,
    answer: Result<Response, HttpError>,
    used: bool,
}

/// A log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// Its text.
    pub message: String,
    /// Pairs of name and value.
    pub fields: Vec<(String, String)>,
}

/// What a call answered, and what it did.
#[derive(Debug)]
pub struct Ran<T> {
    /// The answer.
    pub result: Result<T>,
    /// What was sent, in order.
    pub requests: Vec<Request>,
    /// What was logged, in order.
    pub lines: Vec<Line>,
}

impl Host {
    /// A host that grants nothing yet, at the beginning of 1970.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers a route, such as `POST http://prometheus/api/v1/query`, with JSON.
    ///
    /// A URL's query counts only if the route has one. A route with several answers gives them in
    /// turn, the last one for ever. What no route covers is not granted.
    #[must_use]
    pub fn answers(self, route: &str, status: u16, body: Value) -> Self {
        let body = body.to_string().into_bytes();
        self.responds(route, Response { status, headers: Vec::new(), body })
    }

    /// Answers a route with a whole response.
    #[must_use]
    pub fn responds(self, route: &str, response: Response) -> Self {
        self.scripted(route, Ok(response))
    }

    /// Lets a route fail.
    #[must_use]
    pub fn fails(self, route: &str, error: HttpError) -> Self {
        self.scripted(route, Err(error))
    }

    fn scripted(mut self, route: &str, answer: Result<Response, HttpError>) -> Self {
        self.script.push(Scripted { route: route.to_owned(), answer, used: false });
        self
    }

    /// Grants a secret.
    #[must_use]
    pub fn secret(mut self, alias: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.secrets.insert(alias.to_owned(), bytes.into());
        self
    }

    /// An environment variable that the plugin sees; see [`crate::env`].
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets the time, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn at(mut self, now_ms: i64) -> Self {
        self.now_ms = now_ms;
        self
    }

    /// Sets the measurement that is taken.
    #[must_use]
    pub fn context(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// Calls a provider's `validate`, the configuration being read the way the host's is.
    ///
    /// # Errors
    /// As the provider says.
    pub fn validate<P: Provider>(self, config: Value) -> Result<()> {
        let call = || P::validate(&crate::parse_config(&config.to_string())?);
        self.call(|_| call()).result
    }

    /// Calls a provider's `run`.
    pub fn run<P: Provider>(self, config: Value) -> Ran<Measurement> {
        self.call(|context| P::run(context, crate::parse_config(&config.to_string())?))
    }

    /// Calls a provider's `resume`.
    pub fn resume<P: Provider>(self, config: Value, token: Value) -> Ran<Measurement> {
        self.call(|context| P::resume(context, crate::parse_config(&config.to_string())?, token))
    }

    /// Calls a provider's `terminate`.
    pub fn terminate<P: Provider>(self, config: Value, token: Value) -> Ran<()> {
        self.call(|context| P::terminate(context, crate::parse_config(&config.to_string())?, token))
    }

    /// Does anything with this host in place.
    pub fn call<T>(self, work: impl FnOnce(&Context) -> Result<T>) -> Ran<T> {
        let context = self.context.clone();
        HOST.set(self);
        let result = work(&context);
        let host = HOST.take();
        Ran { result, requests: host.requests, lines: host.lines }
    }

    fn answer(&mut self, request: &Request) -> Result<Response, HttpError> {
        self.requests.push(request.clone());
        let whole = format!("{} {}", request.method, request.url);
        let bare = whole.split('?').next().unwrap_or_default();
        let fits = |s: &Scripted| s.route == whole || s.route == bare;
        let next = self.script.iter().position(|s| fits(s) && !s.used);
        let Some(at) = next.or_else(|| self.script.iter().rposition(fits)) else {
            return Err(HttpError::NotGranted(whole));
        };
        self.script[at].used = true;
        self.script[at].answer.clone()
    }
}

pub(crate) mod calls {
    use super::{HOST, Line};
    use crate::http::{HttpError, Request, Response};
    use crate::log::Level;
    use crate::secrets::SecretError;

    pub(crate) fn send(request: &Request) -> Result<Response, HttpError> {
        HOST.with_borrow_mut(|host| host.answer(request))
    }

    pub(crate) fn secret(alias: &str) -> Result<Vec<u8>, SecretError> {
        HOST.with_borrow(|host| super::find(host, alias))
    }

    pub(crate) fn enabled(_: Level) -> bool {
        true
    }

    pub(crate) fn write(level: Level, message: &str, fields: &[(&str, &str)]) {
        let fields =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let line = Line { level, message: message.to_owned(), fields };
        HOST.with_borrow_mut(|host| host.lines.push(line));
    }

    pub(crate) fn variable(name: &str) -> Option<String> {
        HOST.with_borrow(|host| host.variables.get(name).cloned())
    }

    pub(crate) fn now_ms() -> i64 {
        HOST.with_borrow(|host| host.now_ms)
    }
}

fn find(host: &Host, alias: &str) -> Result<Vec<u8>, SecretError> {
    host.secrets
        .get(alias)
        .cloned()
        .ok_or_else(|| SecretError::NotGranted(format!("secret {alias}")))
}
