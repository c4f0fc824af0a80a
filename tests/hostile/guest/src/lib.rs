//! A metric provider that sends the requests of its configuration, and measures what came of them.
//! It is for tests: whatever goes wrong is told, and nothing is left out. Only a component has
//! anything to send with.

#[cfg(target_arch = "wasm32")]
mod guest;
