//! Every file of `fuzz/corpus`, through the body of its target; and the seeds among them, which are valid encodings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod seeds;

use securechat_core::fuzzing::TARGETS;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn the_corpus_runs_through() {
    for (target, body) in TARGETS {
        let folder = fuzz().join("corpus").join(target);
        let files = names_in(&folder);
        assert!(!files.is_empty(), "{target} has no corpus");
        for file in files {
            let data = fs::read(folder.join(&file)).unwrap();
            println!("{target}/{file}");
            body(&data);
        }
    }
}

/// A cut and a flip of each seed, so that what lies just beside the valid is run through too.
#[test]
fn what_lies_beside_the_corpus_runs_through() {
    for (target, body) in TARGETS {
        for file in names_in(&fuzz().join("corpus").join(target)) {
            let data = fs::read(fuzz().join("corpus").join(target).join(file)).unwrap();
            let step = data.len() / 20 + 1;
            for place in (0..data.len()).step_by(step) {
                body(&data[..place]);
                let mut changed = data.clone();
                changed[place] ^= 1 << (place % 8);
                body(&changed);
            }
        }
    }
}

#[test]
fn every_target_has_its_program_and_its_corpus() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names_in(&fuzz().join("corpus")), targets);
    let programs = names_in(&fuzz().join("fuzz_targets"));
    assert_eq!(programs, targets.iter().map(|name| format!("{name}.rs")).collect());
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for target in targets {
        let program = fs::read_to_string(fuzz().join(format!("fuzz_targets/{target}.rs"))).unwrap();
        assert!(program.contains(&format!("fuzzing::{target}(data)")), "{target}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
    }
}

/// A seed that is no valid encoding any more has lost its worth. With `SECURECHAT_WRITE_SEEDS` set they are made anew.
#[test]
fn the_seeds_are_those_of_this_version() {
    // AWS-LC draws the randomness of ML-KEM itself: its seeds are others each time.
    if cfg!(feature = "aws-lc") {
        return;
    }
    let write = std::env::var_os("SECURECHAT_WRITE_SEEDS").is_some();
    for (target, name, bytes) in seeds::all() {
        let folder = fuzz().join("corpus").join(target);
        let file = folder.join(name);
        if write {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&file, &bytes).unwrap();
        }
        assert!(fs::read(&file).is_ok_and(|found| found == bytes), "{} is not current", file.display());
    }
}
