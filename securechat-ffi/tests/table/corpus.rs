//! The corpus of the fuzz target `ffi`, what lies beside it, and bytes at random, through its body.

use crate::calls::calls;
use std::path::Path;

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/ffi");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Bytes that look like any, the same each time.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn the_corpus_runs_through() {
    let corpus = corpus();
    assert!(corpus.len() >= 24, "{} seeds", corpus.len());
    for data in &corpus {
        calls(data);
    }
    for (seed, data) in (0_u64..).zip(&corpus) {
        let mut data = data.clone();
        for change in noise(seed, 4) {
            let place = usize::from(change) % data.len().max(1);
            data.iter_mut().skip(place).take(1).for_each(|byte| *byte = byte.wrapping_add(change | 1));
        }
        calls(&data);
    }
}

#[test]
fn random_calls_run_through() {
    for seed in 0..60 {
        calls(&noise(seed, 300));
    }
}
