//! From the configuration's JSON to the author's type.

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Reads a plugin's configuration.
///
/// # Errors
/// [`Error::InvalidConfig`], which names the field and what it should be.
pub fn parse<C: DeserializeOwned>(json: &str) -> Result<C> {
    let mut reader = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        let full = error.inner().to_string();
        // The user wrote YAML, so lines and columns of this JSON mean nothing.
        let reason = full.split(" at line ").next().unwrap_or_default();
        Error::InvalidConfig(match field.as_str() {
            "." => reason.to_owned(),
            _ => format!("{field}: {reason}"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the errors matter")]
    struct Config {
        address: String,
        headers: Vec<Header>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only the errors matter")]
    struct Header {
        key: String,
    }

    fn refused(json: &str) -> String {
        parse::<Config>(json).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_field() {
        assert_eq!(refused(r#"{"headers": []}"#), "missing field `address`");
        assert_eq!(
            refused(r#"{"address": 5, "headers": []}"#),
            "address: invalid type: integer `5`, expected a string"
        );
        assert_eq!(
            refused(r#"{"address": "a", "headers": [{"key": "k"}, {}]}"#),
            "headers[1]: missing field `key`"
        );
        assert_eq!(
            refused(r#"{"adress": "a"}"#),
            "adress: unknown field `adress`, expected `address` or `headers`"
        );
    }
}
