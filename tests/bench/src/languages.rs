//! The first example of every SDK: what a call, a start and a change of the component cost in each
//! language.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sluice_port::{Components, MetricCall};
use sluice_wasm::{ComponentHost, Kind, Origin};

use crate::servers::{host, terms};
use crate::{Sorted, row, temporary};

const LANGUAGES: [(&str, &str); 4] =
    [("rust", "Rust"), ("go", "Go"), ("js", "JavaScript"), ("python", "Python")];
const CALLS: usize = 500;

/// Print the rows of those whose component is built in this folder.
pub async fn languages(built: &Path) -> Result<()> {
    for (folder, language) in LANGUAGES {
        let path = built.join(folder).join("order-rate/dist/order-rate.wasm");
        match std::fs::read(&path) {
            Ok(bytes) => one(language, &bytes).await?,
            Err(_) => row(
                &format!("a provider in {language}"),
                "not measured: build it by `make bench-components`",
            ),
        }
    }
    Ok(())
}

async fn one(language: &str, bytes: &[u8]) -> Result<()> {
    let cache = temporary("lang");
    let cold = load(&cache, bytes).await?.1;
    let (host, warm) = load(&cache, bytes).await?;
    let config = serde_json::json!({"address": "http://rates.test", "service": "shop"});
    let call = MetricCall { config: config.to_string(), ..MetricCall::default() };
    let mut times = Vec::new();
    for _ in 0..CALLS {
        let begun = Instant::now();
        host.measure("it", &call).await?;
        times.push(begun.elapsed());
    }
    let mut swaps = Vec::new();
    for _ in 0..5 {
        let origin = Origin::Other("bench".into());
        let prepared = host.prepare("it", bytes.to_vec(), origin, terms()).await?;
        let begun = Instant::now();
        host.enter(prepared);
        swaps.push(begun.elapsed());
    }
    let size = bytes.len() as f64 / 1e6;
    row(
        &format!("a provider in {language}: one measurement, fresh instance"),
        &Sorted::of(times).to_string(),
    );
    row(
        &format!("a provider in {language}: compile, load from the cache, take over"),
        &format!("{cold:.0?}, {warm:.1?}, {:.0?}", Sorted::of(swaps).part(50)),
    );
    let info = host.installed().into_iter().find(|info| info.name == "it");
    let peak = info.context("it is installed")?.totals.memory_peak as f64 / 1e6;
    row(
        &format!("a provider in {language}: its file, and its memory in a call"),
        &format!("{size:.1} MB, {peak:.1} MB"),
    );
    std::fs::remove_dir_all(&cache)?;
    Ok(())
}

/// A host with this component, and how long that took to load.
async fn load(cache: &Path, bytes: &[u8]) -> Result<(ComponentHost, Duration)> {
    let host = host(Some(cache), Duration::ZERO).await?;
    let origin = Origin::Other("bench".into());
    let info = host.install_on("it", bytes.to_vec(), origin, terms()).await?;
    anyhow::ensure!(info.kind == Kind::Metric, "the example is no metric provider");
    Ok((host, info.load_time))
}
