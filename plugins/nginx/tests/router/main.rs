//! The router's answers, as text.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[path = "../../../testing/golden.rs"]
mod golden;

use sluice_plugin_nginx::Nginx;

#[test]
fn the_cases_answer_as_written() {
    golden::run::<Nginx>(env!("CARGO_MANIFEST_DIR"));
}
