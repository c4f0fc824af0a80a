//! Plugins: what the API server enforces by rules and patterns, and what only the controller can
//! refuse.

use regex::Regex;

use crate::clock::parse_duration;
use crate::field::Field;
use crate::lint::Page;

/// A field's form and the words for it.
struct Form {
    pattern: &'static str,
    words: &'static str,
}

const DIGEST: Form =
    Form { pattern: "^sha256:[0-9a-f]{64}$", words: "write sha256: and 64 lower-case hex digits" };
const SERVER: Form = Form {
    pattern: r"^(\*|https?://[^/]+)$",
    words: "write scheme, host and port without a path, such as https://api.example.com:443, or * for any server",
};
const MEMORY: Form = Form { pattern: "^[0-9]+(Ki|Mi|Gi)?$", words: "write bytes, such as 64Mi" };

/// Judge a Plugin.
pub(super) fn check(page: &mut Page<'_>) {
    let spec = page.root().get("spec");
    let (source, digest) = (spec.get("source"), spec.get("digest"));
    if !digest.is_set() && !source.get("bundled").is_set() {
        page.error(
            digest.path(),
            "a component that is not bundled needs a digest",
            Some("add the SHA-256 of the component's bytes, as sha256:HEX"),
        );
    }
    formed(page, &digest, &DIGEST);
    let url = source.get("url");
    if url.str().is_some_and(|url| !url.starts_with("https://")) {
        page.error(url.path(), "must start with https://", None);
    }
    let file = source.get("file");
    if file.str().is_some_and(|file| !file.starts_with('/')) {
        page.error(file.path(), "must be an absolute path", None);
    }
    for permission in spec.at("permissions.http").items() {
        formed(page, &permission.get("url"), &SERVER);
    }
    formed(page, &spec.at("limits.memory"), &MEMORY);
    for name in ["wall", "cpu"] {
        let limit = spec.get("limits").get(name);
        if let Some(text) = limit.str()
            && parse_duration(text).is_none()
        {
            let fix = "write a number and a unit, such as 500ms or 2s";
            page.error(limit.path(), format!("{text:?} is no duration"), Some(fix));
        }
    }
}

fn formed(page: &mut Page<'_>, field: &Field<'_>, form: &Form) {
    let Some(text) = field.str() else { return };
    let fits = Regex::new(form.pattern).is_ok_and(|pattern| pattern.is_match(text));
    if !fits {
        page.error(field.path(), format!("{text:?} has the wrong form"), Some(form.words));
    }
}
