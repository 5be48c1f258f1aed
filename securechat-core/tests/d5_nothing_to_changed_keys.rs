//! A user whose keys changed gets nothing until the host accepts the keys that it was shown (ATTACKS.md D5; I9).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::{ApiMisuse, Error};
use securechat_core::event::Event;
use securechat_core::identity::{SignedDeviceList, Trust, UserName};
use securechat_core::relay::{Chain, StoreJob, StoreResult};
use securechat_core::suite::{Policy, Suite};
use securechat_core::wire::{Push, Reply, SendOutcome};
use std::cell::RefCell;
use std::rc::Rc;
use support::mallory::Mallory;
use support::net::Net;

fn name(user: &str) -> UserName {
    UserName::new(user).unwrap()
}

fn show_list(net: &mut Net, list: &SignedDeviceList) {
    let list = list.clone();
    net.relay.on_result = Some(Box::new(move |job, result| {
        if let StoreJob::Lists { user, .. } = job
            && user == list.user()
        {
            *result = StoreResult::Lists(Some(Chain { epoch: Some(0), lists: vec![list.bytes().into()] }));
        }
    }));
}

fn look_up(net: &mut Net, host: usize, user: &str) {
    net.hosts[host].client.look_up(&name(user), net.now).unwrap();
    net.drain(host);
    net.run();
}

#[test]
fn d5_nothing_leaves_for_a_user_whose_keys_changed() {
    let policy = Policy::new(vec![Suite::ALL[0]]).unwrap();
    let mut net = Net::new(501, &policy);
    let alice = net.register("alice", &policy);
    let bob = net.register("bob", &policy);
    net.say(alice, "bob", "one");
    net.say(bob, "alice", "two");
    net.hosts[alice].client.mark_verified(&name("bob"), net.now).unwrap();

    // What is sealed already when the change is seen waits as well: bob's mailbox is said to be full.
    let after = Mallory::new(5, "bob", &policy);
    let later = Mallory::new(6, "bob", &policy);
    let envelopes = Rc::new(RefCell::new(0));
    let (handle, sender) = (envelopes.clone(), net.hosts[alice].client.identity());
    net.relay.on_job = Some(Box::new(move |job| {
        if let StoreJob::Send { sender: from, items, .. } = job
            && *from == sender
        {
            *handle.borrow_mut() += items.len();
        }
    }));
    net.relay.on_reply = Some(Box::new(|reply| {
        if let Reply::Send(sent) = reply {
            sent.results.iter_mut().for_each(|result| result.outcome = SendOutcome::Full);
        }
    }));
    net.relay.on_push = Some(Box::new(move |push| match push {
        Push::Deliver(deliver) => deliver.sender != sender,
        _ => true,
    }));
    net.say(alice, "bob", "written before");
    net.relay.on_reply = None;
    assert_eq!((net.hosts[alice].client.unsent(), *envelopes.borrow()), (1, 1));
    show_list(&mut net, &after.list);
    look_up(&mut net, alice, "bob");
    assert!(
        net.saw(alice, |event| *event == Event::KeysChanged { user: name("bob") }),
        "{:?}",
        net.hosts[alice].events
    );
    assert_eq!(net.hosts[alice].client.contact(&name("bob")).unwrap().trust, Trust::Violation);
    let before = *envelopes.borrow();

    let (client, now) = (&mut net.hosts[alice].client, net.now);
    let violation = Error::from(ApiMisuse::Violation);
    assert_eq!(client.send_text(name("bob"), "secret", now), Err(violation));
    assert_eq!(client.send_typing(&name("bob"), true, now), Err(violation));
    assert_eq!(client.send_file(name("bob"), "f", 1, "", now).err(), Some(violation));
    assert_eq!(client.safety_number(&name("bob"), now).err(), Some(violation));
    assert_eq!(client.mark_verified(&name("bob"), now), Err(violation));
    let ids: Vec<_> = net.hosts[alice].events.iter().filter_map(message_id).collect();
    net.hosts[alice].client.mark_read(&name("bob"), &ids, net.now).unwrap();
    net.drain(alice);
    net.say(bob, "alice", "I am still here");
    net.advance(4_000_000);
    assert!(net.is_connected(alice));
    // What comes is shown, marked, and not even confirmed.
    let marked = |event: &Event| matches!(event, Event::Message(message) if message.trust == Trust::Violation || message.trust == Trust::Verified);
    assert!(net.saw(alice, marked));
    assert_eq!(*envelopes.borrow(), before);
    assert_eq!(net.texts(bob).len(), 1);

    // Accepted is what was shown, and no other that came since.
    let shown = net.hosts[alice].client.contact(&name("bob")).unwrap().kept_aside.unwrap();
    assert_eq!(shown.devices, [after.identity()]);
    show_list(&mut net, &later.list);
    look_up(&mut net, alice, "bob");
    let refused = net.hosts[alice].client.accept_keys(&name("bob"), &shown.hash, net.now);
    assert_eq!(refused, Err(ApiMisuse::NotFound.into()));
    assert_eq!(net.hosts[alice].client.contact(&name("bob")).unwrap().trust, Trust::Violation);
    let shown = net.hosts[alice].client.contact(&name("bob")).unwrap().kept_aside.unwrap();
    assert_eq!(shown.devices, [later.identity()]);
    net.hosts[alice].client.accept_keys(&name("bob"), &shown.hash, net.now).unwrap();
    // The mark of the old keys does not pass on to the new ones.
    assert_eq!(net.hosts[alice].client.contact(&name("bob")).unwrap().trust, Trust::Seen);
    // To the old keys nothing goes any more.
    net.drain(alice);
    net.advance(120_000);
    assert_eq!(*envelopes.borrow(), before);
}

fn message_id(event: &Event) -> Option<securechat_core::content::MessageId> {
    match event {
        Event::Message(message) => Some(message.id),
        _ => None,
    }
}
