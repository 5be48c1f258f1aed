//! On device lists.

use super::Attack;
use crate::fault::{Fault, claim};
use crate::person::Person;
use crate::relay::keys;
use crate::stage::Stage;
use securechat_core::event::Event;
use securechat_core::identity::{Identity, SignedDeviceList, Trust, UserName};
use securechat_core::relay::{Chain, StoreJob, StoreResult};
use securechat_core::wire::{Bytes, Recipient};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

pub(super) static ALL: &[Attack] = &[
    Attack {
        name: "device-injected",
        does: "adds a device of its own to Bob's device list",
        sees: "that the relay shows keys of Bob that cannot be right; nothing is sealed for the device",
        rule: "I6, A11",
        logs_in: true,
        run: device_injected,
    },
    Attack {
        name: "device-proposed",
        does: "proposes a device of its own to Bob as if he had logged in with it",
        sees: "Bob: the fingerprint of a device to compare, and it is in no list until he approves it",
        rule: "I8",
        logs_in: true,
        run: device_proposed,
    },
    Attack {
        name: "device-list-rolled-back",
        does: "shows Bob's device list of before he had a second device",
        sees: "that the relay shows keys of Bob that cannot be right; both devices go on reading",
        rule: "I6, A11",
        logs_in: true,
        run: list_rolled_back,
    },
    Attack {
        name: "device-lists-forked",
        does: "has a copy of Bob's state add one device for Alice's eyes, while Bob adds another",
        sees: "that the keys of Bob have changed, as soon as both lists come to her; writing to him is refused",
        rule: "I6, I9",
        logs_in: true,
        run: lists_forked,
    },
    Attack {
        name: "revocation-hidden",
        does: "goes on showing the device that Bob revoked, and sends it what Alice writes",
        sees: "that Bob has removed a device, as soon as they ask for their safety number; it gets nothing more",
        rule: "I10",
        logs_in: true,
        run: revocation_hidden,
    },
];

/// The lists that the relay has of a user.
fn lists_of(stage: &Stage, user: &UserName) -> Vec<Bytes> {
    match stage.relay.ask_store(StoreJob::Lists { user: user.clone(), from: 0, count: 100 }) {
        StoreResult::Lists(Some(chain)) => chain.lists,
        _ => Vec::new(),
    }
}

/// Shows these lists to whoever asks for a user's.
fn show_lists(stage: &Stage, of: &UserName, lists: Vec<Bytes>) {
    let of = of.clone();
    stage.relay.on_result(move |job, result| match job {
        StoreJob::Lists { user, from, .. } if *user == of => {
            let from = usize::try_from(*from).unwrap_or(usize::MAX);
            let shown = lists.iter().skip(from).cloned().collect();
            let epoch = u64::try_from(lists.len()).ok().and_then(|length| length.checked_sub(1));
            *result = StoreResult::Lists(Some(Chain { epoch, lists: shown }));
        }
        _ => {}
    });
}

/// The devices that envelopes are handed in for, from now on.
fn recipients(stage: &Stage) -> Arc<Mutex<BTreeSet<Identity>>> {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let note = Arc::clone(&seen);
    stage.relay.on_job(move |job| {
        let StoreJob::Send { items, .. } = job else { return };
        let mut seen = note.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend(items.iter().filter_map(|item| match item.recipient {
            Recipient::Device(device) => Some(device),
            _ => None,
        }));
    });
    seen
}

fn is_refused(user: &UserName) -> impl Fn(&Event) -> bool + use<> {
    let whose = user.clone();
    move |event| matches!(event, Event::ListsRefused { user, .. } if *user == whose)
}

/// Alice and Bob, who have spoken.
fn acquainted(stage: &Stage) -> Result<[Person; 2], Fault> {
    let [mut alice, mut bob] = stage.people(["alice", "bob"])?;
    alice.say(&bob, "hello bob")?;
    bob.reads("hello bob")?;
    bob.say(&alice, "hello alice")?;
    alice.reads("hello alice")?;
    alice.forget();
    bob.forget();
    Ok([alice, bob])
}

fn device_injected(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob] = acquainted(stage)?;
    let forged = keys(Some(bob.name.clone()))?;
    let mut lists = lists_of(stage, &bob.name);
    let newest = lists.last().ok_or_else(|| Fault::Claim("bob has a list".into()))?;
    lists.push(SignedDeviceList::decode(newest)?.propose_add(&forged.keys.identity)?.bytes().into());
    show_lists(stage, &bob.name, lists);
    let seen = recipients(stage);
    alice.look_up(&bob.name)?;
    alice.event("lists that are refused", is_refused(&bob.name))?;
    alice.say(&bob, "for bob's devices alone")?;
    bob.reads("for bob's devices alone")?;
    stage.relay.settle();
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    claim(!seen.contains(&forged.bundle.identity()), "nothing is sealed for the relay's device")
}

fn device_proposed(stage: &Stage) -> Result<(), Fault> {
    let [alice, mut bob] = acquainted(stage)?;
    let forged = keys(Some(bob.name.clone()))?;
    let lists = lists_of(stage, &bob.name);
    let newest = lists.last().ok_or_else(|| Fault::Claim("bob has a list".into()))?;
    let list = SignedDeviceList::decode(newest)?.propose_add(&forged.keys.identity)?.bytes().into();
    let push = securechat_core::wire::Push::ListProposed(securechat_core::wire::ListProposed { list });
    stage.relay.push("bob", &push)?;
    let device = forged.bundle.identity();
    bob.event("the device", move |event| *event == Event::DeviceProposed { device })?;
    let devices = bob.call(|client, _| Ok(client.devices().to_vec()))?;
    claim(!devices.contains(&device), "the device is in no list")?;
    let seen = recipients(stage);
    alice.say(&bob, "for you")?;
    bob.reads("for you")?;
    stage.relay.settle();
    claim(!seen.lock().unwrap_or_else(PoisonError::into_inner).contains(&device), "nothing is sealed for it")
}

fn list_rolled_back(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob] = acquainted(stage)?;
    let before = lists_of(stage, &bob.name);
    let mut phone = stage.second_device(&mut bob, "bob's phone")?;
    alice.say(&bob, "to both")?;
    phone.reads("to both")?;
    show_lists(stage, &bob.name, before);
    alice.look_up(&bob.name)?;
    alice.event("lists that are refused", is_refused(&bob.name))?;
    alice.say(&bob, "still to both")?;
    bob.reads("still to both")?;
    phone.reads("still to both").map(|_| ())
}

fn lists_forked(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob] = acquainted(stage)?;
    let lists = lists_of(stage, &bob.name);
    let backup = stage.relay.backup();
    bob.stop();
    let copy = stage.path("a copy of bob's state");
    bob.copy_to(&copy)?;
    bob.resume()?;
    let _phone = stage.second_device(&mut bob, "bob's phone")?;
    let shown_first = lists_of(stage, &bob.name);
    alice.look_up(&bob.name)?;
    alice.event("a device more", |event| matches!(event, Event::DevicesChanged { .. }))?;
    alice.forget();
    // The copy works with a relay that has heard of nothing.
    bob.stop();
    stage.relay.restart(Some(backup))?;
    bob.resume_from(&copy)?;
    claim(lists_of(stage, &bob.name) == lists, "the relay has the list of before")?;
    let _tablet = stage.second_device(&mut bob, "a tablet")?;
    let shown_then = lists_of(stage, &bob.name);
    claim(shown_first.len() == 2 && shown_then.len() == 2 && shown_first != shown_then, "there are two lists")?;
    alice.listed()?;
    alice.look_up(&bob.name)?;
    let user = bob.name.clone();
    alice.event("that keys changed", move |event| *event == Event::KeysChanged { user: user.clone() })?;
    claim(alice.trust(&bob.name)? == Some(Trust::Violation), "bob is marked")?;
    let to = bob.name.clone();
    alice.refused(move |client, now| client.send_text(&to, "does not leave", now)).map(|_| ())
}

fn revocation_hidden(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob] = acquainted(stage)?;
    let phone = stage.second_device(&mut bob, "bob's phone")?;
    let revoked = phone.identity()?;
    alice.look_up(&bob.name)?;
    alice.event("a device more", |event| matches!(event, Event::DevicesChanged { .. }))?;
    let before = lists_of(stage, &bob.name);
    bob.call(move |client, now| client.revoke_device(&revoked, now))?;
    bob.event("the device gone", |event| matches!(event, Event::DevicesChanged { .. }))?;
    // Everybody but Bob is shown the list of before, and told that it is the newest.
    show_lists(stage, &bob.name, before);
    stage.relay.on_reply(|to, reply| match reply {
        securechat_core::wire::Reply::Send(sent) if to == "alice" => {
            sent.results.iter_mut().for_each(|result| result.epoch = 1);
        }
        _ => {}
    });
    alice.forget();
    let with = alice.name.clone();
    bob.call(move |client, now| Ok(client.safety_number(&with, now).is_ok()))?;
    alice.event(
        "a device less",
        move |event| matches!(event, Event::DevicesChanged { removed, .. } if removed.contains(&revoked)),
    )?;
    let seen = recipients(stage);
    alice.say(&bob, "for those who are left")?;
    bob.reads("for those who are left")?;
    stage.relay.settle();
    claim(!seen.lock().unwrap_or_else(PoisonError::into_inner).contains(&revoked), "the device gets nothing more")
}
