//! Components of Plugin objects are compiled by this program in a process of its own, within
//! bounds.
#![expect(clippy::unwrap_used, reason = "helpers of tests may")]

use std::fmt::Write as _;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_bundled::BUNDLED;
use sluice_port::Components as _;
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};
use sluice_wasm::{Apart, CompileBounds, ComponentHost, HostConfig, LoadError, Origin, PluginInfo};

/// Compiling carries no requests.
struct Nowhere;

impl Egress for Nowhere {
    fn send<'a>(
        &'a self,
        _plugin: &'a str,
        _request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        Box::pin(async { Err(HttpError::Timeout) })
    }
}

fn host(cache: Option<&Path>, mebibytes: u64, seconds: u64) -> ComponentHost {
    let apart = Apart {
        program: env!("CARGO_BIN_EXE_sluice").into(),
        arguments: vec![
            "compile-component".into(),
            format!("--memory={mebibytes}").into(),
            format!("--seconds={seconds}").into(),
        ],
        variables: vec![("MIMALLOC_ARENA_RESERVE".into(), "0".into())],
        bounds: CompileBounds { memory: mebibytes << 20, time: Duration::from_secs(seconds) },
    };
    let config = HostConfig {
        cache_dir: cache.map(Path::to_owned),
        apart: Some(apart),
        ..HostConfig::new(Arc::new(Nowhere))
    };
    ComponentHost::new(config).unwrap()
}

fn bundled(name: &str) -> Vec<u8> {
    BUNDLED.iter().find(|component| component.name == name).unwrap().bytes.to_vec()
}

async fn install(host: &ComponentHost, bytes: Vec<u8>) -> Result<PluginInfo, LoadError> {
    host.install("nginx", bytes, Origin::Object("nginx".to_owned())).await
}

/// The router nginx with a core module inside that takes long to compile: `count` functions, each
/// of which is one long chain of loops and locals.
fn laborious(count: usize) -> Vec<u8> {
    let mut text = String::from("(module");
    for _ in 0..count {
        text.push_str("(func (param i32) (result i32) (local i32)");
        for round in 0..2_000 {
            write!(
                text,
                "(loop (local.set 1 (i32.add (local.get 1) (i32.mul (local.get 0) \
                 (i32.const {round})))) (br_if 0 (i32.lt_s (local.get 1) (local.get 0))))"
            )
            .unwrap();
        }
        text.push_str("(local.get 1))");
    }
    text.push(')');
    with(&wat::parse_str(text).unwrap())
}

/// A module whose one function takes a value from where there is none.
const DROPS_NOTHING: [u8; 25] =
    [0, b'a', b's', b'm', 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, 5, 1, 3, 0, 0x1a, 0x0b];

/// The router nginx with a core module inside that nothing uses.
fn with(module: &[u8]) -> Vec<u8> {
    let mut bytes = bundled("nginx");
    // A section of a component: its number, its length, and here a module.
    bytes.push(1);
    let mut rest = module.len();
    loop {
        let more = rest > 0x7f;
        bytes.push((rest & 0x7f) as u8 | if more { 0x80 } else { 0 });
        rest >>= 7;
        if !more {
            break;
        }
    }
    bytes.extend(module);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_compiled_apart_is_called_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let first = install(&host(Some(folder.path()), 1024, 120), bundled("nginx")).await.unwrap();
    assert!(!first.cached, "there was nothing to find");
    let again = host(Some(folder.path()), 1, 1);
    let second = install(&again, bundled("nginx")).await.unwrap();
    assert!(second.cached, "nothing was compiled, since one mebibyte is not enough for that");
    again.validate_router("nginx", r#"{"stableIngress": "web"}"#).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compiler_that_needs_too_much_memory_takes_nobody_with_it() {
    let host = host(None, 160, 120);
    let error = install(&host, laborious(400)).await.unwrap_err();
    let LoadError::Apart(why) = error else { panic!("{error}") };
    assert!(why.contains("160 MiB of memory, see --compile-memory"), "{why}");
    install(&host, bundled("nginx")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compiler_that_needs_too_much_time_is_ended() {
    let host = host(None, 4096, 1);
    let began = Instant::now();
    let error = install(&host, laborious(400)).await.unwrap_err().to_string();
    assert_eq!(error, "cannot compile: it takes longer than 1 s, see --compile-timeout");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_compiler_refuses_is_told_in_its_words() {
    let error = install(&host(None, 1024, 120), with(&DROPS_NOTHING)).await.unwrap_err();
    let LoadError::Apart(why) = error else { panic!("{error}") };
    assert!(why.contains("type mismatch"), "{why}");
}
