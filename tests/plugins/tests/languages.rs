//! From an empty folder to a tested and packed component, in every language and of every kind, with
//! the binary; and the same for every example. It takes several minutes on two cores, and one or two
//! more the first time, to fetch tools.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests may")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What an author is promised.
const MOST: Duration = Duration::from_secs(300);

/// Builds use every core by themselves, so one after the other is no slower.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The binary: `SLUICE_BIN`, or the one in the target folder of this test.
fn sluice() -> PathBuf {
    if let Some(path) = std::env::var_os("SLUICE_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    let found = test.ancestors().map(|folder| folder.join("sluice")).find(|path| path.is_file());
    found.expect("build the binary first: cargo build --workspace --bins")
}

fn run(program: impl AsRef<std::ffi::OsStr>, folder: &Path, words: &[&str]) -> String {
    let mut command = Command::new(program.as_ref());
    command.current_dir(folder).args(words);
    // No leftovers in the tree.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    // Those of the cargo that runs this test are not an author's.
    for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let what = program.as_ref().to_string_lossy();
    assert!(output.status.success(), "{what} {words:?} in {}:\n{out}{err}", folder.display());
    out
}

/// A new project of a kind that is not the usual one.
fn started(folder: &Path, name: &str, language: &str, kind: &str) -> PathBuf {
    run(sluice(), folder, &["plugin", "new", name, "--lang", language, "--kind", kind]);
    folder.join(name)
}

/// New, build, test, pack: what the README of a project says, and what comes of it.
fn from_nothing(language: &str, own_tests: &[&str]) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let sluice = sluice();
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    run(&sluice, folder.path(), &["plugin", "new", "order-rate", "--lang", language]);
    let project = folder.path().join("order-rate");
    run(&sluice, &project, &["plugin", "build"]);
    let tested = run(&sluice, &project, &["plugin", "test"]);
    let packed = run(&sluice, &project, &["plugin", "pack"]);
    let took = began.elapsed();
    println!("{language}: {:.0} s from an empty folder to a packed component", took.as_secs_f64());
    assert!(took < MOST, "{language} took {took:?}");
    assert!(tested.contains("12 passed, 0 failed"), "{tested}");
    assert!(packed.contains("sluice:metric/provider@0.1.0"), "{packed}");
    assert!(project.join("dist/order-rate.wasm").is_file());
    let grants = std::fs::read_to_string(project.join("dist/order-rate.grants.json")).unwrap();
    assert!(grants.contains("\"methods\""), "{grants}");
    let facts = run(&sluice, &project, &["plugin", "inspect", "--json", "dist/order-rate.wasm"]);
    assert!(facts.contains("\"kind\": \"metric-provider\""), "{facts}");
    assert!(!facts.contains("kubernetes") && !facts.contains("secrets"), "asks for more: {facts}");
    run(own_tests[0], &project, &own_tests[1..]);
    a_broken_case_fails(&sluice, &project);
}

/// A test that cannot fail is none.
fn a_broken_case_fails(sluice: &Path, project: &Path) {
    let path = project.join("cases/first.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("number: 0.02", "number: 0.03")).unwrap();
    let output =
        Command::new(sluice).current_dir(project).args(["plugin", "test"]).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("- number: 0.03") && out.contains("+ number: 0.02"), "{out}");
    assert!(out.contains("11 passed, 1 failed"), "{out}");
}

#[test]
fn rust_from_nothing() {
    from_nothing("rust", &["cargo", "test", "--quiet"]);
}

#[test]
fn go_from_nothing() {
    from_nothing("go", &["go", "test", "."]);
}

#[test]
fn javascript_from_nothing() {
    from_nothing("js", &["node", "--test"]);
}

#[test]
fn python_from_nothing() {
    from_nothing("python", &["python3", "-m", "unittest"]);
}

/// The template of a router, whose cases are objects before and patches after.
fn a_router_from_nothing(language: &str, own_tests: &[&str]) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (sluice, folder) = (sluice(), tempfile::tempdir().unwrap());
    let project = started(folder.path(), "weighted", language, "router");
    let tested = run(&sluice, &project, &["plugin", "test"]);
    assert!(tested.contains("12 passed, 0 failed"), "{tested}");
    let packed = run(&sluice, &project, &["plugin", "pack"]);
    assert!(packed.contains("sluice:traffic/router@0.1.0"), "{packed}");
    assert!(!project.join("dist/weighted.grants.json").exists(), "it needs no grants");
    let facts = run(&sluice, &project, &["plugin", "inspect", "--json", "dist/weighted.wasm"]);
    assert!(facts.contains("\"kind\": \"traffic-router\""), "{facts}");
    for other in ["http", "kubernetes", "secrets"] {
        assert!(!facts.contains(&format!("\"{other}\"")), "asks for {other}: {facts}");
    }
    let measured = run(&sluice, &project, &["plugin", "bench", "--calls", "2"]);
    assert!(measured.contains("a fifth of the traffic"), "{measured}");
    run(own_tests[0], &project, &own_tests[1..]);
    let path = project.join("cases/objects/to-a-fifth.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("weight: 20", "weight: 21")).unwrap();
    let output =
        Command::new(&sluice).current_dir(&project).args(["plugin", "test"]).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && out.contains("weight: 21"), "{out}");
}

#[test]
fn a_router_in_rust_from_nothing() {
    a_router_from_nothing("rust", &["cargo", "test", "--quiet"]);
}

#[test]
fn a_router_in_go_from_nothing() {
    a_router_from_nothing("go", &["go", "test", "."]);
}

#[test]
fn a_router_in_javascript_from_nothing() {
    a_router_from_nothing("js", &["node", "--test"]);
}

#[test]
fn a_router_in_python_from_nothing() {
    a_router_from_nothing("python", &["python3", "-m", "unittest"]);
}

/// Templates use little of what a router is given. This one writes all of it down, so that nothing
/// is lost or mixed up between the host and what a language makes of it.
fn a_router_is_given_everything(language: &str, source: &str) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (sluice, folder) = (sluice(), tempfile::tempdir().unwrap());
    let project = started(folder.path(), "echo", language, "router");
    let echo = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/echo");
    let source = Path::new(source);
    std::fs::copy(echo.join(source.file_name().unwrap()), project.join(source)).unwrap();
    std::fs::remove_dir_all(project.join("cases")).unwrap();
    copy(&echo.join("cases"), &project.join("cases"));
    let tested = run(&sluice, &project, &["plugin", "test"]);
    assert!(tested.contains("10 passed, 0 failed"), "{tested}");
}

#[test]
fn a_router_in_go_is_given_everything() {
    a_router_is_given_everything("go", "plugin.go");
}

#[test]
fn a_router_in_javascript_is_given_everything() {
    a_router_is_given_everything("js", "src/plugin.js");
}

#[test]
fn a_router_in_python_is_given_everything() {
    a_router_is_given_everything("python", "plugin.py");
}

/// The template of a step, whose cases are calls in turn.
fn a_step_from_nothing(language: &str, own_tests: &[&str]) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (sluice, folder) = (sluice(), tempfile::tempdir().unwrap());
    let project = started(folder.path(), "migrate", language, "step");
    let tested = run(&sluice, &project, &["plugin", "test"]);
    assert!(tested.contains("13 passed, 0 failed"), "{tested}");
    let packed = run(&sluice, &project, &["plugin", "pack"]);
    assert!(packed.contains("sluice:step/step@0.1.0"), "{packed}");
    let facts = run(&sluice, &project, &["plugin", "inspect", "--json", "dist/migrate.wasm"]);
    assert!(facts.contains("\"kind\": \"step\""), "{facts}");
    assert!(!facts.contains("kubernetes") && !facts.contains("secrets"), "asks for more: {facts}");
    let measured = run(&sluice, &project, &["plugin", "bench", "--calls", "2"]);
    assert!(measured.contains("an abort stops the job"), "{measured}");
    run(own_tests[0], &project, &own_tests[1..]);
    let path = project.join("cases/first.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("{ state: succeeded }", "{ state: running }")).unwrap();
    let output =
        Command::new(&sluice).current_dir(&project).args(["plugin", "test"]).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("call 2 (Run)") && out.contains("- done: true"), "{out}");
}

#[test]
fn a_step_in_rust_from_nothing() {
    a_step_from_nothing("rust", &["cargo", "test", "--quiet"]);
}

#[test]
fn a_step_in_go_from_nothing() {
    a_step_from_nothing("go", &["go", "test", "."]);
}

#[test]
fn a_step_in_javascript_from_nothing() {
    a_step_from_nothing("js", &["node", "--test"]);
}

#[test]
fn a_step_in_python_from_nothing() {
    a_step_from_nothing("python", &["python3", "-m", "unittest"]);
}

/// The sources of an example, in a folder of their own, so that nothing is built in the tree. What
/// is named by a path that leads out of the example leads to the same place.
fn example(name: &str, own_tests: &[&str]) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("examples/plugins").join(name);
    copy(&root.join("examples/plugins").join(name), &project);
    std::fs::create_dir(folder.path().join("sdk")).unwrap();
    for same in ["wit", "sdk/go", "sdk/js", "sdk/python"] {
        std::os::unix::fs::symlink(root.join(same), folder.path().join(same)).unwrap();
    }
    // The manifest of the SDK for Rust is the one that does without the workspace.
    let sdk = folder.path().join("sdk/rust");
    copy(&root.join("sdk/rust"), &sdk);
    std::fs::copy(sdk.join("standalone.toml"), sdk.join("Cargo.toml")).unwrap();
    let sluice = sluice();
    let tested = run(&sluice, &project, &["plugin", "test"]);
    assert!(tested.contains(" 0 failed"), "{tested}");
    run(&sluice, &project, &["plugin", "pack"]);
    if let [program, words @ ..] = own_tests {
        run(program, &project, words);
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&path).unwrap(), to.join(&name)).unwrap();
        } else if kind.is_dir() {
            let built = ["build", "dist", "target", "__pycache__"].iter().any(|out| name == *out);
            if !built {
                copy(&path, &to.join(&name));
            }
        } else {
            std::fs::copy(&path, to.join(&name)).unwrap();
        }
    }
}

/// The template of a notifier, whose cases are facts and what servers answer.
#[test]
fn a_notifier_in_rust_from_nothing() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (sluice, folder) = (sluice(), tempfile::tempdir().unwrap());
    let project = started(folder.path(), "chat", "rust", "notifier");
    let tested = run(&sluice, &project, &["plugin", "test"]);
    assert!(tested.contains(" passed, 0 failed"), "{tested}");
    let packed = run(&sluice, &project, &["plugin", "pack"]);
    assert!(packed.contains("sluice:notifier/delivery@0.1.0"), "{packed}");
    let facts = run(&sluice, &project, &["plugin", "inspect", "--json", "dist/chat.wasm"]);
    assert!(facts.contains("\"kind\": \"notifier\""), "{facts}");
    run("cargo", &project, &["test", "--quiet"]);
    let path = project.join("cases/first.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("afterMs: 7000", "afterMs: 8000")).unwrap();
    let output =
        Command::new(&sluice).current_dir(&project).args(["plugin", "test"]).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && out.contains("8000"), "{out}");
    let other = ["plugin", "new", "chat2", "--lang", "go", "--kind", "notifier"];
    let output = Command::new(&sluice).current_dir(folder.path()).args(other).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("in Rust for now"), "{told}");
}

/// Of the SDK for Rust the workspace takes care.
#[test]
fn the_sdks_pass_their_own_tests() {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk").canonicalize().unwrap();
    run("go", &sdk.join("go"), &["test", "./..."]);
    run("node", &sdk.join("js"), &["--test"]);
    run("python3", &sdk.join("python"), &["-m", "unittest", "discover", "-t", ".", "-s", "tests"]);
}

#[test]
fn the_example_in_rust() {
    example("clickhouse", &[]);
}

#[test]
fn the_example_of_a_step() {
    example("approval-step", &[]);
}

#[test]
fn the_example_of_a_notifier() {
    example("webhook", &[]);
}

#[test]
fn the_example_of_a_router() {
    example("gateway-api", &["go", "test", "."]);
}

#[test]
fn the_example_in_go() {
    example("loki-count", &["go", "test", "."]);
}

#[test]
fn the_example_in_python() {
    example("order-kpi", &["python3", "-m", "unittest"]);
}

#[test]
fn the_example_in_typescript() {
    example("smoke-check", &[]);
}
