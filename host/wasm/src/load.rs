//! From bytes to something that can be called: what it speaks, what it asks for, and whether this
//! controller can serve it.

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

use crate::bindings::{host, metric, traffic};
use crate::cache::Cache;
use crate::ctx::Ctx;
use crate::engine::Clockwork;
use crate::limits::{Kind, MOST_COMPONENT};

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
    #[error("{size} bytes are more than the {most} that a component may have")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        most: usize,
    },
    /// It is no component.
    #[error("not a WebAssembly component: {0}")]
    Invalid(String),
    /// It wants something that this controller does not offer.
    #[error("it imports {import}, which this controller does not offer")]
    UnknownImport {
        /// The interface.
        import: String,
    },
    /// It speaks a version that this controller does not.
    #[error("plugin speaks {speaks}, this controller speaks 0.1")]
    WrongVersion {
        /// The interface and its version.
        speaks: String,
    },
    /// It exports nothing that the controller calls.
    #[error(
        "it exports none of sluice:metric/provider@0.1 and sluice:traffic/router@0.1; it exports {exports}"
    )]
    NoKnownExport {
        /// What it exports.
        exports: String,
    },
    /// It fits by name, and not by type.
    #[error("its interfaces do not fit: {0}")]
    Mismatch(String),
    /// The compiler failed.
    #[error("cannot compile: {0}")]
    Compile(String),
}

/// A component that is ready to be called.
#[derive(Clone)]
pub struct Loaded {
    /// `sha256:` and the digest of the bytes.
    pub digest: String,
    /// What it does.
    pub kind: Kind,
    /// The interface that it speaks, with its version.
    pub speaks: String,
    /// The interfaces of ours that it imports.
    pub imports: Vec<String>,
    /// Whether compiled code was found in the cache.
    pub cached: bool,
    pub(crate) pre: Pre,
}

#[derive(Clone)]
pub(crate) enum Pre {
    Metric(metric::MetricProviderPre<Ctx>),
    Router(traffic::TrafficRouterPre<Ctx>),
}

/// Compile, link and inspect. Takes as long as compiling takes: never call it on an executor.
pub fn load(clockwork: &Clockwork, cache: &Cache, bytes: &[u8]) -> Result<Loaded, LoadError> {
    if bytes.len() > MOST_COMPONENT {
        return Err(LoadError::TooLarge { size: bytes.len(), most: MOST_COMPONENT });
    }
    let digest = hex(&Sha256::digest(bytes));
    let engine = clockwork.engine();
    let (component, cached) = match cache.find(engine, &digest) {
        Some(component) => (component, true),
        None => {
            scan(bytes)?;
            let component = Component::from_binary(engine, bytes)
                .map_err(|error| LoadError::Compile(format!("{error:#}")))?;
            cache.keep(&component, &digest);
            (component, false)
        }
    };
    let interfaces = interfaces(&component, clockwork);
    let speaks = exported(&interfaces.exports)?;
    let linker = linker(clockwork).map_err(|error| LoadError::Mismatch(format!("{error:#}")))?;
    let instance = link(&linker, &component, &interfaces.imports)?;
    let mismatch = |error: wasmtime::Error| LoadError::Mismatch(format!("{error:#}"));
    let (kind, pre) = if speaks.starts_with(METRIC) {
        let pre = metric::MetricProviderPre::new(instance).map_err(mismatch)?;
        (Kind::Metric, Pre::Metric(pre))
    } else {
        let pre = traffic::TrafficRouterPre::new(instance).map_err(mismatch)?;
        (Kind::Router, Pre::Router(pre))
    };
    let imports = interfaces.imports.into_iter().filter(|name| name.starts_with("sluice:"));
    Ok(Loaded {
        digest: format!("sha256:{digest}"),
        kind,
        speaks,
        imports: imports.collect(),
        cached,
        pre,
    })
}

const METRIC: &str = "sluice:metric/provider@";
const ROUTER: &str = "sluice:traffic/router@";

struct Interfaces {
    imports: Vec<String>,
    exports: Vec<String>,
}

fn interfaces(component: &Component, clockwork: &Clockwork) -> Interfaces {
    let shape = component.component_type();
    let engine = clockwork.engine();
    Interfaces {
        imports: shape.imports(engine).map(|(name, _)| name.to_owned()).collect(),
        exports: shape.exports(engine).map(|(name, _)| name.to_owned()).collect(),
    }
}

/// Bytes are parsed to their end before a compiler sees them.
fn scan(bytes: &[u8]) -> Result<(), LoadError> {
    let invalid = |why: String| LoadError::Invalid(why);
    if !wasmparser::Parser::is_component(bytes) {
        let why = if wasmparser::Parser::is_core_wasm(bytes) {
            "it is a core module; build it for wasm32-wasip2"
        } else {
            "it does not begin like one"
        };
        return Err(invalid(why.to_owned()));
    }
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        payload.map_err(|error| invalid(error.to_string()))?;
    }
    Ok(())
}

fn exported(exports: &[String]) -> Result<String, LoadError> {
    let ours = exports.iter().find(|name| name.starts_with(METRIC) || name.starts_with(ROUTER));
    let Some(ours) = ours else {
        let exports = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
        return Err(LoadError::NoKnownExport { exports });
    };
    let version = ours.rsplit('@').next().unwrap_or_default();
    if version == "0.1" || version.starts_with("0.1.") {
        Ok(ours.clone())
    } else {
        Err(LoadError::WrongVersion { speaks: ours.clone() })
    }
}

fn linker(clockwork: &Clockwork) -> Result<Linker<Ctx>, wasmtime::Error> {
    let mut linker = Linker::new(clockwork.engine());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    host::Imports::add_to_linker::<_, HasSelf<_>>(&mut linker, |ctx: &mut Ctx| ctx)?;
    Ok(linker)
}

fn link(
    linker: &Linker<Ctx>,
    component: &Component,
    imports: &[String],
) -> Result<InstancePre<Ctx>, LoadError> {
    linker.instantiate_pre(component).map_err(|error| {
        let text = format!("{error:#}");
        // The linker names the import that it misses between backquotes.
        let missing = imports.iter().find(|import| text.contains(&format!("`{import}`")));
        match missing {
            Some(import) if import.starts_with("sluice:") && !import.contains("@0.1") => {
                LoadError::WrongVersion { speaks: import.clone() }
            }
            Some(import) => LoadError::UnknownImport { import: import.clone() },
            None => LoadError::Mismatch(text),
        }
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
