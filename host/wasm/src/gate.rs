//! Who waits for components that are still to come.
//!
//! At the start of a process the components of Plugin objects come a moment after everything else.
//! What a Plugin replaces should not be called in that moment, and yet nothing may wait for a
//! Plugin but its own users. So calls wait here, each for its own component.

use std::collections::BTreeSet;

use crate::host::ComponentHost;

/// Whose calls wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Held {
    /// Nobody's.
    #[default]
    Nobody,
    /// Everybody's, while it is not known who is to come.
    All,
    /// Those of components with these names.
    Names(BTreeSet<String>),
}

impl Held {
    fn holds(&self, name: &str) -> bool {
        match self {
            Self::Nobody => false,
            Self::All => true,
            Self::Names(names) => names.contains(name),
        }
    }
}

impl ComponentHost {
    /// Let calls of these components wait from now on, and all others go. Checks of configurations
    /// never wait. Whoever holds calls has to let them go in the end.
    pub fn hold(&self, held: Held) {
        self.inner.gate.send_replace(held);
    }

    /// Wait while calls of this component are held.
    pub(crate) async fn let_in(&self, name: &str) {
        let mut gate = self.inner.gate.subscribe();
        // The other end lives as long as the host.
        let _ = gate.wait_for(|held| !held.holds(name)).await;
    }
}
