//! A real Prometheus.

use std::{fmt::Write as _, fs, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{
    Process, eventually, http,
    workspace::{cache_folder, free_port, run_folder},
};

/// How long Prometheus may take to start.
const START: Duration = Duration::from_secs(30);

/// A running Prometheus server that scrapes some targets.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    _process: Process,
}

impl Prometheus {
    /// Starts a server that scrapes `/metrics` of each target every `interval`,
    /// in whole milliseconds; the target's name becomes the label `job`.
    /// Returns when it answers queries.
    ///
    /// # Errors
    ///
    /// When Prometheus is not installed or does not start.
    pub async fn scraping(targets: &[(&str, SocketAddr)], interval: Duration) -> Result<Self> {
        let binary = find()?;
        let port = free_port()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let folder = run_folder()?.join(format!("prometheus-{port}"));
        fs::create_dir_all(&folder)?;
        let config = folder.join("prometheus.yml");
        fs::write(&config, configuration(targets, interval)?)?;
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            format!("--web.listen-address={address}"),
            "--log.level=warn".to_owned(),
        ];
        let arguments = arguments.map(Into::into);
        let log = folder.join("log");
        let process = Process::start("prometheus", &binary, &arguments, &[], &log)?;
        let prometheus = Self { address, _process: process };
        eventually("Prometheus to be ready", START, async || prometheus.http("/-/ready").await)
            .await?;
        Ok(prometheus)
    }

    /// The address of its API, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The value of the first series that the query `expression` yields now,
    /// or `None` when it yields none.
    ///
    /// # Errors
    ///
    /// When the query is refused.
    pub async fn query(&self, expression: &str) -> Result<Option<f64>> {
        let encoded = percent_encoded(expression);
        let body = self.http(&format!("/api/v1/query?query={encoded}")).await?;
        let answer: Value = serde_json::from_str(&body)?;
        let Some(value) = answer.pointer("/data/result/0/value/1") else { return Ok(None) };
        let text = value.as_str().context("Prometheus answered a value that is no string")?;
        Ok(Some(text.parse()?))
    }

    async fn http(&self, path: &str) -> Result<String> {
        http::body(&format!("{}{path}", self.url())).await
    }
}

fn configuration(targets: &[(&str, SocketAddr)], interval: Duration) -> Result<String> {
    let interval = interval.as_millis();
    let mut config = String::new();
    writeln!(config, "global:")?;
    writeln!(config, "  scrape_interval: {interval}ms")?;
    writeln!(config, "  scrape_timeout: {interval}ms")?;
    writeln!(config, "scrape_configs:")?;
    for (job, address) in targets {
        writeln!(config, "- job_name: {job}")?;
        writeln!(config, "  static_configs:")?;
        writeln!(config, "  - targets: ['{address}']")?;
    }
    Ok(config)
}

/// The server that the install script unpacked, or one in `PATH`.
fn find() -> Result<PathBuf> {
    let unpacked = cache_folder()?.join("prometheus/usr/bin/prometheus");
    if unpacked.is_file() {
        return Ok(unpacked);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("prometheus"))
        .find(|candidate| candidate.is_file())
        .context(
            "Prometheus is not installed; on Debian run tests/e2e/install-prometheus.sh, \
             which unpacks it into the user's cache, or `apt-get install prometheus`, \
             which also starts it as a service",
        )
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
