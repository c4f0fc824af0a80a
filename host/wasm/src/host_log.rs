//! `sluice:host/log`, and standard output and error, which are log lines too.
//!
//! Lines go to `tracing` with the target `sluice::plugin`. What a component last wrote to
//! standard error is kept, because that is where a language puts the reason for a trap.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::bindings::host::sluice::host::log;
use crate::ctx::Ctx;
use crate::limits::Limits;

/// The most bytes of one line; the rest of it is dropped.
const MOST_LINE: usize = 4 << 10;
/// How much of standard error is kept, from its end.
const LAST_WORDS: usize = 2 << 10;

/// The log of one call. Clones write to the same.
#[derive(Clone)]
pub(crate) struct Log(Arc<Mutex<Lines>>);

struct Lines {
    plugin: Arc<str>,
    lines_left: u32,
    bytes_left: usize,
    last_words: String,
}

impl Log {
    pub(crate) fn new(plugin: Arc<str>, limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(Lines {
            plugin,
            lines_left: limits.log_lines,
            bytes_left: limits.log_bytes,
            last_words: String::new(),
        })))
    }

    pub(crate) fn stdout(&self) -> Stream {
        Stream { log: self.clone(), kind: Std::Out, partial: Arc::default() }
    }

    pub(crate) fn stderr(&self) -> Stream {
        Stream { log: self.clone(), kind: Std::Error, partial: Arc::default() }
    }

    /// What was last written to standard error, which may be nothing.
    pub(crate) fn last_words(&self) -> String {
        self.lines().last_words.trim().to_owned()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Write a line with fields, if there is room for it.
    pub(crate) fn told(&self, level: Level, message: &str, fields: &[(String, String)]) {
        let fields: Vec<_> = fields.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
        self.write(level, message, beginning(&fields.join(" "), MOST_LINE));
    }

    pub(crate) fn write(&self, level: Level, message: &str, fields: &str) {
        let mut lines = self.lines();
        let message = beginning(message, MOST_LINE);
        let bytes = message.len() + fields.len();
        if lines.lines_left == 0 || lines.bytes_left < bytes {
            return;
        }
        lines.lines_left -= 1;
        lines.bytes_left -= bytes;
        let plugin = &*lines.plugin;
        match level {
            Level::TRACE => tracing::trace!(target: "sluice::plugin", plugin, fields, "{message}"),
            Level::DEBUG => tracing::debug!(target: "sluice::plugin", plugin, fields, "{message}"),
            Level::INFO => tracing::info!(target: "sluice::plugin", plugin, fields, "{message}"),
            Level::WARN => tracing::warn!(target: "sluice::plugin", plugin, fields, "{message}"),
            Level::ERROR => tracing::error!(target: "sluice::plugin", plugin, fields, "{message}"),
        }
    }
}

/// The beginning of a text, at most so many bytes.
pub(crate) fn beginning(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn level(level: log::Level) -> Level {
    match level {
        log::Level::Trace => Level::TRACE,
        log::Level::Debug => Level::DEBUG,
        log::Level::Info => Level::INFO,
        log::Level::Warn => Level::WARN,
        log::Level::Error => Level::ERROR,
    }
}

impl log::Host for Ctx {
    async fn enabled(&mut self, asked: log::Level) -> bool {
        let wanted = match asked {
            log::Level::Trace => tracing::enabled!(target: "sluice::plugin", Level::TRACE),
            log::Level::Debug => tracing::enabled!(target: "sluice::plugin", Level::DEBUG),
            log::Level::Info => tracing::enabled!(target: "sluice::plugin", Level::INFO),
            log::Level::Warn => tracing::enabled!(target: "sluice::plugin", Level::WARN),
            log::Level::Error => tracing::enabled!(target: "sluice::plugin", Level::ERROR),
        };
        wanted && self.log.lines().lines_left > 0
    }

    async fn write(&mut self, at: log::Level, message: String, fields: Vec<(String, String)>) {
        self.log.told(level(at), &message, &fields);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Std {
    Out,
    Error,
}

/// One of the standard streams. A line is written when it ends, or when the call does.
#[derive(Clone)]
pub(crate) struct Stream {
    log: Log,
    kind: Std,
    partial: Arc<Mutex<Vec<u8>>>,
}

impl Stream {
    fn take(&self, bytes: &[u8]) {
        if self.kind == Std::Error {
            let mut lines = self.log.lines();
            lines.last_words.push_str(&String::from_utf8_lossy(bytes));
            let surplus = lines.last_words.len().saturating_sub(LAST_WORDS);
            let surplus = lines.last_words.ceil_char_boundary(surplus);
            lines.last_words.drain(..surplus);
        }
        let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = MOST_LINE.saturating_sub(partial.len());
            partial.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.end_line(&partial);
                partial.clear();
            }
        }
    }

    fn end_line(&self, line: &[u8]) {
        let level = if self.kind == Std::Out { Level::INFO } else { Level::WARN };
        self.log.write(level, String::from_utf8_lossy(line).trim_end(), "");
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if Arc::strong_count(&self.partial) > 1 {
            return;
        }
        let partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        if !partial.is_empty() {
            self.end_line(&partial);
        }
    }
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Kind;

    #[test]
    fn last_words_are_the_end_of_standard_error() {
        let log = Log::new("test".into(), Limits::of(Kind::Metric));
        log.stdout().take(b"not this\n");
        log.stderr().take("é".repeat(LAST_WORDS).as_bytes());
        log.stderr().take(b"panicked at lib.rs\n");
        let words = log.last_words();
        assert!(words.ends_with("panicked at lib.rs"), "{words}");
        assert!(words.len() <= LAST_WORDS);
    }

    #[test]
    fn lines_and_bytes_are_counted_however_they_come() {
        let limits = Limits { log_lines: 5, log_bytes: 100, ..Limits::of(Kind::Metric) };
        let log = Log::new("test".into(), limits);
        log.stdout().take(b"one\ntwo\nthr");
        assert_eq!(log.lines().lines_left, 2, "what is left of a line is written at the end");
        log.write(Level::INFO, &"x".repeat(200), "");
        assert_eq!(log.lines().lines_left, 2, "more bytes than are left");
    }
}
