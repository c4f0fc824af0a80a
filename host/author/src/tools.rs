//! The toolchains of languages: found where they are, fetched where they are not.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::pins;

/// Who is told what is being done, a line at a time.
pub type Say<'a> = &'a (dyn Fn(&str) + Sync);

/// `$XDG_CACHE_HOME/sluice/toolchains`, or the same below `~/.cache`. Without a home it is the
/// folder for temporary files.
pub fn cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = set("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("sluice").join("toolchains")
}

/// The program `componentize-py`.
pub(crate) fn componentize_py(say: Say<'_>) -> Result<PathBuf, Error> {
    let python = python()?;
    let folder = cache().join(format!("componentize-py-{}", pins::COMPONENTIZE_PY));
    let program = folder.join("bin").join("componentize-py");
    installed(&folder, || {
        say(&format!(
            "installing componentize-py {} into {} (17 MB, once)",
            pins::COMPONENTIZE_PY,
            folder.display()
        ));
        run(Command::new(&python).args(["-m", "venv", "--clear"]).arg(&folder)).map_err(
            |error| {
                let fix = "install your distribution's package for it, such as python3-venv";
                named(error, "venv", "install componentize-py", fix)
            },
        )?;
        let wanted = format!("componentize-py=={}", pins::COMPONENTIZE_PY);
        run(Command::new(folder.join("bin").join("python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .arg(wanted))?;
        Ok(())
    })?;
    Ok(program)
}

fn named(error: Error, program: &'static str, what: &'static str, fix: &str) -> Error {
    match error {
        Error::Failed { output, .. } => {
            Error::Missing { program, what, fix: format!("{fix}. It says: {}", output.trim()) }
        }
        other => other,
    }
}

/// A folder with `node_modules` that has what JavaScript needs.
pub(crate) fn node_modules(say: Say<'_>) -> Result<PathBuf, Error> {
    node()?;
    let folder = cache().join(format!("js-{}-{}", pins::COMPONENTIZE_QJS, pins::ESBUILD));
    installed(&folder, || {
        say(&format!(
            "installing componentize-qjs {} and esbuild {} into {} (49 MB, once)",
            pins::COMPONENTIZE_QJS,
            pins::ESBUILD,
            folder.display()
        ));
        run(Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
            .arg(&folder)
            .arg(format!("componentize-qjs@{}", pins::COMPONENTIZE_QJS))
            .arg(format!("esbuild@{}", pins::ESBUILD)))?;
        Ok(())
    })?;
    Ok(folder.join("node_modules"))
}

/// Does `install` unless it was done before. A folder that is only half there is done again.
fn installed(folder: &Path, install: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    let done = folder.join(".complete");
    if done.is_file() {
        return Ok(());
    }
    std::fs::create_dir_all(folder).map_err(Error::io("make", folder))?;
    install()?;
    std::fs::write(&done, "").map_err(Error::io("write", &done))
}

fn python() -> Result<PathBuf, Error> {
    let fix = || format!("install Python {} or later", version(pins::PYTHON));
    let missing =
        || Error::Missing { program: "python3", what: "build a plugin in Python", fix: fix() };
    let script = "import sys; print('%d.%d' % sys.version_info[:2])";
    let text = run(Command::new("python3").args(["-c", script])).map_err(|_| missing())?;
    match at_least(&text, pins::PYTHON) {
        true => Ok(PathBuf::from("python3")),
        false => Err(missing()),
    }
}

fn node() -> Result<(), Error> {
    let missing = || Error::Missing {
        program: "node",
        what: "build a plugin in JavaScript",
        fix: format!("install Node.js {} or later, with npm", pins::NODE.0),
    };
    let text = run(Command::new("node").arg("--version")).map_err(|_| missing())?;
    match at_least(text.trim_start_matches('v'), pins::NODE) {
        true => Ok(()),
        false => Err(missing()),
    }
}

/// Whether there is a Go that can make components.
pub(crate) fn go() -> Result<(), Error> {
    let missing = || Error::Missing {
        program: "go",
        what: "build a plugin in Go",
        fix: format!("install Go {} or later", version(pins::GO)),
    };
    let text = run(Command::new("go").args(["env", "GOVERSION"])).map_err(|_| missing())?;
    match at_least(text.trim_start_matches("go"), pins::GO) {
        true => Ok(()),
        false => Err(missing()),
    }
}

/// Whether there is a Rust that can make components.
pub(crate) fn rust() -> Result<(), Error> {
    let missing =
        |program, fix: String| Error::Missing { program, what: "build a plugin in Rust", fix };
    let target = pins::RUST_TARGET;
    let folder = run(Command::new("rustc").args(["--print", "target-libdir", "--target", target]))
        .map_err(|_| missing("rustc", "install Rust 1.95 or later, with rustup".to_owned()))?;
    match Path::new(folder.trim()).is_dir() {
        true => Ok(()),
        false => Err(missing(pins::RUST_TARGET, format!("run: rustup target add {target}"))),
    }
}

fn version((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}

fn at_least(text: &str, (major, minor): (u32, u32)) -> bool {
    let mut parts = text.trim().split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    let found = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    found >= (major, minor)
}

/// Runs a program to its end and gives what it wrote to standard output.
pub(crate) fn run(command: &mut Command) -> Result<String, Error> {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let failed = |output: String| Error::Failed { command: words.join(" "), output };
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| failed(error.to_string()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(failed(format!("{}{}", text(&output.stdout), text(&output.stderr)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(
            at_least("3.10.2", (3, 10)) && at_least("3.11", (3, 10)) && at_least("20", (18, 0))
        );
        assert!(!at_least("3.9.18", (3, 10)) && !at_least("", (1, 0)));
    }

    #[test]
    fn a_failure_has_the_command_and_what_it_wrote() {
        let error = run(Command::new("sh").args(["-c", "echo so; exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c echo so; exit 3` failed:\nso");
        assert!(run(&mut Command::new("no-such-program-anywhere")).is_err());
    }

    #[test]
    fn what_was_installed_halfway_is_installed_again() {
        let folder = tempfile::tempdir().unwrap();
        let fails = || Err(Error::NoProject(PathBuf::new()));
        assert!(installed(folder.path(), fails).is_err());
        assert!(installed(folder.path(), || Ok(())).is_ok());
        assert!(installed(folder.path(), fails).is_ok(), "not again");
    }
}
