//! A user of an honest relay whose client claims to be somebody else: in bundles, copies, receipts, edits and offers
//! (ATTACKS.md D2).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::content::{Body, Content, Conversation, MessageId, ReceiptKind};
use securechat_core::crypto::aead::Cipher;
use securechat_core::event::{Event, MessageBody};
use securechat_core::file::{FileOffer, FileProof};
use securechat_core::identity::UserName;
use securechat_core::limits::Limits;
use securechat_core::suite::{Policy, Suite};
use securechat_core::wire::Push;
use support::mallory::Mallory;
use support::net::Net;

fn name(user: &str) -> UserName {
    UserName::new(user).unwrap()
}

fn three(seed: u64) -> (Net, usize, usize, Mallory) {
    let policy = Policy::new(vec![Suite::ALL[0]]).unwrap();
    let mut net = Net::new(seed, &policy);
    let alice = net.register("alice", &policy);
    let bob = net.register("bob", &policy);
    let mallory = Mallory::new(seed, "mallory", &policy);
    mallory.enroll(&mut net);
    (net, alice, bob, mallory)
}

fn text(text: &str) -> Body {
    Body::Text { text: text.to_owned() }
}

#[test]
fn d2_a_bundle_with_another_users_name_opens_nothing() {
    let (mut net, alice, bob, _) = three(201);
    net.say(alice, "bob", "I am alice");
    let policy = Policy::new(vec![Suite::ALL[0]]).unwrap();
    // Whether bob knows alice or has never heard of carol: the name has to be one whose list has the device.
    for (seed, user) in [(202, "alice"), (207, "carol")] {
        let mut mallory = Mallory::new(seed, user, &policy);
        mallory.write(&mut net, bob, text("so am I"));
        net.advance(120_000);
        assert_eq!(net.texts(bob).len(), 1, "{user}");
        assert!(net.saw(bob, |event| matches!(event, Event::Unopened { .. })), "{user}");
        net.forget_events();
        net.say(alice, "bob", "still alice");
        assert_eq!(net.texts(bob), [("alice".to_owned(), "still alice".to_owned())]);
    }
}

#[test]
fn d2_a_copy_of_what_was_sent_counts_from_ones_own_devices_only() {
    let (mut net, _, bob, mut mallory) = three(203);
    let inner = Content { id: MessageId::from_bytes([9; 16]), sent_at: 0, expiry: 0, body: text("bob wrote this") };
    let content = inner.encode().unwrap();
    mallory.write(&mut net, bob, Body::Sent { to: Conversation::User(name("alice")), content });
    assert!(!net.saw(bob, |event| matches!(event, Event::SentCopy { .. } | Event::Message(_))));
    mallory.write(&mut net, bob, text("hello"));
    assert_eq!(net.texts(bob), [("mallory".to_owned(), "hello".to_owned())]);
}

#[test]
fn d2_receipts_count_only_from_who_was_written_to() {
    for kind in [ReceiptKind::Delivered, ReceiptKind::Read] {
        let (mut net, alice, bob, mut mallory) = three(204);
        net.say(alice, "bob", "hello");
        net.cut(bob);
        let id = net.say(alice, "bob", "are you there?");
        net.forget_events();
        mallory.write(&mut net, alice, Body::Receipt { kind, ids: vec![id] });
        let told = |event: &Event| matches!(event, Event::Delivered { .. } | Event::Read { .. });
        assert!(!net.saw(alice, told), "{:?}", net.hosts[alice].events);
        // It is still bob who says so.
        net.connect(bob);
        net.run();
        assert!(net.saw(alice, |event| *event == Event::Delivered { user: name("bob"), ids: vec![id] }));
    }
}

#[test]
fn d2_an_edit_is_shown_with_who_sent_it() {
    let (mut net, alice, bob, mut mallory) = three(205);
    let target = net.say(alice, "bob", "hello");
    mallory.write(&mut net, bob, Body::Edit { target, text: "goodbye".to_owned() });
    mallory.write(&mut net, bob, Body::Delete { target });
    let from = |event: &Event| match event {
        Event::Message(message) if !matches!(message.body, MessageBody::Text(_)) => Some(message.from.clone()),
        _ => None,
    };
    let froms: Vec<UserName> = net.hosts[bob].events.iter().filter_map(from).collect();
    assert_eq!(froms, [name("mallory"), name("mallory")]);
    // A message id of alice's, used by mallory, does not keep hers from being shown, nor the other way round.
    let device = net.hosts[bob].client.identity();
    let id = MessageId::from_bytes([3; 16]);
    let stolen = [mallory.seal_as(&device, target, text("one")), mallory.seal_as(&device, id, text("two"))];
    mallory.deliver(&mut net, bob, stolen.to_vec());
    assert_eq!(net.texts(bob).len(), 3);
}

/// The relay knows a file's id before its offer arrives, and tells mallory: what bob accepts is what he was shown.
#[test]
fn d2_an_offer_under_the_id_of_another_does_not_count() {
    for held_back in [true, false] {
        let (mut net, alice, bob, mut mallory) = three(206);
        net.say(alice, "bob", "a file follows");
        if held_back {
            let sender = net.hosts[alice].client.identity();
            net.relay.on_push = Some(Box::new(move |push| match push {
                Push::Deliver(deliver) => deliver.sender != sender,
                _ => true,
            }));
        }
        let (file, _) = net.hosts[alice].client.send_file(name("bob"), "true.txt", 5, "", net.now).unwrap();
        net.hosts[alice].outgoing.insert(file, b"true!".to_vec());
        net.drain(alice);
        net.run();
        let (limits, rng) = (Limits::default(), &mut *mallory.rng);
        let offer = FileOffer::new(Cipher::AesGcm, FileProof::Tags, 5, "false.txt", "", &limits, rng).unwrap();
        mallory.write(&mut net, bob, Body::FileOffer(FileOffer { id: file, ..offer }));
        net.relay.on_push = None;
        net.cut(bob);
        net.connect(bob);
        net.run();
        let offered = |event: &Event| match event {
            Event::FileOffered { from, name, file: offered, .. } if *offered == file => {
                Some((from.to_string(), name.clone()))
            }
            _ => None,
        };
        let offers: Vec<(String, String)> = net.hosts[bob].events.iter().filter_map(offered).collect();
        let (from, shown) = if held_back { ("mallory", "false.txt") } else { ("alice", "true.txt") };
        assert_eq!(offers, [(from.to_owned(), shown.to_owned())]);
        net.hosts[bob].client.accept_file(&file, net.now).unwrap();
        net.drain(bob);
        net.advance(10_000);
        // What was shown as alice's is alice's, and what is alice's does not come under mallory's name.
        assert_eq!(net.saw(bob, |event| *event == Event::FileReceived { file }), !held_back);
    }
}
