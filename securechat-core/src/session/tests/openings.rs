//! First messages (S1, S5).

use super::*;
use crate::crypto::x25519::PublicKey;
use crate::error::ApiMisuse;
use crate::identity::{DeviceKeys, PrekeyPublic};
use crate::limits::DAY;

fn suites(ids: &[usize]) -> Policy {
    Policy::new(ids.iter().map(|index| Suite::ALL[*index]).collect()).unwrap()
}

#[test]
fn the_initiators_first_suite_that_the_bundle_accepts_is_taken() {
    for (mine, theirs, taken) in [
        (&[4, 0][..], &[0, 4][..], Some(4)),
        (&[5, 1, 0], &[0, 1], Some(1)),
        (&[2], &[0, 2], Some(2)),
        (&[0], &[1], None),
    ] {
        let (mut alice, mut bob) = (Device::new(1, suites(mine)), Device::new(2, suites(theirs)));
        let result = alice.try_open_to(&bob, None, false);
        let Some(taken) = taken else {
            assert_eq!(result, Err(PeerMisbehaved::NoCommonSuite.into()));
            continue;
        };
        let envelope = alice.seal(&bob, b"text");
        if bob.sessions.policy.allows(Suite::ALL[taken]) {
            assert_eq!(bob.open(&envelope).unwrap().suite, Suite::ALL[taken]);
        }
    }
}

#[test]
fn a_suite_that_no_bundle_listed_is_refused() {
    // Bob's policy has grown, but nobody could know: someone else chose the suite.
    let (mut alice, mut bob) = (Device::new(1, suites(&[1])), Device::new(2, suites(&[0])));
    let mut wider = Device::new(2, suites(&[0, 1]));
    alice.open_to(&wider);
    let envelope = alice.seal(&wider, b"text");
    bob.sessions.set_policy(suites(&[0, 1]));
    assert_eq!(bob.open(&envelope).unwrap_err(), unopened(PeerMisbehaved::NoCommonSuite, None));
    // Listed once, but not allowed any more.
    assert_eq!(wider.local.bundle.bundle().suites.len(), 2);
    wider.sessions.note_bundle(&wider.local.bundle.clone());
    wider.reload();
    wider.sessions.set_policy(suites(&[0]));
    assert_eq!(wider.open(&envelope).unwrap_err(), unopened(PeerMisbehaved::NoCommonSuite, None));
    wider.sessions.set_policy(suites(&[0, 1]));
    assert_eq!(wider.reads(&envelope), b"text");
}

#[test]
fn the_sender_is_asked_about_and_decides_nothing_alone() {
    let (mut alice, mut bob) = pair(Suite::ALL[0]);
    let one_time = bob.one_time(PrekeyKind::X25519);
    alice.try_open_to(&bob, Some(&one_time[0]), false).unwrap();
    let envelope = alice.seal(&bob, b"text");
    let before = bob.snapshot();
    let bundle = Box::new(alice.local.bundle.clone());
    let asked = RefCell::new(Vec::new());
    let unknown = bob.open_with(&envelope, &|bundle| {
        asked.borrow_mut().push(bundle.clone());
        SenderCheck::Unknown
    });
    let unknown = unknown.unwrap_err();
    assert_eq!(unknown, OpenError::UnknownSender(bundle.clone()));
    assert_eq!(unknown.error(), PeerMisbehaved::NotInDeviceList.into());
    assert_eq!(asked.into_inner(), [*bundle]);
    let refused = bob.open_with(&envelope, &|_| SenderCheck::Refused);
    assert_eq!(refused.unwrap_err(), unopened(PeerMisbehaved::NotInDeviceList, Some(&alice)));
    assert_eq!(bob.snapshot(), before);
    assert_eq!(bob.reads(&envelope), b"text");
    // In a session that exists nobody is asked.
    let more = alice.seal(&bob, b"more");
    assert!(bob.open_with(&more, &|_| panic!("asked")).is_ok());
}

#[test]
fn a_one_time_prekey_serves_once() {
    let (mut alice, mut bob) = pair(Suite::ALL[4]);
    let mut carol = Device::new(3, all_suites());
    let one_time = bob.one_time(PrekeyKind::Hybrid);
    alice.try_open_to(&bob, Some(&one_time[0]), false).unwrap();
    carol.try_open_to(&bob, Some(&one_time[1]), false).unwrap();
    exchange(&mut alice, &mut bob);
    exchange(&mut carol, &mut bob);
    let mut dave = Device::new(4, alice.sessions.policy.clone());
    dave.try_open_to(&bob, Some(&one_time[0]), false).unwrap();
    let envelope = dave.seal(&bob, b"late");
    assert_eq!(bob.open(&envelope).unwrap_err(), unopened(PeerMisbehaved::Prekey, None));
}

#[test]
fn a_session_listed_under_a_last_resort_prekey_never_opens_again() {
    let (mut alice, mut bob) = pair(Suite::ALL[0]);
    alice.open_to(&bob);
    let envelopes = [alice.seal(&bob, b"one"), alice.seal(&bob, b"two")];
    assert_eq!(bob.reads(&envelopes[0]), b"one");
    bob.sessions.end_device(&alice.identity(), NOW);
    bob.reload();
    assert_eq!(bob.refuses(&envelopes[0]), REPLAY);
    assert_eq!(bob.refuses(&envelopes[1]), REPLAY);
    assert!(bob.sessions.sessions.is_empty());
}

#[test]
fn a11_prekeys_of_another_device_are_refused() {
    let (mut alice, bob) = pair(Suite::ALL[0]);
    let mut mallory = Device::new(3, all_suites());
    let foreign = mallory.one_time(PrekeyKind::X25519);
    let foreign_prekey = Err(PeerMisbehaved::Prekey.into());
    assert_eq!(alice.try_open_to(&bob, Some(&foreign[0]), false), foreign_prekey);
    // Of the same identity, but another device number.
    let other_number = SignedPrekey::sign(&bob.local.keys.identity, 99, foreign[0].prekey().clone()).unwrap();
    assert_eq!(alice.try_open_to(&bob, Some(&other_number), false), foreign_prekey);
    assert!(!alice.sessions.can_send(&bob.identity()));
}

#[test]
fn without_a_one_time_prekey_of_its_kind_the_last_resort_is_used() {
    let (mut alice, mut bob) = pair(Suite::ALL[4]);
    let wrong_kind = bob.one_time(PrekeyKind::X25519);
    let before = bob.sessions.last_resort_prekeys(NOW, &mut bob.rng).unwrap();
    alice.try_open_to(&bob, Some(&wrong_kind[0]), false).unwrap();
    let id = exchange(&mut alice, &mut bob);
    let listed = format!("prekey/2/{}/{id}", before[1].id());
    assert!(bob.snapshot().contains_key(&listed));
}

#[test]
fn ones_own_identity_and_what_is_no_session_peer_are_refused() {
    let (mut alice, _) = pair(Suite::ALL[0]);
    let own = alice.local.bundle.clone();
    let Device { local, sessions, rng, .. } = &mut alice;
    let result = sessions.open_to(local, &own, None, false, NOW, rng);
    assert_eq!(result, Err(PeerMisbehaved::OwnIdentity.into()));
    let keys = DeviceKeys::generate(rng, None).unwrap();
    let relay = LocalIdentity::new(keys, None, 0, &suites(&[0]), Vec::new(), NOW).unwrap();
    let result = sessions.open_to(local, &relay.bundle, None, false, NOW, rng);
    assert_eq!(result, Err(PeerMisbehaved::BundleInconsistent.into()));
}

#[test]
fn an_initiator_without_user_or_prekeys_is_refused() {
    let (mut alice, mut bob) = pair(Suite::ALL[0]);
    for (user, prekeys) in [(None, samples::prekeys(1)), (Some(samples::name("alice")), Vec::<PrekeyPublic>::new())] {
        alice.local =
            LocalIdentity::new(keys_with_rsa(1), user, 1, &alice.sessions.policy.clone(), prekeys, NOW).unwrap();
        alice.open_to(&bob);
        let envelope = alice.seal(&bob, b"text");
        assert_eq!(bob.refuses(&envelope), PeerMisbehaved::BundleInconsistent.into());
        alice.sessions.end_device(&bob.identity(), NOW);
    }
}

#[test]
fn an_initiators_bundle_is_taken_for_thirty_days_after_its_end() {
    let (mut alice, mut bob) = pair(Suite::ALL[0]);
    let end = alice.local.bundle.bundle().not_after;
    alice.open_to(&bob);
    let envelope = alice.seal(&bob, b"text");
    bob.now = end + 30 * DAY + 1;
    assert_eq!(bob.refuses(&envelope), PeerMisbehaved::BundleExpired.into());
    bob.now -= 1;
    assert_eq!(bob.reads(&envelope), b"text");
}

#[test]
fn a_low_order_ratchet_key_in_a_first_message_is_refused() {
    let (mut alice, mut bob) = pair(Suite::ALL[0]);
    alice.open_to(&bob);
    let mut envelope = alice.seal(&bob, b"text");
    let key = envelope.len() - 256 - 16 - 72 + 16;
    let low = PublicKey::from_bytes([0; 32]);
    envelope[key..key + 32].copy_from_slice(low.as_bytes());
    assert_eq!(bob.open(&envelope).unwrap_err(), unopened(PeerMisbehaved::WeakKey, Some(&alice)));
}

#[test]
fn the_session_id_sent_is_the_one_derived() {
    let (mut alice, mut bob) = pair(Suite::ALL[0]);
    alice.open_to(&bob);
    let mut envelope = alice.seal(&bob, b"text");
    let id = envelope.len() - 256 - 16 - 72;
    envelope[id] ^= 1;
    assert_eq!(bob.open(&envelope).unwrap_err(), unopened(PeerMisbehaved::SessionId, Some(&alice)));
}

#[test]
fn an_rsa_suite_without_an_rsa_key_is_a_missing_key() {
    let (mut alice, mut bob) = pair(Suite::ALL[2]);
    alice.open_to(&bob);
    let envelope = alice.seal(&bob, b"text");
    let rsa = bob.local.keys.rsa.take();
    assert_eq!(bob.refuses(&envelope), ApiMisuse::MissingKey.into());
    bob.local.keys.rsa = rsa;
    assert_eq!(bob.reads(&envelope), b"text");
}

/// ATTACKS.md A12: in PKkem one identity signs and the payload names another.
#[test]
fn a12_a_bundle_of_another_in_the_payload_is_refused() {
    for suite in [0, 2, 4] {
        let (mut alice, mut bob) = pair(Suite::ALL[suite]);
        let victim = Device::new(3, all_suites());
        alice.local.bundle = victim.local.bundle;
        alice.open_to(&bob);
        let envelope = alice.seal(&bob, b"text");
        let expected = if suite == 2 { PeerMisbehaved::IdentityMismatch } else { PeerMisbehaved::StaticKeyMismatch };
        assert_eq!(bob.open(&envelope).unwrap_err(), unopened(expected, None));
    }
}

/// ATTACKS.md A4: whatever a device wrote comes back to it, at every stage of a session.
#[test]
fn a4_what_is_reflected_opens_nowhere() {
    for suite in Suite::ALL {
        let (mut alice, mut bob) = pair(suite);
        alice.open_to(&bob);
        let reflects = |from: &mut Device, to: &mut Device| {
            let envelope = from.seal(to, b"text");
            let before = from.snapshot();
            assert!(from.open(&envelope).is_err(), "{suite}");
            assert_eq!(from.snapshot(), before, "{suite}");
            to.reads(&envelope);
        };
        for _ in 0..2 {
            reflects(&mut alice, &mut bob);
            reflects(&mut alice, &mut bob);
            reflects(&mut bob, &mut alice);
            reflects(&mut bob, &mut alice);
        }
    }
}

/// ATTACKS.md A4: a handshake in which somebody shows this device its own bundle, and its own keys too.
#[test]
fn a4_a_handshake_with_ones_own_identity_is_refused() {
    for suite in Suite::ALL {
        let (mut alice, _) = pair(suite);
        let kind = PrekeyKind::for_suite(suite);
        let bundle = alice.local.bundle.clone();
        let public = bundle.last_resort(kind).unwrap().clone();
        let (handshake, roots) =
            super::super::handshake::initiate(suite, &alice.local, &bundle, &public, 1, &mut alice.rng).unwrap();
        let opening =
            super::super::envelope::Opening { suite: suite.id(), prekey: public.id(), order: 1, handshake: &handshake };
        let mut session =
            super::super::state::Session::initiator(alice.identity(), suite, 1, roots, &opening, &mut alice.rng)
                .unwrap();
        let id = SessionId::from_bytes([1; 16]);
        let envelope = session.seal(id, b"text", false, &mut alice.rng).unwrap();
        assert_eq!(alice.open(&envelope).unwrap_err(), unopened(PeerMisbehaved::OwnIdentity, None), "{suite}");
    }
}
