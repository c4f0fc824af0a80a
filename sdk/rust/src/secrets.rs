//! Secrets by the alias that a grant gave them.
//!
//! Where it is possible, let the host add the credential to the request on its way out instead:
//! then the plugin never sees it.

use crate::error::Error;
use crate::host;

/// Why there is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretError {
    /// No grant names this alias; the text is the missing grant.
    NotGranted(String),
    /// The grant's Secret or key does not exist.
    NotFound(String),
    /// It cannot be read right now.
    Unavailable(String),
}

/// The bytes behind an alias.
///
/// # Errors
/// As [`SecretError`] says.
pub fn get(alias: &str) -> Result<Vec<u8>, SecretError> {
    host::secret(alias)
}

/// The text behind an alias.
///
/// # Errors
/// As [`SecretError`] says; also if it is no UTF-8, with the code `secret-not-text`.
pub fn text(alias: &str) -> Result<String, Error> {
    let no_text = |_| Error::failed("secret-not-text", format!("secret {alias} is not UTF-8"));
    String::from_utf8(get(alias)?).map_err(no_text)
}

impl From<SecretError> for Error {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::NotGranted(grant) => {
                Self::failed("not-granted", format!("the plugin lacks the grant {grant}"))
            }
            SecretError::NotFound(what) => {
                Self::failed("secret-not-found", format!("secret not found: {what}"))
            }
            SecretError::Unavailable(why) => Self::transient(format!("secret unavailable: {why}")),
        }
    }
}
