//! Members come, write and go.

use super::{group_of, name, names, read, said, settle, write};
use securechat_core::error::ApiMisuse;
use securechat_core::event::{Event, GroupChange};
use securechat_core::roster::GroupId;
use securechat_core::suite::Policy;

#[test]
fn everybody_reads_what_everybody_writes() {
    let (mut net, group) = group_of(1, &["alice", "bob", "carol"]);
    for host in 1..3 {
        assert!(net.saw(host, |event| *event == Event::GroupJoined { group }), "{:?}", net.hosts[host].events);
    }
    write(&mut net, 0, group, "hello");
    write(&mut net, 1, group, "hi alice");
    write(&mut net, 2, group, "hi both");
    write(&mut net, 0, group, "good");
    assert_eq!(read(&net, 0), said(&[("bob", "hi alice"), ("carol", "hi both")]));
    assert_eq!(read(&net, 1), said(&[("alice", "hello"), ("carol", "hi both"), ("alice", "good")]));
    assert_eq!(read(&net, 2), said(&[("alice", "hello"), ("bob", "hi alice"), ("alice", "good")]));
    let info = net.hosts[1].client.group(&group).unwrap();
    assert_eq!((info.name.as_str(), info.open, info.member, info.admin), ("friends", false, true, false));
    assert_eq!(info.members, [(name("alice"), true), (name("bob"), false), (name("carol"), false)]);
}

#[test]
fn what_is_written_is_told_as_sent_and_nothing_else() {
    let (mut net, group) = group_of(2, &["alice", "bob"]);
    net.forget_events();
    let id = write(&mut net, 0, group, "hello");
    let told: Vec<_> = net.hosts[0].events.iter().collect();
    assert_eq!(told, [&Event::Sent { id }], "keys that are handed over are no messages of the application");
    assert_eq!(net.hosts[1].events.len(), 1, "{:?}", net.hosts[1].events);
}

#[test]
fn d3_who_comes_reads_what_follows() {
    let (mut net, group) = group_of(3, &["alice", "bob"]);
    let dave = net.register("dave", &Policy::default());
    write(&mut net, 0, group, "before");
    write(&mut net, 1, group, "before too");
    net.hosts[0].client.add_to_group(&group, &names(&["dave"]), net.now).unwrap();
    settle(&mut net, 0);
    write(&mut net, 0, group, "after");
    write(&mut net, 1, group, "after too");
    write(&mut net, dave, group, "thanks");
    assert_eq!(read(&net, dave), said(&[("alice", "after"), ("bob", "after too")]));
    assert_eq!(read(&net, 1).last(), said(&[("dave", "thanks")]).last());
    let change = GroupChange::Added { users: names(&["dave"]) };
    let told = Event::GroupChanged { group, by: name("alice"), change };
    assert!(net.saw(0, |event| *event == told) && net.saw(1, |event| *event == told));
}

#[test]
fn d3_who_is_removed_reads_nothing_more() {
    let (mut net, group) = group_of(4, &["alice", "bob", "carol"]);
    write(&mut net, 0, group, "one");
    write(&mut net, 1, group, "two");
    net.hosts[0].client.remove_from_group(&group, &names(&["carol"]), net.now).unwrap();
    settle(&mut net, 0);
    let change = GroupChange::Removed { users: names(&["carol"]) };
    let told = Event::GroupChanged { group, by: name("alice"), change };
    assert!((0..3).all(|host| net.saw(host, |event| *event == told)));
    write(&mut net, 0, group, "three");
    write(&mut net, 1, group, "four");
    assert_eq!(read(&net, 2), said(&[("alice", "one"), ("bob", "two")]));
    assert_eq!(read(&net, 0).len(), 2);
    let refused = net.hosts[2].client.send_text(group, "still here?", net.now).unwrap_err();
    assert_eq!(refused, ApiMisuse::NotPermitted.into());
    assert!(!net.hosts[2].client.group(&group).unwrap().member);
}

#[test]
fn only_admins_change_a_group_and_members_leave() {
    let (mut net, group) = group_of(5, &["alice", "bob", "carol"]);
    let refused = ApiMisuse::NotPermitted.into();
    let now = net.now;
    let bob = &mut net.hosts[1].client;
    assert_eq!(bob.add_to_group(&group, &names(&["dave"]), now), Err(refused));
    assert_eq!(bob.remove_from_group(&group, &names(&["carol"]), now), Err(refused));
    assert_eq!(bob.rename_group(&group, "mine", now), Err(refused));
    assert_eq!(bob.set_group_admin(&group, &name("bob"), true, now), Err(refused));
    bob.remove_from_group(&group, &names(&["bob"]), now).unwrap();
    settle(&mut net, 1);
    assert_eq!(net.hosts[2].client.group(&group).unwrap().members.len(), 2);
    let alice = &mut net.hosts[0].client;
    assert_eq!(alice.remove_from_group(&group, &names(&["alice"]), now), Err(refused), "nobody would be an admin");
    alice.set_group_admin(&group, &name("carol"), true, now).unwrap();
    alice.rename_group(&group, "those who stay", now).unwrap();
    alice.remove_from_group(&group, &names(&["alice"]), now).unwrap();
    settle(&mut net, 0);
    let info = net.hosts[2].client.group(&group).unwrap();
    assert_eq!((info.name.as_str(), info.members), ("those who stay", vec![(name("carol"), true)]));
    let unknown = GroupId::from_bytes([1; 16]);
    assert_eq!(net.hosts[0].client.rename_group(&unknown, "x", now), Err(ApiMisuse::NotFound.into()));
}

#[test]
fn a_user_who_does_not_exist_is_not_added() {
    let (mut net, group) = group_of(6, &["alice", "bob"]);
    net.hosts[0].client.add_to_group(&group, &names(&["nobody"]), net.now).unwrap();
    settle(&mut net, 0);
    assert!(net.saw(0, |event| matches!(event, Event::GroupRefused { .. })), "{:?}", net.hosts[0].events);
    write(&mut net, 0, group, "still fine");
    assert_eq!(read(&net, 1), said(&[("alice", "still fine")]));
}

#[test]
fn two_admins_at_once_both_get_their_way() {
    let (mut net, group) = group_of(7, &["alice", "bob", "carol", "dave"]);
    net.hosts[0].client.set_group_admin(&group, &name("bob"), true, net.now).unwrap();
    settle(&mut net, 0);
    net.hosts[0].client.remove_from_group(&group, &names(&["carol"]), net.now).unwrap();
    net.hosts[1].client.remove_from_group(&group, &names(&["dave"]), net.now).unwrap();
    net.drain(0);
    net.drain(1);
    net.run();
    for host in 0..2 {
        let members: Vec<_> = net.hosts[host].client.group(&group).unwrap().members;
        assert_eq!(members, [(name("alice"), true), (name("bob"), true)]);
    }
    write(&mut net, 1, group, "just us");
    assert_eq!(read(&net, 0), said(&[("bob", "just us")]));
}

#[test]
fn g3_the_lobby_is_open_to_whoever_comes() {
    let (mut net, closed) = group_of(8, &["alice", "bob"]);
    let lobby = net.hosts[0].client.create_group("lobby", true, net.now).unwrap();
    settle(&mut net, 0);
    let carol = net.register("carol", &Policy::default());
    assert!(net.saw(carol, |event| *event == Event::Lobby { group: lobby }), "{:?}", net.hosts[carol].events);
    assert!(net.hosts[carol].client.groups_told());
    net.hosts[carol].client.join_group(&lobby, net.now).unwrap();
    settle(&mut net, carol);
    assert!(net.saw(carol, |event| *event == Event::GroupJoined { group: lobby }), "{:?}", net.hosts[carol].events);
    assert!(net.hosts[carol].client.group(&lobby).unwrap().open);
    assert_eq!(net.hosts[carol].client.lobby(), Some(lobby), "also for who knows it");
    write(&mut net, carol, lobby, "is anybody there?");
    write(&mut net, 0, lobby, "welcome");
    assert_eq!(read(&net, 0), said(&[("carol", "is anybody there?")]));
    assert_eq!(read(&net, carol), said(&[("alice", "welcome")]));
    // A closed one does not show itself to strangers.
    net.hosts[carol].client.join_group(&closed, net.now).unwrap();
    settle(&mut net, carol);
    let refused = |event: &Event| matches!(event, Event::GroupRefused { group, .. } if *group == closed);
    assert!(net.saw(carol, refused), "{:?}", net.hosts[carol].events);
}

#[test]
fn members_who_are_away_get_everything_when_they_come_back() {
    let (mut net, group) = group_of(9, &["alice", "bob", "carol"]);
    net.cut(2);
    write(&mut net, 0, group, "one");
    let dave = net.register("dave", &Policy::default());
    net.hosts[0].client.add_to_group(&group, &names(&["dave"]), net.now).unwrap();
    settle(&mut net, 0);
    write(&mut net, dave, group, "two");
    net.hosts[0].client.remove_from_group(&group, &names(&["bob"]), net.now).unwrap();
    settle(&mut net, 0);
    write(&mut net, 0, group, "three");
    net.connect(2);
    net.run();
    // Each sender's in order; Dave's key came after what was under Alice's.
    let mut texts = read(&net, 2);
    texts.sort_by_key(|(from, _)| from.clone());
    assert_eq!(texts, said(&[("alice", "one"), ("alice", "three"), ("dave", "two")]));
    write(&mut net, 2, group, "back");
    assert_eq!(read(&net, dave).last(), said(&[("carol", "back")]).last());
    assert_eq!(read(&net, 1), said(&[("alice", "one"), ("dave", "two")]));
}

#[test]
fn what_is_written_without_a_connection_leaves_with_the_next() {
    let (mut net, group) = group_of(10, &["alice", "bob"]);
    net.cut(0);
    write(&mut net, 0, group, "later");
    assert_eq!(read(&net, 1).len(), 0);
    // Meanwhile somebody is added: the message is sealed for them too.
    net.connect(0);
    net.run();
    assert_eq!(read(&net, 1), said(&[("alice", "later")]));
    assert_eq!(net.hosts[0].client.unsent(), 0);
}

#[test]
fn g8_a_key_is_replaced_after_a_thousand_messages() {
    let (mut net, group) = group_of(11, &["alice", "bob"]);
    for number in 0..1_005_u32 {
        net.hosts[0].client.send_text(group, &number.to_string(), net.now).unwrap();
        net.drain(0);
    }
    net.run();
    let read = read(&net, 1);
    assert!(read.iter().map(|(_, text)| text.parse::<u32>().unwrap()).eq(0..1_005), "{}", read.len());
}

#[test]
fn what_no_entry_can_say_does_not_wait() {
    let (mut net, group) = group_of(19, &["alice", "bob"]);
    let now = net.now;
    let alice = &mut net.hosts[0].client;
    for wrong in [String::new(), "x".repeat(129)] {
        assert_eq!(alice.create_group(&wrong, false, now), Err(ApiMisuse::TooLarge.into()));
        assert_eq!(alice.rename_group(&group, &wrong, now), Err(ApiMisuse::TooLarge.into()));
    }
    assert_eq!(alice.add_to_group(&group, &names(&["carol", "carol"]), now), Err(ApiMisuse::TooLarge.into()));
    assert!(!alice.group(&group).unwrap().waits);
    alice.rename_group(&group, &"x".repeat(128), now).unwrap();
    settle(&mut net, 0);
    assert_eq!(net.hosts[1].client.group(&group).unwrap().name.len(), 128);
}
