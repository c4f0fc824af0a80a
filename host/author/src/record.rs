//! What a component did for real, written down as cases, so that it can be tried again without a
//! network.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use sluice_port::http::{HttpError, HttpRequest, HttpResponse};
use sluice_port::{Fault, Measured, Measurement, MetricCall, StepAnswer, StepCall, Verdict};

use crate::cases::{
    self, Case, Context, Exchange, Expect, Failure, FailureKind, Function, Judgement, NetworkError,
    Request, Response, Running,
};
use crate::error::Error;
use crate::hidden::Hidden;
use crate::live::{Asked, Heard};
use crate::step;

/// Headers of answers that are worth keeping, in lower case. Others may be credentials.
const KEPT: [&str; 4] = ["content-type", "link", "location", "retry-after"];

/// Why a call cannot be a case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrecorded {
    /// It did not answer.
    #[error("the component did not answer ({0}), and a case is about what it answers")]
    NoAnswer(&'static str),
    /// A request or an answer has no form in cases.
    #[error("{0}: what was sent or answered is no text, and cases have no other")]
    NoText(String),
    /// The host let a request not out.
    #[error("{url} was not reached: {why}")]
    Refused {
        /// Which.
        url: String,
        /// Why.
        why: String,
    },
    /// The cases cannot be written.
    #[error("cannot write it as YAML: {0}")]
    NoYaml(String),
}

/// Calls, on their way into a file of cases.
#[derive(Clone, Debug)]
pub struct Recording {
    hidden: Hidden,
    cases: Cases,
}

#[derive(Clone, Debug)]
enum Cases {
    None,
    Metric(Vec<Case>),
    Step(Box<step::Recorded>),
}

impl Recording {
    /// Nothing yet. What is hidden is in no case.
    pub fn new(hidden: Hidden) -> Self {
        Self { hidden, cases: Cases::None }
    }

    /// Adds a call of a metric provider; with a token it went on with a measurement.
    ///
    /// # Errors
    /// Why it cannot be a case; then the recording stays as it was.
    pub fn metric(
        &mut self,
        call: &MetricCall,
        token: Option<&str>,
        heard: &Heard<Measurement>,
    ) -> Result<(), Unrecorded> {
        let number = if let Cases::Metric(cases) = &self.cases { cases.len() } else { 0 } + 1;
        let labels = call.labels.iter();
        let case = Case {
            name: format!("call {number} answers as it did at {}", heard.at),
            call: if token.is_some() { Function::Resume } else { Function::Run },
            config: Some(self.json(&call.config)),
            context: Context {
                namespace: call.namespace.clone(),
                analysis_run: call.run.clone(),
                metric: call.metric.clone(),
                labels: labels.map(|(k, v)| (k.clone(), self.hidden.text(v))).collect(),
                index: call.index,
            },
            token: token.map(|token| self.json(token)),
            now: Some(heard.at),
            http: self.exchanges(&heard.requests)?,
            expect: self.measured(&heard.answer)?,
        };
        match &mut self.cases {
            Cases::Metric(cases) => cases.push(case),
            other => *other = Cases::Metric(vec![case]),
        }
        Ok(())
    }

    /// Adds a call of a step's `run` to the case of that step.
    ///
    /// # Errors
    /// As [`Recording::metric`].
    pub fn step(&mut self, call: &StepCall, heard: &Heard<StepAnswer>) -> Result<(), Unrecorded> {
        let http = self.exchanges(&heard.requests)?;
        let answer = match &heard.answer {
            Ok(answer) => Ok(self.hidden_step(answer)),
            Err(fault) => Err(self.failure(fault)?),
        };
        let call = StepCall {
            config: self.json(&call.config).to_string(),
            state: call.state.as_ref().map(|state| self.json(state).to_string()),
            ..call.clone()
        };
        if !matches!(self.cases, Cases::Step(_)) {
            let name = format!("it goes as it did at {}", heard.at);
            self.cases = Cases::Step(Box::new(step::Recorded::new(name, &call)));
        }
        if let Cases::Step(recorded) = &mut self.cases {
            recorded.add(heard.at, http, answer);
        }
        Ok(())
    }

    /// Writes the file. It must not be there yet.
    ///
    /// # Errors
    /// If it cannot be written, or there is nothing to write.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let text = match &self.cases {
            Cases::None => return Err(Error::NothingRecorded),
            Cases::Metric(all) => cases::text(all.clone()),
            Cases::Step(recorded) => recorded.text(),
        };
        let text = text.map_err(|why| Error::Unreadable { path: path.to_owned(), why })?;
        crate::component::write(path, text.as_bytes())
    }

    fn exchanges(&self, requests: &[Asked]) -> Result<Vec<Exchange>, Unrecorded> {
        requests.iter().map(|asked| self.exchange(asked)).collect()
    }

    fn exchange(&self, asked: &Asked) -> Result<Exchange, Unrecorded> {
        let url = self.hidden.text(&asked.request.url);
        let request = self.request(&asked.request, &url)?;
        let refused = |why: &String| Unrecorded::Refused { url: url.clone(), why: why.clone() };
        let (response, error) = match &asked.answer {
            Ok(answer) => (self.response(answer, &url)?, None),
            Err(error) => (
                Response::default(),
                Some(match error {
                    HttpError::Timeout => NetworkError::Timeout,
                    HttpError::Connect(why) => NetworkError::Connect(self.hidden.text(why)),
                    HttpError::TooLarge(bytes) => NetworkError::TooLarge(*bytes),
                    HttpError::Other(why) => NetworkError::Other(self.hidden.text(why)),
                    HttpError::NotGranted(why) | HttpError::InvalidRequest(why) => {
                        return Err(refused(why));
                    }
                }),
            ),
        };
        Ok(Exchange { request, response, error })
    }

    /// Headers of requests are left out: the host adds credentials to them, and the component may
    /// have done so itself.
    fn request(&self, request: &HttpRequest, url: &str) -> Result<Request, Unrecorded> {
        let (body, json) = self.body(request.body.as_deref().unwrap_or_default(), url)?;
        let (method, url) = (request.method.clone(), url.to_owned());
        Ok(Request { method, url, headers: BTreeMap::new(), body, json })
    }

    fn response(&self, answer: &HttpResponse, url: &str) -> Result<Response, Unrecorded> {
        let (body, json) = self.body(&answer.body, url)?;
        let headers = answer.headers.iter().filter_map(|(name, value)| {
            let name = name.to_ascii_lowercase();
            KEPT.contains(&name.as_str()).then(|| (name, self.hidden.text(value)))
        });
        Ok(Response { status: answer.status, headers: headers.collect(), body, json })
    }

    fn body(&self, bytes: &[u8], url: &str) -> Result<(Option<String>, Option<Value>), Unrecorded> {
        if bytes.is_empty() {
            return Ok((None, None));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Unrecorded::NoText(url.to_owned()))?;
        match serde_json::from_str::<Value>(text) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => {
                Ok((None, Some(self.hidden.value(&value))))
            }
            Ok(_) | Err(_) => Ok((Some(self.hidden.text(text)), None)),
        }
    }

    fn measured(&self, answer: &Result<Measurement, Fault>) -> Result<Expect, Unrecorded> {
        let measurement = match answer {
            Ok(measurement) => measurement,
            Err(fault) => {
                return Ok(Expect { error: Some(self.failure(fault)?), ..Expect::default() });
            }
        };
        let metadata: BTreeMap<_, _> = measurement
            .metadata
            .iter()
            .map(|(name, value)| (name.clone(), self.hidden.text(value)))
            .collect();
        let mut expect = Expect {
            message: measurement.message.as_ref().map(|message| self.hidden.text(message)),
            metadata: (!metadata.is_empty()).then_some(metadata),
            ..Expect::default()
        };
        match &measurement.outcome {
            Measured::Number(number) => expect.number = Some(*number),
            Measured::Numbers(numbers) => expect.numbers = Some(numbers.clone()),
            Measured::Value(text) => expect.value = Some(self.json(text)),
            Measured::NoData => expect.no_data = Some(true),
            Measured::Judged(verdict) => {
                expect.judged = Some(match verdict {
                    Verdict::Successful => Judgement::Successful,
                    Verdict::Failed => Judgement::Failed,
                    Verdict::Inconclusive => Judgement::Inconclusive,
                });
            }
            Measured::Running { token, resume_after_ms } => {
                let (token, resume_after_ms) = (self.json(token), Some(*resume_after_ms));
                expect.running = Some(Running { token, resume_after_ms });
            }
        }
        Ok(expect)
    }

    fn failure(&self, fault: &Fault) -> Result<Failure, Unrecorded> {
        let (kind, code, message, after_ms) = match fault {
            Fault::InvalidConfig(message) => (FailureKind::InvalidConfig, None, message, None),
            Fault::Transient { message, after_ms } => {
                (FailureKind::Transient, None, message, *after_ms)
            }
            Fault::Failed { code, message } => {
                (FailureKind::Failed, Some(code.clone()), message, None)
            }
            Fault::Missing { .. }
            | Fault::Trapped { .. }
            | Fault::TimedOut { .. }
            | Fault::CpuExceeded { .. }
            | Fault::MemoryExceeded { .. }
            | Fault::Malformed(_)
            | Fault::Suspended { .. } => return Err(Unrecorded::NoAnswer(fault.kind())),
        };
        let message = Some(self.hidden.text(message));
        Ok(Failure { kind, code, message, contains: None, after_ms })
    }

    fn hidden_step(&self, answer: &StepAnswer) -> StepAnswer {
        use sluice_port::StepOutcome;
        StepAnswer {
            outcome: match &answer.outcome {
                StepOutcome::Failed(why) => StepOutcome::Failed(self.hidden.text(why)),
                other @ (StepOutcome::Done | StepOutcome::Again(_)) => other.clone(),
            },
            state: answer.state.as_ref().map(|state| self.json(state).to_string()),
            message: answer.message.as_ref().map(|message| self.hidden.text(message)),
        }
    }

    /// A text that is JSON, or else the text itself, without what is hidden.
    fn json(&self, text: &str) -> Value {
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        self.hidden.value(&value)
    }
}

#[cfg(test)]
mod tests;
