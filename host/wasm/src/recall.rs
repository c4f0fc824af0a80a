//! Runs that began with an earlier component, in a process that is gone: what measured them can be
//! brought back, so that they end with it.

use std::fmt;
use std::sync::Arc;

use crate::host::{ComponentHost, Generation, Terms, locked};

/// An earlier component that can be brought back.
#[derive(Clone)]
pub struct Earlier {
    /// Its digest, `sha256:` and so on.
    pub digest: String,
    /// Where its bytes are, if they still are. It may block.
    pub bytes: Arc<dyn Fn() -> Option<Vec<u8>> + Send + Sync>,
}

impl fmt::Debug for Earlier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Earlier").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl ComponentHost {
    /// The metric provider of this name, of a Plugin object, was another one earlier. Runs that
    /// were measured by that one, as they remember, go on with it, on the terms of the one that
    /// is called now.
    ///
    /// What runs remember can be written by others than the controller, so it counts for nothing
    /// beside what is named here.
    pub fn recallable(&self, name: &str, earlier: Option<Earlier>) {
        let mut recalls = locked(&self.inner.recalls);
        match earlier {
            Some(earlier) => recalls.insert(name.to_owned(), earlier),
            None => recalls.remove(name),
        };
    }

    /// The component that a run was measured by before this process knew it, if it is another than
    /// the one which is called now and can be had.
    pub(crate) async fn recalled(
        &self,
        name: &str,
        current: &Arc<Generation>,
        remembered: Option<&str>,
    ) -> Option<Arc<Generation>> {
        let digest = remembered?.strip_prefix(name)?.strip_prefix('@')?;
        if digest == current.loaded.digest || !current.is_object() {
            return None;
        }
        let earlier = locked(&self.inner.recalls).get(name).cloned();
        let earlier = earlier.filter(|earlier| earlier.digest == digest)?;
        if let Some(loaded) = self.pinned(name, digest) {
            return Some(loaded);
        }
        let bytes = tokio::task::spawn_blocking(move || (earlier.bytes)()).await.ok().flatten()?;
        let terms = Terms {
            grants: Some((*current.grants).clone()),
            limits: Some(current.limits),
            private: (**locked(&current.private)).clone(),
            swap: current.swap,
            way: current.way.clone(),
            config: None,
        };
        match self.prepare(name, bytes, current.origin.clone(), terms).await {
            Ok(prepared) => {
                let generation = prepared.into_generation();
                (generation.loaded.digest == digest).then(|| Arc::new(generation))
            }
            Err(error) => {
                tracing::warn!(plugin = name, digest, %error, "a run goes on with another component");
                None
            }
        }
    }
}
