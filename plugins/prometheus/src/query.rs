//! The request: an instant or a range, by POST, or by GET where POST is not allowed.

use sluice_sdk::http::{self, Builder, Response};
use sluice_sdk::metric::{Error, Result};
use sluice_sdk::time;

use crate::address;
use crate::answer::{self, Answer};
use crate::config::{Config, given};
use crate::expression;
use crate::oauth;
use crate::sigv4;

/// Sends the query and reads the answer. The time of an instant is the server's own.
///
/// # Errors
/// If there is no answer, or none with numbers.
pub fn ask(config: &Config) -> Result<Answer> {
    let mut fields = vec![("query", given(config.query.as_ref()).to_owned())];
    let resource = match config.span(time::now_ms())? {
        None => "query",
        Some(span) => {
            fields.push(("start", span.start.seconds()));
            fields.push(("end", span.end.seconds()));
            fields.push(("step", expression::seconds(span.step_ms)));
            "query_range"
        }
    };
    let url = address::resource(&config.address(), resource);
    let authorization = oauth::authorization(config)?;

    let signed = |request| sign(request, config, authorization.as_deref());
    let mut response = send(signed(http::post(&url).form(&fields)), config)?;
    if matches!(response.status, 405 | 501) {
        response = send(signed(http::get(&url).query(&fields)), config)?;
    }
    answer::read(&response)
}

fn sign(mut request: Builder, config: &Config, authorization: Option<&str>) -> Builder {
    for header in config.headers.iter().flatten() {
        request = request.header(&header.key, &header.value);
    }
    match (authorization, config.basic_auth()) {
        (Some(value), _) => request.header("authorization", value),
        (None, Some((name, password))) => request.basic_auth(name, password),
        (None, None) => request,
    }
}

fn send(request: Builder, config: &Config) -> Result<Response> {
    let insecure = config.insecure == Some(true);
    let mut request = request.timeout(config.timeout()).insecure(insecure).build();
    sigv4::sign(&mut request, config, time::now_ms())?;
    http::send(&request).map_err(|error| {
        let place = address::without_secrets(&request.url);
        match Error::from(error) {
            Error::Transient { message, after_ms } => Error::Transient {
                message: format!("{} {place}: {message}", request.method),
                after_ms,
            },
            other => other,
        }
    })
}
