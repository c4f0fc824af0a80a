//! What SECURITY.md says is tested, is.

use std::fs;
use std::path::Path;

#[test]
fn every_attack_that_is_listed_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let security = read("SECURITY.md");
    let listed = security.lines().filter_map(|line| line.rsplit_once("| `")?.1.split_once("` |"));
    let listed: Vec<_> = listed.filter_map(|(test, _)| test.split_once(".rs::")).collect();
    assert!(listed.len() > 30, "only {} tests are listed", listed.len());
    for (file, test) in listed {
        let source = read(&format!("{file}.rs"));
        assert!(source.contains(&format!("fn {test}(")), "{file}.rs has no test {test}");
    }
}
