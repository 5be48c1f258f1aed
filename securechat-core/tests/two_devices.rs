//! One user with two devices: added by approval, served with copies, revoked (I6 to I9, S11, L3, L7).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::ApiMisuse;
use securechat_core::event::{Event, MessageBody};
use securechat_core::identity::{Trust, UserName};
use securechat_core::suite::Policy;
use support::net::{Net, PASSWORD};

fn name(user: &str) -> UserName {
    UserName::new(user).unwrap()
}

fn copies(net: &Net, host: usize) -> Vec<(String, String)> {
    let copy = |event: &Event| match event {
        Event::SentCopy { to, message } => match &message.body {
            MessageBody::Text(text) => Some((to.to_string(), text.clone())),
            _ => None,
        },
        _ => None,
    };
    net.hosts[host].events.iter().filter_map(copy).collect()
}

#[test]
fn a_second_device_is_added_served_and_revoked() {
    let policy = Policy::default();
    let mut net = Net::new(11, &policy);
    let alice = net.register("alice", &policy);
    let bob = net.register("bob", &policy);
    net.say(alice, "bob", "one device");
    let phone = net.second_device(bob);

    // Alice learns of the new device from the reply to her next message (L3), and it gets that very message.
    net.say(alice, "bob", "two devices");
    assert_eq!(net.texts(bob).last().unwrap().1, "two devices");
    assert_eq!(net.texts(phone).len(), 1, "{:?}", net.hosts[phone].events);
    let added = vec![net.hosts[phone].client.identity()];
    assert!(net.saw(alice, |event| *event
        == Event::DevicesChanged { user: name("bob"), added: added.clone(), removed: vec![] }));
    assert_eq!(net.hosts[alice].client.contact(&name("bob")).unwrap().trust, Trust::Seen);

    // What one device sends, the other sees.
    net.say(phone, "alice", "from the phone");
    assert_eq!(net.texts(alice).last().unwrap(), &("bob".to_owned(), "from the phone".to_owned()));
    assert_eq!(copies(&net, bob), [("alice".to_owned(), "from the phone".to_owned())]);
    net.say(bob, "alice", "from the desk");
    assert_eq!(copies(&net, phone), [("alice".to_owned(), "from the desk".to_owned())]);

    // Revoked: it gets nothing more, and Alice's client knows why.
    net.hosts[bob].client.revoke_device(&added[0], net.now).unwrap();
    net.drain(bob);
    net.run();
    assert!(
        net.saw(phone, |event| *event == Event::DeviceRevoked)
            || net.saw(phone, |event| matches!(event, Event::LinkClosed { .. }))
    );
    net.say(alice, "bob", "only the desk");
    net.say(alice, "bob", "only the desk again");
    assert_eq!(net.texts(bob).last().unwrap().1, "only the desk again");
    net.connect(phone);
    net.run();
    assert_eq!(net.texts(phone).len(), 1);
    assert!(net.saw(alice, |event| *event
        == Event::DevicesChanged { user: name("bob"), added: vec![], removed: added.clone() }));
    net.say(bob, "alice", "still here");
    assert_eq!(net.texts(alice).last().unwrap().1, "still here");
}

/// Section 9: who knows an offer from a copy alone takes no file by tags, for the receiver holds its key as well.
#[test]
fn a_copy_of_an_offer_is_no_offer() {
    let policy = Policy::default();
    let mut net = Net::new(15, &policy);
    let alice = net.register("alice", &policy);
    let bob = net.register("bob", &policy);
    net.say(alice, "bob", "a file follows");
    let phone = net.second_device(alice);
    let (file, _) = net.hosts[alice].client.send_file(name("bob"), "a.txt", 5, "", net.now).unwrap();
    net.hosts[alice].outgoing.insert(file, b"bytes".to_vec());
    net.drain(alice);
    net.run();
    assert!(net.saw(bob, |event| matches!(event, Event::FileOffered { .. })));
    let is_copy = |event: &Event| matches!(event, Event::SentCopy { message, .. } if matches!(message.body, MessageBody::File { .. }));
    assert!(net.saw(phone, is_copy), "{:?}", net.hosts[phone].events);
    assert!(!net.saw(phone, |event| matches!(event, Event::FileOffered { .. })));
    let accepted = net.hosts[phone].client.accept_file(&file, net.now);
    assert_eq!(accepted, Err(ApiMisuse::NotFound.into()));
}

/// Until a listed device approved it, nobody sends to the new one.
#[test]
fn an_unlisted_device_reads_nothing() {
    let policy = Policy::default();
    let mut net = Net::new(12, &policy);
    let alice = net.register("alice", &policy);
    let bob = net.register("bob", &policy);
    let phone = net.add("bob", &policy);
    net.connect(phone);
    net.run();
    net.hosts[phone].client.log_in(PASSWORD, None, net.now).unwrap();
    net.drain(phone);
    net.run();
    net.say(alice, "bob", "for the desk");
    assert_eq!((net.texts(bob).len(), net.texts(phone).len()), (1, 0));
    // It cannot send either: what it writes waits.
    net.hosts[phone].client.send_text(name("alice"), "let me in", net.now).unwrap();
    net.drain(phone);
    net.run();
    assert_eq!(net.texts(alice).len(), 0);
    let device = net.hosts[phone].client.identity();
    net.hosts[bob].client.approve_device(&device, net.now).unwrap();
    net.drain(bob);
    net.run();
    net.advance(120_000);
    assert_eq!(net.texts(alice).len(), 1, "{:?}", net.hosts[phone].events);
}

/// Who has lost every device begins anew, and contacts have to accept it (I8, I9; ATTACKS.md D5).
#[test]
fn d5_a_new_epoch_zero_is_a_violation_until_accepted() {
    let policy = Policy::default();
    let mut net = Net::new(13, &policy);
    let alice = net.register("alice", &policy);
    let bob = net.register("bob", &policy);
    net.say(alice, "bob", "hello");
    net.hosts[alice].client.mark_verified(&name("bob"), net.now).unwrap();
    let again = net.add("bob", &policy);
    net.connect(again);
    net.run();
    net.hosts[again].client.log_in(PASSWORD, None, net.now).unwrap();
    net.drain(again);
    net.run();
    net.hosts[again].client.start_over(net.now).unwrap();
    net.drain(again);
    net.run();
    assert!(net.saw(again, |event| *event == Event::LoggedIn { listed: true }), "{:?}", net.hosts[again].events);
    assert!(net.saw(bob, |event| matches!(
        event,
        Event::KeysChanged { .. } | Event::DeviceRevoked | Event::LinkClosed { .. }
    )));

    net.hosts[alice].client.look_up(&name("bob"), net.now).unwrap();
    net.drain(alice);
    net.run();
    assert!(
        net.saw(alice, |event| *event == Event::KeysChanged { user: name("bob") }),
        "{:?}",
        net.hosts[alice].events
    );
    assert_eq!(net.hosts[alice].client.contact(&name("bob")).unwrap().trust, Trust::Violation);
    assert!(net.hosts[alice].client.send_text(name("bob"), "are you you?", net.now).is_err());
    // What comes from the new device is shown, and marked.
    net.say(again, "alice", "it is me");
    let marked = |event: &Event| matches!(event, Event::Message(message) if message.trust == Trust::Violation);
    assert!(net.saw(alice, marked), "{:?}", net.hosts[alice].events);
    let shown = net.hosts[alice].client.contact(&name("bob")).unwrap().kept_aside.unwrap().hash;
    net.hosts[alice].client.accept_keys(&name("bob"), &shown, net.now).unwrap();
    net.drain(alice);
    assert_eq!(net.hosts[alice].client.contact(&name("bob")).unwrap().trust, Trust::Seen);
    net.say(alice, "bob", "now I know");
    assert_eq!(net.texts(again).last().unwrap().1, "now I know");
    assert!(net.texts(bob).iter().all(|(_, text)| text != "now I know"));
}
