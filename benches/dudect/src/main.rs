//! Timing of what compares secrets, by dudect (Reparaz, Balasch, Verbauwhede: *Dude, is my code constant time?*, 2017).
//!
//! Each measurement feeds one operation with inputs of two classes in random order, and compares the two distributions of
//! its running times with Welch's t-test. |t| above 10 says that they differ; |t| that stays below 5 while samples grow
//! says that no difference was found, which is not a proof that there is none. `leaky_*` must show a large |t|: they show
//! that the measurement can see.
//!
//! ```sh
//! cargo run --release --manifest-path benches/dudect/Cargo.toml                      # all
//! cargo run --release --manifest-path benches/dudect/Cargo.toml -- --filter oaep     # some
//! cargo run --release --manifest-path benches/dudect/Cargo.toml -- --continuous code_compare
//! ```

use argon2::password_hash::phc::Output;
use dudect_bencher::{BenchRng, Class, CtRunner, ctbench_main};
use rand::{Rng, RngExt};
use securechat_core::crypto::aead::{AeadKey, Cipher};
use securechat_core::crypto::hash::{ct_eq, sha256};
use securechat_core::crypto::label::Label;
use securechat_core::crypto::one_time::{code_at, matching_step, step_at};
use securechat_core::crypto::rsa::{PrivateKey, oaep_decode};
use securechat_core::crypto::secret::Secret;
use std::cell::RefCell;
use std::hint::black_box;

/// Samples of an operation of nanoseconds to microseconds.
const SAMPLES: usize = 1_500_000;
/// Samples of RSA's private operation, which takes a millisecond.
const RSA_SAMPLES: usize = 40_000;
/// Inputs that are made before any of them is timed.
const BATCH: usize = 10_000;

/// Times `run` over inputs of both classes, in random order.
fn compare<T>(
    runner: &mut CtRunner,
    rng: &mut BenchRng,
    samples: usize,
    mut make: impl FnMut(bool, &mut BenchRng) -> T,
    run: impl FnMut(&mut T) -> bool,
) {
    // What is timed may not change anything, says its type; inputs are opened in place.
    let run = RefCell::new(run);
    for _ in 0..samples.div_ceil(BATCH) {
        let inputs: Vec<_> = (0..BATCH.min(samples))
            .map(|_| {
                let right = rng.random::<bool>();
                (right, make(right, rng))
            })
            .collect();
        for (right, input) in inputs {
            let class = if right { Class::Right } else { Class::Left };
            let input = RefCell::new(input);
            runner.run_one(class, || (run.borrow_mut())(black_box(&mut *input.borrow_mut())));
        }
    }
}

fn bytes<const N: usize>(rng: &mut BenchRng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// Two strings that differ in the first byte alone, or in the last alone.
fn differing<const N: usize>(last: bool, rng: &mut BenchRng) -> ([u8; N], [u8; N]) {
    let one = bytes(rng);
    let mut other = one;
    other[if last { N - 1 } else { 0 }] ^= 0x80;
    (one, other)
}

/// The control: a comparison that ends at the first difference.
fn leaky_compare(runner: &mut CtRunner, rng: &mut BenchRng) {
    let equal = |(one, other): &mut ([u8; 32], [u8; 32])| one.iter().zip(other.iter()).all(|(a, b)| black_box(a) == b);
    compare(runner, rng, SAMPLES / 5, differing::<32>, equal);
}

/// What tags, codes, salts and hashes are compared with.
fn tag_compare(runner: &mut CtRunner, rng: &mut BenchRng) {
    compare(runner, rng, SAMPLES, differing::<32>, |(one, other)| ct_eq(one, other));
}

/// As above: equal against different.
fn tag_compare_equal(runner: &mut CtRunner, rng: &mut BenchRng) {
    let make = |equal, rng: &mut BenchRng| {
        let (one, other) = differing::<32>(true, rng);
        (one, if equal { one } else { other })
    };
    compare(runner, rng, SAMPLES, make, |(one, other)| ct_eq(one, other));
}

/// Records whose tag is wrong in its first byte, or in its last.
fn wrong_tags(cipher: Cipher, runner: &mut CtRunner, rng: &mut BenchRng) {
    let key = AeadKey::new(cipher, &bytes(rng));
    let sealed = key.seal(7, b"ad", &[7; 64]);
    let tag = if cipher == Cipher::AesGcm { 16 } else { 32 };
    let make = |last: bool, _: &mut BenchRng| {
        let mut wrong = sealed.clone();
        let at = if last { wrong.len() - 1 } else { wrong.len() - tag };
        wrong[at] ^= 0x80;
        wrong
    };
    compare(runner, rng, SAMPLES / 3, make, |wrong| key.open_in_place(7, b"ad", wrong).is_ok());
}

fn gcm_wrong_tag(runner: &mut CtRunner, rng: &mut BenchRng) {
    wrong_tags(Cipher::AesGcm, runner, rng);
}

fn cbc_wrong_tag(runner: &mut CtRunner, rng: &mut BenchRng) {
    wrong_tags(Cipher::AesCbcHmac, runner, rng);
}

/// Length of an encoded message for a modulus of 2048 bits.
const EM: usize = 256;
const HASH: usize = 32;

/// XORs `MGF1(seed)` into `target` (RFC 8017 appendix B.2.1).
fn mask(target: &mut [u8], seed: &[u8]) {
    for (counter, chunk) in (0_u32..).zip(target.chunks_mut(HASH)) {
        let digest = sha256(&[seed, &counter.to_be_bytes()]);
        chunk.iter_mut().zip(digest).for_each(|(byte, mask)| *byte ^= mask);
    }
}

/// An encoded message `Y | seed | DB`, changed before it was masked (RFC 8017 section 7.1.1).
fn encoded(change: impl Fn(&mut [u8; EM]), rng: &mut BenchRng) -> [u8; EM] {
    let mut em: [u8; EM] = [0; EM];
    rng.fill_bytes(&mut em[1..1 + HASH]);
    em[1 + HASH..1 + 2 * HASH].copy_from_slice(&sha256(&[Label::RSA_KEM.bytes()]));
    em[EM - HASH - 1] = 1;
    rng.fill_bytes(&mut em[EM - HASH..]);
    change(&mut em);
    let (seed, block) = em[1..].split_at_mut(HASH);
    mask(block, seed);
    mask(seed, block);
    em
}

/// Good against bad encodings.
fn oaep(runner: &mut CtRunner, rng: &mut BenchRng, change: impl Fn(&mut [u8; EM])) {
    let good = encoded(|_| {}, rng);
    assert!(oaep_decode(&mut good.clone(), &mut [0; 32]));
    assert!(!oaep_decode(&mut encoded(&change, rng), &mut [0; 32]));
    let make = |right, rng: &mut BenchRng| if right { encoded(|_| {}, rng) } else { encoded(&change, rng) };
    compare(runner, rng, SAMPLES / 3, make, |em| oaep_decode(em, &mut [0; 32]));
}

fn oaep_first_byte(runner: &mut CtRunner, rng: &mut BenchRng) {
    oaep(runner, rng, |em| em[0] = 1);
}

fn oaep_label(runner: &mut CtRunner, rng: &mut BenchRng) {
    oaep(runner, rng, |em| em[1 + HASH] ^= 1);
}

fn oaep_zeros_early(runner: &mut CtRunner, rng: &mut BenchRng) {
    oaep(runner, rng, |em| em[1 + 2 * HASH] = 2);
}

fn oaep_separator_early(runner: &mut CtRunner, rng: &mut BenchRng) {
    oaep(runner, rng, |em| em[1 + 2 * HASH] = 1);
}

fn oaep_no_separator(runner: &mut CtRunner, rng: &mut BenchRng) {
    oaep(runner, rng, |em| em[EM - HASH - 1] = 0);
}

fn oaep_everything(runner: &mut CtRunner, rng: &mut BenchRng) {
    oaep(runner, rng, |em| em[..EM - HASH].fill(0xA5));
}

/// The control for these: a decoder that looks for the separator, as RFC 8017 writes it down.
fn leaky_oaep(runner: &mut CtRunner, rng: &mut BenchRng) {
    let make = |right: bool, rng: &mut BenchRng| {
        encoded(
            |em| {
                if !right {
                    em[1 + 2 * HASH] = 2
                }
            },
            rng,
        )
    };
    let searching = |em: &mut [u8; EM]| {
        let (seed, block) = em[1..].split_at_mut(HASH);
        mask(seed, block);
        mask(block, seed);
        block.iter().skip(HASH).find(|byte| *black_box(byte) != &0) == Some(&1)
    };
    compare(runner, rng, SAMPLES / 5, make, searching);
}

/// All of it: ciphertexts that hold a message against random numbers below the modulus.
fn rsa_decapsulate(runner: &mut CtRunner, rng: &mut BenchRng) {
    let key = PrivateKey::from_der(include_bytes!("../../../securechat-core/tests/keys/rsa2048.der")).expect("a key");
    let length = key.public().ciphertext_len();
    let mut random: BenchRng = rand::SeedableRng::seed_from_u64(rng.random());
    let make = |right, rng: &mut BenchRng| {
        if right {
            return key.public().encapsulate(rng).0;
        }
        let mut number = vec![0; length];
        rng.fill_bytes(&mut number);
        number[0] &= 0x7f;
        number
    };
    let run = |ciphertext: &mut Vec<u8>| key.decapsulate(ciphertext, &mut random).as_bytes()[0] == 0;
    compare(runner, rng, RSA_SAMPLES, make, run);
}

/// The outputs of Argon2id, as the server compares them: different in the first byte, or in the last.
fn password_compare(runner: &mut CtRunner, rng: &mut BenchRng) {
    let make = |last, rng: &mut BenchRng| {
        let (one, other) = differing::<32>(last, rng);
        (Output::new(&one).expect("a length"), Output::new(&other).expect("a length"))
    };
    compare(runner, rng, SAMPLES, make, |(one, other)| one == other);
}

/// A one-time code that is right against one that is wrong.
fn code_compare(runner: &mut CtRunner, rng: &mut BenchRng) {
    let secret = Secret::from_bytes(&bytes::<20>(rng));
    let now = 1_700_000_000_000;
    let right_code = code_at(&secret, step_at(now));
    let make = |right, rng: &mut BenchRng| {
        let wrong = rng.random_range(0..1_000_000);
        if right { right_code } else { wrong }
    };
    compare(runner, rng, SAMPLES / 3, make, |code| matching_step(&secret, *code, now).is_some());
}

ctbench_main!(
    leaky_compare,
    leaky_oaep,
    tag_compare,
    tag_compare_equal,
    gcm_wrong_tag,
    cbc_wrong_tag,
    oaep_first_byte,
    oaep_label,
    oaep_zeros_early,
    oaep_separator_early,
    oaep_no_separator,
    oaep_everything,
    password_compare,
    code_compare,
    rsa_decapsulate
);
