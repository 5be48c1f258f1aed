//! A lobby: who comes in reads what is said from then on, and it is there after a restart.

use crate::support::*;
use securechat_core::roster::{Action, Entry, GroupId, Roster, SignedEntry};
use securechat_core::wire::{
    EnvelopeId, FetchGroups, FetchLog, GroupEntry, Recipient, Reply, Request, Send, SendItem, SendOutcome,
};
use securechat_server::{Config, Server};

/// The entry that creates an open group, or adds its actor to one.
fn entry(device: &Device, before: Option<&Roster>) -> SignedEntry {
    let entry = Entry {
        identity: device.identity(),
        group: before.map_or(GroupId::NONE, Roster::id),
        previous: before.map_or([0; 32], Roster::hash),
        sequence: before.map_or(0, |before| before.sequence() + 1),
        time: now(),
        epoch: 0,
        actor: device.user.clone(),
        action: match before {
            None => Action::Create { name: "lobby".into(), open: true, nonce: [1; 16] },
            Some(_) => Action::Add { users: vec![device.user.clone()] },
        },
    };
    SignedEntry::sign(entry, &device.local.keys.identity).unwrap()
}

fn put(client: &mut Client, entry: &SignedEntry) {
    let request = Request::GroupEntry(GroupEntry { entry: entry.bytes().into() });
    assert!(matches!(client.request(&request), Ok(Reply::GroupEntry(_))));
}

fn says(client: &mut Client, group: GroupId, id: u8, text: &[u8]) {
    let (id, recipient) = (EnvelopeId([id; 16]), Recipient::Group(group));
    let items = vec![SendItem { id, recipient, transient: false, envelope: text.into() }];
    match client.request(&Request::Send(Send { items })) {
        Ok(Reply::Send(sent)) => assert_eq!(sent.results[0].outcome, SendOutcome::Taken),
        other => panic!("{other:?}"),
    }
}

/// The roster of the group that is offered as the lobby.
fn lobby(client: &mut Client) -> Roster {
    let Ok(Reply::Groups(groups)) = client.request(&Request::Groups(FetchGroups { from: GroupId::NONE })) else {
        panic!("no groups")
    };
    let head = groups.lobby.unwrap();
    let Ok(Reply::GroupLog(log)) = client.request(&Request::GroupLog(FetchLog { group: head.group, from: 0 })) else {
        panic!("no log")
    };
    let mut entries = log.entries.iter().map(|entry| SignedEntry::decode(entry).unwrap());
    let mut roster = Roster::create(&entries.next().unwrap()).unwrap();
    entries.for_each(|entry| roster.apply(&entry).unwrap());
    assert_eq!((roster.id(), roster.sequence(), roster.hash()), (head.group, head.sequence, head.hash));
    roster
}

#[test]
fn a_lobby_is_there_after_a_restart() {
    for memory_mailboxes in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let start = || Server::start(Config { lobby: true, memory_mailboxes, ..config(folder.path()) }).unwrap();
        let (alice, bob) = (Device::new("alice", 1), Device::new("bob", 2));
        let server = start();
        let mut alices = Client::registered(server.address(), &alice);
        let mut bobs = Client::registered(server.address(), &bob);
        let first = entry(&alice, None);
        put(&mut alices, &first);
        says(&mut alices, first.group(), 1, b"nobody there?");
        let roster = lobby(&mut bobs);
        put(&mut bobs, &entry(&bob, Some(&roster)));
        says(&mut bobs, roster.id(), 1, b"me");
        assert_eq!(&alices.delivered().envelope[..], b"me");
        says(&mut alices, roster.id(), 2, b"welcome");
        assert_eq!(&bobs.delivered().envelope[..], b"welcome");
        server.shutdown().unwrap();
        let server = start();
        let mut bobs = Client::logged_in(server.address(), &bob);
        if !memory_mailboxes {
            assert_eq!(&bobs.delivered().envelope[..], b"welcome", "it was not acknowledged");
        }
        assert!(lobby(&mut bobs).is_member(&alice.user));
        let mut alices = Client::logged_in(server.address(), &alice);
        says(&mut alices, roster.id(), 3, b"still here");
        assert_eq!(&bobs.delivered().envelope[..], b"still here");
        server.shutdown().unwrap();
    }
}
