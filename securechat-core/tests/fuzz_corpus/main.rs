//! Every file of `fuzz/corpus`, through the body of its target; and the seeds among them, which are valid encodings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod seeds;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use securechat_core::fuzzing::{AUTHENTIC, TARGETS};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Targets that set up whole devices: what they are given at random is a tenth of what the others are.
const SLOW: [&str; 10] = [
    "client",
    "envelope",
    "link_initiator",
    "link_pair",
    "link_responder",
    "network",
    "record",
    "records",
    "relay_ops",
    "session",
];

/// The corpus of a target, in order.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz().join("corpus").join(target);
    let read = |file: String| (file.clone(), fs::read(folder.join(file)).unwrap());
    names_in(&folder).into_iter().map(read).collect()
}

/// ATTACKS.md C2: whatever a fuzzer kept because it went another way, or because it once broke something.
#[test]
fn c2_the_corpus_runs_through() {
    for (target, body) in TARGETS {
        let files = corpus(target);
        assert!(!files.is_empty(), "{target} has no corpus");
        for (file, data) in files {
            println!("{target}/{file}");
            body(&data);
        }
    }
}

/// The seeds as this build makes them: with another backend, or without cryptography, they are others than the committed.
#[test]
fn the_seeds_of_this_build_run_through() {
    for (target, name, bytes) in seeds::all() {
        println!("{target}/{name}");
        TARGETS.iter().find(|(known, _)| *known == target).unwrap().1(&bytes);
    }
}

/// ATTACKS.md C2: what lies just beside the valid: cuts, flips, parts repeated, and the end of one behind another.
#[test]
fn c2_what_lies_beside_the_corpus_runs_through() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    for (target, body) in TARGETS {
        let files = corpus(target);
        let changes = if SLOW.contains(target) { 40 } else { 1_000 };
        for change in 0..changes {
            let mut pick = |n: usize| rng.next_u32() as usize % n.max(1);
            let mut data = files[pick(files.len())].1.clone();
            let place = pick(data.len());
            match change % 4 {
                0 => data.truncate(place),
                1 => data[place..].iter_mut().take(1).for_each(|byte| *byte ^= 1 << (change / 4 % 8)),
                2 => data.extend_from_within(place..(place + 40).min(data.len())),
                _ => {
                    let (_, other) = &files[pick(files.len())];
                    data.truncate(place);
                    data.extend(&other[pick(other.len())..]);
                }
            }
            body(&data);
        }
    }
}

/// ATTACKS.md C2: any bytes into any of them.
#[test]
fn c2_random_bytes_run_through() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    for (target, body) in TARGETS {
        for round in 0..if SLOW.contains(target) { 20 } else { 2_000 } {
            let length = [8, 40, 200, 2_000][round % 4];
            let mut data = vec![0; rng.next_u32() as usize % length];
            rng.fill_bytes(&mut data);
            body(&data);
        }
    }
}

#[test]
fn every_target_has_its_program_and_its_corpus() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    // `ffi` calls the C library; its body and its corpus are run by the tests of securechat-ffi.
    let of_core = |mut names: BTreeSet<String>, other: &str| {
        assert!(names.remove(other), "{other}");
        names
    };
    assert_eq!(of_core(names_in(&fuzz().join("corpus")), "ffi"), targets);
    let programs = of_core(names_in(&fuzz().join("fuzz_targets")), "ffi.rs");
    assert_eq!(programs, targets.iter().map(|name| format!("{name}.rs")).collect());
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for target in targets {
        let program = fs::read_to_string(fuzz().join(format!("fuzz_targets/{target}.rs"))).unwrap();
        assert!(program.contains(&format!("fuzzing::{target}(data)")), "{target}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
    }
}

/// The stub takes all cryptography out: a build that is not for fuzzing does not come to an end with it. The compiler
/// is given the crate's root alone, without the crates that it names, so it always fails; what counts is whether it says why.
#[test]
fn the_stub_is_in_no_build_but_a_fuzzing_one() {
    let refused = |flags: &[&str]| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--out-dir"]).arg(std::env::temp_dir());
        let output = rustc.args(flags).arg(root).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).contains("securechat_fuzz_stub takes all cryptography out")
    };
    assert!(refused(&["--cfg=securechat_fuzz_stub"]));
    assert!(!refused(&["--cfg=securechat_fuzz_stub", "--cfg=fuzzing"]));
}

/// A seed that is no valid encoding any more has lost its worth. With `SECURECHAT_WRITE_SEEDS` set they are made anew.
#[test]
fn the_seeds_are_those_of_this_version() {
    // AWS-LC draws the randomness of ML-KEM itself: its seeds are others each time. Without cryptography, so are all.
    if cfg!(feature = "aws-lc") || !AUTHENTIC {
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
