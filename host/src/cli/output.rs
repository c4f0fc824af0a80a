//! Writing to standard output, which may be closed at any time.

use std::io::{self, IsTerminal as _, Write as _};

/// Write a text as it is.
///
/// # Errors
/// The kind `BrokenPipe` when the reader has gone, which ends the program quietly.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Whether a person sees the output directly.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether to use colour: on a terminal, unless the environment has `NO_COLOR`.
pub fn is_colorful() -> bool {
    is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
