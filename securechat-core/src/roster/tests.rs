//! Who may do what in a group, and which entry follows which.

use super::samples::{add, create, entry, remove, roster};
use super::{Action, ENTRY_MAX, Entry, GroupId, Roster, SignedEntry};
use crate::codec;
use crate::crypto::label::Label;
use crate::error::{ApiMisuse, Error, InvalidMessage, PeerMisbehaved};
use crate::identity::samples::{NOW, OUT_OF_BOUNDS, keys, name, refuses_every_change};
use crate::identity::signed;
use crate::limits::{GROUP_MEMBERS, MEMBERSHIPS, OPEN_JOINS, ROSTER_ENTRIES, USERS_PER_ENTRY};

fn admin(user: &str, admin: bool) -> Action {
    Action::Admin { user: name(user), admin }
}

fn rename(to: &str) -> Action {
    Action::Rename { name: to.into() }
}

fn members(roster: &Roster) -> Vec<&str> {
    roster.members().map(|member| member.as_str()).collect()
}

fn apply(roster: &mut Roster, actor: &str, seed: u8, action: Action) -> Result<(), PeerMisbehaved> {
    let entry = entry(roster, actor, seed, action);
    let before = roster.clone();
    let outcome = roster.apply(&entry);
    assert!(outcome.is_ok() || *roster == before, "a failure changes nothing");
    outcome
}

#[test]
fn a_group_begins_with_its_creator_as_admin() {
    let first = create("alice", 1, false);
    let roster = Roster::create(&first).unwrap();
    assert_eq!((members(&roster), roster.is_admin(&name("alice"))), (vec!["alice"], true));
    assert_eq!((roster.sequence(), roster.hash(), roster.id()), (0, first.hash(), first.created_group()));
    assert_eq!((roster.name(), roster.is_open()), ("friends", false));
    assert_ne!(create("alice", 2, false).group(), first.group());
    assert_eq!(roster.id().to_string().parse(), Ok(roster.id()));
    for text in ["", "0", &"g".repeat(32), &"A".repeat(32), &"a".repeat(33), &format!("+{}", "a".repeat(31))] {
        assert_eq!(text.parse::<GroupId>(), Err(InvalidMessage::UnknownValue), "{text:?}");
    }
}

#[test]
fn members_come_and_go() {
    let mut group = roster(&["bob", "carol"], false);
    assert_eq!(members(&group), ["alice", "bob", "carol"]);
    apply(&mut group, "alice", 1, remove(&["bob"])).unwrap();
    apply(&mut group, "carol", 3, remove(&["carol"])).unwrap();
    apply(&mut group, "alice", 1, add(&["bob"])).unwrap();
    assert_eq!(members(&group), ["alice", "bob"]);
    // Entries: 1 adds bob and carol, 2 removes bob, 3 carol, 4 adds bob.
    let was = |user, at| group.was_member_at(&name(user), at);
    assert_eq!([0, 1, 2, 3, 4].map(|at| was("bob", at)), [false, true, false, false, true]);
    assert_eq!([0, 1, 2, 3, 4].map(|at| was("carol", at)), [false, true, true, false, false]);
    assert_eq!([0, 1, 2, 3, 4].map(|at| group.removal_after(at)), [Some(2), Some(2), Some(3), None, None]);
    assert!(group.was_member(&name("carol")) && !group.was_member(&name("dave")));
}

#[test]
fn d1_only_admins_change_members_except_who_leaves() {
    for action in
        [add(&["dave"]), remove(&["carol"]), remove(&["alice"]), admin("bob", true), rename("x"), Action::Epoch]
    {
        let mut group = roster(&["bob", "carol"], false);
        assert_eq!(apply(&mut group, "bob", 2, action.clone()), Err(PeerMisbehaved::RosterEntry), "{action:?}");
        assert_eq!(apply(&mut group, "mallory", 9, action), Err(PeerMisbehaved::RosterEntry));
    }
    let mut group = roster(&["bob", "carol"], false);
    assert_eq!(apply(&mut group, "bob", 2, remove(&["bob", "carol"])), Err(PeerMisbehaved::RosterEntry));
    assert_eq!(apply(&mut group, "bob", 2, remove(&["bob"])), Ok(()));
    assert_eq!(apply(&mut group, "mallory", 9, add(&["mallory"])), Err(PeerMisbehaved::RosterEntry), "not open");
}

#[test]
fn g3_anyone_comes_into_an_open_group_but_alone() {
    let mut group = roster(&[], true);
    assert!(group.is_open());
    assert_eq!(apply(&mut group, "mallory", 9, add(&["mallory", "eve"])), Err(PeerMisbehaved::RosterEntry));
    assert_eq!(apply(&mut group, "mallory", 9, add(&["eve"])), Err(PeerMisbehaved::RosterEntry));
    assert_eq!(apply(&mut group, "mallory", 9, add(&["mallory"])), Ok(()));
    assert_eq!(
        apply(&mut group, "mallory", 9, add(&["mallory"])),
        Err(PeerMisbehaved::RosterEntry),
        "a member already"
    );
    assert_eq!(apply(&mut group, "mallory", 9, remove(&["alice"])), Err(PeerMisbehaved::RosterEntry));
}

/// ATTACKS.md D3: who comes and goes fills no log, which nobody could leave and nobody be removed from then.
#[test]
fn d3_nobody_fills_the_log_of_an_open_group_alone() {
    let mut group = roster(&[], true);
    for _ in 0..OPEN_JOINS {
        apply(&mut group, "mallory", 9, add(&["mallory"])).unwrap();
        apply(&mut group, "mallory", 9, remove(&["mallory"])).unwrap();
    }
    assert_eq!(apply(&mut group, "mallory", 9, add(&["mallory"])), Err(PeerMisbehaved::RosterEntry));
    assert_eq!(apply(&mut group, "bob", 2, add(&["bob"])), Ok(()));
    assert_eq!(apply(&mut group, "alice", 1, add(&["mallory"])), Ok(()), "an admin may");
}

#[test]
fn a_group_keeps_an_admin_as_long_as_it_has_members() {
    let mut group = roster(&["bob"], false);
    assert_eq!(apply(&mut group, "alice", 1, remove(&["alice"])), Err(PeerMisbehaved::RosterEntry));
    assert_eq!(apply(&mut group, "alice", 1, admin("alice", false)), Err(PeerMisbehaved::RosterEntry));
    apply(&mut group, "alice", 1, admin("bob", true)).unwrap();
    assert_eq!(apply(&mut group, "alice", 1, admin("bob", true)), Err(PeerMisbehaved::RosterEntry), "no news");
    assert_eq!(apply(&mut group, "alice", 1, admin("carol", true)), Err(PeerMisbehaved::RosterEntry), "no member");
    apply(&mut group, "alice", 1, remove(&["alice"])).unwrap();
    assert_eq!((members(&group), group.is_admin(&name("alice"))), (vec!["bob"], false));
    apply(&mut group, "bob", 2, remove(&["bob"])).unwrap();
    assert_eq!(members(&group).len(), 0);
    assert_eq!(apply(&mut group, "bob", 2, add(&["bob"])), Err(PeerMisbehaved::RosterEntry), "nobody is an admin");
    // Not even an open one: who came would be in a group of which nobody is an admin, ever.
    let mut group = roster(&[], true);
    apply(&mut group, "alice", 1, remove(&["alice"])).unwrap();
    assert_eq!(apply(&mut group, "bob", 2, add(&["bob"])), Err(PeerMisbehaved::RosterEntry));
}

#[test]
fn an_entry_counts_at_its_own_place_only() {
    let mut group = roster(&["bob"], false);
    let good = entry(&group, "alice", 1, rename("one"));
    let other_group = Roster::create(&create("alice", 2, false)).unwrap();
    let strays = [
        Entry { group: other_group.id(), ..good.entry().clone() },
        Entry { previous: [7; 32], ..good.entry().clone() },
        Entry { sequence: 1, ..good.entry().clone() },
        Entry { sequence: 3, ..good.entry().clone() },
    ];
    for stray in strays {
        let stray = SignedEntry::sign(stray, &keys(1).identity).unwrap();
        assert_eq!(group.check(&stray), Err(PeerMisbehaved::RosterOrder));
    }
    let twin = entry(&group, "alice", 1, rename("two"));
    group.apply(&good).unwrap();
    assert_eq!(group.check(&good), Err(PeerMisbehaved::RosterOrder), "a second time");
    assert_eq!(group.check(&twin), Err(PeerMisbehaved::RosterOrder), "two for one place");
    let again = create("alice", 1, false);
    assert_eq!(group.check(&again), Err(PeerMisbehaved::RosterOrder));
    let first = Entry { action: rename("x"), ..again.entry().clone() };
    let not_first = Entry { previous: [1; 32], ..again.entry().clone() };
    for entry in [first, not_first] {
        let entry = SignedEntry::sign(entry, &keys(1).identity).unwrap();
        assert_eq!(Roster::create(&entry), Err(PeerMisbehaved::RosterEntry));
    }
    assert_eq!(apply(&mut group, "alice", 1, again.entry().action.clone()), Err(PeerMisbehaved::RosterEntry));
}

#[test]
fn g2_the_epoch_of_an_actor_never_falls() {
    let mut group = roster(&["bob"], false);
    let at = |roster: &Roster, epoch, action| {
        let body = Entry { epoch, ..entry(roster, "alice", 1, action).entry().clone() };
        SignedEntry::sign(body, &keys(1).identity).unwrap()
    };
    assert_eq!(group.check(&at(&group, 0, Action::Epoch)), Err(PeerMisbehaved::RosterEntry), "no news");
    let next = at(&group, 3, Action::Epoch);
    group.apply(&next).unwrap();
    assert_eq!(group.check(&at(&group, 2, rename("x"))), Err(PeerMisbehaved::RosterEntry));
    assert_eq!(group.check(&at(&group, 3, rename("x"))), Ok(()));
    apply(&mut group, "bob", 2, remove(&["bob"])).unwrap();
}

#[test]
fn c3_members_memberships_and_entries_are_bounded() {
    let mut group = roster(&[], false);
    let mut fresh = 0;
    let mut some = |count: usize| {
        fresh += count;
        Action::Add { users: (fresh - count..fresh).map(|number| name(&format!("user{number}"))).collect() }
    };
    while members(&group).len() + USERS_PER_ENTRY <= GROUP_MEMBERS {
        apply(&mut group, "alice", 1, some(USERS_PER_ENTRY)).unwrap();
    }
    let room = GROUP_MEMBERS - members(&group).len();
    assert_eq!(apply(&mut group, "alice", 1, some(room + 1)), Err(PeerMisbehaved::RosterEntry));
    apply(&mut group, "alice", 1, some(room)).unwrap();
    while group.sequence() < ROSTER_ENTRIES - 1 {
        let sequence = group.sequence();
        apply(&mut group, "alice", 1, rename(&sequence.to_string())).unwrap();
    }
    let over = Entry { sequence: ROSTER_ENTRIES, ..create("alice", 1, false).entry().clone() };
    assert_eq!(SignedEntry::sign(over, &keys(1).identity), Err(ApiMisuse::TooLarge));
    group.sequence -= 1;
    group.stays.insert(name("often"), vec![super::Stay { from: 1, until: Some(2) }; MEMBERSHIPS]);
    assert!(!group.permits(&name("alice"), 0, &add(&["once"])));
}

#[test]
fn entries_are_read_and_written() {
    let group = roster(&["bob"], false);
    let entry = entry(&group, "alice", 1, add(&["carol", "dave"]));
    let again = SignedEntry::decode(entry.bytes()).unwrap();
    assert_eq!(again, entry);
    assert_eq!(codec::decode::<SignedEntry>(&codec::encode(&entry)), Ok(entry.clone()));
    assert_eq!(codec::decode::<Roster>(&codec::encode(&group)), Ok(group));
    refuses_every_change(entry.bytes(), SignedEntry::decode);
}

#[test]
fn the_longest_entry_is_as_long_as_said() {
    let longest = |user: usize| name(&format!("{user:032}"));
    let entry = Entry {
        identity: keys(1).identity(),
        group: GroupId::NONE,
        previous: [0; 32],
        sequence: ROSTER_ENTRIES - 1,
        time: u64::MAX,
        epoch: 4_095,
        actor: longest(99),
        action: Action::Add { users: (0..USERS_PER_ENTRY).map(longest).collect() },
    };
    assert_eq!(SignedEntry::sign(entry, &keys(1).identity).unwrap().bytes().len(), ENTRY_MAX);
}

#[test]
fn entries_out_of_bounds_are_refused() {
    let base = create("alice", 1, false).entry().clone();
    let many = |count: usize| (0..count).map(|user| name(&format!("user{user}"))).collect::<Vec<_>>();
    let beyond = [
        Entry { action: Action::Rename { name: String::new() }, ..base.clone() },
        Entry { action: Action::Rename { name: "a".repeat(129) }, ..base.clone() },
        Entry { action: Action::Create { name: String::new(), open: true, nonce: [0; 16] }, ..base.clone() },
        Entry { action: Action::Add { users: vec![] }, ..base.clone() },
        Entry { action: Action::Remove { users: many(USERS_PER_ENTRY + 1) }, ..base.clone() },
        Entry { epoch: 4_096, ..base.clone() },
        Entry { sequence: ROSTER_ENTRIES, ..base.clone() },
    ];
    let decode = |entry: &Entry| {
        let bytes = signed::sign(Label::ROSTER, &codec::encode(entry), &keys(1).identity).unwrap();
        SignedEntry::decode(&bytes)
    };
    for entry in beyond {
        assert_eq!(decode(&entry), Err(OUT_OF_BOUNDS), "{entry:?}");
        assert_eq!(SignedEntry::sign(entry, &keys(1).identity), Err(ApiMisuse::TooLarge));
    }
    let twice = Entry { action: add(&["bob", "carol", "bob"]), time: NOW, ..base };
    assert_eq!(decode(&twice), Err(Error::from(PeerMisbehaved::RosterEntry)));
}

/// ATTACKS.md D1: an entry signed by another key than the one it names is nobody's.
#[test]
fn d1_an_entry_counts_under_its_own_key_and_label_only() {
    let group = roster(&["bob"], false);
    let body = codec::encode(entry(&group, "alice", 1, rename("x")).entry());
    for (label, seed) in [(Label::ROSTER, 2), (Label::DEVICE_LIST, 1)] {
        let forged = signed::sign(label, &body, &keys(seed).identity).unwrap();
        assert_eq!(SignedEntry::decode(&forged), Err(PeerMisbehaved::BadSignature.into()));
    }
}
