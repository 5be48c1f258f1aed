//! Bundles, prekeys and what a device makes of itself.

use crate::error::PeerMisbehaved;
use crate::identity::samples::*;
use crate::identity::{PrekeyKind, SIGNED_BUNDLE_MAX, SignedBundle, SignedPrekey};
use crate::suite::Suite;

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
    let (day, end) = (crate::limits::DAY, bundle.bundle().not_after);
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
