//! ATTACKS.md D6: a whole conversation in a hybrid suite through a relay that does all of it at once: it logs, swaps keys,
//! serves old bundles and old lists, strips ML-KEM prekeys, drops, repeats, reorders and delays. Each lie is detected or
//! harmless, and no word of the conversation is in its memory, its store or on a wire.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use securechat_core::client::History;
use securechat_core::event::Event;
use securechat_core::suite::{Policy, Suite};
use securechat_core::wire::{DeviceKeys, Push, Reply};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use support::net::{Fate, Net, PASSWORD};

/// How often each lie was told.
type Lies = Rc<RefCell<BTreeMap<&'static str, u32>>>;

fn count(lies: &Lies, lie: &'static str) {
    *lies.borrow_mut().entry(lie).or_default() += 1;
}

/// Pushes are dropped, repeated, held back and brought in another order, and their senders are others.
fn lie_about_envelopes(net: &mut Net, seed: u64, lies: &Lies) {
    let (mut dice, mut kept, lies) = (ChaCha20Rng::seed_from_u64(seed), Vec::<Push>::new(), lies.clone());
    net.relay.on_push = Some(Box::new(move |push| {
        let Push::Deliver(deliver) = push else { return true };
        match dice.next_u32() % 10 {
            0 => {
                count(&lies, "drop");
                kept.push(push.clone());
                return false;
            }
            1 => kept.push(push.clone()),
            2 if !kept.is_empty() => {
                count(&lies, "repeat or reorder");
                let place = dice.next_u32() as usize % kept.len();
                core::mem::swap(push, &mut kept[place]);
            }
            3 => {
                count(&lies, "change");
                let mut bytes = deliver.envelope.to_vec();
                let place = dice.next_u32() as usize % bytes.len();
                bytes[place] ^= 1 << (dice.next_u32() % 8);
                deliver.envelope = bytes.into();
            }
            _ => {}
        }
        true
    }));
}

/// Prekeys are stripped, bundles are those of before or of somebody else, and lists are the first alone.
fn lie_about_keys(net: &mut Net, seed: u64, lies: &Lies) {
    let (mut dice, lies) = (ChaCha20Rng::seed_from_u64(seed ^ 1), lies.clone());
    let mut first: BTreeMap<Vec<u8>, DeviceKeys> = BTreeMap::new();
    net.relay.on_reply = Some(Box::new(move |reply| match reply {
        Reply::FetchKeys(keys) => {
            for device in &mut keys.devices {
                let id = device.identity.as_bytes().to_vec();
                first.entry(id.clone()).or_insert_with(|| device.clone());
                match dice.next_u32() % 5 {
                    0 | 1 => {
                        count(&lies, "strip");
                        device.prekey = None;
                    }
                    2 => {
                        count(&lies, "old bundle");
                        device.bundle = first[&id].bundle.clone();
                    }
                    3 => {
                        if let Some((_, other)) = first.iter().find(|(other, _)| **other != id) {
                            count(&lies, "swap");
                            (device.bundle, device.prekey) = (other.bundle.clone(), other.prekey.clone());
                        }
                    }
                    _ => {}
                }
            }
        }
        Reply::FetchLists(page) if dice.next_u32().is_multiple_of(4) => {
            count(&lies, "old list");
            (page.epoch, page.next) = (0, 0);
            page.lists.truncate(1);
        }
        _ => {}
    }));
}

#[test]
fn d6_everything_at_once_is_detected_or_harmless() {
    let policy = Policy::new(vec![Suite::ALL[4]]).unwrap();
    let lies = Lies::default();
    for seed in 0..3 {
        let mut net = Net::new(800 + seed, &policy);
        net.relay.heard = Some(Vec::new());
        let hosts = [net.register("alice", &policy), net.register("bob", &policy)];
        net.say(net.hosts.len() - 1, "alice", "canary before all");
        lie_about_envelopes(&mut net, seed, &lies);
        lie_about_keys(&mut net, seed, &lies);
        let mut dice = ChaCha20Rng::seed_from_u64(seed ^ 2);
        let late = lies.clone();
        net.weather = Some(Box::new(move |_, to_relay| {
            if !to_relay && dice.next_u32().is_multiple_of(10) {
                count(&late, "delay");
                return Fate::Delay(2_000);
            }
            Fate::Deliver
        }));
        for round in 0..18 {
            let (from, to) = if round % 2 == 0 { (hosts[0], "bob") } else { (hosts[1], "alice") };
            net.say(from, to, &format!("canary {round} of {to}"));
            net.advance(3_000);
            if round % 5 == 4 {
                // After this, keys are fetched anew.
                net.restart(from, History::Restored).unwrap();
                net.connect(from);
                net.advance(120_000);
            }
        }
        // Honest again: what it swallowed it still has.
        (net.relay.on_push, net.relay.on_reply, net.weather) = (None, None, None);
        for _ in 0..4 {
            for host in hosts {
                net.cut(host);
                net.connect(host);
            }
            net.advance(4_000_000);
        }
        for (from, to) in [(hosts[0], "bob"), (hosts[1], "alice")] {
            net.say(from, to, "the end");
        }
        net.advance(4_000_000);
        for (host, other) in [(hosts[0], "bob"), (hosts[1], "alice")] {
            let texts = net.texts(host);
            assert!(texts.iter().all(|(from, _)| from == other));
            assert!(texts.iter().any(|(_, text)| text == "the end"), "seed {seed}: {:?}", net.hosts[host].events);
            let distinct: BTreeSet<&String> = texts.iter().map(|(_, text)| text).collect();
            assert_eq!(distinct.len(), texts.len(), "nothing is shown twice");
            let told = |event: &Event| matches!(event, Event::Unopened { .. } | Event::Fork { .. });
            let sent = if other == "alice" { 9 } else { 10 };
            assert!(texts.len() > sent || net.saw(host, told), "what is missing left a trace");
            assert!(
                !net.saw(host, |event| matches!(event, Event::KeysChanged { .. })),
                "no lie was a list that is in order"
            );
        }
        let records = net.hosts.iter().flat_map(|host| host.records.values().flatten().copied());
        let everything: Vec<u8> = net.relay.heard.iter().flatten().chain(&net.tap).copied().chain(records).collect();
        assert!(!holds(&everything, b"canary") && !holds(&everything, b"the end"));
        // The search finds what is there: the password was told.
        assert!(holds(&everything, PASSWORD.as_bytes()));
    }
    let told = lies.borrow();
    for lie in ["drop", "repeat or reorder", "change", "strip", "old bundle", "swap", "old list", "delay"] {
        assert!(told.contains_key(lie), "{lie} was never told: {told:?}");
    }
}

fn holds(everything: &[u8], what: &[u8]) -> bool {
    everything.windows(what.len()).any(|window| window == what)
}
