//! `sluice:host/secrets`: there is no way to grant a secret yet, so every alias is denied.

use crate::bindings::host::sluice::host::secrets;
use crate::ctx::Ctx;

impl secrets::Host for Ctx {
    async fn get(&mut self, alias: String) -> Result<Vec<u8>, secrets::SecretError> {
        self.denied += 1;
        Err(secrets::SecretError::NotGranted(format!("needs a secret granted as {alias:?}")))
    }
}
