//! The component in `tests/hostile/guest`, which is built when a test needs it first.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const TARGET: &str = "wasm32-wasip2";
/// Set for the cargo that runs the tests, and wrong for this one, whose target is another.
const NOT_INHERITED: [&str; 8] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTFLAGS",
];

/// A provider that sends what its configuration says, by `wasi:http` or by our interface, and
/// measures what came of it.
pub fn sending() -> Vec<u8> {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(build).clone()
}

fn build() -> Vec<u8> {
    let components = target_folder().join("components");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .args(["build", "--quiet", "--locked", "--profile", "component", "--target", TARGET])
        .args(["--package", "sluice-hostile-guest", "--target-dir"])
        .arg(&components);
    for name in NOT_INHERITED {
        cargo.env_remove(name);
    }
    let output = cargo.output().expect("cargo can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the guest does not build: {said}");
    let built = components.join(TARGET).join("component/sluice_hostile_guest.wasm");
    std::fs::read(built).expect("cargo built it")
}

/// The target folder of the running test, which is `PROFILE/deps/NAME` in it.
fn target_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a binary");
    let deps = test.ancestors().find(|folder| folder.ends_with("deps"));
    let target = deps.and_then(Path::parent).and_then(Path::parent);
    target.expect("it is in a target folder").to_owned()
}
