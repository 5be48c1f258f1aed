//! A relay that swaps keys and names, and hides, repeats and reorders what it carries: each lie is an event or an error,
//! or does no harm, and it never reads a word (ATTACKS.md A11, D2, D5, D6).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use securechat_core::crypto::ed25519::SigningKey;
use securechat_core::event::Event;
use securechat_core::identity::{Identity, SignedDeviceList, Trust, UserName};
use securechat_core::relay::StoreJob;
use securechat_core::suite::{Policy, Suite};
use securechat_core::wire::{Push, Reply};
use std::cell::RefCell;
use std::rc::Rc;
use support::net::Net;

fn name(user: &str) -> UserName {
    UserName::new(user).unwrap()
}

fn three(seed: u64) -> (Net, usize, usize, usize) {
    let policy = Policy::new(vec![Suite::ALL[0]]).unwrap();
    let mut net = Net::new(seed, &policy);
    let alice = net.register("alice", &policy);
    let bob = net.register("bob", &policy);
    let mallory = net.register("mallory", &policy);
    (net, alice, bob, mallory)
}

/// Bundle and prekey that the relay has of a device, as a look-up of its user shows them.
fn keys_of(net: &mut Net, asker: usize, user: &str) -> Reply {
    let seen = Rc::new(RefCell::new(None));
    let handle = seen.clone();
    net.relay.on_reply = Some(Box::new(move |reply| {
        if matches!(reply, Reply::FetchKeys(_)) {
            *handle.borrow_mut() = Some(reply.clone());
        }
    }));
    net.say(asker, user, "who are you?");
    net.relay.on_reply = None;
    seen.take().unwrap()
}

#[test]
fn a11_another_users_bundle_or_prekey_opens_no_session() {
    for with_bundle in [true, false] {
        let (mut net, alice, bob, mallory) = three(41);
        let Reply::FetchKeys(theirs) = keys_of(&mut net, bob, "mallory") else { panic!() };
        net.relay.on_reply = Some(Box::new(move |reply| {
            if let Reply::FetchKeys(keys) = reply {
                for (device, stolen) in keys.devices.iter_mut().zip(&theirs.devices) {
                    if with_bundle {
                        device.bundle = stolen.bundle.clone();
                    }
                    device.prekey = stolen.prekey.clone();
                }
            }
        }));
        net.say(alice, "bob", "only for bob");
        net.advance(300_000);
        assert!(net.saw(alice, |event| matches!(event, Event::DeviceUnreachable { user, .. } if *user == name("bob"))));
        assert_eq!((net.texts(bob).len(), net.texts(mallory).len()), (0, 1));
        // Honest again, it goes on by itself.
        net.relay.on_reply = None;
        net.advance(300_000);
        assert_eq!(net.texts(bob).last().unwrap().1, "only for bob");
        assert_eq!(net.texts(mallory).len(), 1);
    }
}

#[test]
fn a11_a_list_of_the_relays_own_is_a_violation() {
    let (mut net, alice, bob, _) = three(42);
    net.say(alice, "bob", "hello");
    net.hosts[alice].client.mark_verified(&name("bob"), net.now).unwrap();
    let forged = SignedDeviceList::create(name("bob"), &SigningKey::from_bytes(&[66; 32])).unwrap();
    let epoch = forged.epoch();
    net.relay.on_reply = Some(Box::new(move |reply| {
        if let Reply::FetchLists(page) = reply {
            (page.epoch, page.lists, page.next) = (epoch, vec![forged.bytes().into()], 0);
        }
    }));
    net.hosts[alice].client.look_up(&name("bob"), net.now).unwrap();
    net.drain(alice);
    net.run();
    assert!(net.saw(alice, |event| *event == Event::KeysChanged { user: name("bob") }));
    assert_eq!(net.hosts[alice].client.contact(&name("bob")).unwrap().trust, Trust::Violation);
    assert!(net.hosts[alice].client.send_text(name("bob"), "secret", net.now).is_err());
    assert_eq!(net.texts(bob).len(), 1);
}

#[test]
fn d2_the_relays_word_on_the_sender_is_not_shown() {
    let (mut net, alice, bob, mallory) = three(43);
    net.say(mallory, "bob", "I am mallory");
    let (as_user, as_device) = (name("alice"), net.hosts[alice].client.identity());
    net.relay.on_push = Some(Box::new(move |push| {
        if let Push::Deliver(deliver) = push {
            (deliver.user, deliver.sender) = (as_user.clone(), as_device);
        }
        true
    }));
    net.say(mallory, "bob", "I am alice");
    assert_eq!(net.texts(bob).last().unwrap(), &("mallory".to_owned(), "I am alice".to_owned()));
    net.relay.on_push = None;
    net.say(alice, "bob", "no, I am");
    assert_eq!(net.texts(bob).last().unwrap(), &("alice".to_owned(), "no, I am".to_owned()));
}

/// Everything that a relay ever holds, collected; lies at random; and no word of the conversation in any of it.
#[test]
fn d6_a_conversation_through_a_lying_relay() {
    for seed in 0..4 {
        let (mut net, alice, bob, _) = three(50 + seed);
        let seen: Rc<RefCell<Vec<u8>>> = Rc::default();
        let handle = seen.clone();
        net.relay.on_job = Some(Box::new(move |job| {
            if let StoreJob::Send { items, .. } = job {
                for envelope in items.iter().filter_map(|item| item.envelope.as_ref()) {
                    handle.borrow_mut().extend_from_slice(envelope);
                }
            }
        }));
        let mut dice = ChaCha20Rng::seed_from_u64(seed);
        let mut kept: Vec<Push> = Vec::new();
        net.relay.on_push = Some(Box::new(move |push| {
            let Push::Deliver(deliver) = push else { return true };
            match dice.next_u32() % 12 {
                0 => false,
                1 => {
                    let mut bytes = deliver.envelope.to_vec();
                    let place = dice.next_u32() as usize % bytes.len();
                    bytes[place] ^= 1;
                    deliver.envelope = bytes.into();
                    true
                }
                2 => {
                    kept.push(push.clone());
                    true
                }
                3 if !kept.is_empty() => {
                    core::mem::swap(push, &mut kept[0]);
                    true
                }
                4 => {
                    deliver.sender = Identity::from_bytes([7; 32]);
                    true
                }
                _ => true,
            }
        }));
        for round in 0..20 {
            net.say(alice, "bob", &format!("canary from alice {round}"));
            net.say(bob, "alice", &format!("canary from bob {round}"));
            net.advance(1_000);
        }
        // Honest again: what it swallowed it still has, and brings on the next connection.
        net.relay.on_push = None;
        for _ in 0..4 {
            for host in [alice, bob] {
                net.cut(host);
                net.connect(host);
            }
            net.advance(4_000_000);
        }
        net.say(alice, "bob", "the end");
        net.say(bob, "alice", "the end");
        for (host, other) in [(alice, "bob"), (bob, "alice")] {
            let texts = net.texts(host);
            assert!(texts.iter().all(|(from, _)| from == other));
            assert_eq!(texts.last().unwrap().1, "the end", "seed {seed}");
            // Nothing is shown twice, and what is missing left a trace.
            let distinct: std::collections::BTreeSet<&String> = texts.iter().map(|(_, text)| text).collect();
            assert_eq!(distinct.len(), texts.len());
            let told = |event: &Event| matches!(event, Event::Unopened { .. } | Event::Fork { .. });
            assert!(texts.len() == 21 || net.saw(host, told), "seed {seed}");
        }
        let records = net.hosts.iter().flat_map(|host| host.records.values().flatten().copied());
        let everything: Vec<u8> = seen.borrow().iter().chain(&net.tap).copied().chain(records).collect();
        assert!(!everything.windows(6).any(|window| window == b"canary"));
        assert!(everything.len() > 20_000);
    }
}

/// Who cannot show device lists that hold is given up, so that what waits does not fill the places of others' messages.
#[test]
fn d6_messages_of_a_user_with_bad_lists_do_not_wait_for_ever() {
    let (mut net, alice, bob, mallory) = three(60);
    net.relay.on_reply = Some(Box::new(|reply| {
        if let Reply::FetchLists(page) = reply
            && page.lists.iter().any(|list| SignedDeviceList::decode(list).unwrap().user().as_str() == "mallory")
        {
            let foreign = SignedDeviceList::create(name("somebody"), &SigningKey::from_bytes(&[5; 32])).unwrap();
            page.lists = vec![foreign.bytes().into()];
        }
    }));
    net.say(mallory, "bob", "who am I?");
    net.advance(10_000);
    assert!(net.saw(bob, |event| matches!(event, Event::ListsRefused { user, .. } if *user == name("mallory"))));
    net.say(alice, "bob", "mine comes through");
    assert_eq!(net.texts(bob), [("alice".to_owned(), "mine comes through".to_owned())]);
    // It does not wait at the relay either: a reconnect brings nothing again.
    net.relay.on_reply = None;
    net.cut(bob);
    net.connect(bob);
    net.advance(100_000);
    assert_eq!(net.texts(bob).len(), 1, "{:?}", net.hosts[bob].events);
}
