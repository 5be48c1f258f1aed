//! Signed objects made apart from this code (Python, with OpenSSL's Ed25519), byte for byte.

use crate::crypto::ed25519::SigningKey;
use crate::crypto::{mlkem, test_keys, x25519};
use crate::identity::samples::{keys, name};
use crate::identity::{
    Bundle, Identity, PrekeyPublic, SignedBundle, SignedDeviceList, SignedPrekey, StaticKeys, safety_number,
};
use crate::limits::DAY;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/independent/identity.json")).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn key(vectors: &Value, device: usize) -> SigningKey {
    SigningKey::from_bytes(&hex(&vectors["identity_seeds"][device]).try_into().unwrap())
}

fn identity(vectors: &Value, device: usize) -> Identity {
    key(vectors, device).verifying_key().into()
}

const AGREEMENT: x25519::PublicKey = x25519::PublicKey::from_bytes([7; 32]);

fn prekey(id: u32, hybrid: bool) -> PrekeyPublic {
    let key = mlkem::EncapsulationKey::from_bytes(&[1; mlkem::ENCAPSULATION_KEY_LEN]).unwrap();
    PrekeyPublic::new(id, AGREEMENT, hybrid.then_some(key))
}

#[test]
fn bundles() {
    let vectors = vectors();
    let bundle = Bundle {
        version: 1,
        identity: identity(&vectors, 0),
        user: Some(name("alice")),
        device: 300,
        serial: 5,
        not_before: 20_000 * DAY,
        not_after: 20_090 * DAY,
        suites: vec![0x0301, 0x0201, 0x9999],
        statics: StaticKeys { x25519: AGREEMENT, rsa: Some(test_keys::rsa_2048().public().clone()) },
        prekeys: vec![prekey(6, false), prekey(7, true)],
    };
    let relays = Bundle {
        user: None,
        device: 0,
        serial: 1,
        suites: vec![0x0101],
        statics: StaticKeys { x25519: AGREEMENT, rsa: None },
        prekeys: Vec::new(),
        ..bundle.clone()
    };
    for (bundle, vector) in [(bundle, &vectors["bundle"]), (relays, &vectors["relay_bundle"])] {
        let signed = bundle.sign(&key(&vectors, 0)).unwrap();
        assert_eq!(signed.bytes(), hex(vector));
        assert_eq!(SignedBundle::decode(&hex(vector)), Ok(signed));
    }
    assert_eq!(SignedBundle::decode(&hex(&vectors["bundle"])).unwrap().hash(), hex(&vectors["bundle_hash"])[..]);
}

#[test]
fn prekeys() {
    let vectors = vectors();
    let signed = SignedPrekey::sign(&key(&vectors, 0), 300, prekey(70_000, true)).unwrap();
    assert_eq!(signed.bytes(), hex(&vectors["prekey"]));
    assert_eq!(SignedPrekey::decode(signed.bytes()), Ok(signed));
}

#[test]
fn device_lists() {
    let vectors = vectors();
    let first = SignedDeviceList::create(name("alice"), &key(&vectors, 0)).unwrap();
    let proposed = first.propose_add(&key(&vectors, 1)).unwrap();
    let second = proposed.countersign(&first, &key(&vectors, 0)).unwrap();
    for (list, epoch) in [(first, 0), (second, 1)] {
        assert_eq!(list.bytes(), hex(&vectors[format!("list_{epoch}")]));
        assert_eq!(list.hash(), hex(&vectors[format!("list_{epoch}_hash")])[..]);
        assert_eq!(SignedDeviceList::decode(list.bytes()), Ok(list));
    }
}

#[test]
fn fingerprints_and_the_safety_number() {
    let vectors = vectors();
    let devices = [0, 1].map(|device| identity(&vectors, device));
    for (device, fingerprint) in devices.iter().zip(vectors["fingerprints"].as_array().unwrap()) {
        assert_eq!(device.fingerprint().to_string(), fingerprint.as_str().unwrap());
    }
    let number = safety_number((&name("alice"), &devices), (&name("bob"), &[Identity::from_bytes([0x33; 32])]));
    assert_eq!(number.digits(), vectors["safety_number"].as_str().unwrap());
    assert!(!devices.contains(&keys(1).identity()), "vectors and samples share no key");
}
