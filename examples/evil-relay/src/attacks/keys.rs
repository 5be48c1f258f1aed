//! On keys: bundles and prekeys.

use super::{Attack, name};
use crate::fault::{Fault, claim};
use crate::person::Person;
use crate::relay::keys;
use crate::stage::Stage;
use securechat_core::error::{Error, PeerMisbehaved};
use securechat_core::event::Event;
use securechat_core::identity::{SignedDeviceList, Trust};
use securechat_core::relay::StoreJob;
use securechat_core::wire::{Bytes, DeviceKeys, Reply};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) static ALL: &[Attack] = &[
    Attack {
        name: "man-in-the-middle",
        does: "has two faces: to Alice it shows a Bob of its own, to Bob an Alice of its own, and reads along",
        sees: "contacts that are not verified; the safety numbers that Alice and Bob compare are not equal",
        rule: "I9, I10, A11",
        logs_in: true,
        run: man_in_the_middle,
    },
    Attack {
        name: "keys-swapped-at-first-contact",
        does: "answers the first look-up of Bob with keys that it made in his name",
        sees: "that no device of Bob can be reached: the keys are not those of his device list; nothing is sent",
        rule: "I7, A11",
        logs_in: true,
        run: swapped_at_first_contact,
    },
    Attack {
        name: "keys-swapped-later",
        does: "shows a new device list for Bob, with a device of its own",
        sees: "that the keys of Bob have changed; writing to him is refused until they are accepted",
        rule: "I9, D5",
        logs_in: true,
        run: swapped_later,
    },
    Attack {
        name: "bundle-of-another",
        does: "hands out Carol's bundle and prekey as Bob's, so that she can read",
        sees: "that Bob cannot be reached; Carol gets nothing",
        rule: "I7, A11",
        logs_in: true,
        run: bundle_of_another,
    },
    Attack {
        name: "suites-stripped",
        does: "takes the post-quantum suites out of Bob's bundle",
        sees: "that Bob cannot be reached: a signature does not verify; nothing is sent in a weaker suite",
        rule: "I1, S1, A6",
        logs_in: true,
        run: suites_stripped,
    },
    Attack {
        name: "bundle-rolled-back",
        does: "hands out an older bundle of Bob than the one that Alice has seen",
        sees: "that Bob cannot be reached: his keys are older than those seen before",
        rule: "I4, A11",
        logs_in: true,
        run: bundle_rolled_back,
    },
    Attack {
        name: "prekey-handed-out-twice",
        does: "gives Carol the one-time prekey of Bob that it gave Alice",
        sees: "Bob: a message that did not open; he answers in a session of his own, and what Carol says next he reads",
        rule: "S5, S8",
        logs_in: true,
        run: prekey_twice,
    },
    Attack {
        name: "prekeys-withheld",
        does: "says that Bob has no one-time prekeys left",
        sees: "the message, in the post-quantum suite all the same: the bundle has a prekey for this",
        rule: "S1",
        logs_in: true,
        run: prekeys_withheld,
    },
    Attack {
        name: "keys-withheld",
        does: "says that none of Bob's devices has keys",
        sees: "denial: the message stays marked as unsent",
        rule: "L10",
        logs_in: true,
        run: keys_withheld,
    },
];

/// Lets the relay change the keys that are shown to Alice.
fn show_alice(stage: &Stage, mut change: impl FnMut(&mut DeviceKeys) + Send + 'static) {
    stage.relay.on_reply(move |to, reply| {
        if let Reply::FetchKeys(keys) = reply
            && to == "alice"
        {
            keys.devices.iter_mut().for_each(&mut change);
        }
    });
}

/// Waits until somebody is told that a device of Bob cannot be reached, and says why.
fn unreachable(alice: &mut Person, bob: &Person) -> Result<Error, Fault> {
    let user = bob.name.clone();
    alice.wait("that bob cannot be reached", move |update| match update {
        securechat_client::Update::Event(Event::DeviceUnreachable { user: whose, error, .. }) if *whose == user => {
            Some(*error)
        }
        _ => None,
    })
}

fn man_in_the_middle(stage: &Stage) -> Result<(), Fault> {
    let other_face = stage.relay.second_face()?;
    let [mut alice, mut false_bob] = stage.people(["alice", "bob"])?;
    let mut bob = stage.device("the real bob", "bob")?;
    let mut false_alice = stage.device("a false alice", "alice")?;
    for person in [&mut bob, &mut false_alice] {
        person.connect(other_face.address())?;
        person.register()?;
    }
    let text = "is it you, bob?";
    alice.say(&false_bob, text)?;
    false_bob.reads(text)?;
    false_alice.say(&bob, text)?;
    let read = bob.reads(text)?;
    claim(read.trust == Trust::Seen, "nobody is shown as verified")?;
    claim(alice.trust(&bob.name)? == Some(Trust::Seen), "bob is not shown as verified")?;
    let numbers = [alice.safety_number(&bob.name)?, bob.safety_number(&alice.name)?];
    claim(numbers[0] != numbers[1], "the safety numbers differ")
}

fn swapped_at_first_contact(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob] = stage.people(["alice", "bob"])?;
    let forged: Bytes = keys(Some(bob.name.clone()))?.bundle.bytes().into();
    show_alice(stage, move |device| (device.bundle, device.prekey) = (forged.clone(), None));
    alice.say(&bob, "for bob alone")?;
    let error = unreachable(&mut alice, &bob)?;
    claim(error == PeerMisbehaved::IdentityMismatch.into(), &format!("the identity is another: {error}"))?;
    stage.relay.settle();
    bob.has_read(&[])
}

fn swapped_later(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob] = stage.people(["alice", "bob"])?;
    alice.say(&bob, "before the swap")?;
    bob.reads("before the swap")?;
    let forged = SignedDeviceList::create(bob.name.clone(), &keys(None)?.keys.identity)?;
    stage.relay.on_reply(move |_, reply| {
        if let Reply::FetchLists(page) = reply {
            (page.epoch, page.lists, page.next) = (0, vec![forged.bytes().into()], 0);
        }
    });
    alice.look_up(&bob.name)?;
    let user = bob.name.clone();
    alice.event("that keys changed", move |event| *event == Event::KeysChanged { user: user.clone() })?;
    claim(alice.trust(&bob.name)? == Some(Trust::Violation), "bob is marked")?;
    let to = bob.name.clone();
    alice.refused(move |client, now| client.send_text(&to, "does not leave", now))?;
    stage.relay.settle();
    bob.has_read(&["before the swap"])
}

fn bundle_of_another(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob, mut carol] = stage.people(["alice", "bob", "carol"])?;
    let (user, devices) = (carol.name.clone(), vec![carol.identity()?]);
    let taken = match stage.relay.ask_store(StoreJob::TakeKeys { user, devices, kind: Some(2), fresh: 0 }) {
        securechat_core::relay::StoreResult::Keys(Some(keys)) => keys.devices.into_iter().next(),
        _ => None,
    };
    let carols = taken.ok_or_else(|| Fault::Claim("carol has keys at the relay".into()))?;
    show_alice(stage, move |device| {
        (device.bundle, device.prekey) = (carols.bundle.clone(), carols.prekey.clone());
    });
    alice.say(&bob, "not for carol")?;
    unreachable(&mut alice, &bob)?;
    stage.relay.settle();
    bob.has_read(&[])?;
    carol.has_read(&[])?;
    claim(!carol.saw(|event| matches!(event, Event::Unopened { .. })), "carol gets nothing at all")
}

fn suites_stripped(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob] = stage.people(["alice", "bob"])?;
    show_alice(stage, |device| device.bundle = without_hybrid_suites(&device.bundle).into());
    alice.say(&bob, "only past quantum computers")?;
    let error = unreachable(&mut alice, &bob)?;
    claim(error == PeerMisbehaved::BadSignature.into(), &format!("the signature shows it: {error}"))?;
    stage.relay.settle();
    bob.has_read(&[])
}

/// A signed bundle with its count of suites two lower and the hybrid ones, which come first, gone. Suites are varints.
fn without_hybrid_suites(bundle: &[u8]) -> Vec<u8> {
    const HYBRID_AND_X25519: [u8; 9] = [4, 0x81, 0x06, 0x82, 0x06, 0x81, 0x02, 0x82, 0x02];
    let mut stripped = bundle.to_vec();
    let found = bundle.windows(HYBRID_AND_X25519.len()).position(|window| window == HYBRID_AND_X25519);
    if let Some(at) = found {
        stripped.splice(at..at + 5, [2]);
        if let Some((length, _)) = stripped.split_first_chunk_mut() {
            *length = u16::from_be_bytes(*length).saturating_sub(4).to_be_bytes();
        }
    }
    stripped
}

fn bundle_rolled_back(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob] = stage.people(["alice", "bob"])?;
    // The relay keeps the first bundle of Bob that it shows, and shows it again and again.
    let first = Arc::new(Mutex::new(None::<Bytes>));
    show_alice(stage, move |device| {
        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
        device.bundle = first.get_or_insert_with(|| device.bundle.clone()).clone();
        device.prekey = None;
    });
    alice.say(&bob, "one")?;
    bob.reads("one")?;
    // Bob's state is put back, so that he publishes a newer bundle; his next message brings it to Alice.
    bob.stop();
    bob.lose_note()?;
    bob.resume()?;
    bob.say(&alice, "two")?;
    alice.reads("two")?;
    alice.stop();
    alice.lose_note()?;
    alice.resume()?;
    alice.say(&bob, "three")?;
    let error = unreachable(&mut alice, &bob)?;
    claim(error == PeerMisbehaved::BundleRollback.into(), &format!("an older bundle is refused: {error}"))?;
    stage.relay.settle();
    bob.has_read(&[])
}

fn prekey_twice(stage: &Stage) -> Result<(), Fault> {
    let [alice, mut bob, mut carol] = stage.people(["alice", "bob", "carol"])?;
    let (given, bobs) = (Arc::new(Mutex::new(None::<Bytes>)), bob.identity()?);
    stage.relay.on_reply(move |_, reply| {
        let Reply::FetchKeys(keys) = reply else { return };
        let mut given = given.lock().unwrap_or_else(PoisonError::into_inner);
        for device in keys.devices.iter_mut().filter(|device| device.identity == bobs) {
            match &*given {
                Some(prekey) => device.prekey = Some(prekey.clone()),
                None => given.clone_from(&device.prekey),
            }
        }
    });
    alice.say(&bob, "from alice")?;
    bob.reads("from alice")?;
    carol.say(&bob, "from carol")?;
    let claimed = carol.name.clone();
    bob.event("what did not open", move |event| *event == Event::Unopened { claimed: claimed.clone() })?;
    stage.relay.honest();
    bob.say(&carol, "say that again?")?;
    carol.reads("say that again?")?;
    carol.say(&bob, "from carol, again")?;
    bob.reads("from carol, again").map(|_| ())
}

fn prekeys_withheld(stage: &Stage) -> Result<(), Fault> {
    let [alice, mut bob] = stage.people(["alice", "bob"])?;
    show_alice(stage, |device| device.prekey = None);
    // The first message of a session names its suite behind its kind.
    let suite = Arc::new(AtomicU16::new(0));
    let seen = Arc::clone(&suite);
    stage.relay.on_job(move |job| {
        let StoreJob::Send { items, .. } = job else { return };
        for envelope in items.iter().filter_map(|item| item.envelope.as_ref()) {
            if let [1, high, low, ..] = envelope[..] {
                seen.store(u16::from_be_bytes([high, low]), Ordering::Relaxed);
            }
        }
    });
    alice.say(&bob, "with what is left")?;
    bob.reads("with what is left")?;
    claim(suite.load(Ordering::Relaxed) == 0x0301, "the session is hybrid")
}

fn keys_withheld(stage: &Stage) -> Result<(), Fault> {
    let [alice, mut bob] = stage.people(["alice", "bob"])?;
    claim(alice.name == name("alice")?, "it is alice who is told")?;
    stage.relay.on_reply(|_, reply| {
        if let Reply::FetchKeys(keys) = reply {
            keys.devices.clear();
        }
    });
    alice.say(&bob, "to nobody")?;
    stage.relay.settle();
    claim(alice.call(|client, _| Ok(client.unsent()))? == 1, "the message is unsent")?;
    bob.has_read(&[])
}
