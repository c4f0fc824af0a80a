//! `wasi:http`: the interface that `fetch` of JavaScript and crates of Rust speak, beside
//! `sluice:host/http`.
//!
//! A request is taken whole, sent as one of ours would be, and its answer is given back whole. What
//! the interface has no words for, such as the grant that is missing, is written to the component's
//! log.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use sluice_port::http::{HttpError, HttpResponse};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Level;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::runtime::spawn;
use wasmtime_wasi_http::p2::bindings::LinkOptions;
use wasmtime_wasi_http::p2::bindings::http::types::{self, ErrorCode, Method, Scheme};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttp,
    WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use crate::ctx::Ctx;
use crate::egress::OF_THE_CONNECTION;
use crate::host_log::Log;
use crate::limits::Limits;
use crate::outgoing::{Granted, Outgoing};

/// The interface that sends. Everything of 0.2 fits it, whatever its last number.
const HANDLER: &str = "wasi:http/outgoing-handler@0.2.12";
/// The most bytes of the headers of one request, roughly, with what it costs to keep them.
const MOST_FIELDS: usize = 32 << 10;
/// The most bytes of a body that are taken at once. Two such pieces can wait for each body that a
/// component begins, and it may begin as many as it may have resources.
const MOST_PIECE: usize = 16 << 10;
/// How many answers of the most bytes may be under way, or kept for a component that has not read
/// them, at a time: they are in the controller's memory and not in the component's.
const MOST_ANSWERS: u32 = 4;

/// What one call has for the interface.
pub(crate) struct Side {
    ctx: WasiHttpCtx,
    hooks: Hooks,
    room: Room,
}

impl Side {
    pub(crate) fn new(limits: Limits) -> Self {
        let mut ctx = WasiHttpCtx::new();
        ctx.set_field_size_limit(MOST_FIELDS);
        Self { ctx, hooks: Hooks, room: Room::new(limits.body_in) }
    }
}

impl WasiHttpView for Ctx {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let Side { ctx, hooks, .. } = &mut self.wasi_http;
        WasiHttpCtxView { ctx, hooks, table: &mut self.table }
    }
}

/// What the engine's types of requests and answers ask. Nothing is sent through them.
struct Hooks;

impl WasiHttpHooks for Hooks {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(is_forbidden)
    }

    fn send_request(
        &mut self,
        _request: Request<WasiBody>,
        _options: Option<RequestOptions>,
        _outcome: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        // Requests take the way of `handle`, and there is none beside it.
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        MOST_PIECE
    }
}

/// An answer, and what would still be done for it, which is nothing.
type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

/// Whether a component may not have a header of this name. A length is allowed, since clients set
/// it without being asked; it has to be right, and is not sent on.
fn is_forbidden(name: &HeaderName) -> bool {
    *name != CONTENT_LENGTH
        && (OF_THE_CONNECTION.contains(&name.as_str()) || DEFAULT_FORBIDDEN_HEADERS.contains(name))
}

pub(crate) fn add_to_linker(linker: &mut Linker<Ctx>) -> wasmtime::Result<()> {
    let options = LinkOptions::default();
    types::add_to_linker::<_, WasiHttp>(linker, &options.into(), Ctx::http)?;
    // The engine's own handler would put a line into the controller's log for some requests that
    // cannot be sent, as often as a component likes.
    linker.instance(HANDLER)?.func_wrap("handle", handle)
}

type Handled = Result<Resource<HostFutureIncomingResponse>, ErrorCode>;

fn handle(
    mut store: StoreContextMut<'_, Ctx>,
    (request, options): (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>),
) -> wasmtime::Result<(Handled,)> {
    let ctx = store.data_mut();
    let request = ctx.table.delete(request)?;
    // The component gets an answer when all of it is there, so that is when its first byte comes.
    // When the connection stands and what time passes between bytes is not told apart.
    let timeout = match options {
        Some(options) => ctx.table.delete(options)?.first_byte_timeout,
        None => None,
    };
    let Some(authority) = &request.authority else {
        return Ok((Err(ErrorCode::HttpRequestUriInvalid),));
    };
    let scheme = match &request.scheme {
        None | Some(Scheme::Https) => "https",
        Some(Scheme::Http) => "http",
        Some(Scheme::Other(other)) => other.as_str(),
    };
    let path = request.path_with_query.as_deref().unwrap_or_default();
    // Its certificate is always checked: the interface has no way to ask that it is not.
    let url = format!("{scheme}://{authority}{path}");
    let (outgoing, log) = (ctx.outgoing.clone(), ctx.log.clone());
    let granted = match outgoing.admit(method(&request.method), &url, false) {
        Ok(granted) => granted,
        Err(error) => return Ok((Err(code(told(error, &log))),)),
    };
    let errand = Errand { granted, outgoing, log, room: ctx.wasi_http.room.clone(), timeout };
    let task = spawn(async move {
        let answer = errand.run(&request.headers, request.body).await?;
        Ok::<_, Error>((answer, spawn(std::future::ready(()))))
    });
    Ok((Ok(ctx.table.push(HostFutureIncomingResponse::Pending(task))?),))
}

/// A request under way.
struct Errand {
    granted: Granted,
    outgoing: Outgoing,
    log: Log,
    room: Room,
    timeout: Option<Duration>,
}

impl Errand {
    async fn run(
        self,
        fields: &HeaderMap,
        body: Option<WasiBody>,
    ) -> Result<Response<WasiBody>, Error> {
        let Self { granted, outgoing, log, room, timeout } = self;
        let began = Instant::now();
        let left = outgoing.left();
        let prepared = async {
            let body = whole(body, outgoing.most_out()).await?;
            Ok::<_, Error>((body, room.take().await?))
        };
        // A component that waits for the answer before it has ended the body waits for itself.
        let prepared = tokio::time::timeout(timeout.unwrap_or(left).min(left), prepared).await;
        let (body, place) = prepared.map_err(|_| Error::HttpResponseTimeout)??;
        let headers = headers(fields, body.len()).map_err(|error| told(error, &log))?;
        let body = (!body.is_empty()).then_some(body);
        let timeout = timeout.map(|all| all.saturating_sub(began.elapsed()));
        let answer = outgoing.send(granted, headers, body, timeout).await;
        answered(answer.map_err(|error| told(error, &log))?, place)
    }
}

/// Room for answers, in bytes. Clones are the same one.
#[derive(Clone)]
struct Room {
    bytes: Arc<Semaphore>,
    /// What one answer may have.
    each: u32,
}

impl Room {
    fn new(body_in: u64) -> Self {
        let each = u32::try_from(body_in).unwrap_or(u32::MAX);
        let all = usize::try_from(u64::from(each) * u64::from(MOST_ANSWERS));
        let all = all.unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self { bytes: Arc::new(Semaphore::new(all)), each }
    }

    /// Room for one more answer, when there is.
    async fn take(&self) -> Result<OwnedSemaphorePermit, Error> {
        let taken = self.bytes.clone().acquire_many_owned(self.each).await;
        // It is never closed.
        taken.map_err(|closed| Error::InternalError(Some(closed.to_string())))
    }
}

/// An answer's body, which takes up room until the last of it was read or dropped.
struct Kept {
    bytes: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn method(method: &Method) -> &str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(other) => other,
    }
}

/// A body to its end, and no more of it than may be sent.
async fn whole(body: Option<WasiBody>, most: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let Some(mut body) = body else { return Ok(bytes) };
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) if data.len() <= most - bytes.len() => bytes.extend_from_slice(&data),
            Ok(_) => return Err(Error::HttpRequestBodySize(Some(most as u64))),
            // What comes after a body would have to be announced before it, which is the
            // connection's business.
            Err(frame) if frame.trailers_ref().is_some_and(|trailers| !trailers.is_empty()) => {
                return Err(Error::HttpRequestTrailerSectionSize(Some(0)));
            }
            Err(_) => {}
        }
    }
    Ok(bytes)
}

/// What the component says in the request's head; the length is for the connection to say.
fn headers(fields: &HeaderMap, length: usize) -> Result<Vec<(String, String)>, HttpError> {
    let mut headers = Vec::new();
    for (name, value) in fields {
        let bad = |why: &str| HttpError::InvalidRequest(format!("header {name}: {why}"));
        let value = std::str::from_utf8(value.as_bytes()).map_err(|_| bad("it is no text"))?;
        if name != CONTENT_LENGTH {
            headers.push((name.as_str().to_owned(), value.to_owned()));
        } else if value.parse::<usize>() != Ok(length) {
            return Err(bad(&format!("the body has {length} bytes")));
        }
    }
    Ok(headers)
}

fn answered(
    answer: HttpResponse,
    mut place: OwnedSemaphorePermit,
) -> Result<Response<WasiBody>, Error> {
    let HttpResponse { status, headers, body } = answer;
    // What the answer does not need is free again.
    drop(place.split(place.num_permits().saturating_sub(body.len())));
    let body = Full::new(Bytes::from_owner(Kept { bytes: body, _place: place }));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    let strange = || Error::HttpProtocolError;
    *response.status_mut() = StatusCode::from_u16(status).map_err(|_| strange())?;
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| strange())?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| strange())?;
        let appended = response.headers_mut().try_append(name, value);
        appended.map_err(|_| Error::HttpResponseHeaderSectionSize(None))?;
    }
    Ok(response)
}

/// The error in the words of the interface. Where those leave out the reason, the log has it.
fn told(error: HttpError, log: &Log) -> Error {
    match error {
        HttpError::NotGranted(why) => {
            log.write(Level::WARN, &format!("a request was denied: {why}"), "");
            Error::HttpRequestDenied
        }
        HttpError::Connect(why) => {
            log.write(Level::WARN, &format!("a server was not reached: {why}"), "");
            Error::DestinationUnavailable
        }
        HttpError::Timeout => Error::HttpResponseTimeout,
        HttpError::TooLarge(most) => Error::HttpResponseBodySize(Some(most)),
        HttpError::InvalidRequest(why) | HttpError::Other(why) => Error::InternalError(Some(why)),
    }
}

/// What of [`told`] is found at once.
fn code(error: Error) -> ErrorCode {
    match error {
        Error::HttpRequestDenied => ErrorCode::HttpRequestDenied,
        Error::InternalError(why) => ErrorCode::InternalError(why),
        other => ErrorCode::InternalError(Some(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &[u8])]) -> HeaderMap {
        let pair = |(name, value): &(&str, &[u8])| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_length_is_right_or_refused_and_never_sent_on() {
        let right = fields(&[("content-length", b"4"), ("x-one", b"a")]);
        assert_eq!(headers(&right, 4), Ok(vec![("x-one".to_owned(), "a".to_owned())]));
        for (name, value, length) in [
            ("content-length", &b"4"[..], 5),
            ("content-length", &b"four"[..], 4),
            ("x-one", &b"\xff"[..], 0),
        ] {
            let refused = headers(&fields(&[(name, value)]), length);
            assert!(matches!(refused, Err(HttpError::InvalidRequest(_))), "{name}: {refused:?}");
        }
    }

    #[test]
    fn headers_of_the_connection_are_the_hosts() {
        for name in OF_THE_CONNECTION {
            let name = name.parse().unwrap();
            assert_eq!(is_forbidden(&name), name != CONTENT_LENGTH, "{name}");
        }
        for name in DEFAULT_FORBIDDEN_HEADERS {
            assert!(is_forbidden(&name), "{name}");
        }
        assert!(!is_forbidden(&"authorization".parse().unwrap()));
    }

    fn of_bytes(count: usize) -> HttpResponse {
        HttpResponse { status: 200, body: vec![b'x'; count], ..HttpResponse::default() }
    }

    #[tokio::test]
    async fn answers_that_nobody_reads_keep_others_waiting() {
        let room = Room::new(1000);
        let mut kept = Vec::new();
        for _ in 0..MOST_ANSWERS {
            kept.push(answered(of_bytes(1000), room.take().await.unwrap()).unwrap());
        }
        assert!(futures::poll!(std::pin::pin!(room.take())).is_pending());
        kept.pop();
        let small = answered(of_bytes(1), room.take().await.unwrap()).unwrap();
        assert_eq!(room.bytes.available_permits(), 999, "what it does not need is free again");
        // Its one byte is kept while somebody may still read it.
        let read = small.into_body().collect().await.unwrap().to_bytes();
        assert_eq!((read.len(), room.bytes.available_permits()), (1, 999));
        drop(read);
        assert_eq!(room.bytes.available_permits(), 1000);
    }

    #[test]
    fn an_answer_that_is_none_is_an_error_and_no_panic() {
        let place = || Arc::new(Semaphore::new(1)).try_acquire_many_owned(1).unwrap();
        for (status, name, value) in [(0, "a", "b"), (200, "a b", "c"), (200, "a", "b\r\nc")] {
            let headers = vec![(name.to_owned(), value.to_owned())];
            let answer = HttpResponse { status, headers, ..HttpResponse::default() };
            let error = answered(answer, place()).unwrap_err();
            assert!(matches!(error, Error::HttpProtocolError), "{error}");
        }
    }
}
