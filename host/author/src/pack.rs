//! What is handed on: the component, and what it needs to be granted.

use std::path::PathBuf;

use crate::component::write;
use crate::error::Error;
use crate::inspect::{Facts, inspect};
use crate::project::Project;

/// What was packed.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The component, in the project's folder `dist`.
    pub component: PathBuf,
    /// The grants that it needs beside it, if it needs any.
    pub grants: Option<PathBuf>,
    /// What is in it.
    pub facts: Facts,
}

/// Puts the built component of a project and its grants into the folder `dist`, named as a folder
/// of plugins wants them.
///
/// # Errors
/// If it is of another kind than the project says, asks for what the project does not say, or
/// cannot be written.
pub fn pack(project: &Project) -> Result<Packed, Error> {
    let built = project.component();
    let facts = inspect(&built)?;
    if facts.kind != project.kind {
        let (said, found) = (project.kind.name(), facts.kind.name());
        return Err(Error::OtherKind { said, found });
    }
    let said = |name: &str| name == "log" || project.requests.keys().any(|r| r.name() == name);
    if let Some(silent) = facts.asks.iter().find(|name| !said(name)) {
        let path = project.folder.join(crate::project::FILE);
        let why = format!("requests.{silent}: the component uses it; say what for");
        return Err(Error::Unreadable { path, why });
    }
    let dist = project.folder.join("dist");
    let component = dist.join(format!("{}.wasm", project.name));
    let bytes = std::fs::read(&built).map_err(Error::io("read", &built))?;
    write(&component, &bytes)?;
    let grants = match project.grants.as_object().is_some_and(|grants| !grants.is_empty()) {
        true => {
            let path = dist.join(format!("{}.grants.json", project.name));
            write(&path, format!("{:#}\n", project.grants).as_bytes())?;
            Some(path)
        }
        false => None,
    };
    Ok(Packed { component, grants, facts })
}
