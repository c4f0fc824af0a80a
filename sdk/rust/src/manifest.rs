//! What a component says about itself, in its section `sluice:manifest`: a JSON object with
//! `name`, `version`, `kind`, and `requests`, the permissions that it asks for with the reasons.

/// The bytes of a text, for a static of a section.
pub const fn bytes<const N: usize>(text: &str) -> [u8; N] {
    let from = text.as_bytes();
    let mut to = [0; N];
    let mut at = 0;
    while at < N {
        to[at] = from[at];
        at += 1;
    }
    to
}

/// The manifest of the crate that this is called in.
#[doc(hidden)]
#[macro_export]
macro_rules! __manifest_text {
    ($kind:literal) => { $crate::__manifest_text!($kind,) };
    ($kind:literal, $($what:ident: $reason:literal),*) => {
        concat!(
            "{\"name\":\"", env!("CARGO_PKG_NAME"),
            "\",\"version\":\"", env!("CARGO_PKG_VERSION"),
            "\",\"kind\":\"", $kind,
            "\",\"requests\":{",
            $crate::__manifest_requests!($($what: $reason),*),
            "}}"
        )
    };
}

/// The members of `requests`.
#[doc(hidden)]
#[macro_export]
macro_rules! __manifest_requests {
    () => { "" };
    ($what:ident: $reason:literal $(, $others:ident: $reasons:literal)*) => {
        concat!(
            "\"", stringify!($what), "\":", stringify!($reason),
            $(",\"", stringify!($others), "\":", stringify!($reasons),)*
        )
    };
}

/// Puts the manifest into the component.
#[doc(hidden)]
#[macro_export]
macro_rules! __manifest {
    ($($described:tt)*) => {
        const MANIFEST: &str = $crate::__manifest_text!($($described)*);
        #[unsafe(link_section = "sluice:manifest")]
        #[used]
        static SECTION: [u8; MANIFEST.len()] = $crate::manifest::bytes(MANIFEST);
    };
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_manifest_is_json() {
        let none = parsed(__manifest_text!("traffic-router"));
        assert_eq!(
            none,
            json!({
                "name": "sluice-sdk",
                "version": env!("CARGO_PKG_VERSION"),
                "kind": "traffic-router",
                "requests": {},
            })
        );
        let two = parsed(__manifest_text!("metric-provider", http: "a \"b\"", secrets: "c"));
        assert_eq!(two["requests"], json!({"http": "a \"b\"", "secrets": "c"}));
    }

    #[test]
    fn a_section_has_the_bytes_of_its_text() {
        const TEXT: &str = "{\"é\":1}";
        assert_eq!(super::bytes::<{ TEXT.len() }>(TEXT), *TEXT.as_bytes());
    }
}
