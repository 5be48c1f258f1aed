//! Device lists and their chains.

use crate::codec::{self, Writer};
use crate::crypto::ed25519::SigningKey;
use crate::crypto::hash::sha256;
use crate::crypto::label::Label;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::identity::samples::*;
use crate::identity::{DeviceList, Identity, ListChain, SIGNED_DEVICE_LIST_MAX, SignedDeviceList, UserName};
use crate::limits::DEVICE_LIST_EPOCHS;

const NOT_FOLLOWING: PeerMisbehaved = PeerMisbehaved::DeviceList;

fn key(seed: u8) -> SigningKey {
    keys(seed).identity
}

fn id(seed: u8) -> Identity {
    keys(seed).identity()
}

/// Any list, signed by any devices without looking.
pub(super) fn forged(user: &UserName, epoch: u64, previous: [u8; 32], devices: &[u8], signers: &[u8]) -> Vec<u8> {
    let identities = devices.iter().map(|seed| id(*seed)).collect();
    let body = codec::encode(&DeviceList { user: user.clone(), epoch, previous, identities });
    let mut bytes = Vec::new();
    bytes.put_prefixed(&body).unwrap();
    bytes.put_u8(u8::try_from(signers.len()).unwrap());
    for signer in signers {
        bytes.put(id(*signer).as_bytes());
        bytes.put(&key(*signer).sign(Label::DEVICE_LIST, &[&body]));
    }
    bytes
}

/// What would come after `before`.
pub(super) fn after(before: &SignedDeviceList, devices: &[u8], signers: &[u8]) -> SignedDeviceList {
    let bytes = forged(before.user(), before.epoch() + 1, before.hash(), devices, signers);
    SignedDeviceList::decode(&bytes).unwrap()
}

#[test]
fn a_chain_grows_by_proposal_and_countersignature() {
    let lists = lists("alice", &[1, 2, 3]);
    let mut chain = ListChain::start(lists[0].clone()).unwrap();
    for list in &lists[1..] {
        assert_eq!(SignedDeviceList::decode(list.bytes()).as_ref(), Ok(list));
        chain.extend(list.clone()).unwrap();
    }
    assert_eq!(chain.head(), &lists[2]);
    assert_eq!(chain.root(), lists[0].hash());
    assert_eq!([0, 1, 2].map(|epoch| chain.hash_at(epoch).unwrap()), [0, 1, 2].map(|at| lists[at].hash()));
    assert_eq!(chain.hash_at(3), None);
    assert_eq!(lists[2].identities(), [1, 2, 3].map(id));
    assert_eq!(codec::decode(&codec::encode(&lists[2])), Ok(lists[2].clone()));
}

#[test]
fn the_hash_is_over_the_body_alone() {
    let lists = lists("alice", &[1, 2]);
    let proposed = lists[0].propose_add(&key(2)).unwrap();
    assert_ne!(proposed.bytes(), lists[1].bytes());
    assert_eq!(proposed.hash(), lists[1].hash());
    let body = codec::encode(lists[1].list());
    assert_eq!(lists[1].hash(), sha256(&[&body]));
    assert_eq!(lists[1].bytes()[2..2 + body.len()], body);
}

#[test]
fn a_first_list_is_one_device_and_its_signature() {
    let user = name("alice");
    let decode = |previous, devices: &[u8], signers: &[u8]| {
        SignedDeviceList::decode(&forged(&user, 0, previous, devices, signers)).map(drop)
    };
    assert_eq!(decode([0; 32], &[1], &[1]), Ok(()));
    let refused = Err(Error::from(NOT_FOLLOWING));
    assert_eq!(decode([1; 32], &[1], &[1]), refused);
    assert_eq!(decode([0; 32], &[1], &[2]), refused);
    assert_eq!(decode([0; 32], &[1], &[1, 2]), refused);
    assert_eq!(decode([0; 32], &[1, 2], &[1, 2]), refused);
    assert_eq!(decode([0; 32], &[1, 2], &[1]), refused);
    let lists = lists("alice", &[1, 2]);
    assert_eq!(lists[1].verify_first(), Err(NOT_FOLLOWING));
    assert_eq!(ListChain::start(lists[1].clone()).map(drop), Err(NOT_FOLLOWING));
}

#[test]
fn a_list_follows_when_old_and_new_devices_signed() {
    let lists = lists("alice", &[1, 2]);
    let before = &lists[1];
    for (devices, signers, follows) in [
        (&[1, 2, 3][..], &[3, 1][..], true),
        (&[1, 2, 3], &[2, 3], true),
        (&[1, 2, 3], &[1, 2, 3], true),
        (&[3, 2, 1], &[1, 3], true),
        (&[3], &[1, 3], true),
        (&[1], &[2], true),
        (&[2, 1], &[1], true),
        (&[3, 4], &[3, 4, 1], true),
        // No device of the list before signed.
        (&[1, 2, 3], &[3], false),
        (&[3], &[3], false),
        // A new device did not sign.
        (&[1, 2, 3], &[1], false),
        (&[1, 2, 3, 4], &[1, 3], false),
        // Someone signed who is of neither list.
        (&[1, 2], &[1, 9], false),
        (&[1, 2, 3], &[1, 3, 9], false),
    ] {
        let expected = if follows { Ok(()) } else { Err(NOT_FOLLOWING) };
        assert_eq!(after(before, devices, signers).verify_follows(before), expected, "{devices:?} {signers:?}");
    }
}

#[test]
fn a_list_follows_only_the_one_it_names() {
    let lists = lists("alice", &[1, 2, 3]);
    let other = lists[0].propose_add(&key(4)).unwrap().countersign(&lists[0], &key(1)).unwrap();
    assert_eq!(lists[2].verify_follows(&lists[1]), Ok(()));
    for (next, before) in [(2, 0), (1, 2), (1, 1), (0, 1), (0, 0)] {
        assert_eq!(lists[next].verify_follows(&lists[before]), Err(NOT_FOLLOWING), "{next} after {before}");
    }
    assert_eq!(other.verify_follows(&lists[0]), Ok(()));
    assert_eq!(lists[2].verify_follows(&other), Err(NOT_FOLLOWING), "same epoch, other body");
    let decode = |user: &str, epoch, previous| {
        SignedDeviceList::decode(&forged(&name(user), epoch, previous, &[1], &[1])).unwrap()
    };
    assert_eq!(decode("alice", 1, lists[0].hash()).verify_follows(&lists[0]), Ok(()));
    assert_eq!(decode("alice", 2, lists[0].hash()).verify_follows(&lists[0]), Err(NOT_FOLLOWING), "a gap");
    assert_eq!(decode("alice", 1, lists[1].hash()).verify_follows(&lists[0]), Err(NOT_FOLLOWING), "another hash");
    assert_eq!(decode("bob", 1, lists[0].hash()).verify_follows(&lists[0]), Err(PeerMisbehaved::WrongUser));
    let mut chain = ListChain::start(lists[0].clone()).unwrap();
    assert_eq!(chain.extend(lists[2].clone()), Err(NOT_FOLLOWING));
    assert_eq!((chain.head(), chain.hash_at(1)), (&lists[0], None), "a failure changes nothing");
}

#[test]
fn a_device_signs_exactly_one_addition() {
    let lists = lists("alice", &[1, 2]);
    let current = &lists[1];
    let proposal = current.propose_add(&key(3)).unwrap();
    assert_eq!(proposal.check_proposal(current), Ok(id(3)));
    assert_eq!(proposal.verify_follows(current), Err(NOT_FOLLOWING), "a proposal does not count by itself");
    let published = proposal.countersign(current, &key(2)).unwrap();
    assert_eq!(published.verify_follows(current), Ok(()));
    assert_eq!(SignedDeviceList::decode(published.bytes()), Ok(published.clone()));
    assert_eq!(published.signers(), [id(3), id(2)]);

    for (devices, signers) in [
        (&[1, 2][..], &[3][..]), // nothing added
        (&[1, 3], &[3]),         // one left out
        (&[2, 1, 3], &[3]),      // another order
        (&[3, 1, 2], &[3]),      // added elsewhere
        (&[1, 2, 3, 4], &[4]),   // two added
        (&[1, 2, 3, 4], &[3, 4]),
        (&[1, 2, 3], &[4]),    // the new one did not sign
        (&[1, 2, 3], &[3, 1]), // someone else signed already
    ] {
        let other = after(current, devices, signers);
        assert_eq!(other.check_proposal(current), Err(NOT_FOLLOWING), "{devices:?} {signers:?}");
        assert_eq!(other.countersign(current, &key(1)), Err(NOT_FOLLOWING.into()));
    }
    let early = lists[0].propose_add(&key(3)).unwrap();
    assert_eq!(early.check_proposal(current), Err(NOT_FOLLOWING), "on an older list");
    let same_devices = after(current, &[1, 2], &[1]);
    assert_eq!(proposal.check_proposal(&same_devices), Err(NOT_FOLLOWING), "on an older list of the same devices");
    let bobs = after(&SignedDeviceList::create(name("bob"), &key(1)).unwrap(), &[1, 3], &[3]);
    assert_eq!(bobs.check_proposal(&lists[0]), Err(PeerMisbehaved::WrongUser));
    for outsider in [3, 9] {
        assert_eq!(proposal.countersign(current, &key(outsider)), Err(ApiMisuse::NotFound.into()));
    }
}

#[test]
fn devices_are_left_out_by_a_listed_one() {
    let lists = lists("alice", &[1, 2, 3]);
    let current = &lists[2];
    let next = current.without(&[id(1), id(3)], &key(2)).unwrap();
    assert_eq!((next.identities(), next.epoch()), (&[id(2)][..], 3));
    assert_eq!(next.verify_follows(current), Ok(()));
    assert_eq!(current.without(&[id(2)], &key(2)).unwrap().verify_follows(current), Ok(()), "itself");
    assert_eq!(current.without(&[id(9)], &key(2)), Err(ApiMisuse::NotFound));
    assert_eq!(current.without(&[id(1)], &key(9)), Err(ApiMisuse::NotFound));
    assert_eq!(current.without(&[id(1), id(2), id(3)], &key(1)), Err(ApiMisuse::WrongState));
    assert_eq!(current.propose_add(&key(2)), Err(ApiMisuse::WrongState), "already in");
}

#[test]
fn sixteen_devices_and_not_one_more() {
    let seeds: Vec<u8> = (1..=16).collect();
    let mut lists = lists("alice", &seeds);
    let full = lists.pop().unwrap();
    assert_eq!(full.identities().len(), 16);
    assert_eq!(full.propose_add(&key(17)), Err(ApiMisuse::TooLarge));
    let bytes = forged(&name("alice"), 16, full.hash(), &(1..=17).collect::<Vec<_>>(), &[1, 17]);
    assert_eq!(SignedDeviceList::decode(&bytes), Err(OUT_OF_BOUNDS));
    let bytes = forged(&name("alice"), 1, [1; 32], &[], &[1]);
    assert_eq!(SignedDeviceList::decode(&bytes), Err(OUT_OF_BOUNDS));
}

#[test]
fn bounds_and_doubles() {
    let user = name(&"a".repeat(32));
    let decode = |epoch, devices: &[u8], signers: &[u8]| {
        SignedDeviceList::decode(&forged(&user, epoch, [1; 32], devices, signers)).map(|list| list.bytes().len())
    };
    let (sixteen, seventeen): (Vec<u8>, Vec<u8>) = ((1..=16).collect(), (1..=17).collect());
    let last = DEVICE_LIST_EPOCHS - 1;
    assert_eq!(decode(last, &sixteen, &seventeen), Ok(SIGNED_DEVICE_LIST_MAX));
    assert_eq!(decode(last + 1, &[1], &[1]), Err(OUT_OF_BOUNDS));
    assert_eq!(decode(u64::MAX, &[1], &[1]), Err(OUT_OF_BOUNDS));
    assert_eq!(decode(1, &[1], &[]), Err(OUT_OF_BOUNDS));
    assert_eq!(decode(1, &[1], &(1..=18).collect::<Vec<_>>()), Err(OUT_OF_BOUNDS));
    assert_eq!(decode(1, &[1, 2, 1], &[1]), Err(NOT_FOLLOWING.into()), "a device twice");
    assert_eq!(decode(1, &[1], &[1, 1]), Err(NOT_FOLLOWING.into()), "a signer twice");
    assert_eq!(SignedDeviceList::decode(&vec![0xff; SIGNED_DEVICE_LIST_MAX + 1]), Err(OUT_OF_BOUNDS));
    let at_end = SignedDeviceList::decode(&forged(&user, last, [1; 32], &[1], &[1])).unwrap();
    assert_eq!(at_end.propose_add(&key(2)), Err(ApiMisuse::TooLarge));
}

#[test]
fn one_bad_signature_among_good_ones_is_refused() {
    let lists = lists("alice", &[1, 2]);
    let mut bytes = lists[1].bytes().to_vec();
    let last = bytes.len() - 64;
    bytes[last..].copy_from_slice(&key(1).sign(Label::ROSTER, &[b"other"]));
    assert_eq!(SignedDeviceList::decode(&bytes), Err(BAD_SIGNATURE));
}

#[test]
fn every_changed_bit_of_a_list_is_refused() {
    for list in lists("alice", &[1, 2]) {
        refuses_every_change(list.bytes(), SignedDeviceList::decode);
    }
}
