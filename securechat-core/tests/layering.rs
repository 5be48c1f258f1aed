//! Imports point one way: a module uses only those that stand above it in this list. "The relay reads nothing" is a
//! property of that order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Reading order. `fuzzing` may use everything and is used by nothing.
const ORDER: &[&str] = &[
    "error",
    "limits",
    "secret_vec",
    "codec",
    "record",
    "crypto",
    "suite",
    "frame",
    "padding",
    "noise",
    "identity",
    "roster",
    "wire",
    "link",
    "relay",
    "text",
    "file",
    "session",
    "group",
    "content",
    "vault",
    "event",
    "client",
    "fuzzing",
];

/// What may not be used although it stands above.
const APART: &[(&str, &[&str])] = &[
    ("link", &["roster", "wire"]),
    ("client", &["relay"]),
    ("file", &["suite", "frame", "padding", "noise", "identity", "roster", "wire", "link", "relay"]),
    ("event", &["relay"]),
    ("session", &["roster", "relay", "file", "link"]),
    ("group", &["wire", "relay", "file", "link"]),
];

/// The lines of a file without comments and without items that only tests have, wherever in it they stand. Links in
/// documentation point anywhere; so may the code of tests.
fn code(source: &str) -> Vec<&str> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = Vec::new();
    let mut test_item = None;
    for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
        if test_item.is_none() && line.trim() == "#[cfg(test)]" {
            test_item = Some(indent(line));
        }
        match test_item {
            Some(depth) if indent(line) == depth && line.ends_with([';', ',', '}']) => test_item = None,
            Some(_) => {}
            None => lines.push(line),
        }
    }
    assert!(test_item.is_none(), "an item for tests has no end");
    lines
}

fn used(source: &str) -> BTreeSet<String> {
    let code = code(source).join("\n");
    let mut modules = BTreeSet::new();
    for (place, _) in code.match_indices("crate::") {
        let rest = &code[place + "crate::".len()..];
        assert!(!rest.starts_with('{'), "write one import a line: crate::{{…}}");
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        modules.insert(name);
    }
    modules
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "tests" && name != "vectors" {
                sources(&path, found);
            }
        } else if name.ends_with(".rs")
            && name != "tests.rs"
            && name != "samples.rs"
            && name != "test_keys.rs"
            && name != "vectors.rs"
        {
            found.push(path);
        }
    }
}

fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        let inside = file.strip_prefix(&root).unwrap();
        let module = inside.components().next().unwrap().as_os_str().to_string_lossy().replace(".rs", "");
        if module != "lib" {
            imports.entry(module).or_default().extend(used(&fs::read_to_string(&file).unwrap()));
        }
    }
    imports
}

#[test]
fn every_import_points_up_the_list() {
    let place = |module: &str| ORDER.iter().position(|known| *known == module);
    for (module, used) in imports() {
        let own = place(&module).unwrap_or_else(|| panic!("{module} has no place in the order"));
        for other in used {
            let Some(theirs) = place(&other) else { continue };
            assert!(theirs <= own, "{module} uses {other}, which stands below it");
        }
    }
}

#[test]
fn what_is_kept_apart_stays_apart() {
    let imports = imports();
    for (module, forbidden) in APART {
        for other in *forbidden {
            assert!(!imports[*module].contains(*other), "{module} uses {other}");
        }
    }
}

#[test]
fn every_module_of_the_list_exists() {
    let imports = imports();
    for module in ORDER {
        assert!(imports.contains_key(*module), "{module}");
    }
}

/// Sans-IO: no sockets, files, clock, threads, environment or global randomness.
#[test]
fn the_core_touches_no_world() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        for line in code(&source) {
            let code = line.split("//").next().unwrap();
            for world in [
                "std::net",
                "std::fs",
                "std::thread",
                "std::env",
                "std::process",
                "std::io",
                "SystemTime",
                "Instant",
                "SysRng",
                "OsRng",
                "ThreadRng",
                "rand::rng(",
                "getrandom",
                "make_rng",
                "unsafe ",
            ] {
                assert!(!code.contains(world), "{}: {line}", file.display());
            }
        }
    }
}
