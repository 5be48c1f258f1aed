//! Rosters for tests, from names and small numbers.

use super::{Action, Entry, GroupId, Roster, SignedEntry};
use crate::identity::samples::{NOW, keys, name};

/// An entry of user `actor`, whose device has key `seed`, on top of `roster`.
pub(crate) fn entry(roster: &Roster, actor: &str, seed: u8, action: Action) -> SignedEntry {
    let entry = Entry {
        identity: keys(seed).identity(),
        group: roster.id(),
        previous: roster.hash(),
        sequence: roster.sequence() + 1,
        time: NOW,
        epoch: 0,
        actor: name(actor),
        action,
    };
    SignedEntry::sign(entry, &keys(seed).identity).unwrap()
}

/// The first entry of a group that `actor`, whose device has key `seed`, creates.
pub(crate) fn create(actor: &str, seed: u8, open: bool) -> SignedEntry {
    let entry = Entry {
        identity: keys(seed).identity(),
        group: GroupId::NONE,
        previous: [0; 32],
        sequence: 0,
        time: NOW,
        epoch: 0,
        actor: name(actor),
        action: Action::Create { name: "friends".into(), open, nonce: [seed; 16] },
    };
    SignedEntry::sign(entry, &keys(seed).identity).unwrap()
}

/// Adds these users.
pub(crate) fn add(users: &[&str]) -> Action {
    Action::Add { users: users.iter().map(|user| name(user)).collect() }
}

/// Removes these users.
pub(crate) fn remove(users: &[&str]) -> Action {
    Action::Remove { users: users.iter().map(|user| name(user)).collect() }
}

/// A group of alice, whose device has key 1, with these other members.
pub(crate) fn roster(others: &[&str], open: bool) -> Roster {
    let mut roster = Roster::create(&create("alice", 1, open)).unwrap();
    if !others.is_empty() {
        let next = entry(&roster, "alice", 1, add(others));
        roster.apply(&next).unwrap();
    }
    roster
}
