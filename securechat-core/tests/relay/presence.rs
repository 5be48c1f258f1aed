//! Who is there, and who is told.

use crate::support::*;
use securechat_core::wire::{FetchUsers, Presence, Push, Reply, Request, SetPresence, USERS_PER_PAGE, Users};

fn set(presence: Presence, watch: bool) -> Request {
    Request::SetPresence(SetPresence { presence, watch })
}

fn users(net: &mut Net, by: &Device, from: &str) -> Users {
    match net.request(by.conn(), &Request::Users(FetchUsers { from: from.into() })) {
        Ok(Reply::Users(users)) => users,
        other => panic!("{other:?}"),
    }
}

fn changes(net: &mut Net, device: &Device) -> Vec<(String, Presence)> {
    let changes = net.pushes(device.conn()).into_iter().filter_map(|push| match push {
        Push::Presence(changes) => Some(changes.changes),
        _ => None,
    });
    changes.flatten().map(|change| (change.user.to_string(), change.presence)).collect()
}

#[test]
fn who_watches_sees_others_come_and_go() {
    let mut net = Net::new();
    let alice = net.registered("alice", 1);
    net.pass(1_000);
    assert!(net.request(alice.conn(), &set(Presence::Online, true)).is_ok());
    let mut bob = net.registered("bob", 2);
    let carol = net.registered("carol", 3);
    assert!(net.pushes(alice.conn()).is_empty(), "changes are gathered for a second");
    net.pass(1_000);
    assert_eq!(changes(&mut net, &alice), [("bob".into(), Presence::Online), ("carol".into(), Presence::Online)]);
    assert!(net.pushes(carol.conn()).is_empty(), "who does not watch is not told");

    assert!(net.request(bob.conn(), &set(Presence::Away, false)).is_ok());
    net.pass(1_000);
    assert_eq!(changes(&mut net, &alice), [("bob".into(), Presence::Away)]);
    // Gone and back within the second: nothing to tell.
    net.disconnect(&mut bob);
    net.log_in(&mut bob);
    assert!(net.request(bob.conn(), &set(Presence::Away, false)).is_ok());
    net.pass(1_000);
    assert_eq!(changes(&mut net, &alice), []);
    net.disconnect(&mut bob);
    net.pass(1_000);
    assert_eq!(changes(&mut net, &alice), [("bob".into(), Presence::Offline)]);
    // Who does not want to be seen is not.
    net.log_in(&mut bob);
    assert!(net.request(bob.conn(), &set(Presence::Offline, true)).is_ok());
    net.pass(1_000);
    assert_eq!(changes(&mut net, &alice), []);
    let all: Vec<_> =
        users(&mut net, &carol, "").users.into_iter().map(|user| (user.user.to_string(), user.presence)).collect();
    let expected = [("alice", Presence::Online), ("bob", Presence::Offline), ("carol", Presence::Online)];
    assert_eq!(all, expected.map(|(user, presence)| (user.to_string(), presence)));
    assert!(net.request(alice.conn(), &set(Presence::Online, false)).is_ok());
    net.disconnect(&mut bob);
    net.pass(1_000);
    assert_eq!(changes(&mut net, &alice), []);
}

/// Online in a list of users, and gone before anything was pushed: the list must not be the last word.
#[test]
fn who_was_seen_in_a_list_is_seen_to_go() {
    let mut net = Net::new();
    let alice = net.registered("alice", 1);
    net.pass(1_000);
    assert!(net.request(alice.conn(), &set(Presence::Online, true)).is_ok());
    let mut bob = net.registered("bob", 2);
    assert_eq!(users(&mut net, &alice, "").users[1].presence, Presence::Online);
    net.disconnect(&mut bob);
    net.pass(1_000);
    assert_eq!(changes(&mut net, &alice), [("bob".into(), Presence::Offline)]);
}

#[test]
fn a_device_that_is_in_no_list_makes_nobody_appear() {
    let mut net = Net::new();
    let (mut alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    net.disconnect(&mut alice);
    let mut second = Device::new("alice", 5);
    net.log_in_by_password(&mut second);
    assert_eq!(users(&mut net, &bob, "").users[0].presence, Presence::Offline);
}

#[test]
fn many_users_come_in_pages() {
    use securechat_core::relay::{PasswordHash, Store, StoreJob};
    let mut net = Net::new();
    let alice = net.registered("alice", 1);
    let jobs: Vec<_> = (0..USERS_PER_PAGE)
        .map(|n| StoreJob::ImportAccount { user: name(&format!("user{n:04}")), password: PasswordHash::new("x") })
        .collect();
    net.store.run(&jobs);
    let first = users(&mut net, &alice, "");
    assert_eq!((first.users.len(), first.next.as_str()), (USERS_PER_PAGE, "user0510"));
    let second = users(&mut net, &alice, &first.next);
    assert_eq!((second.users.len(), second.next.as_str()), (1, ""));
}
