//! The table of SECURITY.md names tests; each of them exists.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::Path;

fn read(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_property_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = String::new();
    for folder in ["securechat-core/src", "securechat-core/tests", "securechat-ffi/tests", "examples"] {
        read(&root.join(folder), &mut sources);
    }
    let table = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let rows: Vec<&str> =
        table.lines().filter(|line| line.starts_with("| ") && line.matches('|').count() == 4).collect();
    let named = rows.iter().flat_map(|row| row.rsplit('|').nth(1).unwrap().split('`').skip(1).step_by(2));
    let tests: Vec<&str> = named.filter(|name| name.contains('_')).collect();
    assert!(tests.len() > 60, "{}", tests.len());
    for test in tests {
        let exists = ["(", "<"].iter().any(|end| sources.contains(&format!("fn {test}{end}")));
        assert!(exists, "{test} is in the table and nowhere else");
    }
}
