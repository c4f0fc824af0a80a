//! Runs a router on the cases in `tests/golden` and compares what it answers, as text.
//!
//! A case is a folder with `routing.json` (the router's configuration under `config`, and what
//! differs from the defaults below), `objects.yaml` (a list), and `expect.json`. With `UPDATE=1`
//! in the environment the last is written instead of compared.
//!
//! For every case that routes, it also holds that the changes settle: once they are applied, and
//! those of one more call, the router wants nothing else and says so.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sluice_sdk::Error;
use sluice_sdk::traffic::{Change, ObjectQuery, Router, Routing, Verification};

/// Runs all cases below a crate's `tests/golden`.
pub fn run<R: Router>(manifest_dir: &str) {
    let folder = Path::new(manifest_dir).join("tests/golden");
    let mut cases: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    let failed: Vec<String> = cases.iter().filter_map(|case| check::<R>(case).err()).collect();
    assert!(failed.is_empty(), "{}\nUPDATE=1 accepts these answers.", failed.join("\n"));
}

fn check<R: Router>(case: &Path) -> Result<(), String> {
    let name = case.file_name().unwrap().to_string_lossy();
    let routing: Value = serde_json::from_str(&read(&case.join("routing.json"))).unwrap();
    let config = sluice_sdk::parse_config::<R::Config>(&routing["config"].to_string()).unwrap();
    let wanted = parse(&routing);
    let objects: Vec<Value> = serde_saphyr::from_str(&read(&case.join("objects.yaml"))).unwrap();

    let route = R::route(&wanted, &config, &objects);
    if let Ok(changes) = &route {
        settles::<R>(&wanted, &config, &apply(&objects, changes))
            .map_err(|e| format!("{name}: {e}"))?;
    }
    let mut answers = json!({
        "references": R::references(&wanted, &config, &[]).map_or_else(error, |queries| {
            let line = |q: &ObjectQuery| {
                let namespace = q.namespace.as_deref().unwrap_or("-");
                let name = q.name.as_deref().unwrap_or("-");
                format!("{} {} {namespace}/{name}", q.api_version, q.kind)
            };
            queries.iter().map(line).collect()
        }),
        "route": route.map_or_else(error, |changes| show(&changes)),
        "verify": R::verify(&wanted, &config, &objects).map_or_else(error, |v| match v {
            Verification::Converged => json!("converged"),
            Verification::Pending(why) => json!({ "pending": why }),
            Verification::CannotTell => json!("cannot tell"),
        }),
        "release": R::release(&wanted, &config, &objects)
            .map_or_else(error, |changes| show(&changes)),
    });
    // The order of maps depends on what else is built with the test.
    answers.sort_all_objects();
    let got = format!("{answers:#}\n");
    let path = case.join("expect.json");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &got).unwrap();
        return Ok(());
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    match expected == got {
        true => Ok(()),
        false => Err(format!("{name}: expected\n{expected}\ngot\n{got}")),
    }
}

fn settles<R: Router>(w: &Routing, c: &R::Config, objects: &[Value]) -> Result<(), String> {
    let again = R::route(w, c, objects).map_err(|e| format!("the second route fails: {e:?}"))?;
    let objects = apply(objects, &again);
    match R::route(w, c, &objects) {
        Ok(changes) if changes.is_empty() => {}
        other => return Err(format!("routing does not settle: {other:?}")),
    }
    match R::verify(w, c, &objects) {
        Ok(Verification::CannotTell | Verification::Converged) => Ok(()),
        other => Err(format!("settled, but verify says {other:?}")),
    }
}

/// The objects after some changes.
pub fn apply(objects: &[Value], changes: &[Change]) -> Vec<Value> {
    let place = |o: &Value| {
        let (kind, meta) = (o["kind"].clone(), &o["metadata"]);
        (kind, meta["namespace"].clone(), meta["name"].clone())
    };
    let mut objects = objects.to_vec();
    for change in changes {
        match change {
            Change::Put(object) => {
                objects.retain(|other| place(other) != place(object));
                objects.push(object.clone());
            }
            Change::Remove(gone) => {
                let gone = (json!(gone.kind), json!(gone.namespace), json!(gone.name));
                objects.retain(|other| place(other) != gone);
            }
        }
    }
    objects
}

fn show(changes: &[Change]) -> Value {
    let one = |change: &Change| match change {
        Change::Put(object) => json!({ "put": object }),
        Change::Remove(gone) => {
            let namespace = gone.namespace.as_deref().unwrap_or("-");
            json!({ "remove": format!("{} {namespace}/{}", gone.kind, gone.name) })
        }
    };
    changes.iter().map(one).collect()
}

fn error(error: Error) -> Value {
    let kind = match &error {
        Error::InvalidConfig(_) => "invalid config",
        Error::Transient { .. } => "transient",
        Error::Failed { code, .. } => code,
    };
    json!({ "error": kind, "message": error.message() })
}

/// A routing from its JSON; what is left out is that of rollout `shop` in namespace `web`, whose
/// stable version gets everything that the canary does not.
pub fn parse(routing: &Value) -> Routing {
    let total = routing["totalWeight"].as_u64().unwrap_or(100);
    let canary = routing["canary"]["weight"].as_u64().unwrap_or_default();
    let mut all = json!({
        "namespace": "web",
        "rollout": "shop",
        "rolloutUid": "rollout-uid",
        "totalWeight": total,
        "canary": { "service": "shop-canary", "podHash": "new" },
        "stable": { "service": "shop-stable", "podHash": "old", "weight": total - canary },
    });
    lay_over(&mut all, routing);
    serde_json::from_value(all).unwrap()
}

fn lay_over(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
