//! Groups survive restarts, and restores begin new keys.

use super::{group_of, read, said, settle, write};
use securechat_core::client::History;
use securechat_core::event::Event;

#[test]
fn a_restart_between_any_two_messages_loses_nothing() {
    let (mut net, group) = group_of(31, &["alice", "bob", "carol"]);
    for round in 0..4 {
        for host in 0..3 {
            write(&mut net, host, group, &format!("{round} by {host}"));
            net.restart((host + round) % 3, History::Continued).unwrap();
            net.connect((host + round) % 3);
            net.run();
        }
    }
    for host in 0..3 {
        let texts = read(&net, host);
        let expected = (0..4).flat_map(|round| (0..3).map(move |other| (round, other)));
        let expected: Vec<_> =
            expected.filter(|(_, other)| *other != host).map(|(r, o)| format!("{r} by {o}")).collect();
        assert!(texts.iter().map(|(_, text)| text).eq(&expected), "{host}: {texts:?}");
    }
}

#[test]
fn b4_a_restored_state_sends_under_a_new_sender_key() {
    let (mut net, group) = group_of(32, &["alice", "bob"]);
    write(&mut net, 0, group, "one");
    let old = net.hosts[0].records.clone();
    write(&mut net, 0, group, "two");
    net.restart_from(0, old, History::Restored).unwrap();
    assert!(net.saw(0, |event| *event == Event::Restored));
    net.connect(0);
    net.run();
    write(&mut net, 0, group, "three");
    assert_eq!(read(&net, 1), said(&[("alice", "one"), ("alice", "two"), ("alice", "three")]));
    write(&mut net, 1, group, "four");
    assert_eq!(read(&net, 0).last(), said(&[("bob", "four")]).last());
}

#[test]
fn an_entry_that_nobody_answered_is_asked_for_again() {
    let (mut net, group) = group_of(33, &["alice", "bob"]);
    net.relay.failing = true;
    net.hosts[0].client.rename_group(&group, "others", net.now).unwrap();
    settle(&mut net, 0);
    assert!(net.hosts[0].client.group(&group).unwrap().waits);
    net.relay.failing = false;
    net.restart(0, History::Continued).unwrap();
    net.connect(0);
    net.run();
    net.advance(5_000);
    assert_eq!(net.hosts[1].client.group(&group).unwrap().name, "others");
    assert!(!net.hosts[0].client.group(&group).unwrap().waits);
}
