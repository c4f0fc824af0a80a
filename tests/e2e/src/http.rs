//! The HTTP client of the harness.

use anyhow::{Result, bail};

/// Chooses the cryptography of this process. Every TLS library in it leaves
/// the choice to the program.
pub(crate) fn choose_cryptography() {
    // An error means that the choice was made before, and all make the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client that follows no proxy of the environment, since all servers are local.
pub(crate) fn client() -> Result<reqwest::Client> {
    choose_cryptography();
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

/// The body that a GET of `url` answers.
///
/// # Errors
///
/// When there is no answer, or it is not a success.
pub(crate) async fn body(url: &str) -> Result<String> {
    let answer = client()?.get(url).send().await?;
    let status = answer.status();
    let body = answer.text().await?;
    if !status.is_success() {
        bail!("{url}: {status}: {body}");
    }
    Ok(body)
}
