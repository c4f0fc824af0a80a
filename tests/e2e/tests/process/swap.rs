//! A router that is replaced in the middle of a release, while the controller runs.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use sluice_e2e::{Controller, History, Kind, Namespace, Rollout, eventually, manifest, run_folder};

use crate::other_nginx::{other_nginx, weights};

const LIMIT: Duration = Duration::from_secs(120);

/// Puts a component into the folder as `nginx`, as an operator should: whole, by a rename.
fn put(folder: &Path, bytes: &[u8]) -> Result<()> {
    let new = folder.join("new");
    fs::write(&new, bytes)?;
    fs::rename(new, folder.join("nginx.wasm"))?;
    Ok(())
}

async fn until_logged(controller: &Controller, parts: &[&str]) -> Result<()> {
    eventually(&format!("a log line with {parts:?}"), LIMIT, async || {
        let log = controller.log()?;
        let said = log.lines().any(|line| parts.iter().all(|part| line.contains(part)));
        ensure!(said, "{log}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_is_swapped_in_the_middle_of_a_release() -> Result<()> {
    let namespace = Namespace::new("swap").await?;
    let folder = run_folder()?.join("plugins");
    fs::create_dir_all(&folder)?;
    let directory = folder.to_str().context("the path is not UTF-8")?;
    let controller = Controller::start(&namespace, &["--plugins-dir", directory]).await?;
    let web = Rollout::new(&namespace, "web");
    let written = History::record(&namespace, Kind::INGRESS, "web-web-canary", weights).await?;
    namespace.apply(&manifest::services()).await?;
    namespace.apply(manifest::INGRESS).await?;
    let steps = "steps: [{setWeight: 20}, {pause: {}}, {setWeight: 60}, {pause: {}}]";
    let canary = format!("{}, {steps}", manifest::NGINX);
    namespace.apply(&manifest::rollout(5, &canary, "")).await?;
    web.until_phase("Healthy", LIMIT).await?;
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;

    put(&folder, &other_nginx()?)?;
    until_logged(&controller, &["router nginx installed from", "nginx.wasm", "sha256:"]).await?;
    web.resume().await?;
    web.until_paused_at(3, LIMIT).await?;
    let old = |weight: &str| (Some(weight.to_owned()), None);
    let new = |weight: &str| (None, Some(weight.to_owned()));
    let so_far = written.ends_with(&new("60"), LIMIT).await?;
    assert_eq!(so_far, [old("0"), old("20"), new("60")], "the new router went on by itself");

    put(&folder, b"this is no component")?;
    until_logged(&controller, &["nginx.wasm is not used, and nothing changes"]).await?;
    web.resume().await?;
    web.until_phase("Healthy", LIMIT).await?;
    let all = written.ends_with(&new("0"), LIMIT).await?;
    assert_eq!(all[3..], [new("100"), new("0")], "the last good router stays");
    Ok(())
}
