//! Cases: what a plugin is asked, what servers answer it meanwhile, and what it should answer.

mod words;

pub(crate) use words::plain;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sluice_port::http::HttpError;
use sluice_port::{Fault, Measurement, MetricCall};

use crate::error::Error;

/// A file of cases.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    /// The configuration of the cases that have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config: Option<Value>,
    cases: Vec<Case>,
}

/// One call of a metric provider.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// What is called. Default: `run`.
    #[serde(default)]
    pub call: Function,
    /// The provider's part of a metric. Default: that of the file, or `{}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
    /// The measurement that is taken.
    #[serde(default)]
    pub context: Context,
    /// For `resume` and `terminate`: what an earlier call answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Value>,
    /// What time it is, as in `2026-01-31T12:00:00Z`. Default: the beginning of 2026.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<jiff::Timestamp>,
    /// What is asked of servers, and what they answer, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<Exchange>,
    /// What the provider should answer.
    pub expect: Expect,
}

/// A function of a metric provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Function {
    /// Take a measurement.
    #[default]
    Run,
    /// Go on with one.
    Resume,
    /// Stop one.
    Terminate,
    /// Check a configuration.
    Validate,
}

/// The measurement that is taken.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Context {
    /// Namespace of the analysis run.
    pub namespace: String,
    /// Its name.
    pub analysis_run: String,
    /// Name of the metric.
    pub metric: String,
    /// Labels of the analysis run.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// 0 for the metric's first measurement.
    pub index: u32,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            namespace: "default".to_owned(),
            analysis_run: "run".to_owned(),
            metric: "metric".to_owned(),
            labels: BTreeMap::new(),
            index: 0,
        }
    }
}

/// One request and what becomes of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exchange {
    /// What is sent.
    pub request: Request,
    /// What comes back. Default: 200, and nothing in it.
    #[serde(default, skip_serializing_if = "Response::is_plain")]
    pub response: Response,
    /// Why nothing comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<NetworkError>,
}

/// What is sent. What is not written here does not matter.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    /// In capitals. Default: GET.
    #[serde(default = "get")]
    pub method: String,
    /// Absolute, with its query.
    pub url: String,
    /// Headers that must be among those sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
}

fn get() -> String {
    "GET".to_owned()
}

/// What comes back.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Headers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
}

impl Default for Response {
    fn default() -> Self {
        Self { status: 200, headers: BTreeMap::new(), body: None, json: None }
    }
}

impl Response {
    fn is_plain(&self) -> bool {
        self.status == 200 && self.headers.is_empty() && self.body.is_none() && self.json.is_none()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        match (&self.json, &self.body) {
            (Some(json), _) => json.to_string().into_bytes(),
            (None, Some(body)) => body.clone().into_bytes(),
            (None, None) => Vec::new(),
        }
    }
}

/// Why nothing comes back.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum NetworkError {
    /// No answer in time.
    Timeout,
    /// The name, the connection or the handshake.
    Connect(String),
    /// More bytes than are allowed.
    TooLarge(u64),
    /// Anything else.
    Other(String),
}

impl From<NetworkError> for HttpError {
    fn from(error: NetworkError) -> Self {
        match error {
            NetworkError::Timeout => Self::Timeout,
            NetworkError::Connect(why) => Self::Connect(why),
            NetworkError::TooLarge(bytes) => Self::TooLarge(bytes),
            NetworkError::Other(why) => Self::Other(why),
        }
    }
}

/// What the provider should answer: one outcome or an error, and what else matters.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Expect {
    /// One number; `.nan` and `.inf` are numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<f64>,
    /// Several numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Vec<f64>>,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Nothing came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_data: Option<bool>,
    /// The provider's own judgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judgement>,
    /// It takes longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,
    /// For `validate` and `terminate`: all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ok: Option<bool>,
    /// It is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// The measurement's message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The measurement's metadata, all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// A provider's own judgement.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Judgement {
    Successful,
    Failed,
    Inconclusive,
}

/// A measurement that takes longer.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Running {
    /// For `resume`.
    pub token: Value,
    /// When to resume, in milliseconds, if it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_after_ms: Option<u32>,
}

/// An error.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Failure {
    /// Whose it is.
    pub kind: FailureKind,
    /// For `failed`: the code, if it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The whole text, if it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// A part of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// For `transient`: when to try again, in milliseconds, if it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u32>,
}

/// Whose an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The user's.
    InvalidConfig,
    /// Worth another try.
    Transient,
    /// Neither.
    Failed,
}

impl FailureKind {
    fn name(self) -> &'static str {
        match self {
            Self::InvalidConfig => "invalid-config",
            Self::Transient => "transient",
            Self::Failed => "failed",
        }
    }
}

/// Reads a file of cases.
///
/// # Errors
/// With line and column, if it is not right.
pub fn read(path: &Path) -> Result<Vec<Case>, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let wrong = |why: String| Error::Unreadable { path: path.to_owned(), why };
    let file: File = serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let mut cases = file.cases;
    for case in &mut cases {
        case.config = case.config.take().or_else(|| file.config.clone());
        case.check().map_err(|why| wrong(format!("case {:?}: {why}", case.name)))?;
    }
    Ok(cases)
}

/// Cases as a file of them is written.
///
/// # Errors
/// If they cannot be written as YAML, in words.
pub(crate) fn text(cases: Vec<Case>) -> Result<String, String> {
    serde_saphyr::to_string(&File { config: None, cases }).map_err(|error| error.to_string())
}

/// The files of cases in a folder: every `.yaml` in its `cases`, by name.
///
/// # Errors
/// If there is none.
pub fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let cases = folder.join("cases");
    let entries = match std::fs::read_dir(&cases) {
        Ok(entries) => entries,
        Err(_) => return Err(Error::NoCases(folder.to_owned())),
    };
    let mut found: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "yaml" || end == "yml"))
        .collect();
    found.sort();
    match found.is_empty() {
        true => Err(Error::NoCases(folder.to_owned())),
        false => Ok(found),
    }
}

impl Case {
    fn check(&self) -> Result<(), String> {
        let expect = &self.expect;
        let given = [
            ("number", expect.number.is_some()),
            ("numbers", expect.numbers.is_some()),
            ("value", expect.value.is_some()),
            ("noData", expect.no_data.is_some()),
            ("judged", expect.judged.is_some()),
            ("running", expect.running.is_some()),
            ("ok", expect.ok.is_some()),
            ("error", expect.error.is_some()),
        ];
        let names: Vec<_> = given.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        let all: Vec<_> = given.iter().map(|(name, _)| *name).collect();
        if names.len() != 1 {
            let found = if names.is_empty() { "nothing".to_owned() } else { names.join(" and ") };
            return Err(format!("expect: one of {}, and not {found}", all.join(", ")));
        }
        if expect.no_data == Some(false) || expect.ok == Some(false) {
            return Err(format!("expect.{}: can only be true", names.join("")));
        }
        let answers_nothing = matches!(self.call, Function::Validate | Function::Terminate);
        if answers_nothing && expect.ok.is_none() && expect.error.is_none() {
            return Err("expect: validate and terminate answer ok or error".to_owned());
        }
        if !answers_nothing && expect.ok.is_some() {
            return Err("expect.ok: run and resume answer a measurement or an error".to_owned());
        }
        let wants_token = matches!(self.call, Function::Resume | Function::Terminate);
        if wants_token != self.token.is_some() {
            return Err("token: resume and terminate need one, run and validate none".to_owned());
        }
        urls(&self.http)
    }

    pub(crate) fn metric_call(&self) -> MetricCall {
        let config = self.config.clone().unwrap_or_else(|| json!({}));
        MetricCall {
            namespace: self.context.namespace.clone(),
            run: self.context.analysis_run.clone(),
            metric: self.context.metric.clone(),
            config: config.to_string(),
            labels: self.context.labels.clone().into_iter().collect(),
            index: self.context.index,
            component: None,
        }
    }
}

/// Whether what is asked of servers can be asked.
pub(crate) fn urls(http: &[Exchange]) -> Result<(), String> {
    for (index, exchange) in http.iter().enumerate() {
        exchange.request.url.parse::<url::Url>().map_err(|error| {
            format!("http[{index}].request.url: {:?}: {error}", exchange.request.url)
        })?;
    }
    Ok(())
}

/// What a provider answered.
pub(crate) type Answer = Result<Option<Measurement>, Fault>;

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_port::Measured;

    fn case(text: &str) -> Result<Case, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        std::fs::write(&path, format!("cases:\n- name: one\n{text}")).unwrap();
        read(&path).map(|mut cases| cases.remove(0)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_case_that_makes_no_sense_is_refused_with_what_would() {
        let table = [
            ("  expect: {}", "one of number, numbers, value"),
            ("  expect: {number: 1, noData: true}", "and not number and noData"),
            ("  call: validate\n  expect: {number: 1}", "answer ok or error"),
            ("  call: resume\n  expect: {number: 1}", "token: resume"),
            ("  http: [{request: {url: /x}}]\n  expect: {number: 1}", "http[0].request.url"),
            ("  htpp: []\n  expect: {number: 1}", "htpp"),
        ];
        for (text, part) in table {
            let error = case(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    fn same(expect: &str, answer: &Answer) -> bool {
        let (expected, got) = case(&format!("  expect: {expect}")).unwrap().expect.compare(answer);
        expected == got
    }

    fn measured(outcome: Measured) -> Answer {
        Ok(Some(Measurement { outcome, message: None, metadata: Vec::new() }))
    }

    #[test]
    fn answers_are_compared_as_far_as_a_case_cares() {
        let nan = measured(Measured::Number(f64::NAN));
        assert!(same("{number: .nan}", &nan) && !same("{number: 0}", &nan));
        let value = measured(Measured::Value(r#"{"b": 5.0, "a": [1]}"#.to_owned()));
        assert!(same("{value: {a: [1], b: 5}}", &value) && !same("{value: {a: [1]}}", &value));
        let slow = Err(Fault::Transient { message: "HTTP 503: busy".into(), after_ms: Some(5) });
        assert!(same("{error: {kind: transient}}", &slow));
        assert!(same("{error: {kind: transient, contains: busy, afterMs: 5}}", &slow));
        assert!(!same("{error: {kind: transient, contains: idle}}", &slow));
        assert!(!same("{error: {kind: failed}}", &slow));
        assert!(!same("{number: 1}", &slow));
        let trapped = Err(Fault::Trapped { message: "x".into() });
        assert!(!same("{error: {kind: failed}}", &trapped), "a trap is no answer");
        let running = measured(Measured::Running { token: "7".into(), resume_after_ms: 1000 });
        assert!(same("{running: {token: 7}}", &running));
        assert!(!same("{running: {token: 7, resumeAfterMs: 5}}", &running));
    }
}
