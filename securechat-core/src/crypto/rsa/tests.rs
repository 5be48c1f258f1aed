//! The RSA-wrapped key exchange over both backends.

use super::*;
use crate::codec;
use crate::crypto::backend::oaep;
use crate::crypto::test_keys::{RSA_2048, RSA_3072, RSA_4096, rsa_2048};
use crate::crypto::testing::{field, hex, on_every_backend, rng, vectors};

/// What PROTOCOL.md 2.2 says for a ciphertext that holds no message, from its parts.
fn rejection(key: &PrivateKey, ciphertext: &[u8]) -> [u8; 32] {
    let (mut z, mut message) = ([0; 32], Secret::zero());
    hkdf(&[], &key.to_der(), &[b"securechat1 rsa-kem reject\0"], &mut z);
    hmac_sha256(&z, &[ciphertext], message.as_mut_bytes());
    *shared_secret(key.public(), ciphertext, &message).as_bytes()
}

on_every_backend! {
    /// PROTOCOL.md 2.2: right ciphertexts, and such as hold no message.
    fn protocol_vectors<B>() {
        for (vector, der) in vectors()["rsa_kem"].as_array().unwrap().iter().zip([RSA_2048, RSA_3072, RSA_4096]) {
            let key = Private::<B>::from_der(der).unwrap();
            assert_eq!(field(vector, "id"), key.public.id());
            for vector in vector["ciphertexts"].as_array().unwrap() {
                let secret = key.decapsulate(&field(vector, "ciphertext"), &mut rng(1));
                assert_eq!(field(vector, "secret"), secret.as_bytes(), "{}", vector["comment"]);
            }
        }
    }

    fn each_decapsulates_what_the_other_encapsulated<A, B>() {
        for der in [RSA_2048, RSA_3072, RSA_4096] {
            let key = Private::<B>::from_der(der).unwrap();
            let (ciphertext, secret) = encapsulate::<A>(&key.public, &mut rng(1));
            assert_eq!(ciphertext.len(), key.public.ciphertext_len());
            assert_eq!(key.decapsulate(&ciphertext, &mut rng(2)).as_bytes(), secret.as_bytes());
            let (again, other) = encapsulate::<A>(&key.public, &mut rng(3));
            assert!(again != ciphertext && other.as_bytes() != secret.as_bytes());
        }
    }

    /// Sizes that are no multiple of eight bits, or of a limb.
    fn odd_sizes<A, B>() {
        for bits in [2049, 2055, 2056, 2111] {
            let made = PrivateKey::generate(bits, &mut rng(1)).unwrap();
            let key = Private::<B>::from_der(&made.to_der()).unwrap();
            assert_eq!(key.public.ciphertext_len(), 257 + (bits > 2056) as usize * 7);
            for seed in 0..4 {
                let (ciphertext, secret) = encapsulate::<A>(&key.public, &mut rng(seed));
                assert_eq!(key.decapsulate(&ciphertext, &mut rng(2)).as_bytes(), secret.as_bytes());
                let longer = [&[0], &ciphertext[..]].concat();
                assert_eq!(*key.decapsulate(&longer, &mut rng(2)).as_bytes(), rejection(&made, &longer));
            }
        }
    }

    /// ATTACKS.md A1: whatever is wrong with a ciphertext, decapsulation gives the rejection secret, which depends on
    /// key and ciphertext only.
    fn a1_wrong_ciphertexts_give_the_rejection_secret<B>() {
        let whole = rsa_2048();
        let key = Private::<B>::from_der(RSA_2048).unwrap();
        let message = [7; 32];
        let crafted = |change: &dyn Fn(&mut [u8])| oaep::crafted(&key.public, &message, change);
        // Y | seed 32 | hash 32 | zeros 158 | 0x01 | message 32
        let right = crafted(&|_| {});
        let expected = shared_secret(&key.public, &right, &Secret::from_bytes(&message));
        assert_eq!(key.decapsulate(&right, &mut rng(1)).as_bytes(), expected.as_bytes());

        let mut wrong: Vec<Vec<u8>> = vec![
            crafted(&|encoded| encoded[0] = 1),
            crafted(&|encoded| encoded[33] ^= 1),
            crafted(&|encoded| encoded[64] ^= 0x80),
            crafted(&|encoded| encoded[65] = 1),
            crafted(&|encoded| encoded[222] = 2),
            crafted(&|encoded| encoded[223] = 0),
            crafted(&|encoded| encoded[223] = 2),
            // Messages of 33, 31 and 0 bytes, rightly encoded.
            crafted(&|encoded| encoded[222] = 1),
            crafted(&|encoded| encoded[223..225].copy_from_slice(&[0, 1])),
            crafted(&|encoded| encoded[223..].copy_from_slice(&[[0; 32].as_slice(), &[1]].concat())),
            // Zero and one, which the private operation leaves as they are, and n - 1, n and n + 1.
            vec![0; 256],
            [[0; 255].as_slice(), &[1]].concat(),
            beside(key.public.modulus(), -1),
            beside(key.public.modulus(), 0),
            beside(key.public.modulus(), 1),
            // Other lengths, one of them a right number with a zero before it.
            right[..255].to_vec(),
            right[1..].to_vec(),
            [&right[..], &[0]].concat(),
            [&[0], &right[..]].concat(),
            vec![3; 512],
        ];
        // The same number in fewer and in more bytes, which would be another ciphertext for one message.
        let leading_zero = |key: &PublicKey| {
            (0..=u8::MAX)
                .flat_map(|a| (0..=u8::MAX).map(move |b| (a, b)))
                .map(|(a, b)| oaep::crafted(key, &message, |encoded| encoded[1..3].copy_from_slice(&[a, b])))
                .find(|ciphertext| ciphertext[0] == 0)
                .unwrap()
        };
        let ciphertext = leading_zero(&key.public);
        let expected = shared_secret(&key.public, &ciphertext, &Secret::from_bytes(&message));
        assert_eq!(key.decapsulate(&ciphertext, &mut rng(1)).as_bytes(), expected.as_bytes());
        wrong.push(ciphertext[1..].to_vec());

        for (index, ciphertext) in wrong.iter().enumerate() {
            for seed in [1, 2] {
                let secret = key.decapsulate(ciphertext, &mut rng(seed));
                assert_eq!(*secret.as_bytes(), rejection(&whole, ciphertext), "ciphertext {index}");
            }
        }
    }
}

/// A modulus with something added to its last byte, which is odd.
fn beside(modulus: &[u8], add: i8) -> Vec<u8> {
    let mut number = modulus.to_vec();
    let last = number.last_mut().unwrap();
    *last = last.checked_add_signed(add).unwrap();
    number
}

/// PKCS#1 DER of a public key as it comes.
fn public_der(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let sign: &[u8] = if bytes[0] < 0x80 { &[] } else { &[0] };
        tlv(2, &[sign, bytes].concat())
    };
    tlv(0x30, &[integer(modulus), integer(exponent)].concat())
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() {
        short @ 0..=127 => vec![short as u8],
        short @ 128..=255 => vec![0x81, short as u8],
        long => vec![0x82, (long >> 8) as u8, long as u8],
    };
    [&[tag], &length[..], content].concat()
}

const E: [u8; 3] = [1, 0, 1];

/// ATTACKS.md A3.
#[test]
fn a3_public_keys_outside_the_rules_are_refused() {
    let number = |bits: usize, last: u8| {
        let mut bytes = vec![0xa5; bits.div_ceil(8)];
        bytes[0] = 1 << ((bits - 1) % 8);
        *bytes.last_mut().unwrap() = last;
        bytes
    };
    let refused = |der: &[u8]| assert_eq!(PublicKey::from_der(der), Err(InvalidMessage::PublicKey));
    for bits in [2048, 2049, 2055, 2056, 3072, 4095, 4096] {
        let der = public_der(&number(bits, 1), &E);
        let key = PublicKey::from_der(&der).unwrap();
        assert_eq!((key.der(), key.ciphertext_len()), (&der[..], bits.div_ceil(8)));
        // An even modulus.
        refused(&public_der(&number(bits, 2), &E));
        // Other exponents.
        for exponent in [&[1][..], &[2], &[3], &[17], &[1, 0], &[1, 0, 0], &[1, 0, 3], &[1, 0, 1, 1], &[0, 1, 0, 1]] {
            refused(&public_der(&number(bits, 1), exponent));
        }
    }
    // Other sizes.
    for bits in [8, 512, 1024, 2040, 2047, 4097, 4104, 8192, 16_384, 500_000] {
        refused(&public_der(&number(bits, 1), &E));
    }

    let modulus = rsa_2048().public().modulus().to_vec();
    let der = public_der(&modulus, &E);
    assert_eq!(PublicKey::from_der(&der).as_ref(), Ok(rsa_2048().public()));
    // Cut anywhere, and with something after it, inside and outside.
    (0..der.len()).for_each(|length| refused(&der[..length]));
    refused(&[&der[..], &[0]].concat());
    let parts = [&tlv(2, &[&[0], &modulus[..]].concat())[..], &tlv(2, &E)].concat();
    assert_eq!(tlv(0x30, &parts), der);
    refused(&tlv(0x30, &[&parts[..], &[5, 0]].concat()));
    // A modulus that is negative, or has a zero too many; lengths in longer or indefinite form; another structure.
    refused(&tlv(0x30, &[tlv(2, &modulus), tlv(2, &E)].concat()));
    refused(&tlv(0x30, &[tlv(2, &[&[0, 0], &modulus[..]].concat()), tlv(2, &E)].concat()));
    refused(&[&[0x30, 0x83, 0, 1, 10], &parts[..]].concat());
    refused(&[&[0x30, 0x80], &parts[..], &[0, 0]].concat());
    refused(&tlv(0x31, &parts));
    refused(&tlv(0x30, &[tlv(2, &E), tlv(2, &[&[0], &modulus[..]].concat())].concat()));
    let algorithm = hex("300d06092a864886f70d0101010500");
    refused(&tlv(0x30, &[algorithm, tlv(3, &[&[0], &der[..]].concat())].concat()));
    // Every byte of the frame counts.
    for place in (0..8).chain(der.len() - 5..der.len()) {
        let mut changed = der.clone();
        changed[place] ^= 1;
        refused(&changed);
    }
}

/// The numbers of a PKCS#1 private key: version, n, e, d, p, q, dP, dQ, 1/q.
fn numbers(mut der: &[u8]) -> Vec<Vec<u8>> {
    let mut value = |enter: bool| {
        let (header, length) = match der[1] {
            0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
            0x81 => (3, der[2].into()),
            short => (2, short.into()),
        };
        let content = &der[header..header + length];
        der = &der[header + if enter { 0 } else { length }..];
        content.to_vec()
    };
    value(true);
    (0..9).map(|_| value(false)).collect()
}

fn private_der(numbers: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &numbers.iter().flat_map(|number| tlv(2, number)).collect::<Vec<u8>>())
}

/// ATTACKS.md A3, for private keys that are imported.
#[test]
fn a3_private_keys_outside_the_rules_are_refused() {
    let refused = |der: &[u8]| assert_eq!(PrivateKey::from_der(der).err(), Some(ApiMisuse::PrivateKey));
    let right = numbers(RSA_2048);
    assert_eq!(private_der(&right), RSA_2048);
    assert!(PrivateKey::from_der(RSA_2048).is_ok());

    refused(&[RSA_2048, &[0]].concat());
    (0..RSA_2048.len()).step_by(41).for_each(|length| refused(&RSA_2048[..length]));
    for index in 0..right.len() {
        // A number that is another one, has a zero too many, or is missing.
        let mut changed = right.clone();
        *changed[index].last_mut().unwrap() ^= 4;
        refused(&private_der(&changed));
        let mut changed = right.clone();
        changed[index].insert(0, 0);
        refused(&private_der(&changed));
        let mut changed = right.clone();
        changed.remove(index);
        refused(&private_der(&changed));
    }
    // Primes exchanged, but not what depends on their order; one and n for primes; PKCS#8 around it.
    let mut changed = right.clone();
    changed.swap(4, 5);
    refused(&private_der(&changed));
    let mut changed = right.clone();
    (changed[4], changed[5]) = (right[1].clone(), vec![1]);
    refused(&private_der(&changed));
    let algorithm = hex("300d06092a864886f70d0101010500");
    refused(&tlv(0x30, &[tlv(2, &[0]), algorithm, tlv(4, RSA_2048)].concat()));
}

/// Keys that agree with themselves, but are too short or have another exponent.
#[test]
fn a3_weak_private_keys_are_refused() {
    for der in [
        &include_bytes!("../../../tests/keys/rsa1024.der")[..],
        include_bytes!("../../../tests/keys/rsa2048_e3.der"),
        include_bytes!("../../../tests/keys/rsa4160.der"),
    ] {
        assert_eq!(private_der(&numbers(der)), der);
        assert_eq!(PrivateKey::from_der(der).err(), Some(ApiMisuse::PrivateKey));
    }
}

#[test]
fn generated_keys() {
    for bits in [0, 512, 2047, 4097, usize::MAX] {
        assert_eq!(PrivateKey::generate(bits, &mut rng(1)).err(), Some(ApiMisuse::PrivateKey));
    }
    let key = PrivateKey::generate(2048, &mut rng(1)).unwrap();
    assert_eq!(key.to_der(), PrivateKey::generate(2048, &mut rng(1)).unwrap().to_der());
    assert_ne!(key.to_der(), PrivateKey::generate(2048, &mut rng(2)).unwrap().to_der());
    let (ciphertext, secret) = PublicKey::from_der(key.public().der()).unwrap().encapsulate(&mut rng(2));
    assert_eq!(key.decapsulate(&ciphertext, &mut rng(3)).as_bytes(), secret.as_bytes());
}

#[test]
fn records_hold_the_der() {
    let key = rsa_2048();
    let record = codec::encode_secret(&key);
    assert_eq!(record[2..], *RSA_2048);
    assert_eq!(codec::decode::<PrivateKey>(&record).unwrap().public(), key.public());
    let public = codec::encode(key.public());
    assert_eq!(codec::decode(&public).as_ref(), Ok(key.public()));
    assert!(codec::decode::<PublicKey>(&public[1..]).is_err() && codec::decode::<PublicKey>(&[0]).is_err());
    assert!(codec::decode::<PrivateKey>(&[0]).is_err());
}

#[test]
fn debug_shows_the_public_key_only() {
    let key = rsa_2048();
    assert_eq!(
        format!("{key:?}"),
        "rsa::PrivateKey(rsa::PublicKey(SHA-256 9d5b24669b1e5b7e64fcf4e813605c75dbe95e9eea41e38d92a57b0af5f90385))"
    );
}
