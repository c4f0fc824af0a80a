//! `wasi:logging`: the same lines, within the same limits, as by our own interface.

use std::sync::Arc;

use sluice_hostile::{Heard, Record, assert_calm, host, logging_by_wasi, measure, tight};
use sluice_port::{Fault, Measured};
use sluice_wasm::Origin;

/// The call of the interface that writes `http://metrics.test/` of the context `GET`.
const WRITE: &str =
    "(call $write (i32.const LEVEL) (i32.const 16) (i32.const 3) (i32.const 32) (i32.const 20))";

#[tokio::test]
async fn a_line_by_wasi_is_a_line_of_the_component() {
    let acts: String = (0..6).map(|level| WRITE.replace("LEVEL", &level.to_string())).collect();
    let host = host(Arc::new(Record::default())).await;
    let bytes = logging_by_wasi(&format!("{acts} (return (call $number (f64.const 1)))"));
    host.install("chatty", bytes, Origin::Bundled).await.unwrap();
    let heard = Heard::begin();
    assert_eq!(measure(&host, "chatty").await, Ok(Measured::Number(1.0)));
    let lines = heard.of_components();
    let levels = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "ERROR"];
    assert_eq!(lines.len(), levels.len(), "{lines:?}");
    for (level, line) in levels.iter().zip(&lines) {
        assert!(line.contains(level), "{line}");
        assert!(line.contains("http://metrics.test/") && line.contains("chatty"), "{line}");
        assert!(line.contains("context=") && line.contains("GET"), "{line}");
    }
}

#[tokio::test]
async fn a_flood_of_lines_by_wasi_is_cut_off_at_the_limit() {
    let host = host(Arc::new(Record::default())).await;
    let flood = format!("(loop $on {} (br $on))", WRITE.replace("LEVEL", "3"));
    host.install("flood", logging_by_wasi(&flood), Origin::Bundled).await.unwrap();
    let heard = Heard::begin();
    let fault = measure(&host, "flood").await;
    assert!(matches!(fault, Err(Fault::CpuExceeded { .. })), "{fault:?}");
    assert_eq!(heard.of_components().len(), tight().log_lines as usize);
    assert_calm(&host).await;
}
