//! What an import of a component asks of the host, by the names of interfaces.

/// The interfaces of ours, before their names.
const HOST: &str = "sluice:host/";
/// The one of WASI that sends requests. Its types alone send nothing.
const WASI_HTTP: &str = "wasi:http/outgoing-handler";
/// The one of WASI that writes log lines. It never got further than this draft.
const WASI_LOGGING: &str = "wasi:logging/logging";

/// What a component asks of the host by importing this, such as `http`: the name of the interface
/// of ours that is asked for the same, whichever of the two is imported. `None` is nothing that
/// anybody could grant.
pub fn asked(import: &str) -> Option<&str> {
    let interface = import.split('@').next().unwrap_or(import);
    match interface {
        WASI_HTTP => Some("http"),
        WASI_LOGGING => Some("log"),
        _ => interface.strip_prefix(HOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_of_wasi_asks_for_what_ours_asks_for() {
        for (import, what) in [
            ("sluice:host/http@0.1.0", Some("http")),
            ("sluice:host/secrets", Some("secrets")),
            ("wasi:http/outgoing-handler@0.2.4", Some("http")),
            ("wasi:logging/logging@0.1.0-draft", Some("log")),
            ("wasi:http/types@0.2.4", None),
            ("wasi:io/poll@0.2.4", None),
            ("sluice:plugin/types@0.1.0", None),
        ] {
            assert_eq!(asked(import), what, "{import}");
        }
    }
}
