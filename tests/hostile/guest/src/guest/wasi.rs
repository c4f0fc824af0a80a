//! A request by `wasi:http`, as far as the interface lets it be made.

use std::fmt::Debug;

use sluice_sdk::Value;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    Fields, FutureIncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

use super::Request;

/// Bytes that may be written without asking how many.
const PIECE: usize = 4096;

/// A request under way.
pub struct Pending {
    answer: FutureIncomingResponse,
    /// A body that was not ended.
    _body: Option<OutgoingBody>,
}

fn words(error: impl Debug) -> String {
    format!("{error:?}")
}

/// What the interface refuses without a reason.
fn refused(what: &str) -> impl FnOnce(()) -> String {
    move |()| format!("{what} is refused")
}

pub fn begin(asked: &Request) -> Result<Pending, String> {
    let (scheme, rest) = asked.url.split_once("://").ok_or("no scheme")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let fields = Fields::new();
    for (name, value) in &asked.headers {
        fields.append(name, value.as_bytes()).map_err(words)?;
    }
    let request = OutgoingRequest::new(fields);
    request.set_method(&method(&asked.method)).map_err(refused("the method"))?;
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    request.set_scheme(Some(&scheme)).map_err(refused("the scheme"))?;
    request.set_authority(Some(authority)).map_err(refused("the authority"))?;
    let path = (!path.is_empty()).then_some(path);
    request.set_path_with_query(path).map_err(refused("the path"))?;
    let options = RequestOptions::new();
    let timeout = asked.timeout_ms.map(|ms| u64::from(ms) * 1_000_000);
    options.set_first_byte_timeout(timeout).map_err(refused("the timeout"))?;
    if asked.body.is_empty() && !asked.unfinished {
        let answer = handle(request, Some(options)).map_err(words)?;
        return Ok(Pending { answer, _body: None });
    }
    let body = request.body().map_err(refused("the body"))?;
    let answer = handle(request, Some(options)).map_err(words)?;
    let stream = body.write().map_err(refused("the body's stream"))?;
    for piece in asked.body.as_bytes().chunks(PIECE) {
        // Why nobody takes the rest of it, the answer says.
        if stream.blocking_write_and_flush(piece).is_err() {
            break;
        }
    }
    drop(stream);
    if asked.unfinished {
        return Ok(Pending { answer, _body: Some(body) });
    }
    OutgoingBody::finish(body, None).map_err(words)?;
    Ok(Pending { answer, _body: None })
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "POST" => Method::Post,
        other => Method::Other(other.to_owned()),
    }
}

impl Pending {
    /// Wait for the answer, and read all of it.
    pub fn end(self) -> Result<Value, String> {
        self.answer.subscribe().block();
        let answer = self.answer.get().ok_or("it is not there")?;
        let answer = answer.map_err(refused("the answer"))?.map_err(words)?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let entries = answer.headers().entries().into_iter();
        let headers = entries.map(|(name, value)| (name, text(value))).collect();
        let body = answer.consume().map_err(refused("the body"))?;
        let stream = body.stream().map_err(refused("the body's stream"))?;
        let mut bytes = Vec::new();
        loop {
            match stream.blocking_read(64 << 10) {
                Ok(piece) => bytes.extend(piece),
                Err(StreamError::Closed) => break,
                Err(error) => return Err(words(error)),
            }
        }
        Ok(super::outcome(answer.status(), headers, &bytes))
    }
}
