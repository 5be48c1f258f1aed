//! What the benches share: both ends of each thing that is measured, in one place, without sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // setting up a measurement

pub mod bare;
pub mod engines;
pub mod groups;
pub mod links;
pub mod noise;
pub mod olm;
pub mod sessions;
pub mod sodium;
pub mod systems;
pub mod tls;
pub mod works;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use securechat_core::crypto::Random;

/// The time of every engine, Unix milliseconds.
pub const NOW: u64 = 1_700_000_000_000;

/// The backend that this build measures.
pub const BACKEND: &str = if cfg!(feature = "aws-lc") { "aws-lc" } else { "RustCrypto" };

/// Randomness that is the same in every run.
pub fn random(seed: u64) -> Random {
    Box::new(ChaCha20Rng::seed_from_u64(seed))
}

/// Bytes that do not compress.
pub fn noise_bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rand_core::Rng::fill_bytes(&mut *random(99), &mut bytes);
    bytes
}
