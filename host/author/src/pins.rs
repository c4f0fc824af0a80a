//! The versions of every toolchain that is not Rust's own: the one place for them.

/// Makes components of Python, from PyPI.
pub(crate) const COMPONENTIZE_PY: &str = "0.25.1";
/// The oldest Python that runs it.
pub(crate) const PYTHON: (u32, u32) = (3, 10);

/// Makes components of JavaScript, from npm.
pub(crate) const COMPONENTIZE_QJS: &str = "0.4.5";
/// Bundles modules and takes the types out of TypeScript, from npm.
pub(crate) const ESBUILD: &str = "0.28.2";
/// The oldest Node.js that runs both.
pub(crate) const NODE: (u32, u32) = (18, 0);

/// The oldest Go whose `wasmexport` and `c-shared` do what is needed.
pub(crate) const GO: (u32, u32) = (1, 25);

/// What components in Rust are built for.
pub(crate) const RUST_TARGET: &str = "wasm32-wasip2";
