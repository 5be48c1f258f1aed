//! Bundles, prekeys and what a device makes of itself.

use crate::codec;
use crate::crypto::hash::sha256;
use crate::crypto::label::Label;
use crate::crypto::rsa;
use crate::crypto::test_keys::RSA_4096;
use crate::error::{ApiMisuse, Error, InvalidMessage, PeerMisbehaved};
use crate::identity::samples::*;
use crate::identity::{
    Bundle, DeviceKeys, Identity, LocalIdentity, PrekeyKind, PrekeyPublic, SIGNED_BUNDLE_MAX, SignedBundle,
    SignedDeviceList, SignedPrekey, signed,
};
use crate::limits::DAY;
use crate::suite::{Policy, Suite};
use rand_core::Rng;
use std::sync::Arc;

fn rsa_4096() -> rsa::PrivateKey {
    rsa::PrivateKey::from_der(RSA_4096).unwrap()
}

#[test]
fn what_is_signed_is_what_is_read() {
    let alice = local("alice", 1);
    let bundle = SignedBundle::decode(alice.bundle.bytes()).unwrap();
    assert_eq!(bundle, alice.bundle);
    assert_eq!(bundle.identity(), alice.keys.identity());
    assert_eq!(bundle.user(), Some(&name("alice")));
    assert_eq!((bundle.device(), bundle.serial()), (1, 1));
    assert_eq!(bundle.static_x25519(), &alice.keys.x25519.public());
    assert_eq!(bundle.static_rsa(), alice.keys.rsa.as_ref().map(|key| key.public()));
    assert!(Suite::ALL.into_iter().all(|suite| bundle.supports(suite)));
    assert!(PrekeyKind::ALL.into_iter().all(|kind| bundle.last_resort(kind).unwrap().kind() == kind));
    assert!(bundle.is_session_peer());
    assert!(bundle.bytes().len() <= SIGNED_BUNDLE_MAX);
}

#[test]
fn prekeys_are_for_their_device_and_kind() {
    let (alice, other) = (local("alice", 1), local("alice", 2));
    for prekey in prekeys(7) {
        let kind = prekey.kind();
        let signed = SignedPrekey::sign(&alice.keys.identity, 1, prekey.clone()).unwrap();
        assert_eq!(SignedPrekey::decode(signed.bytes()), Ok(signed.clone()));
        assert_eq!(signed.prekey(), &prekey);
        let elsewhere = SignedPrekey::sign(&alice.keys.identity, 2, prekey).unwrap();
        for suite in Suite::ALL {
            let fits = PrekeyKind::for_suite(suite) == kind;
            let expected = if fits { Ok(()) } else { Err(PeerMisbehaved::Prekey) };
            assert_eq!(signed.check_for(&alice.bundle, suite), expected);
            assert_eq!(signed.check_for(&other.bundle, suite), Err(PeerMisbehaved::Prekey));
            assert_eq!(elsewhere.check_for(&alice.bundle, suite), Err(PeerMisbehaved::Prekey));
        }
    }
}

#[test]
fn expiry_and_clocks() {
    let bundle = local("alice", 1).bundle;
    let expired = Err(PeerMisbehaved::BundleExpired);
    let (day, end) = (DAY, bundle.bundle().not_after);
    assert_eq!(end, NOW + 90 * day);
    for (now, grace, expected) in [
        (NOW, 0, Ok(())),
        (NOW - day, 0, Ok(())),
        (NOW - day - 1, 0, expired),
        (end, 0, Ok(())),
        (end + 1, 0, expired),
        (end + 30 * day, 30 * day, Ok(())),
        (end + 30 * day + 1, 30 * day, expired),
        (0, u64::MAX, expired),
        (u64::MAX, 0, expired),
    ] {
        assert_eq!(bundle.check_validity(now, grace), expected, "{now} {grace}");
    }
}

#[test]
fn every_changed_bit_of_a_prekey_is_refused() {
    for prekey in prekeys(7) {
        let signed = SignedPrekey::sign(&keys(1).identity, 1, prekey).unwrap();
        refuses_every_change(signed.bytes(), SignedPrekey::decode);
    }
}

#[test]
fn every_changed_bit_of_a_bundle_is_refused() {
    refuses_every_change(local("alice", 1).bundle.bytes(), SignedBundle::decode);
}

type Change = fn(&mut Bundle);

/// A bundle with every suite and both prekeys, changed, and signed by its device without looking.
fn forged(change: impl FnOnce(&mut Bundle)) -> Vec<u8> {
    let mut bundle = local("alice", 1).bundle.bundle().clone();
    change(&mut bundle);
    signed::sign(Label::BUNDLE, &codec::encode(&bundle), &keys(1).identity).unwrap()
}

#[test]
fn bundles_that_break_a_rule_are_refused_although_signed() {
    let inconsistent = Error::from(PeerMisbehaved::BundleInconsistent);
    assert!(SignedBundle::decode(&forged(|_| ())).is_ok());
    let cases: [(&str, Error, Change); 14] = [
        ("another version", InvalidMessage::Version.into(), |b| b.version = 2),
        ("another signer", BAD_SIGNATURE, |b| b.identity = keys(2).identity()),
        ("no suite", OUT_OF_BOUNDS, |b| b.suites.clear()),
        ("17 suites", OUT_OF_BOUNDS, |b| b.suites = (0..17).collect()),
        ("a suite twice", inconsistent, |b| b.suites.push(0x0101)),
        ("an unknown suite twice", inconsistent, |b| b.suites = vec![0x0101, 0x9999, 0x9999]),
        ("RSA suites without a key", inconsistent, |b| b.statics.rsa = None),
        ("no hybrid prekey", inconsistent, |b| b.prekeys.truncate(1)),
        ("only the hybrid prekey", inconsistent, |b| drop(b.prekeys.remove(0))),
        ("prekeys in another order", inconsistent, |b| b.prekeys.reverse()),
        ("a kind twice", inconsistent, |b| b.prekeys[1] = b.prekeys[0].clone()),
        ("three prekeys", OUT_OF_BOUNDS, |b| b.prekeys.push(b.prekeys[0].clone())),
        ("91 days", inconsistent, |b| b.not_after += 1),
        ("an end before the beginning", inconsistent, |b| b.not_after = b.not_before - 1),
    ];
    for (what, error, change) in cases {
        assert_eq!(SignedBundle::decode(&forged(change)), Err(error), "{what}");
    }
}

#[test]
fn bundles_that_are_unusual_but_whole_are_taken() {
    let cases: [(&str, Change); 5] = [
        ("unknown suites", |b| b.suites.extend([0x0401, 0xFFFF])),
        ("only unknown suites", |b| b.suites = vec![0x0401]),
        ("no prekeys", |b| b.prekeys.clear()),
        ("no user", |b| b.user = None),
        ("a moment", |b| b.not_after = b.not_before),
    ];
    for (what, change) in cases {
        let bundle = SignedBundle::decode(&forged(change)).unwrap();
        assert_eq!(bundle.is_session_peer(), bundle.user().is_some() && !bundle.bundle().prekeys.is_empty(), "{what}");
        assert!(bundle.bundle().known_suites().all(|suite| bundle.supports(suite)), "{what}");
    }
}

#[test]
fn the_form_of_the_body_is_the_only_one() {
    let sign = |body: &[u8]| signed::sign(Label::BUNDLE, body, &keys(1).identity).unwrap();
    let body = codec::encode(local("alice", 1).bundle.bundle());
    assert!(SignedBundle::decode(&sign(&body)).is_ok());

    let mut longer = body.clone();
    longer.push(0);
    assert_eq!(SignedBundle::decode(&sign(&longer)), Err(InvalidMessage::TrailingBytes.into()));
    for end in 0..body.len() {
        assert!(SignedBundle::decode(&sign(&body[..end])).is_err(), "cut at {end}");
    }
    // The device number stands after version, identity and the name with its length; 1 also as a varint of two bytes.
    let device = 1 + 32 + 1 + "alice".len();
    let mut varint = body.clone();
    varint.splice(device..=device, [0x81, 0x00]);
    assert_eq!(SignedBundle::decode(&sign(&varint)), Err(InvalidMessage::NotCanonical.into()));
    let mut name = body.clone();
    name[1 + 32 + 1] = b'A';
    assert_eq!(SignedBundle::decode(&sign(&name)), Err(InvalidMessage::UnknownValue.into()));
    let kind = body.len() - (1 + 1 + 32 + 1184);
    let mut unknown = body.clone();
    assert_eq!(core::mem::replace(&mut unknown[kind], 3), 2);
    assert_eq!(SignedBundle::decode(&sign(&unknown)), Err(InvalidMessage::UnknownValue.into()));
    let mut unreduced = body;
    unreduced[kind + 34..kind + 36].fill(0xFF);
    assert_eq!(SignedBundle::decode(&sign(&unreduced)), Err(InvalidMessage::UnknownValue.into()));
}

#[test]
fn the_largest_bundle_has_the_size_that_is_allowed() {
    let keys = DeviceKeys { rsa: Some(Arc::new(rsa_4096())), ..keys(1) };
    let mut prekeys = prekeys(1);
    prekeys.iter_mut().for_each(|p| *p = PrekeyPublic::new(u32::MAX, *p.x25519(), p.mlkem().cloned()));
    let user = Some(name(&"a".repeat(32)));
    let mut local = LocalIdentity::new(keys, user, u32::MAX, &all_suites(), prekeys, u64::MAX).unwrap();
    let mut bundle = local.bundle.bundle().clone();
    bundle.serial = u64::MAX;
    bundle.suites = (0..16).map(|suite| 0xFFF0 + suite).collect();
    local.bundle = bundle.sign(&local.keys.identity).unwrap();
    assert_eq!(local.bundle.bytes().len(), SIGNED_BUNDLE_MAX);
    assert!(SignedBundle::decode(local.bundle.bytes()).is_ok());
    let prekeys = local.bundle.bundle().prekeys.clone();
    assert_eq!(local.renew(&Policy::default(), prekeys, 0, NOW), Err(ApiMisuse::TooLarge.into()));

    // Longer than any bundle: refused before its signature is looked at.
    let long = signed::sign(Label::BUNDLE, &[1; SIGNED_BUNDLE_MAX], &local.keys.identity).unwrap();
    assert_eq!(SignedBundle::decode(&long), Err(OUT_OF_BOUNDS));
}

#[test]
fn a_renewed_bundle_keeps_who_it_is_and_grows() {
    let mut alice = local("alice", 1);
    let first = alice.bundle.clone();
    let later = alice.renew_at();
    assert_eq!(later, NOW + 45 * DAY);
    alice.renew(&Policy::default(), prekeys(2), 0, later).unwrap();
    let second = SignedBundle::decode(alice.bundle.bytes()).unwrap();
    assert_eq!((second.identity(), second.user(), second.device()), (first.identity(), first.user(), first.device()));
    assert_eq!((second.serial(), second.bundle().not_before), (2, later));
    assert_eq!(second.static_x25519(), first.static_x25519());
    assert_eq!(second.static_rsa(), None, "no suite needs it");
    assert_eq!(second.last_resort(PrekeyKind::X25519).unwrap().id(), 2);
    alice.renew(&all_suites(), prekeys(3), 40, later).unwrap();
    assert_eq!(alice.bundle.serial(), 41);
    assert_eq!(alice.bundle.static_rsa(), first.static_rsa());

    let again: LocalIdentity = codec::decode(&codec::encode_secret(&alice)).unwrap();
    assert_eq!((again.keys.identity(), again.bundle), (alice.keys.identity(), alice.bundle));
}

#[test]
fn what_a_policy_needs_must_be_there() {
    let new = |keys, policy, prekeys| LocalIdentity::new(keys, Some(name("alice")), 1, &policy, prekeys, NOW);
    let missing = Some(Error::from(ApiMisuse::MissingKey));
    assert_eq!(new(keys(1), all_suites(), prekeys(1)).err(), missing);
    assert_eq!(new(keys(1), Policy::default(), prekeys(1)[..1].to_vec()).err(), missing);
    assert_eq!(new(keys(1), Policy::default(), prekeys(1)[1..].to_vec()).err(), missing);
    assert!(new(keys(1), Policy::default(), Vec::new()).is_ok());
    let reversed = prekeys(1).into_iter().rev().collect();
    assert!(new(keys(1), Policy::default(), reversed).is_ok(), "the order of prekeys is made");
    let bundle = local("alice", 1).bundle.bundle().clone();
    assert_eq!(bundle.sign(&keys(2).identity), Err(PeerMisbehaved::IdentityMismatch.into()));
}

#[test]
fn relays_have_bundles_without_user_or_prekeys() {
    let relay = LocalIdentity::new(keys_with_rsa(9), None, 0, &all_suites(), Vec::new(), NOW).unwrap();
    let bundle = SignedBundle::decode(relay.bundle.bytes()).unwrap();
    assert!(!bundle.is_session_peer());
    assert_eq!(bundle.user(), None);
    assert!(bundle.static_rsa().is_some() && bundle.last_resort(PrekeyKind::X25519).is_none());
}

#[test]
fn hashes_are_over_body_and_signature() {
    let bundle = local("alice", 1).bundle;
    assert_eq!(bundle.hash(), sha256(&[&bundle.bytes()[2..]]));
    let length = bundle.bytes().len();
    assert_eq!(bundle.body_hash(), sha256(&[&bundle.bytes()[2..length - 64]]));
}

/// ATTACKS.md A9: the same body, signed by the same device under any other label, is nothing.
#[test]
fn a9_a_signature_counts_under_its_own_label_only() {
    let key = keys(1).identity;
    let prekey = SignedPrekey::sign(&key, 1, prekeys(1).remove(0)).unwrap();
    let (bundle, list) = (local("alice", 1).bundle, SignedDeviceList::create(name("alice"), &key).unwrap());
    for label in Label::ALL {
        let resigned = |bytes: &[u8]| signed::sign(*label, signed::body(bytes), &key).unwrap();
        assert_eq!(SignedBundle::decode(&resigned(bundle.bytes())).is_ok(), *label == Label::BUNDLE);
        assert_eq!(SignedPrekey::decode(&resigned(prekey.bytes())).is_ok(), *label == Label::PREKEY);
        let mut other = list.bytes().to_vec();
        let signature = other.len() - 64;
        other[signature..].copy_from_slice(&key.sign(*label, &[signed::body(list.bytes())]));
        assert_eq!(SignedDeviceList::decode(&other).is_ok(), *label == Label::DEVICE_LIST);
    }
}

/// ATTACKS.md A9: one kind of signed object, whole, is not taken for another.
#[test]
fn a9_a_signed_object_is_of_one_kind() {
    let key = keys(1).identity;
    let prekey = SignedPrekey::sign(&key, 1, prekeys(1).remove(0)).unwrap();
    let (bundle, list) = (local("alice", 1).bundle, SignedDeviceList::create(name("alice"), &key).unwrap());
    for bytes in [bundle.bytes(), prekey.bytes(), list.bytes()] {
        let taken = [
            SignedBundle::decode(bytes).is_ok(),
            SignedPrekey::decode(bytes).is_ok(),
            SignedDeviceList::decode(bytes).is_ok(),
        ];
        assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
    }
}

/// Small-order points verify anything under lax rules: such an identity signs nothing here.
#[test]
fn an_identity_of_small_order_signs_nothing() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let bytes = forged(|bundle| bundle.identity = Identity::from_bytes(identity));
    let body = signed::body(&bytes);
    let mut bytes = bytes[..2 + body.len()].to_vec();
    bytes.extend_from_slice(&signature);
    assert_eq!(SignedBundle::decode(&bytes), Err(BAD_SIGNATURE));
}

#[test]
fn any_bytes_are_an_error_and_no_panic() {
    let mut rng = rng(5);
    let whole = local("alice", 1).bundle;
    for round in 0..2_000_u32 {
        let mut bytes = vec![0; (rng.next_u32() % 300) as usize];
        rng.fill_bytes(&mut bytes);
        if round % 2 == 0 && bytes.len() > 66 {
            let body = u16::try_from(bytes.len() - 66).unwrap();
            bytes[..2].copy_from_slice(&body.to_be_bytes());
        }
        // The same bytes as a body that someone signed.
        let mut body = bytes.clone();
        if let Some(identity) = body.get_mut(1..33) {
            identity.copy_from_slice(whole.identity().as_bytes());
        }
        let signed = signed::sign(Label::BUNDLE, &body, &keys(1).identity).unwrap();
        assert!(SignedBundle::decode(&bytes).is_err() && SignedBundle::decode(&signed).is_err());
        assert!(SignedPrekey::decode(&bytes).is_err() && SignedDeviceList::decode(&bytes).is_err());
    }
}
