//! `sluice plugin push`: a component into a registry.

use std::path::PathBuf;

use anyhow::Context as _;
use sluice_wasm::{Bounds, MOST_COMPONENT, Network, Outline};

use super::super::output::print;
use crate::fetch::digest_of;
use crate::registry::{Credentials, Reference, Registry};

/// Arguments of the command.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Where to, such as ghcr.io/acme/datadog:1.4. Who you are is read from Docker's
    /// configuration.
    reference: String,
    /// The component.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Do it, and print what a Plugin would say to have it.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let shown = args.file.display();
    let bytes = std::fs::read(&args.file).with_context(|| format!("cannot read {shown}"))?;
    anyhow::ensure!(bytes.len() <= MOST_COMPONENT, "{shown} is too large for a component");
    let outline = Outline::of(&bytes).with_context(|| shown.to_string())?;
    let reference = Reference::read(&args.reference)?;
    anyhow::ensure!(reference.digest.is_none(), "name a tag to push to, and no digest");
    // A person decides where to push, so no address is out of bounds.
    let allowed = ["0.0.0.0/0", "::/0"].iter().filter_map(|net| net.parse().ok()).collect();
    let network = Network::new(Bounds { allowed })
        .map_err(|error| anyhow::anyhow!("no network: {error:?}"))?;
    let credentials = Credentials::of_user(&reference.server);
    let registry = Registry::new(&network, reference.clone(), credentials);
    let manifest = registry.push(&bytes, &outline).await?;
    let text = format!(
        "pushed {reference} ({manifest})\n\nspec:\n  source: {{oci: {reference}@{manifest}}}\n  \
         digest: {}\n",
        digest_of(&bytes)
    );
    Ok(print(&text)?)
}
