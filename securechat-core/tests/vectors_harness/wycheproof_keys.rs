//! X25519, Ed25519, ML-KEM-768 and RSA-OAEP.

use super::Outcome;
use super::noise::Fixed;
use super::wycheproof::{Group, array, bits, broken, bytes, has_flag, judged, skipped};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use securechat_core::codec;
use securechat_core::crypto::published::{ed25519_sign, ed25519_verify, oaep_open};
use securechat_core::crypto::{mlkem, rsa, x25519};
use serde_json::Value;

pub fn x25519(_group: &Value) -> Group {
    Box::new(|test| {
        let (private, public) = (array(test, "private")?, array(test, "public")?);
        let expected = bytes(test, "shared")?;
        let agreed = x25519::PrivateKey::from_bytes(&private).agree(&x25519::PublicKey::from_bytes(public));
        // Of what is acceptable an all-zero secret is refused here, and everything else is taken.
        if has_flag(test, "ZeroSharedSecret") || expected == [0; 32] {
            return Ok(Outcome::of(agreed.is_err() && test["result"] != "valid", "an all-zero secret"));
        }
        let agreed = agreed.as_ref().map(|secret| secret.as_bytes().as_slice()).ok();
        if agreed.is_none() { Err("refused".into()) } else { judged(test, agreed, &expected) }
    })
}

pub fn ed25519(group: &Value) -> Group {
    let key = if group["publicKey"].is_object() { &group["publicKey"] } else { &group["key"] };
    if !["edwards25519", "curve25519"].iter().any(|curve| key["curve"] == *curve) {
        return skipped("curve not Ed25519");
    }
    let Ok(public) = array(key, "pk") else { return broken("no public key") };
    // Older releases tell the private key.
    let private = array(key, "sk").ok();
    Box::new(move |test| {
        let (message, signature) = (bytes(test, "msg")?, bytes(test, "sig")?);
        let verified = <&[u8; 64]>::try_from(signature.as_slice())
            .is_ok_and(|signature| ed25519_verify(&public, &message, signature).is_ok());
        let signed = private.map(|private| ed25519_sign(&private, &message) == *signature);
        if signed.is_some_and(|equal| equal != (test["result"] == "valid")) {
            return Err("another signature is made".into());
        }
        judged(test, verified.then_some(&[]), &[])
    })
}

/// Keys are seeds here, so they are made from seeds; what they decapsulate may be wrong.
pub fn mlkem_decapsulation(group: &Value) -> Group {
    if group["parameterSet"] != "ML-KEM-768" {
        return skipped("parameter set not ML-KEM-768");
    }
    Box::new(|test| {
        if test["seed"].is_null() {
            return Ok(Outcome::Skip("private key not a seed"));
        }
        // Read as records are.
        let Ok(key) = codec::decode::<mlkem::DecapsulationKey>(&bytes(test, "seed")?) else {
            return judged(test, None, &[]);
        };
        let public = key.encapsulation_key();
        if !test["ek"].is_null() && public.as_bytes() != bytes(test, "ek")? {
            return Err("another public key".into());
        }
        if test["c"].is_null() {
            return judged(test, Some(public.as_bytes()), &bytes(test, "ek")?);
        }
        let secret = key.decapsulate(&bytes(test, "c")?);
        judged(test, secret.as_ref().map(|secret| secret.as_bytes().as_slice()).ok(), &bytes(test, "K")?)
    })
}

pub fn mlkem_encapsulation(group: &Value) -> Group {
    if group["parameterSet"] != "ML-KEM-768" {
        return skipped("parameter set not ML-KEM-768");
    }
    Box::new(|test| {
        let Ok(key) = mlkem::EncapsulationKey::from_bytes(&bytes(test, "ek")?) else { return judged(test, None, &[]) };
        let (ciphertext, secret) = key.encapsulate(&mut Fixed(bytes(test, "m")?));
        if cfg!(feature = "aws-lc") && test["result"] == "valid" {
            return Ok(Outcome::Skip("key taken, but AWS-LC draws the message itself"));
        }
        let output = [&ciphertext[..], secret.as_bytes()].concat();
        judged(test, Some(&output), &[bytes(test, "c")?, bytes(test, "K")?].concat())
    })
}

pub fn rsa_oaep(group: &Value) -> Group {
    if group["sha"] != "SHA-256" || group["mgfSha"] != "SHA-256" {
        return skipped("hash not SHA-256 twice");
    }
    if !(rsa::BITS_MIN..=rsa::BITS_MAX).contains(&bits(group, "keySize")) {
        return skipped("modulus not of 2048 to 4096 bits");
    }
    let key = bytes(group, "privateKeyPkcs8").unwrap_or_default();
    let Some(Ok(key)) = pkcs1(&key).map(rsa::PrivateKey::from_der) else { return broken("the key is not taken") };
    Box::new(move |test| {
        let rng = &mut ChaCha20Rng::seed_from_u64(1); // Blinds.
        let opened = oaep_open(&key, &bytes(test, "ct")?, &bytes(test, "label")?, rng);
        judged(test, opened.as_deref(), &bytes(test, "msg")?)
    })
}

/// The RSA key in `SEQUENCE { INTEGER 0, rsaEncryption, OCTET STRING }`, all of whose lengths take two bytes.
fn pkcs1(pkcs8: &[u8]) -> Option<&[u8]> {
    let head = [2, 1, 0, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0, 4, 0x82];
    pkcs8.strip_prefix(&[0x30, 0x82])?.get(2..)?.strip_prefix(&head)?.get(2..)
}
