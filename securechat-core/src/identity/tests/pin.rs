//! Pins against a relay that offers whatever it likes.

use super::device_list::{after, forged};
use crate::codec;
use crate::error::{ApiMisuse, PeerMisbehaved};
use crate::identity::samples::*;
use crate::identity::{
    Identity, ListChain, ListChange, Listing, LocalIdentity, Pin, SeenBundle, SignedBundle, SignedDeviceList,
    SignedPrekey, Trust,
};
use crate::limits::{ACCEPTED_ROOTS, DAY};
use crate::suite::{Policy, Suite};
use rand_core::Rng;

const REFUSED: Result<ListChange, PeerMisbehaved> = Err(PeerMisbehaved::DeviceList);
const ROLLBACK: Result<ListChange, PeerMisbehaved> = Err(PeerMisbehaved::DeviceListRollback);

fn id(seed: u8) -> Identity {
    keys(seed).identity()
}

fn chain(lists: &[SignedDeviceList]) -> ListChain {
    let mut chain = ListChain::start(lists[0].clone()).unwrap();
    lists[1..].iter().for_each(|list| chain.extend(list.clone()).unwrap());
    chain
}

fn pin(lists: &[SignedDeviceList]) -> Pin {
    Pin::new(&name("alice"), &chain(lists)).unwrap()
}

fn followed(added: &[u8], removed: &[u8]) -> Result<ListChange, PeerMisbehaved> {
    let ids = |seeds: &[u8]| seeds.iter().map(|seed| id(*seed)).collect();
    Ok(ListChange::Followed { added: ids(added), removed: ids(removed) })
}

const VIOLATION: Result<ListChange, PeerMisbehaved> = Ok(ListChange::Violation { fork: false });
const FORK: Result<ListChange, PeerMisbehaved> = Ok(ListChange::Violation { fork: true });

#[test]
fn first_sight_is_seen_and_of_the_user_asked_for() {
    let lists = lists("alice", &[1, 2]);
    let pin = pin(&lists);
    assert_eq!((pin.trust(), pin.check_send(), pin.epoch()), (Trust::Seen, Ok(()), 1));
    assert_eq!((pin.user(), pin.hash(), pin.list()), (&name("alice"), lists[1].hash(), lists[1].list()));
    assert_eq!(pin.identities(), [id(1), id(2)]);
    assert_eq!(Pin::new(&name("bob"), &chain(&lists)), Err(PeerMisbehaved::WrongUser));
}

#[test]
fn lists_that_follow_keep_the_mark() {
    let lists = lists("alice", &[1, 2, 3]);
    for verified in [false, true] {
        let mut pin = pin(&lists[..1]);
        if verified {
            pin.verify().unwrap();
        }
        let mark = pin.trust();
        assert_eq!(pin.update_list(&lists[0]), Ok(ListChange::Same));
        assert_eq!(pin.update_list(&lists[1]), followed(&[2], &[]));
        assert_eq!(pin.update_list(&lists[1]), Ok(ListChange::Same));
        assert_eq!(pin.update_list(&lists[2]), followed(&[3], &[]));
        let next = after(&lists[2], &[4, 3], &[4, 1]);
        assert_eq!(pin.update_list(&next), followed(&[4], &[1, 2]));
        assert_eq!((pin.trust(), pin.epoch()), (mark, 3));
        assert_eq!([1, 2, 3, 4].map(|seed| pin.contains(&id(seed))), [false, false, true, true]);
        assert_eq!((pin.listing(&id(3)), pin.listing(&id(1))), (Listing::Current, Listing::Unlisted));
    }
}

#[test]
fn gaps_are_fetched_and_each_list_checked() {
    let lists = lists("alice", &[1, 2, 3, 4]);
    let mut pin = pin(&lists[..1]);
    let before = pin.clone();
    assert_eq!(pin.update_list(&lists[3]), Ok(ListChange::Gap { from: 1, to: 3 }));
    assert_eq!(pin, before, "nothing has changed");
    for list in &lists[1..] {
        assert!(matches!(pin.update_list(list), Ok(ListChange::Followed { .. })));
    }
    assert_eq!(pin.hash(), lists[3].hash());

    // The same from the whole chain.
    let mut other = before;
    assert_eq!(other.update_chain(&chain(&lists)), followed(&[2, 3, 4], &[]));
    assert_eq!(other, pin);
    assert_eq!(other.update_chain(&chain(&lists)), Ok(ListChange::Same));
}

#[test]
fn older_lists_are_refused() {
    let lists = lists("alice", &[1, 2, 3]);
    let mut pin = pin(&lists);
    let before = pin.clone();
    assert_eq!(pin.update_list(&lists[0]), ROLLBACK);
    assert_eq!(pin.update_list(&lists[1]), Ok(ListChange::Gap { from: 0, to: 1 }));
    assert_eq!(pin.update_chain(&chain(&lists[..2])), ROLLBACK);
    assert_eq!(pin.update_chain(&chain(&lists[..1])), ROLLBACK);
    assert_eq!(pin, before);
}

#[test]
fn two_lists_of_one_epoch_are_a_fork() {
    let lists = lists("alice", &[1, 2, 3]);
    let other = after(&lists[0], &[1, 9], &[1, 9]);
    let further = after(&other, &[1], &[1]);
    let beyond = after(&further, &[1, 8], &[1, 8]);
    for fork in [
        vec![lists[0].clone(), other, further.clone()],
        vec![lists[0].clone(), lists[1].clone(), after(&lists[1], &[1], &[2])],
    ] {
        let mut pin = pin(&lists);
        pin.verify().unwrap();
        assert_eq!(pin.update_list(&fork[2]), Ok(ListChange::Gap { from: 0, to: 2 }), "cannot be judged alone");
        assert_eq!(pin.update_chain(&chain(&fork)), FORK);
        assert_eq!((pin.trust(), pin.hash()), (Trust::Violation, lists[2].hash()));
        assert_eq!(pin.kept_aside(), Some((fork[2].list(), fork[2].hash())));
    }
    // A fork that has gone on for longer than the pinned chain.
    let mut pin = pin(&lists);
    assert_eq!(pin.update_list(&after(&beyond, &[1], &[1])), Ok(ListChange::Gap { from: 3, to: 4 }));
    assert_eq!(pin.update_list(&beyond), Ok(ListChange::Gap { from: 0, to: 3 }));
    assert_eq!(pin.update_list(&further), Ok(ListChange::Gap { from: 0, to: 2 }));
    let fork = [lists[0].clone(), after(&lists[0], &[1, 9], &[1, 9]), further, beyond];
    assert_eq!(pin.update_chain(&chain(&fork)), FORK);
}

#[test]
fn a_new_first_list_is_kept_aside_until_accepted_and_the_old_one_never_returns() {
    let old = lists("alice", &[1, 2]);
    let new = lists("alice", &[5, 6]);
    let mut pin = pin(&old);
    pin.verify().unwrap();
    assert_eq!(pin.update_list(&new[0]), VIOLATION);
    assert_eq!(pin.update_list(&new[0]), Ok(ListChange::Same));
    assert_eq!((pin.trust(), pin.check_send()), (Trust::Violation, Err(ApiMisuse::Violation)));
    assert_eq!(pin.verify(), Err(ApiMisuse::Violation));
    assert_eq!((pin.listing(&id(1)), pin.listing(&id(5))), (Listing::Current, Listing::KeptAside));
    // Both chains go on; the mark stays.
    assert_eq!(pin.update_list(&after(&old[1], &[1], &[1])), followed(&[], &[2]));
    assert_eq!(pin.update_list(&after(&new[0], &[9], &[9])), REFUSED);
    assert_eq!(pin.update_list(&new[1]), VIOLATION);
    assert_eq!((pin.trust(), pin.check_send()), (Trust::Violation, Err(ApiMisuse::Violation)));
    // The host accepts what it was shown, and nothing else.
    assert_eq!(pin.accept(&new[0].hash()), Err(ApiMisuse::NotFound));
    assert_eq!(pin.accept(&old[1].hash()), Err(ApiMisuse::NotFound));
    assert_eq!(pin.trust(), Trust::Violation);
    pin.accept(&new[1].hash()).unwrap();
    assert_eq!((pin.trust(), pin.hash(), pin.kept_aside()), (Trust::Seen, new[1].hash(), None));
    assert_eq!(pin.accept(&new[1].hash()), Err(ApiMisuse::NotFound));
    // What was replaced is refused from here on, with all that follows from it.
    let accepted = pin.clone();
    assert_eq!(pin.update_list(&old[0]), ROLLBACK);
    assert_eq!(pin.update_list(&old[1]), Ok(ListChange::Gap { from: 0, to: 1 }));
    let mut longer = old.clone();
    longer.push(after(&old[1], &[1, 2, 7], &[1, 7]));
    longer.push(after(&longer[2], &[1], &[1]));
    assert_eq!(pin.update_list(&longer[3]), Ok(ListChange::Gap { from: 2, to: 3 }));
    assert_eq!(pin.update_list(&longer[2]), Ok(ListChange::Gap { from: 0, to: 2 }));
    for end in 1..=longer.len() {
        assert_eq!(pin.update_chain(&chain(&longer[..end])), ROLLBACK);
    }
    assert_eq!(pin, accepted);
}

#[test]
fn a_list_without_a_good_chain_changes_nothing() {
    let lists = lists("alice", &[1, 2]);
    let mut pin = pin(&lists);
    pin.verify().unwrap();
    let before = pin.clone();
    // A proposal served as if it counted; a removal nobody signed for; a stranger who signs.
    assert_eq!(pin.update_list(&lists[1].propose_add(&keys(3).identity).unwrap()), REFUSED);
    assert_eq!(pin.update_list(&after(&lists[1], &[9], &[9])), REFUSED);
    assert_eq!(pin.update_list(&after(&lists[1], &[1], &[1, 9])), REFUSED);
    // Another user's, with this one's devices.
    let bobs = SignedDeviceList::create(name("bob"), &keys(1).identity).unwrap();
    assert_eq!(pin.update_list(&bobs), Err(PeerMisbehaved::WrongUser));
    assert_eq!(pin.update_chain(&chain(&[bobs])), Err(PeerMisbehaved::WrongUser));
    // Out of the air: no chain leads there.
    let bytes = forged(&name("alice"), 7, [3; 32], &[9], &[9]);
    let nowhere = SignedDeviceList::decode(&bytes).unwrap();
    assert_eq!(pin.update_list(&nowhere), Ok(ListChange::Gap { from: 2, to: 7 }));
    assert_eq!(pin, before);
}

#[test]
fn accepted_first_lists_are_bounded() {
    let mut pin = pin(&lists("alice", &[1]));
    let mut rng = rng(200);
    let mut fresh = || SignedDeviceList::create(name("alice"), &crate::crypto::ed25519::SigningKey::generate(&mut rng));
    for _ in 1..ACCEPTED_ROOTS {
        let list = fresh().unwrap();
        pin.update_list(&list).unwrap();
        pin.accept(&list.hash()).unwrap();
    }
    let list = fresh().unwrap();
    assert_eq!(pin.update_list(&list), VIOLATION);
    assert_eq!(pin.accept(&list.hash()), Err(ApiMisuse::TooLarge));
    assert_eq!((pin.trust(), pin.kept_aside().map(|(_, hash)| hash)), (Trust::Violation, Some(list.hash())));
    assert!(codec::encode(&pin).len() < 10_000);
}

#[test]
fn bundles_count_for_the_user_and_the_list() {
    let mut pin = pin(&lists("alice", &[1, 2]));
    let change = pin.update_bundle(&local("alice", 1).bundle).unwrap();
    assert!(change.newer && change.dropped.is_empty());
    assert!(!pin.update_bundle(&local("alice", 1).bundle).unwrap().newer);
    assert_eq!(pin.update_bundle(&local("bob", 1).bundle), Err(PeerMisbehaved::WrongUser));
    assert_eq!(pin.update_bundle(&local("alice", 3).bundle), Err(PeerMisbehaved::NotInDeviceList));
    let relay = LocalIdentity::new(keys(1), None, 1, &Policy::default(), Vec::new(), NOW).unwrap();
    assert_eq!(pin.update_bundle(&relay.bundle), Err(PeerMisbehaved::WrongUser));
    assert_eq!(pin.check_delayed(&local("alice", 2).bundle), Ok(Listing::Current));
    assert_eq!(pin.check_delayed(&local("alice", 3).bundle), Err(PeerMisbehaved::NotInDeviceList));
    assert_eq!(pin.check_delayed(&local("bob", 1).bundle), Err(PeerMisbehaved::WrongUser));
}

#[test]
fn serials_grow() {
    let mut alice = local("alice", 1);
    let first = alice.bundle.clone();
    alice.renew(&all_suites(), prekeys(2), 0, NOW + DAY).unwrap();
    let second = alice.bundle.clone();
    let mut bundle = second.bundle().clone();
    bundle.not_after -= 1;
    let twin = bundle.sign(&alice.keys.identity).unwrap();

    let mut pin = pin(&lists("alice", &[1]));
    assert!(pin.update_bundle(&first).unwrap().newer);
    assert!(pin.update_bundle(&second).unwrap().newer);
    let before = pin.clone();
    assert_eq!(pin.update_bundle(&first), Err(PeerMisbehaved::BundleRollback), "lower");
    assert_eq!(pin.update_bundle(&twin), Err(PeerMisbehaved::BundleRollback), "equal, with another body");
    assert!(!pin.update_bundle(&second).unwrap().newer);
    // In a first message a lower serial may have waited.
    assert_eq!(pin.check_delayed(&first), Ok(Listing::Current));
    assert_eq!(pin.check_delayed(&second), Ok(Listing::Current));
    assert_eq!(pin.check_delayed(&twin), Err(PeerMisbehaved::BundleRollback));
    assert_eq!(pin, before);
}

#[test]
fn a_suite_that_is_dropped_is_told_once() {
    let mut alice = local("alice", 1);
    let mut seen = SeenBundle::new(&alice.bundle);
    alice.renew(&Policy::new(vec![Suite::ALL[0], Suite::ALL[1]]).unwrap(), prekeys(1), 0, NOW).unwrap();
    let change = seen.update(&alice.bundle).unwrap();
    assert_eq!((change.newer, change.dropped), (true, vec![0x0201, 0x0202, 0x0301, 0x0302]));
    assert_eq!(seen.update(&alice.bundle).unwrap(), Default::default());
    alice.renew(&all_suites(), prekeys(1), 0, NOW).unwrap();
    assert!(seen.update(&alice.bundle).unwrap().dropped.is_empty(), "more suites are no loss");
    assert_eq!((seen.identity(), seen.serial()), (id(1), 3));
    assert_eq!(seen.update(&local("alice", 2).bundle), Err(PeerMisbehaved::IdentityMismatch));
}

#[test]
fn static_keys_are_never_replaced() {
    let mut alice = local("alice", 1);
    let mut seen = SeenBundle::new(&alice.bundle);
    // Without RSA suites the key is not in the bundle; it is remembered nevertheless.
    alice.renew(&Policy::default(), prekeys(1), 0, NOW).unwrap();
    assert!(seen.update(&alice.bundle).unwrap().newer);
    let before = seen.clone();
    let mut renewed = alice.bundle.bundle().clone();
    renewed.serial += 1;
    let mut other_x25519 = renewed.clone();
    other_x25519.statics.x25519 = keys(2).x25519.public();
    let mut other_rsa = renewed.clone();
    let key = crate::crypto::rsa::PrivateKey::from_der(crate::crypto::test_keys::RSA_3072).unwrap();
    other_rsa.statics.rsa = Some(key.public().clone());
    for other in [other_x25519, other_rsa] {
        let other = other.sign(&alice.keys.identity).unwrap();
        assert_eq!(seen.update(&other), Err(PeerMisbehaved::StaticKeyMismatch));
        assert_eq!(seen.check_delayed(&other), Err(PeerMisbehaved::StaticKeyMismatch));
    }
    assert_eq!(seen, before);
    assert!(seen.update(&renewed.sign(&alice.keys.identity).unwrap()).unwrap().newer);
}

#[test]
fn revoked_devices_are_forgotten() {
    let lists = lists("alice", &[1, 2]);
    let mut pin = pin(&lists);
    pin.update_bundle(&local("alice", 2).bundle).unwrap();
    let with = codec::encode(&pin).len();
    pin.update_list(&after(&lists[1], &[1], &[1])).unwrap();
    assert!(codec::encode(&pin).len() < with - 64);
    assert_eq!(pin.update_bundle(&local("alice", 2).bundle), Err(PeerMisbehaved::NotInDeviceList));
}

/// ATTACKS.md A11: whatever a relay hands out in place of a user's keys is an error or a violation.
#[test]
fn a11_swapped_keys_are_noticed() {
    let lists = lists("alice", &[1, 2]);
    let alice = local("alice", 1);
    let mut pin = pin(&lists);
    pin.update_bundle(&alice.bundle).unwrap();

    // The relay's own bundle under her name; hers with another key in it; another user's.
    let relays = local("alice", 9);
    assert_eq!(pin.update_bundle(&relays.bundle), Err(PeerMisbehaved::NotInDeviceList));
    let mut mixed = alice.bundle.bundle().clone();
    mixed.prekeys = relays.bundle.bundle().prekeys.clone();
    mixed.statics = relays.bundle.bundle().statics.clone();
    let stolen = crate::identity::signed::sign(
        crate::crypto::label::Label::BUNDLE,
        &codec::encode(&mixed),
        &relays.keys.identity,
    );
    assert_eq!(SignedBundle::decode(&stolen.unwrap()), Err(BAD_SIGNATURE));
    assert_eq!(pin.update_bundle(&local("mallory", 9).bundle), Err(PeerMisbehaved::WrongUser));
    // A prekey of the relay's for her device, and one of her other device.
    let suite = Suite::ALL[0];
    for other in [9, 2] {
        let prekey = SignedPrekey::sign(&keys(other).identity, 1, prekeys(1).remove(0)).unwrap();
        assert_eq!(prekey.check_for(&alice.bundle, suite), Err(PeerMisbehaved::Prekey));
    }
    assert_eq!(pin.trust(), Trust::Seen);
    // A list with the relay's device in it, and one of the relay's alone.
    assert_eq!(pin.update_list(&after(&lists[1], &[1, 2, 9], &[9])), REFUSED);
    assert_eq!(pin.update_list(&SignedDeviceList::create(name("alice"), &keys(9).identity).unwrap()), VIOLATION);
    assert_eq!((pin.check_send(), pin.identities()), (Err(ApiMisuse::Violation), &[id(1), id(2)][..]));
}

/// ATTACKS.md D2: the identity of an object is the key that signed it, whatever else it says.
#[test]
fn d2_an_identity_is_the_key_that_signed() {
    let bundle = local("alice", 1).bundle;
    for other in 2..6 {
        let mut bytes = bundle.bytes().to_vec();
        bytes[2 + 1..2 + 1 + 32].copy_from_slice(id(other).as_bytes());
        assert_eq!(SignedBundle::decode(&bytes), Err(BAD_SIGNATURE));
    }
}

/// ATTACKS.md A11 and D5, against a relay that offers random lists and chains, true and false, in any order.
#[test]
fn d5_other_keys_are_a_violation_and_stay_one_until_accepted() {
    let true_lists = lists("alice", &[1, 2, 3, 4]);
    let fork = after(&true_lists[1], &[1, 9], &[1, 9]);
    let new = lists("alice", &[5, 6, 7]);
    let relays = lists("alice", &[9, 8]);
    let chains = [
        true_lists.clone(),
        [&true_lists[..2], &[fork.clone(), after(&fork, &[9], &[9])]].concat(),
        new,
        relays,
        lists("bob", &[1, 2]),
    ];
    let forgeries = [
        after(&true_lists[3], &[1, 9], &[9]),
        after(&true_lists[0], &[9], &[9]),
        true_lists[3].propose_add(&keys(8).identity).unwrap(),
    ];
    for seed in 0..100 {
        let mut rng = rng(seed);
        let mut below = move |n: usize| rng.next_u32() as usize % n;
        let mut pin = pin(&true_lists[..1]);
        let mut verified = false;
        for _ in 0..60 {
            let before = pin.clone();
            let offered = &chains[below(chains.len())];
            let end = 1 + below(offered.len());
            let change = match below(4) {
                0 => pin.update_list(&forgeries[below(forgeries.len())]),
                1 => pin.update_chain(&chain(&offered[..end])),
                _ => pin.update_list(&offered[end - 1]),
            };
            match &change {
                Ok(ListChange::Followed { .. }) => {
                    assert_eq!(pin.trust(), before.trust(), "the mark stays");
                    assert!(pin.epoch() > before.epoch());
                }
                Ok(ListChange::Violation { .. }) => {
                    assert_eq!(pin.trust(), Trust::Violation);
                    assert_eq!(pin.list(), before.list(), "the pinned list stays");
                }
                Ok(ListChange::Same | ListChange::Gap { .. }) | Err(_) => assert_eq!(pin, before),
            }
            // Until something is accepted, the pinned list is the true one of its epoch, or of a fork she signed.
            let epoch = usize::try_from(pin.epoch()).unwrap();
            assert!(chains[..2].iter().any(|chain| chain[epoch].hash() == pin.hash()));
            if pin.trust() == Trust::Violation {
                assert_eq!((pin.check_send(), pin.verify()), (Err(ApiMisuse::Violation), Err(ApiMisuse::Violation)));
                let aside = pin.kept_aside().unwrap().1;
                let mut accepted = pin.clone();
                accepted.accept(&aside).unwrap();
                assert_eq!((accepted.trust(), accepted.hash()), (Trust::Seen, aside), "never verified");
            } else if !verified && below(4) == 0 {
                pin.verify().unwrap();
                verified = true;
            } else {
                assert_eq!(pin.trust(), if verified { Trust::Verified } else { Trust::Seen });
            }
            pin = codec::decode(&codec::encode(&pin)).unwrap();
        }
    }
}
