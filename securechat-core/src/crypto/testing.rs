//! What the tests of this module share.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// Tests that run over every backend of this build; the type parameter is the backend. With two parameters a test runs
/// over every pair, so that each backend meets what the other made.
macro_rules! on_every_backend {
    ($($(#[$meta:meta])* fn $name:ident<$($backend:ident),+>() $body:block)+) => {
        $($(#[$meta])* #[test]
        fn $name() {
            use $crate::crypto::backend::{Backend, rust_crypto::RustCrypto};
            fn run<$($backend: Backend),+>() $body
            $crate::crypto::testing::on_every_backend!(@run run $($backend)+);
        })+
    };
    (@run $run:ident $one:ident) => {
        $run::<RustCrypto>();
        #[cfg(feature = "aws-lc")]
        $run::<$crate::crypto::backend::aws_lc::AwsLc>();
    };
    (@run $run:ident $one:ident $other:ident) => {
        $run::<RustCrypto, RustCrypto>();
        #[cfg(feature = "aws-lc")]
        {
            use $crate::crypto::backend::aws_lc::AwsLc;
            $run::<AwsLc, AwsLc>();
            $run::<RustCrypto, AwsLc>();
            $run::<AwsLc, RustCrypto>();
        }
    };
}
pub(super) use on_every_backend;

/// The bytes of hex digits; spaces are skipped.
pub(super) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The same as an array.
pub(super) fn array<const N: usize>(digits: &str) -> [u8; N] {
    hex(digits).try_into().unwrap()
}

/// Randomness that replays.
pub(super) fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

/// PROTOCOL.md 2.1 and 2.2, made with another implementation.
pub(super) fn vectors() -> serde_json::Value {
    serde_json::from_str(include_str!("../../tests/vectors/independent/crypto.json")).unwrap()
}

/// The bytes in a field of a vector.
pub(super) fn field(vector: &serde_json::Value, name: &str) -> Vec<u8> {
    hex(vector[name].as_str().unwrap())
}
