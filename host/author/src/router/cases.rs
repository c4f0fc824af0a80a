//! Cases of routers, as they are written.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use sluice_port::traffic::{HeaderMatch, HeaderRoute, MirrorMatch, MirrorRoute, StringMatch};
use sluice_port::{Destination, Routing};

use super::objects::Objects;
use crate::cases::Failure;
use crate::error::Error;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(default)]
    config: Option<Value>,
    cases: Vec<Written>,
}

/// A case as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    call: Function,
    #[serde(default)]
    config: Option<Value>,
    #[serde(default)]
    wanted: Wanted,
    /// A file with the objects that are there, beside this one.
    #[serde(default)]
    before: Option<String>,
    /// A file with patches, for `route` and `release`.
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    expect: Option<Expect>,
}

/// A function of a router. The objects that it must see are asked of it first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Function {
    #[default]
    Route,
    Release,
    Verify,
    Validate,
}

/// What `verify` and `validate` should answer, or any error.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expect {
    #[serde(default)]
    verification: Option<Verified>,
    #[serde(default)]
    ok: Option<bool>,
    #[serde(default)]
    error: Option<Failure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Verified {
    Converged,
    CannotTell,
    Pending(String),
}

/// The routing that is wanted. What is left out is what an ordinary rollout has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Wanted {
    namespace: String,
    rollout: String,
    rollout_uid: String,
    stable: Side,
    canary: Side,
    additional: Vec<Side>,
    total_weight: u32,
    header_routes: Vec<Headers>,
    mirror_routes: Vec<Mirror>,
    managed_routes: Vec<String>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            namespace: "default".to_owned(),
            rollout: "rollout".to_owned(),
            rollout_uid: "00000000-0000-4000-8000-000000000000".to_owned(),
            stable: Side { weight: 100, ..Side::default() },
            canary: Side::default(),
            additional: Vec::new(),
            total_weight: 100,
            header_routes: Vec::new(),
            mirror_routes: Vec::new(),
            managed_routes: Vec::new(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Side {
    service: String,
    pod_hash: String,
    weight: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Headers {
    name: String,
    headers: Vec<Header>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Header {
    name: String,
    value: Text,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Text {
    Exact(String),
    Prefix(String),
    Regex(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Mirror {
    name: String,
    matches: Vec<Match>,
    percentage: u32,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Match {
    method: Option<Text>,
    path: Option<Text>,
    headers: Vec<Header>,
}

/// A case that makes sense.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) call: Function,
    pub(crate) wanted: Routing,
    pub(crate) before: Objects,
    pub(crate) expect: Expected,
}

/// What a case expects.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// These changes, in this order.
    Patches(Vec<Value>),
    /// An answer of `verify` or `validate`.
    Answer(Value),
    /// An error.
    Error(Failure),
}

/// Reads a file of cases, and the files that it names.
///
/// # Errors
/// With the file and the place, if one is not right.
pub(crate) fn read(path: &Path) -> Result<Vec<Case>, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let wrong = |why: String| Error::Unreadable { path: path.to_owned(), why };
    let file: File = serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut cases = Vec::new();
    for written in file.cases {
        let config = written.config.clone().or_else(|| file.config.clone());
        let before = match &written.before {
            Some(name) => documents(&folder.join(name))?,
            None => Vec::new(),
        };
        let before = Objects::new(before, &written.wanted.namespace).map_err(|why| {
            let name = written.before.clone().unwrap_or_default();
            Error::Unreadable { path: folder.join(name), why }
        })?;
        let after = match &written.after {
            Some(name) => Some(documents(&folder.join(name))?),
            None => None,
        };
        let expect = expected(written.call, after, written.expect)
            .map_err(|why| wrong(format!("case {:?}: {why}", written.name)))?;
        let wanted = routing(written.wanted, config.unwrap_or_else(|| json!({})));
        cases.push(Case { name: written.name, call: written.call, wanted, before, expect });
    }
    Ok(cases)
}

fn documents(path: &Path) -> Result<Vec<Value>, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text)
        .map_err(|error| Error::Unreadable { path: path.to_owned(), why: error.to_string() })?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

fn expected(
    call: Function,
    after: Option<Vec<Value>>,
    expect: Option<Expect>,
) -> Result<Expected, String> {
    let changes = matches!(call, Function::Route | Function::Release);
    match (after, expect) {
        (Some(patches), None) if changes => Ok(Expected::Patches(patches)),
        (Some(_), None) => Err("after: only route and release change objects".to_owned()),
        (Some(_), Some(_)) => Err("after and expect: one of them".to_owned()),
        (None, Some(Expect { error: Some(failure), verification: None, ok: None })) => {
            Ok(Expected::Error(failure))
        }
        (None, Some(Expect { verification: Some(verified), error: None, ok: None }))
            if call == Function::Verify =>
        {
            Ok(Expected::Answer(match verified {
                Verified::Converged => json!("converged"),
                Verified::CannotTell => json!("cannot-tell"),
                Verified::Pending(why) => json!({ "pending": why }),
            }))
        }
        (None, Some(Expect { ok: Some(true), verification: None, error: None }))
            if call == Function::Validate =>
        {
            Ok(Expected::Answer(json!("ok")))
        }
        (None, _) => Err(match call {
            Function::Route | Function::Release => "name a file of patches under after, or an \
                 expect.error; an empty file is no change"
                .to_owned(),
            Function::Verify => "expect: verification or error".to_owned(),
            Function::Validate => "expect: ok: true, or error".to_owned(),
        }),
    }
}

fn routing(wanted: Wanted, config: Value) -> Routing {
    Routing {
        namespace: wanted.namespace,
        rollout: wanted.rollout,
        rollout_uid: wanted.rollout_uid,
        config: config.to_string(),
        stable: side(wanted.stable),
        canary: side(wanted.canary),
        additional: wanted.additional.into_iter().map(side).collect(),
        total_weight: wanted.total_weight,
        header_routes: wanted.header_routes.into_iter().map(header_route).collect(),
        mirror_routes: wanted.mirror_routes.into_iter().map(mirror_route).collect(),
        managed_routes: wanted.managed_routes,
        extensions: "{}".to_owned(),
    }
}

fn side(side: Side) -> Destination {
    Destination { service: side.service, pod_hash: side.pod_hash, weight: side.weight }
}

fn header_route(route: Headers) -> HeaderRoute {
    HeaderRoute { name: route.name, headers: route.headers.into_iter().map(header).collect() }
}

fn header(header: Header) -> HeaderMatch {
    HeaderMatch { name: header.name, value: text(header.value) }
}

fn text(text: Text) -> StringMatch {
    match text {
        Text::Exact(text) => StringMatch::Exact(text),
        Text::Prefix(text) => StringMatch::Prefix(text),
        Text::Regex(text) => StringMatch::Regex(text),
    }
}

fn mirror_route(route: Mirror) -> MirrorRoute {
    let matches = route.matches.into_iter().map(|one| MirrorMatch {
        method: one.method.map(text),
        path: one.path.map(text),
        headers: one.headers.into_iter().map(header).collect(),
    });
    MirrorRoute { name: route.name, matches: matches.collect(), percentage: route.percentage }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(case: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        std::fs::write(folder.path().join("x.yaml"), "").unwrap();
        std::fs::write(&path, format!("cases:\n- name: one\n{case}")).unwrap();
        read(&path).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_case_that_makes_no_sense_is_refused_with_what_would() {
        let table = [
            ("  call: route", "name a file of patches"),
            ("  call: verify\n  after: x.yaml", "only route and release"),
            ("  call: verify\n  expect: {ok: true}", "verification or error"),
            ("  after: x.yaml\n  expect: {ok: true}", "one of them"),
            ("  after: nowhere.yaml", "nowhere.yaml"),
            ("  wanted: {canray: {weight: 5}}\n  after: x.yaml", "canray"),
        ];
        for (case, part) in table {
            let error = refused(case);
            assert!(error.contains(part), "{case}: {error}");
        }
    }
}
