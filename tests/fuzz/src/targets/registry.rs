//! The reader of references is part of the binary, and needs nothing of it but this error.

/// Why a text is no reference.
#[derive(Debug, thiserror::Error)]
pub(super) enum RegistryError {
    /// The text.
    #[error("{0:?} is no reference")]
    Reference(String),
}

#[path = "../../../../host/src/registry/reference.rs"]
pub(super) mod reference;
