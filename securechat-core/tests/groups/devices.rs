//! Users with several devices.

use super::{group_of, read, said, settle, write};
use securechat_core::content::Conversation;
use securechat_core::event::{Event, MessageBody};
use securechat_core::wire::Push;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

#[test]
fn a_second_device_reads_and_writes_as_its_user() {
    let (mut net, group) = group_of(21, &["alice", "bob"]);
    write(&mut net, 0, group, "before");
    let phone = net.second_device(1);
    assert!(net.saw(phone, |event| *event == Event::GroupJoined { group }), "{:?}", net.hosts[phone].events);
    write(&mut net, phone, group, "from the phone");
    assert_eq!(read(&net, 0), said(&[("bob", "from the phone")]));
    let copy = |event: &Event| match event {
        Event::SentCopy { to, message } => {
            *to == Conversation::Group(group) && message.body == MessageBody::Text("from the phone".into())
        }
        _ => false,
    };
    assert!(net.saw(1, copy), "{:?}", net.hosts[1].events);
    write(&mut net, 0, group, "to both");
    assert_eq!(read(&net, 1), said(&[("alice", "before"), ("alice", "to both")]));
    assert_eq!(read(&net, phone), said(&[("alice", "to both")]));
}

#[test]
fn d3_a_revoked_device_reads_nothing_more() {
    let (mut net, group) = group_of(22, &["alice", "bob"]);
    let phone = net.second_device(1);
    write(&mut net, 0, group, "to both");
    write(&mut net, phone, group, "from the phone");
    let device = net.hosts[phone].client.identity();
    net.hosts[1].client.revoke_device(&device, net.now).unwrap();
    settle(&mut net, 1);
    // Alice learns of it as she always does, from what the relay says of Bob's list.
    net.say(0, "bob", "hello");
    write(&mut net, 0, group, "to one");
    write(&mut net, 1, group, "without the phone");
    assert_eq!(read(&net, phone), said(&[("alice", "to both")]));
    assert_eq!(read(&net, 1).last(), said(&[("alice", "to one")]).last());
    assert_eq!(read(&net, 0), said(&[("bob", "from the phone"), ("bob", "without the phone")]));
}

#[test]
fn g2_who_revokes_a_device_says_so_in_the_log_of_their_groups() {
    let (mut net, group) = group_of(23, &["alice", "bob"]);
    let phone = net.second_device(0);
    let before = net.hosts[1].client.group(&group).unwrap().sequence;
    let device = net.hosts[phone].client.identity();
    net.hosts[0].client.revoke_device(&device, net.now).unwrap();
    settle(&mut net, 0);
    assert_eq!(net.hosts[1].client.group(&group).unwrap().sequence, before + 1);
    assert_eq!(net.hosts[0].client.group(&group).unwrap().sequence, before + 1);
    write(&mut net, 0, group, "fine");
    assert_eq!(read(&net, 1).last(), said(&[("alice", "fine")]).last());
}

#[test]
fn a_log_signed_under_older_lists_is_checked_by_who_comes_later() {
    let (mut net, group) = group_of(24, &["alice", "bob"]);
    let phone = net.second_device(0);
    net.hosts[phone].client.rename_group(&group, "from the phone", net.now).unwrap();
    settle(&mut net, phone);
    let carol = net.register("carol", &securechat_core::suite::Policy::default());
    net.hosts[0].client.add_to_group(&group, &super::names(&["carol"]), net.now).unwrap();
    settle(&mut net, 0);
    assert!(net.saw(carol, |event| *event == Event::GroupJoined { group }), "{:?}", net.hosts[carol].events);
    assert_eq!(net.hosts[carol].client.group(&group).unwrap().name, "from the phone");
    write(&mut net, carol, group, "hello");
    for host in [0, 1, phone] {
        assert_eq!(read(&net, host).last(), said(&[("carol", "hello")]).last());
    }
}

/// A key that was handed over to whatever devices a user has is spent as soon as one of them is not theirs any more.
#[test]
fn g8_a_device_that_was_not_known_when_the_key_was_queued_reads_nothing_more() {
    let (mut net, group) = group_of(25, &["alice", "bob"]);
    let phone = net.second_device(1);
    let keys = Rc::new(RefCell::new(BTreeSet::new()));
    let seen = keys.clone();
    net.relay.on_push = Some(Box::new(move |push| {
        if let Push::Deliver(deliver) = push
            && deliver.envelope.first() == Some(&3)
            && deliver.user.as_str() == "alice"
        {
            seen.borrow_mut().insert(deliver.envelope[17..33].to_vec());
        }
        true
    }));
    assert!(net.hosts[0].client.contact(&super::name("bob")).is_none(), "nobody has looked bob up yet");
    write(&mut net, 0, group, "to both");
    assert_eq!(read(&net, phone), said(&[("alice", "to both")]));
    assert_eq!(keys.borrow().len(), 1);
    let device = net.hosts[phone].client.identity();
    net.hosts[1].client.revoke_device(&device, net.now).unwrap();
    settle(&mut net, 1);
    net.say(0, "bob", "hello");
    write(&mut net, 0, group, "to one");
    assert_eq!(read(&net, 1).last(), said(&[("alice", "to one")]).last());
    assert_eq!(keys.borrow().len(), 2, "the phone has the first key");
}
