//! From bytes to something that can be called: what it speaks, what it asks for, and whether this
//! controller can serve it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use sluice_port::Fault;
use wasmparser::{Parser, Payload};
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};

use crate::apart::Apart;
use crate::bindings::{host, metric, notifier, step, traffic};
use crate::cache::{Cache, deserialize};
use crate::ctx::Ctx;
use crate::host::locked;
use crate::limits::{Kind, MOST_COMPONENT};
use crate::{wasi_http, wasi_log};

/// The version of every interface, as far as it matters: `0.1.x` are all compatible.
const SPOKEN: &str = "0.1";
const METRIC: &str = "sluice:metric/provider";
const ROUTER: &str = "sluice:traffic/router";
const STEP: &str = "sluice:step/step";
const NOTIFIER: &str = "sluice:notifier/delivery";
/// What may be imported of ours. `types` are imported to be named, and nothing is linked.
const OFFERED: [&str; 6] = [
    "sluice:host/http",
    "sluice:host/kubernetes",
    "sluice:host/log",
    "sluice:host/secrets",
    "sluice:plugin/types",
    "sluice:traffic/types",
];
/// What may be imported of WASI 0.2. There are no files and no network behind it.
const WASI: [&str; 6] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];
/// Requests go out as those of our own interface do; nothing comes in.
const WASI_HTTP: [&str; 2] = ["wasi:http/outgoing-handler", "wasi:http/types"];
/// Of a draft there is no other version that would fit.
const WASI_LOGGING: &str = "wasi:logging/logging@0.1.0-draft";
const MANIFEST: &str = "sluice:manifest";
const MOST_MANIFEST: usize = 64 << 10;

/// Why a component cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {path}: {why}")]
    Unreadable {
        /// Which file.
        path: String,
        /// What the system says.
        why: String,
    },
    /// It is larger than any component may be.
    #[error("{size} bytes are more than the {MOST_COMPONENT} that a component may have")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// It is no component.
    #[error("not a WebAssembly component: {0}")]
    NoComponent(String),
    /// It wants something that this controller does not offer.
    #[error("it imports {import}, which this controller does not offer")]
    UnknownImport {
        /// The interface or function.
        import: String,
    },
    /// It speaks a version that this controller does not.
    #[error("plugin speaks {speaks}, this controller speaks {SPOKEN}")]
    WrongVersion {
        /// The package and its version, such as `sluice:metric@2`.
        speaks: String,
    },
    /// It exports nothing that the controller calls.
    #[error(
        "it exports {exports}, and none of {METRIC}@{SPOKEN}, {ROUTER}@{SPOKEN}, \
         {STEP}@{SPOKEN} and {NOTIFIER}@{SPOKEN}"
    )]
    NoKnownExport {
        /// What it exports, or `nothing`.
        exports: String,
    },
    /// It is several plugins.
    #[error("it exports both {0} and {1}; build one component for each")]
    TwoKinds(&'static str, &'static str),
    /// Its interfaces have the right names, and other types.
    #[error("its interfaces do not fit: {0}")]
    Mismatch(String),
    /// The compiler failed.
    #[error("cannot compile: {0}")]
    Compile(String),
    /// It could not be compiled within its bounds.
    #[error("cannot compile: {0}")]
    Apart(String),
    /// It was tried once before it would take anybody's place, and that went wrong.
    #[error("on trial: {0}")]
    Trial(Fault),
    /// The file with its grants is malformed.
    #[error("{path}: {why}")]
    Grants {
        /// Which file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// It is configured wrongly.
    #[error("{at}: {why}")]
    Config {
        /// The field or the file.
        at: String,
        /// What is wrong.
        why: String,
    },
    /// The engine does not start.
    #[error("no WebAssembly engine: {0}")]
    Engine(String),
}

/// A component that is ready to be called.
pub(crate) struct Loaded {
    pub(crate) outline: Outline,
    pub(crate) digest: String,
    pub(crate) cached: bool,
    pub(crate) took: Duration,
    pub(crate) pre: Pre,
}

/// A component whose imports are resolved, so that making an instance costs little.
pub(crate) enum Pre {
    Metric(metric::MetricProviderPre<Ctx>),
    Router(traffic::TrafficRouterPre<Ctx>),
    Step(step::StepPluginPre<Ctx>),
    Notifier(notifier::NotifierPre<Ctx>),
}

/// Everything that loads components, shared by all of them.
pub(crate) struct Loader {
    engine: Engine,
    linker: Linker<Ctx>,
    cache: Cache,
    /// How strangers are compiled, if not here. One at a time, since each may use all that one may.
    apart: Option<Mutex<Apart>>,
}

impl Loader {
    pub(crate) fn new(
        engine: Engine,
        cache: Cache,
        apart: Option<Apart>,
    ) -> Result<Self, LoadError> {
        let linker = linker(&engine).map_err(|error| LoadError::Engine(format!("{error:#}")))?;
        Ok(Self { engine, linker, cache, apart: apart.map(Mutex::new) })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Inspect, compile and link. Takes as long as compiling takes: not for an executor. A
    /// `stranger` is compiled in a process of its own, if there is a way to.
    pub(crate) fn load(&self, bytes: &[u8], stranger: bool) -> Result<Loaded, LoadError> {
        let began = Instant::now();
        if bytes.len() > MOST_COMPONENT {
            return Err(LoadError::TooLarge { size: bytes.len() });
        }
        let outline = Outline::of(bytes)?;
        let digest = hex(&Sha256::digest(bytes));
        let kept = self.cache.find(&self.engine, &digest);
        let cached = kept.is_some();
        let compiled = match (kept, self.apart.as_ref().filter(|_| stranger)) {
            (Some(component), _) => component,
            (None, Some(apart)) => {
                let compiled = locked(apart).compile(bytes);
                let compiled = compiled.map_err(|error| LoadError::Apart(error.to_string()))?;
                let component = deserialize(&self.engine, &compiled).ok_or_else(|| {
                    LoadError::Apart("what came of it is for another engine".to_owned())
                })?;
                self.cache.keep_compiled(&self.engine, &compiled, &digest);
                component
            }
            (None, None) => {
                let component = Component::from_binary(&self.engine, bytes)
                    .map_err(|error| LoadError::Compile(format!("{error:#}")))?;
                self.cache.keep(&component, &digest);
                component
            }
        };
        // What has just been compiled is in memory as a whole; what comes from the cache is not.
        let component = match cached {
            true => compiled,
            false => self.cache.find(&self.engine, &digest).unwrap_or(compiled),
        };
        let pre = self.link(&component, outline.kind)?;
        let digest = format!("sha256:{digest}");
        Ok(Loaded { outline, digest, cached, took: began.elapsed(), pre })
    }

    fn link(&self, component: &Component, kind: Kind) -> Result<Pre, LoadError> {
        let linked = self.linker.instantiate_pre(component).and_then(|pre| {
            Ok(match kind {
                Kind::Metric => Pre::Metric(metric::MetricProviderPre::new(pre)?),
                Kind::Router => Pre::Router(traffic::TrafficRouterPre::new(pre)?),
                Kind::Step => Pre::Step(step::StepPluginPre::new(pre)?),
                Kind::Notifier => Pre::Notifier(notifier::NotifierPre::new(pre)?),
            })
        });
        linked.map_err(|error| LoadError::Mismatch(format!("{error:#}")))
    }
}

/// Rights are in each store's data, so one linker serves every component.
fn linker(engine: &Engine) -> Result<Linker<Ctx>, wasmtime::Error> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasi_http::add_to_linker(&mut linker)?;
    wasi_log::add_to_linker(&mut linker)?;
    host::Imports::add_to_linker::<_, HasSelf<_>>(&mut linker, |ctx: &mut Ctx| ctx)?;
    Ok(linker)
}

/// What can be known of a component without running or compiling any of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// What it does.
    pub kind: Kind,
    /// The interface that it speaks, such as `sluice:metric/provider@0.1.0`.
    pub speaks: String,
    /// Every interface that it imports.
    pub imports: Vec<String>,
    /// What it says of itself, as JSON.
    pub manifest: Option<String>,
}

impl Outline {
    /// Reads it. Bytes are parsed to their end before a compiler sees them.
    ///
    /// # Errors
    /// If it is no component that this controller could load.
    pub fn of(bytes: &[u8]) -> Result<Self, LoadError> {
        let broken = |error: wasmparser::BinaryReaderError| {
            LoadError::NoComponent(format!("byte {}: {}", error.offset(), error.message()))
        };
        if Parser::is_core_wasm(bytes) {
            let why = "a core module; build it for wasm32-wasip2, or wrap it";
            return Err(LoadError::NoComponent(why.to_owned()));
        }
        if !Parser::is_component(bytes) {
            return Err(LoadError::NoComponent("it does not begin like one".to_owned()));
        }
        let (mut imports, mut exports, mut manifest) = (Vec::new(), Vec::new(), None);
        // How many components and modules the parser is within: names of inner ones are private.
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(broken)? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        imports.push(import.map_err(broken)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        exports.push(export.map_err(broken)?.name.name.to_owned());
                    }
                }
                Payload::CustomSection(section) if section.name() == MANIFEST => {
                    manifest = readable(section.data()).or(manifest);
                }
                _ => {}
            }
        }
        imports.iter().try_for_each(|import| offered(import))?;
        let (kind, speaks) = spoken(&exports)?;
        Ok(Self { kind, speaks, imports, manifest })
    }
}

/// A manifest is for people and tools; one that cannot be read is as good as none.
fn readable(data: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(data).ok().filter(|text| text.len() <= MOST_MANIFEST)?;
    serde_json::from_str::<serde_json::Value>(text).ok()?;
    Some(text.to_owned())
}

fn offered(import: &str) -> Result<(), LoadError> {
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    if OFFERED.contains(&interface) {
        return compatible(interface, version);
    }
    let of_wasi = WASI.iter().any(|package| interface.starts_with(package));
    if (of_wasi || WASI_HTTP.contains(&interface)) && version.starts_with("0.2.") {
        return Ok(());
    }
    if import == WASI_LOGGING {
        return Ok(());
    }
    Err(LoadError::UnknownImport { import: import.to_owned() })
}

fn spoken(exports: &[String]) -> Result<(Kind, String), LoadError> {
    let known = [
        (Kind::Metric, METRIC),
        (Kind::Router, ROUTER),
        (Kind::Step, STEP),
        (Kind::Notifier, NOTIFIER),
    ];
    let mut found = known.into_iter().filter_map(|(kind, wanted)| {
        let export = exports.iter().find(|export| export.split('@').next() == Some(wanted))?;
        Some((kind, wanted, export.clone()))
    });
    let Some((kind, first, speaks)) = found.next() else {
        let exports = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
        return Err(LoadError::NoKnownExport { exports });
    };
    if let Some((_, second, _)) = found.next() {
        return Err(LoadError::TwoKinds(first, second));
    }
    let (interface, version) = speaks.split_once('@').unwrap_or((&speaks, ""));
    compatible(interface, version)?;
    Ok((kind, speaks))
}

fn compatible(interface: &str, version: &str) -> Result<(), LoadError> {
    let mut parts = version.split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    // Before 1.0 the minor version is what the major one is later.
    let speaks = if major == "0" { format!("0.{minor}") } else { major.to_owned() };
    if speaks == SPOKEN {
        return Ok(());
    }
    let package = interface.split('/').next().unwrap_or(interface);
    Err(LoadError::WrongVersion { speaks: format!("{package}@{speaks}") })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_linked_may_be_imported() {
        for import in [
            "sluice:host/http@0.1.9",
            "sluice:plugin/types@0.1.0",
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:http/types@0.2.12",
            "wasi:io/poll@0.2.6",
            "wasi:logging/logging@0.1.0-draft",
        ] {
            assert_eq!(offered(import), Ok(()), "{import}");
        }
        for import in [
            "wasi:http/incoming-handler@0.2.0",
            "wasi:http/outgoing-handler@0.3.0",
            "wasi:http/handler@0.3.0",
            "wasi:http/types",
            "wasi:io/poll@0.3.0",
            "wasi:keyvalue/store@0.2.0-draft",
            "wasi:logging/logging",
            "wasi:logging/logging@0.1.0",
            "print",
            "a:b/c@1.0.0",
        ] {
            let import = import.to_owned();
            assert_eq!(offered(&import), Err(LoadError::UnknownImport { import }));
        }
    }

    #[test]
    fn a_version_that_is_not_spoken_is_named_with_the_one_that_is() {
        let error = |export: &str| spoken(&[export.to_owned()]).unwrap_err().to_string();
        assert_eq!(
            error("sluice:metric/provider@2.1.0"),
            "plugin speaks sluice:metric@2, this controller speaks 0.1"
        );
        assert_eq!(
            error("sluice:traffic/router@0.2.0"),
            "plugin speaks sluice:traffic@0.2, this controller speaks 0.1"
        );
        assert_eq!(
            error("sluice:step/step@1.0.0"),
            "plugin speaks sluice:step@1, this controller speaks 0.1"
        );
        let import = offered("sluice:host/log@0.2.0").unwrap_err().to_string();
        assert_eq!(import, "plugin speaks sluice:host@0.2, this controller speaks 0.1");
    }
    #[test]
    fn a_component_is_of_one_kind() {
        let exports = ["sluice:step/step@0.1.0", "sluice:metric/provider@0.1.0"].map(str::to_owned);
        assert_eq!(spoken(&exports), Err(LoadError::TwoKinds(METRIC, STEP)));
        assert_eq!(spoken(&exports[..1]), Ok((Kind::Step, exports[0].clone())));
    }
}
