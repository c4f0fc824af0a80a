//! `sluice:host/secrets`: by alias, and only what was granted. Nothing is read from a cluster here:
//! whoever installs a component says what its aliases stand for.

use crate::bindings::host::sluice::host::secrets;
use crate::ctx::Ctx;

impl secrets::Host for Ctx {
    async fn get(&mut self, alias: String) -> Result<Vec<u8>, secrets::SecretError> {
        if !self.grants.secrets.contains(&alias) {
            self.denied += 1;
            let missing = format!("needs a secret granted as {alias:?}");
            return Err(secrets::SecretError::NotGranted(missing));
        }
        self.private.secrets.get(&alias).cloned().ok_or_else(|| {
            secrets::SecretError::NotFound(format!("{alias:?} is granted and stands for no secret"))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use secrets::{Host as _, SecretError};

    use super::*;
    use crate::clock::Time;
    use crate::ctx::Surroundings;
    use crate::egress::{Bounds, Network};
    use crate::grants::Grants;
    use crate::limits::{Kind, Limits};
    use crate::private::Private;

    #[tokio::test]
    async fn a_secret_is_read_by_a_granted_alias_and_by_no_other() {
        let granted = ["token", "nowhere"].map(str::to_owned).to_vec();
        let values = ["token", "other"].map(|alias| (alias.to_owned(), alias.as_bytes().to_vec()));
        let private = Private { secrets: BTreeMap::from(values), ..Private::default() };
        let around = Surroundings {
            plugin: "test".into(),
            egress: Arc::new(Network::new(Bounds::default()).unwrap()),
            grants: Arc::new(Grants { secrets: granted, ..Grants::default() }),
            private: Arc::new(private),
            time: &Time::new(None),
            variables: &[],
        };
        let mut ctx = Ctx::new(around, Limits::of(Kind::Metric));
        assert_eq!(ctx.get("token".to_owned()).await.unwrap(), b"token");
        let other = ctx.get("other".to_owned()).await.unwrap_err();
        assert!(matches!(other, SecretError::NotGranted(_)), "{other:?}");
        let nowhere = ctx.get("nowhere".to_owned()).await.unwrap_err();
        assert!(matches!(nowhere, SecretError::NotFound(_)), "{nowhere:?}");
        assert_eq!(ctx.denied, 1);
    }
}
