//! The router's answers, as text, and what they must never do.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[path = "../../../testing/golden.rs"]
mod golden;
mod safety;

use sluice_plugin_istio::Istio;

#[test]
fn the_cases_answer_as_written() {
    golden::run::<Istio>(env!("CARGO_MANIFEST_DIR"));
}
