//! A relay shows a device list of its own making for a user. It is kept aside, and its device can open sessions, so that
//! a user who truly began anew is heard: marked. What carries no mark must not count from there (I9, S11; ATTACKS.md D2).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::content::{Body, Content, Conversation, MessageId, ReceiptKind};
use securechat_core::event::{Event, MessageBody};
use securechat_core::identity::{SignedDeviceList, Trust, UserName};
use securechat_core::relay::{Chain, StoreJob, StoreResult};
use securechat_core::suite::{Policy, Suite};
use support::mallory::Mallory;
use support::net::Net;

fn name(user: &str) -> UserName {
    UserName::new(user).unwrap()
}

fn policy() -> Policy {
    Policy::new(vec![Suite::ALL[0]]).unwrap()
}

/// Alice, who talks with bob and has been shown `forged` for its user.
fn setting(seed: u64, forged: &SignedDeviceList) -> (Net, usize, MessageId) {
    let mut net = Net::new(seed, &policy());
    let alice = net.register("alice", &policy());
    let bob = net.register("bob", &policy());
    net.say(alice, "bob", "hello");
    net.say(bob, "alice", "hello");
    net.cut(bob);
    let id = net.say(alice, "bob", "are you there?");
    let list = forged.clone();
    net.relay.on_result = Some(Box::new(move |job, result| {
        if let StoreJob::Lists { user, .. } = job
            && user == list.user()
        {
            *result = StoreResult::Lists(Some(Chain { epoch: Some(0), lists: vec![list.bytes().into()] }));
        }
    }));
    net.hosts[alice].client.look_up(forged.user(), net.now).unwrap();
    net.drain(alice);
    net.run();
    assert!(net.saw(alice, |event| *event == Event::KeysChanged { user: forged.user().clone() }));
    net.forget_events();
    (net, alice, id)
}

fn text(text: &str) -> Body {
    Body::Text { text: text.to_owned() }
}

/// The texts that a host was shown, with how far their sender is trusted.
fn marks(net: &Net, host: usize) -> Vec<(String, Trust)> {
    let text = |event: &Event| match event {
        Event::Message(message) => match &message.body {
            MessageBody::Text(text) => Some((text.clone(), message.trust)),
            _ => None,
        },
        _ => None,
    };
    net.hosts[host].events.iter().filter_map(text).collect()
}

#[test]
fn d2_receipts_and_typing_do_not_count_from_a_list_kept_aside() {
    let mut forger = Mallory::new(701, "bob", &policy());
    let (mut net, alice, id) = setting(701, &forger.list);
    forger.write(&mut net, alice, text("I am bob"));
    assert_eq!(marks(&net, alice), [("I am bob".to_owned(), Trust::Violation)], "it is shown, and marked");
    for kind in [ReceiptKind::Delivered, ReceiptKind::Read] {
        forger.write(&mut net, alice, Body::Receipt { kind, ids: vec![id] });
    }
    forger.write(&mut net, alice, Body::Typing { active: true });
    let told = |event: &Event| matches!(event, Event::Delivered { .. } | Event::Read { .. } | Event::Typing { .. });
    assert!(!net.saw(alice, told), "{:?}", net.hosts[alice].events);
}

#[test]
fn d2_no_copy_of_what_was_sent_comes_from_a_list_of_ones_own_kept_aside() {
    let mut forger = Mallory::new(702, "alice", &policy());
    let (mut net, alice, _) = setting(702, &forger.list);
    let inner = Content { id: MessageId::from_bytes([9; 16]), sent_at: 0, expiry: 0, body: text("alice wrote this") };
    let content = inner.encode().unwrap();
    forger.write(&mut net, alice, Body::Sent { to: Conversation::User(name("bob")), content });
    assert!(!net.saw(alice, |event| matches!(event, Event::SentCopy { .. })), "{:?}", net.hosts[alice].events);
    forger.write(&mut net, alice, text("it came"));
    assert_eq!(marks(&net, alice), [("it came".to_owned(), Trust::Violation)]);
}
