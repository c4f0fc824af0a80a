//! Attackers: components made of text and of bytes, and a host to set them upon; the attacks are
//! in `tests/`.
#![expect(clippy::expect_used, reason = "helpers of tests may")]

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};
use sluice_port::{Components, Fault, Measured, MetricCall};
use sluice_wasm::{ComponentHost, HostConfig, Kind, Limits, Origin};
use wit_parser::Resolve;

mod guest;
mod heard;

pub use guest::sending;
pub use heard::Heard;

#[path = "../../../host/wasm/tests/fixture/mod.rs"]
pub mod fixture;

/// Where the fixture's provider begins to measure.
const ACT: &str = "(func $act (param $what i32) (result i32)";

/// A provider that does what this text says when it measures; it may use the locals and functions
/// of the fixture's module, and has to leave the address of a result, or to trap.
pub fn attacker(acts: &str) -> Vec<u8> {
    attacker_with("", acts)
}

/// A provider whose module has this before its functions.
pub fn attacker_with(declares: &str, acts: &str) -> Vec<u8> {
    changed(&[(ACT, format!("{declares} {ACT} {acts}"))])
}

/// A provider that sends a request to this URL.
pub fn asking(url: &str) -> Vec<u8> {
    let escaped: String = url.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    changed(&[
        (
            "(data (i32.const 32) \"http://metrics.test/\")",
            format!("(data (i32.const 512) \"{escaped}\")"),
        ),
        ("(i32.const 32) (i32.const 20)", format!("(i32.const 512) (i32.const {})", url.len())),
        (ACT, format!("{ACT} (call $fetch)")),
    ])
}

/// A provider that writes into the log for ever.
pub fn flooding_the_log() -> Vec<u8> {
    const MEMORY: &str = "(memory (export \"memory\") 2)";
    let write = "(import \"sluice:host/log@0.1.0\" \"write\" (func $write \
                 (param i32 i32 i32 i32 i32)))";
    let flood = "(loop $on (call $write (i32.const 3) (i32.const 32) (i32.const 20) \
                 (i32.const 0) (i32.const 0)) (br $on))";
    changed(&[(MEMORY, format!("{write} {MEMORY}")), (ACT, format!("{ACT} {flood}"))])
}

/// A provider that does what this text says when it measures, and has `$write` of `wasi:logging`.
pub fn logging_by_wasi(acts: &str) -> Vec<u8> {
    const MEMORY: &str = "(memory (export \"memory\") 2)";
    const LOGGING: &str = "
        package wasi:logging@0.1.0-draft;
        interface logging {
            enum level { trace, debug, info, warn, error, critical }
            log: func(level: level, context: string, message: string);
        }";
    const WORLD: &str = "
        package test:logging;
        world provider {
            include sluice:metric/metric-provider@0.1.0;
            import wasi:logging/logging@0.1.0-draft;
        }";
    let write = "(import \"wasi:logging/logging@0.1.0-draft\" \"log\" (func $write \
                 (param i32 i32 i32 i32 i32)))";
    let changes = [(MEMORY, format!("{write} {MEMORY}")), (ACT, format!("{ACT} {acts}"))];
    let mut resolve = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    resolve.push_path(wit).expect("the WIT parses");
    resolve.push_str("logging.wit", LOGGING).expect("the interface parses");
    let world = resolve.push_str("world.wit", WORLD).expect("the world parses");
    fixture::encode(&resolve, world, "provider", &module(&changes))
}

/// The fixture's provider with other texts in the place of some.
fn changed(changes: &[(&str, String)]) -> Vec<u8> {
    fixture::component("sluice:metric/metric-provider", &module(changes))
}

fn module(changes: &[(&str, String)]) -> String {
    changes.iter().fold(fixture::provider_module(1.0), |module, (from, to)| {
        assert!(module.contains(from), "the fixture has changed");
        module.replace(from, to)
    })
}

/// Little of everything, so that an attack is soon over.
pub fn tight() -> Limits {
    Limits {
        wall: Duration::from_secs(5),
        cpu: Duration::from_millis(200),
        ..Limits::of(Kind::Metric)
    }
}

/// A network that answers 200 to everybody and keeps what it was asked.
#[derive(Debug, Default)]
pub struct Record(Mutex<Vec<HttpRequest>>);

impl Record {
    /// What was asked since the last time.
    pub fn take(&self) -> Vec<HttpRequest> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Egress for Record {
    fn send<'a>(
        &'a self,
        _plugin: &'a str,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        Box::pin(async { Ok(HttpResponse { status: 200, ..HttpResponse::default() }) })
    }
}

/// A host on which `calm` measures 7, so that every attack can be seen to leave it alone.
pub async fn host(network: Arc<dyn Egress>) -> ComponentHost {
    let config = HostConfig { metric_limits: Some(tight()), ..HostConfig::new(network) };
    let host = ComponentHost::new(config).expect("the machine can run components");
    let calm = fixture::provider(7.0);
    host.install("calm", calm, Origin::Bundled).await.expect("it is a good component");
    host
}

/// What comes of one measurement by the component of this name.
///
/// # Errors
/// What the host says of it.
pub async fn measure(host: &ComponentHost, name: &str) -> Result<Measured, Fault> {
    let call = MetricCall { config: "{}".to_owned(), ..MetricCall::default() };
    host.measure(name, &call).await.map(|measurement| measurement.outcome)
}

/// Assert that the neighbour of an attacker still measures.
pub async fn assert_calm(host: &ComponentHost) {
    assert_eq!(measure(host, "calm").await, Ok(Measured::Number(7.0)), "the neighbour suffered");
}
