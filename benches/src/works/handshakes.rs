//! A handshake, both sides on one thread, from nothing to the first side that could send data to both that can.

use super::{Run, Work, target, timed};
use crate::noise::Source;
use crate::{links, noise, random, tls};
use securechat_core::crypto::label::Label;
use securechat_core::crypto::{ed25519, mlkem, rsa, x25519};
use securechat_core::link::Purpose;
use securechat_core::suite::Suite;
use std::hint::black_box;

const RSA_BITS: usize = 3072;

pub(super) fn works() -> Vec<Work> {
    let ours = |suite: Suite, purpose, rsa_bits| {
        let ends = links::Ends::new(suite, purpose, rsa_bits);
        handshake(move || ends.open())
    };
    let snow = |pattern, source| {
        let ends = noise::Ends::new(pattern, source);
        handshake(move || ends.open())
    };
    let rustls = |group| {
        let ends = tls::Ends::new(group);
        handshake(move || ends.open())
    };
    let (x25519, rsa, hybrid) = (Suite::ALL[0], Suite::ALL[2], Suite::ALL[4]);
    let own = 1.0 / 1.15;
    vec![
        Work::new("handshake NX", 0, ours(x25519, Purpose::Relay, None))
            .beside(
                "its public-key operations",
                own,
                operations(Count { keys: 2, agreements: 4, verified: 1, ..Count::default() }),
            )
            .beside("snow, default", None, snow("NX", Source::Default))
            .beside("snow, ring", target(1.0, None), snow("NX", Source::Ring))
            .beside("rustls, X25519", target(1.0, None), rustls(tls::Group::X25519)),
        Work::new("handshake XX", 0, ours(x25519, Purpose::Peer, None))
            .beside(
                "its public-key operations",
                own,
                operations(Count { keys: 2, agreements: 6, verified: 2, ..Count::default() }),
            )
            .beside("snow, default", None, snow("XX", Source::Default))
            .beside("snow, ring", target(1.0, None), snow("XX", Source::Ring)),
        Work::new("handshake NXhfs", 0, ours(hybrid, Purpose::Relay, None))
            .beside(
                "its public-key operations",
                own,
                operations(Count { keys: 2, agreements: 4, verified: 1, kem: 1, ..Count::default() }),
            )
            .beside("rustls, X25519MLKEM768", target(1.0, None), rustls(tls::Group::Hybrid)),
        Work::new("handshake NXkem, RSA 3072", 0, ours(rsa, Purpose::Relay, Some(RSA_BITS))).beside(
            "its public-key operations",
            own,
            operations(Count { keys: 2, agreements: 2, verified: 1, rsa: 1, ..Count::default() }),
        ),
    ]
}

/// Both ends, opened.
fn handshake<T>(open: impl Fn() -> T + 'static) -> Run {
    timed(move || {
        black_box(open());
    })
}

/// How often each public-key operation is done in a handshake, both sides together.
#[derive(Clone, Copy, Default)]
struct Count {
    /// X25519 keys made.
    keys: usize,
    /// X25519 agreements.
    agreements: usize,
    /// Ed25519 signatures verified: one for each bundle.
    verified: usize,
    /// ML-KEM-768: a key made, a secret encapsulated and decapsulated.
    kem: usize,
    /// RSA-OAEP: a secret encrypted and decrypted.
    rsa: usize,
}

/// The operations alone.
fn operations(count: Count) -> Run {
    let mut rng = random(5);
    let (own, other) = (x25519::PrivateKey::generate(&mut *rng), x25519::PrivateKey::generate(&mut *rng).public());
    let signer = ed25519::SigningKey::generate(&mut *rng);
    let (verifier, message) = (signer.verifying_key(), [3; 200]);
    let signature = signer.sign(Label::BUNDLE, &[&message]);
    let rsa = (count.rsa > 0).then(|| rsa::PrivateKey::generate(RSA_BITS, &mut *rng).unwrap());
    timed(move || {
        for _ in 0..count.keys {
            black_box(x25519::PrivateKey::generate(&mut *rng).public());
        }
        for _ in 0..count.agreements {
            black_box(own.agree(&other).unwrap());
        }
        for _ in 0..count.verified {
            verifier.verify(Label::BUNDLE, &[&message], &signature).unwrap();
        }
        for _ in 0..count.kem {
            let key = mlkem::DecapsulationKey::generate(&mut *rng);
            let (ciphertext, _) = key.encapsulation_key().encapsulate(&mut *rng);
            black_box(key.decapsulate(&ciphertext).unwrap());
        }
        if let Some(key) = &rsa {
            let (ciphertext, _) = key.public().encapsulate(&mut *rng);
            black_box(key.decapsulate(&ciphertext, &mut *rng));
        }
    })
}
