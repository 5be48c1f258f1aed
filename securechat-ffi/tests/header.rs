//! The header in `include/` is what cbindgen makes of this crate, and the table of constants is what stands in the header.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Set to write the header and the table anew.
const WRITE: &str = "SECURECHAT_WRITE_HEADER";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What declares all that follows to C++ as C.
const OPENING: &str = "#ifdef __cplusplus\nextern \"C\" {\n#endif // __cplusplus\n";

/// The groups of the manual in its order, and the words by which a declaration is known to belong to one.
const GROUPS: [(&str, &[&str]); 8] = [
    (
        "Library",
        &["securechat_version", "securechat_status", "securechat_constant", "SECURECHAT_VERSION", "SECURECHAT_OK"],
    ),
    ("Policy and limits", &["securechat_config", "SECURECHAT_CONFIG", "SECURECHAT_SUITE"]),
    (
        "Events",
        &[
            "securechat_event",
            "SECURECHAT_EVENT",
            "SECURECHAT_FLAG",
            "SECURECHAT_CLOSE",
            "SECURECHAT_REFUSAL",
            "SECURECHAT_GROUP_SIZE",
        ],
    ),
    (
        "Identity, bundle, safety number",
        &[
            "securechat_identity",
            "securechat_bundle",
            "securechat_safety",
            "securechat_address",
            "SECURECHAT_FINGERPRINT",
            "SECURECHAT_SAFETY",
            "SECURECHAT_HOST",
        ],
    ),
    ("Link", &["securechat_link", "SECURECHAT_LINK", "SECURECHAT_ROLE", "SECURECHAT_PURPOSE"]),
    (
        "Client",
        &[
            "securechat_client",
            "securechat_record",
            "securechat_contact",
            "securechat_group",
            "securechat_transfer",
            "SECURECHAT_HISTORY",
            "SECURECHAT_TRUST",
            "SECURECHAT_PRESENCE",
            "SECURECHAT_MESSAGE",
            "SECURECHAT_REQUEST",
            "SECURECHAT_NO_CODE",
            "SECURECHAT_GROUP",
            "SECURECHAT_CHANGE",
            "SECURECHAT_TRANSFER",
        ],
    ),
    (
        "File",
        &[
            "securechat_file",
            "SECURECHAT_FILE",
            "SECURECHAT_CHUNK",
            "SECURECHAT_SEALED",
            "SECURECHAT_CIPHER",
            "SECURECHAT_PROOF",
        ],
    ),
    ("Relay", &["securechat_relay", "securechat_job", "SECURECHAT_JOB", "SECURECHAT_OUTCOME"]),
];

/// The header: what cbindgen makes, in the order of a manual. In each group constants stand first, then types, then functions.
fn header() -> String {
    let config = cbindgen::Config::from_file(Path::new(env!("CARGO_MANIFEST_DIR")).join("cbindgen.toml")).unwrap();
    let bindings =
        cbindgen::Builder::new().with_crate(env!("CARGO_MANIFEST_DIR")).with_config(config).generate().unwrap();
    let mut made = Vec::new();
    bindings.write(&mut made);
    let made = String::from_utf8(made).unwrap();
    let (before, declarations) = made.split_at(made.find("/**").unwrap());
    let (declarations, after) = declarations.split_at(declarations.find("#ifdef __cplusplus\n}").unwrap());
    let declarations = declarations.replace(OPENING, "");
    let mut blocks: Vec<&str> = declarations.split("\n\n").map(str::trim).filter(|block| !block.is_empty()).collect();
    let mut header = include_str!("../src/introduction.h").to_owned() + "\n" + before;
    header += OPENING;
    for (group, words) in GROUPS {
        let (of_group, others): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|block| belongs(block, words));
        blocks = others;
        write!(header, "\n/* {} {group} {} */\n", "=".repeat(12), "=".repeat(100 - group.len())).unwrap();
        for rank in 0..4 {
            for block in of_group.iter().filter(|block| rank_of(block) == rank) {
                write!(header, "\n{block}\n").unwrap();
            }
        }
    }
    assert!(blocks.is_empty(), "of no group: {:?}", blocks.iter().map(|block| name_of(block)).collect::<Vec<_>>());
    header + "\n" + after
}

fn belongs(block: &str, words: &[&str]) -> bool {
    let name = name_of(block);
    words.iter().any(|word| name.starts_with(word))
}

/// What a block declares.
fn name_of(block: &str) -> &str {
    // An enumeration has comments within, so it is known by its first line and not by what is behind the last comment.
    let lines = || block.lines().filter(|line| !line.starts_with("/**") && !line.starts_with(" *"));
    let first = lines().next().unwrap_or_default();
    let candidates = first.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    candidates
        .filter(|word| word.starts_with("securechat_") || word.starts_with("SECURECHAT_"))
        // What a function returns is not its name.
        .find(|word| *word != "securechat_status" || first.starts_with("enum") || first.starts_with("typedef"))
        .unwrap_or(first)
}

/// Where in its group a block stands: constants, types without fields (which open a group), types, functions.
fn rank_of(block: &str) -> usize {
    let first = block.lines().find(|line| !line.starts_with("/**") && !line.starts_with(" *")).unwrap_or_default();
    if first.starts_with("typedef struct") && first.ends_with(';') {
        0
    } else if first.starts_with("#define") {
        1
    } else if first.starts_with("typedef") || first.starts_with("enum") || first.starts_with("#if") {
        2
    } else {
        3
    }
}

/// Names and values of its macros and enumerators.
fn constants(header: &str) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for line in header.lines().map(str::trim) {
        let row = match line.strip_prefix("#define ") {
            Some(rest) => rest.split_once(' '),
            None => line.strip_suffix(',').and_then(|line| line.split_once(" = ")),
        };
        let Some((name, value)) = row.filter(|(name, _)| name.starts_with("SECURECHAT_")) else { continue };
        let value = match value.strip_prefix("0x") {
            Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16),
            None if value == "UINT32_MAX" => Ok(u32::MAX.into()),
            None => value.parse(),
        };
        if let Ok(value) = value {
            found.push((name.to_owned(), value));
        }
    }
    found.sort();
    found
}

fn table(constants: &[(String, u64)]) -> String {
    let mut table = String::from(
        "//! Every macro and enumerator of the header with its value. Made from the header by `tests/header.rs`, which compares.\n\n\
         pub(super) const CONSTANTS: &[(&str, u64)] = &[\n",
    );
    for (name, value) in constants {
        writeln!(table, "    (\"{name}\", {value}),").unwrap();
    }
    table + "];\n"
}

fn compare(path: &Path, made: &str) {
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(path, made).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let difference = committed.lines().zip(made.lines()).position(|(a, b)| a != b);
    assert!(
        committed == made,
        "{} is not what the sources make, from line {:?} on; {WRITE}=1 writes it anew",
        path.display(),
        difference.unwrap_or_else(|| committed.lines().count().min(made.lines().count())) + 1,
    );
}

#[test]
fn the_header_is_what_the_sources_make() {
    compare(&root().join("include/securechat.h"), &header());
}

#[test]
fn the_table_of_constants_is_that_of_the_header() {
    let constants = constants(&header());
    assert!(constants.len() > 100);
    compare(&root().join("securechat-ffi/src/constants/table.rs"), &table(&constants));
    for (name, value) in constants {
        let mut found = 0;
        // SAFETY: a text with its length, and a place for the value.
        let status =
            unsafe { securechat::constants::securechat_constant(name.as_ptr().cast(), name.len(), &raw mut found) };
        assert_eq!((status as i32, found), (0, value), "{name}");
    }
}

/// A header that is the manual says of every function, struct and field what it is.
#[test]
fn nothing_is_without_a_comment() {
    let header = header();
    let mut before = "";
    for line in header.lines() {
        let declares = line.starts_with("enum securechat_status securechat_")
            || line.starts_with("void securechat_")
            || line.starts_with("const char *securechat_")
            || line.starts_with("uint32_t securechat_")
            || (line.starts_with("    ") && line.ends_with(';') && !before.ends_with(','));
        if declares {
            assert!(before.trim_end().ends_with("*/"), "no comment before: {line}");
        }
        if !line.trim().is_empty() {
            before = line;
        }
    }
}
