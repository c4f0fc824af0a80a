//! The way to the host: one function for each thing that it does. Without a host, as in unit
//! tests, [`crate::testing`] answers.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::calls::{enabled, now_ms, secret, send, variable, write};
#[cfg(target_arch = "wasm32")]
pub(crate) use crate::wit::calls::{enabled, now_ms, secret, send, variable, write};
