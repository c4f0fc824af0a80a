//! Strange components and addresses for the component host.

#[path = "../../../../host/wasm/tests/fixture/mod.rs"]
mod fixture;

mod lies;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use sluice_fuzz::Judge::{Bytes, Text};
use sluice_fuzz::{Target, Verdict, hold};
use sluice_plugins::wish;
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};
use sluice_wasm::{ComponentHost, Grants, HostConfig, LoadError, Origin, Outline, Server};
use tokio::runtime::Runtime;
use url::Url;

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "component", short: 10_000, also: &[], judge: Bytes(component, providers) },
    Target { name: "lies", short: 2_000, also: &[], judge: Bytes(lies::told, lies::truths) },
    Target { name: "assembly", short: 4_000, also: &[], judge: Text(assembly) },
    Target { name: "address", short: 40_000, also: &[], judge: Text(address) },
    Target { name: "grants", short: 20_000, also: &[], judge: Text(grants) },
];

/// No network: nothing that is loaded here is called with one.
struct Nowhere;

impl Egress for Nowhere {
    fn send<'a>(
        &'a self,
        _plugin: &'a str,
        _request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        Box::pin(async { Err(HttpError::Connect("there is no network".to_owned())) })
    }
}

/// One host for all inputs: what one of them does to it would show in the next.
fn host() -> Result<&'static (Runtime, ComponentHost), String> {
    static HOST: OnceLock<Result<(Runtime, ComponentHost), String>> = OnceLock::new();
    let made = HOST.get_or_init(|| {
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        let entered = runtime.enter();
        let host = ComponentHost::new(HostConfig::new(Arc::new(Nowhere)));
        drop(entered);
        Ok((runtime, host.map_err(|error| error.to_string())?))
    });
    made.as_ref().map_err(Clone::clone)
}

/// A metric provider that works.
fn providers() -> Vec<Vec<u8>> {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../wit");
    let module = fixture::provider_module(1.0);
    vec![fixture::wrap(&wit, "sluice:metric/metric-provider", &module)]
}

/// Bytes are a component that works, or are refused by a reason with a name; and a compiler only
/// sees what could be outlined.
fn component(bytes: &[u8]) -> Verdict {
    let (runtime, host) = host()?;
    let outlined = Outline::of(bytes);
    let installed = runtime.block_on(host.install("strange", bytes.to_vec(), Origin::Bundled));
    match (outlined, installed) {
        (Ok(outline), Ok(info)) => hold(outline.imports == info.imports, || {
            format!("outlined {:?}, and installed {:?}", outline.imports, info.imports)
        }),
        (Err(outlined), Err(refused)) => {
            hold(outlined == refused, || format!("first {outlined}, and then {refused}"))
        }
        (Err(outlined), Ok(_)) => Err(format!("installed what is refused: {outlined}")),
        (Ok(_), Err(LoadError::Compile(why) | LoadError::Mismatch(why))) => {
            hold(!why.is_empty(), || "refused without words".to_owned())
        }
        (Ok(_), Err(LoadError::Trial(_))) => Ok(()),
        (Ok(_), Err(other)) => Err(format!("outlined, and then refused: {other}")),
    }
}

/// The same for the text of a component, which changes more than bytes can and stays valid.
fn assembly(text: &str) -> Verdict {
    wat::parse_str(text).map_or(Ok(()), |bytes| component(&bytes))
}

/// Whatever an address is written like, the permission of a Plugin, the grant of a component and
/// the client that connects mean the same server.
fn address(text: &str) -> Verdict {
    let wished = wish::Server::read(text);
    let granted = Server::try_from(text.to_owned()).ok();
    match (&wished, &granted) {
        (None, None) => {}
        (Some(wish::Server::Any), Some(Server::Any)) => {}
        (Some(wish::Server::At(wished)), Some(Server::At { scheme, host, port })) => {
            let same = *wished == format!("{scheme}://{host}:{port}");
            hold(same, || format!("{wished} is wished, {scheme} {host} {port} granted"))?;
            let again = Server::try_from(wished.clone()).ok();
            hold(again == granted, || format!("{wished} is then granted as {again:?}"))?;
        }
        _ => return Err(format!("wished {wished:?}, and granted {granted:?}")),
    }
    // What goes out is the text of the parsed URL, which the client reads with another parser.
    let Ok(url) = Url::parse(text) else { return Ok(()) };
    if !matches!(url.scheme(), "http" | "https") {
        return Ok(());
    }
    let again = Url::parse(url.as_str());
    hold(again.as_ref() == Ok(&url), || format!("{url} is then read as {again:?}"))?;
    let Ok(uri) = url.as_str().parse::<http::Uri>() else { return Ok(()) };
    let same = uri.scheme_str() == Some(url.scheme())
        && uri.host() == url.host_str()
        && uri.port_u16() == url.port();
    hold(same, || {
        let (host, port) = (uri.host(), uri.port_u16());
        format!("{url} is judged, and {host:?} {port:?} is connected to")
    })
}

/// Grants are understood, or refused in words.
fn grants(text: &str) -> Verdict {
    match serde_json::from_str::<Grants>(text) {
        Ok(grants) => hold(grants == grants.clone(), || "not even equal to itself".to_owned()),
        Err(error) => hold(!error.to_string().is_empty(), || "refused without words".to_owned()),
    }
}
