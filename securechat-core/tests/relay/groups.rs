//! Groups: logs that only grow by the rules, and envelopes for everyone in them.

use crate::support::*;
use securechat_core::identity::{SignedDeviceList, UserName};
use securechat_core::limits::{
    ENVELOPES_PER_TOKEN, GROUP_ENVELOPES_PER_SEND, GROUP_MEMBERS, GROUPS_PER_USER, Limits, Rate,
};
use securechat_core::relay::{RelayEvent, Store, StoreJob, StoreResult};
use securechat_core::roster::{Action, Entry, GroupId, Roster, SignedEntry};
use securechat_core::wire::{
    Bytes, Deliver, ENTRIES_PER_PAGE, EnvelopeId, FetchGroups, FetchLog, GROUPS_PER_PAGE, GroupEntry, GroupHead,
    Groups, Log, PublishList, Push, Recipient, RefusalCode, Reply, Request, Send, SendItem, SendOutcome,
};

/// The first entry of a group.
fn create(device: &Device, open: bool, nonce: u8) -> SignedEntry {
    let action = Action::Create { name: "friends".into(), open, nonce: [nonce; 16] };
    let (group, previous) = (GroupId::NONE, [0; 32]);
    signed(device, Entry { group, previous, sequence: 0, ..entry(device, action) })
}

/// An entry on top of a roster.
fn next(roster: &Roster, device: &Device, action: Action) -> SignedEntry {
    let (group, previous) = (roster.id(), roster.hash());
    signed(device, Entry { group, previous, sequence: roster.sequence() + 1, ..entry(device, action) })
}

fn entry(device: &Device, action: Action) -> Entry {
    let (identity, actor) = (device.identity(), device.user.clone());
    Entry { identity, group: GroupId::NONE, previous: [0; 32], sequence: 0, time: NOW, epoch: 0, actor, action }
}

fn signed(device: &Device, entry: Entry) -> SignedEntry {
    SignedEntry::sign(entry, &device.local.keys.identity).unwrap()
}

fn put(entry: &SignedEntry) -> Request {
    Request::GroupEntry(GroupEntry { entry: entry.bytes().into() })
}

fn users(names: &[&str]) -> Vec<UserName> {
    names.iter().map(|user| name(user)).collect()
}

fn add(names: &[&str]) -> Action {
    Action::Add { users: users(names) }
}

fn remove(names: &[&str]) -> Action {
    Action::Remove { users: users(names) }
}

#[track_caller]
fn does(net: &mut Net, device: &Device, roster: &mut Roster, action: Action) {
    let entry = next(roster, device, action);
    assert!(matches!(net.request(device.conn(), &put(&entry)), Ok(Reply::GroupEntry(_))));
    roster.apply(&entry).unwrap();
}

/// A group of a device's user and these.
fn group(net: &mut Net, device: &Device, others: &[&str]) -> Roster {
    let first = create(device, false, 1);
    assert!(matches!(net.request(device.conn(), &put(&first)), Ok(Reply::GroupEntry(_))));
    let mut roster = Roster::create(&first).unwrap();
    if !others.is_empty() {
        does(net, device, &mut roster, add(others));
    }
    roster
}

/// Another device of a user, listed and logged in.
fn second(net: &mut Net, first: &Device, seed: u64) -> (Device, SignedDeviceList) {
    let mut device = Device::new(first.user.as_str(), seed);
    net.log_in_by_password(&mut device);
    let proposal = first.first_list().propose_add(&device.local.keys.identity).unwrap();
    let list = proposal.countersign(&first.first_list(), &first.local.keys.identity).unwrap();
    let publish = Request::PublishList(PublishList { list: list.bytes().into() });
    assert!(matches!(net.request(first.conn(), &publish), Ok(Reply::PublishList(_))));
    (device, list)
}

fn item_to(roster: &Roster, id: u8, envelope: &[u8]) -> SendItem {
    let recipient = Recipient::Group(roster.id());
    SendItem { id: EnvelopeId([id; 16]), recipient, transient: false, envelope: envelope.into() }
}

fn texts(delivered: Vec<Deliver>) -> Vec<Vec<u8>> {
    delivered.iter().map(|deliver| deliver.envelope.to_vec()).collect()
}

fn log(net: &mut Net, device: &Device, group: GroupId, from: u32) -> Result<Log, RefusalCode> {
    match net.request(device.conn(), &Request::GroupLog(FetchLog { group, from })) {
        Ok(Reply::GroupLog(log)) => Ok(log),
        Err(refusal) => Err(refusal.code),
        other => panic!("{other:?}"),
    }
}

fn groups(net: &mut Net, device: &Device, from: GroupId) -> Groups {
    match net.request(device.conn(), &Request::Groups(FetchGroups { from })) {
        Ok(Reply::Groups(groups)) => groups,
        other => panic!("{other:?}"),
    }
}

fn head(roster: &Roster) -> GroupHead {
    GroupHead { group: roster.id(), sequence: roster.sequence(), hash: roster.hash() }
}

/// What changes of groups a device was told of.
fn changes(net: &mut Net, device: &Device) -> Vec<GroupHead> {
    let change = |push| if let Push::GroupChanged(head) = push { Some(head) } else { None };
    net.pushes(device.conn()).into_iter().filter_map(change).collect()
}

#[test]
fn a_group_talks() {
    let mut net = Net::new();
    let (alice, bob, carol) = (net.registered("alice", 1), net.registered("bob", 2), net.registered("carol", 3));
    let (tablet, _) = second(&mut net, &alice, 4);
    let roster = {
        // Her list has another epoch now, under which she signs.
        let action = Action::Create { name: "friends".into(), open: false, nonce: [1; 16] };
        let first = signed(&alice, Entry { epoch: 1, ..entry(&alice, action) });
        assert!(net.request(alice.conn(), &put(&first)).is_ok());
        let mut roster = Roster::create(&first).unwrap();
        let mut more = entry(&alice, add(&["bob"]));
        (more.group, more.previous, more.sequence, more.epoch) = (roster.id(), roster.hash(), 1, 1);
        let more = signed(&alice, more);
        assert!(net.request(alice.conn(), &put(&more)).is_ok());
        roster.apply(&more).unwrap();
        roster
    };
    for device in [&alice, &bob, &carol, &tablet] {
        net.pushes(device.conn());
    }
    let results = net.send(&alice, vec![item_to(&roster, 1, b"hello")]);
    assert_eq!((results[0].outcome, results[0].epoch), (SendOutcome::Taken, 1));
    for device in [&bob, &tablet] {
        let got = net.delivered(device.conn());
        assert_eq!((got.len(), got[0].sender, got[0].user.as_str()), (1, alice.identity(), "alice"));
        assert_eq!((&*got[0].envelope, got[0].sent_at, got[0].transient), (&b"hello"[..], net.now, false));
        net.acknowledge(device, &got);
    }
    assert!(net.delivered(alice.conn()).is_empty(), "not to the device that sent it");
    assert!(net.delivered(carol.conn()).is_empty(), "nor to who is no member");
    let routed = |event: &RelayEvent| matches!(event, RelayEvent::RoutedToGroup { devices: 2, bytes: 5, transient: false, group, .. } if *group == roster.id());
    assert!(net.events.iter().any(routed));
    // What nobody is a member of, and what is no group, look the same.
    let nowhere = SendItem { recipient: Recipient::Group(GroupId::from_bytes([7; 16])), ..item_to(&roster, 2, b"x") };
    let results = net.send(&carol, vec![item_to(&roster, 1, b"forged"), nowhere]);
    assert!(results.iter().all(|result| (result.outcome, result.epoch) == (SendOutcome::Unknown, 0)));
    assert!(net.delivered(bob.conn()).is_empty());
}

#[test]
fn what_is_for_a_group_and_for_devices_comes_in_its_order() {
    let mut net = Net::new();
    let (alice, mut bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let roster = group(&mut net, &alice, &["bob"]);
    net.disconnect(&mut bob);
    net.hold_jobs = true;
    for id in 0..30 {
        let to = if id % 3 == 0 { item(&bob, id, &[id]) } else { item_to(&roster, id, &[id]) };
        net.ask(alice.conn(), &Request::Send(Send { items: vec![to] }));
        if id == 10 {
            let conn = net.connect();
            let request = bob.log_in_device(&net.bindings[&conn]);
            net.ask(conn, &request);
            bob.conn = Some(conn);
        }
    }
    net.hold_jobs = false;
    net.run();
    let items =
        vec![item(&bob, 40, &[30]), item_to(&roster, 41, &[31]), item(&bob, 42, &[32]), item_to(&roster, 43, &[33])];
    assert!(net.send(&alice, items).iter().all(|result| result.outcome == SendOutcome::Taken));
    let got: Vec<u8> = net.delivered(bob.conn()).iter().map(|deliver| deliver.envelope[0]).collect();
    assert_eq!(got, (0..34).collect::<Vec<u8>>());
    // All of it again, from the first on.
    net.log_in(&mut bob);
    let got: Vec<u8> = net.delivered(bob.conn()).iter().map(|deliver| deliver.envelope[0]).collect();
    assert_eq!(got, (0..34).collect::<Vec<u8>>());
}

#[test]
fn a_repeated_send_to_a_group_is_stored_once() {
    let mut net = Net::new();
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let mut roster = group(&mut net, &alice, &["bob"]);
    for _ in 0..3 {
        assert_eq!(net.send(&alice, vec![item_to(&roster, 1, b"once")])[0].outcome, SendOutcome::Taken);
    }
    assert_eq!(net.delivered(bob.conn()).len(), 1);
    // Who came meanwhile gets it, the others do not again.
    let carol = net.registered("carol", 3);
    does(&mut net, &alice, &mut roster, add(&["carol"]));
    assert_eq!(net.send(&alice, vec![item_to(&roster, 1, b"once")])[0].outcome, SendOutcome::Taken);
    assert!(net.delivered(bob.conn()).is_empty());
    assert_eq!(net.delivered(carol.conn()).len(), 1);
}

#[test]
fn who_was_removed_gets_nothing_from_the_next_message_on() {
    let mut net = Net::new();
    let (alice, bob, mut carol) = (net.registered("alice", 1), net.registered("bob", 2), net.registered("carol", 3));
    let mut roster = group(&mut net, &alice, &["bob", "carol"]);
    // Both are under way when the removal is.
    net.hold_jobs = true;
    net.ask(alice.conn(), &Request::Send(Send { items: vec![item_to(&roster, 1, b"before")] }));
    let entry = next(&roster, &alice, remove(&["carol"]));
    net.ask(alice.conn(), &put(&entry));
    net.hold_jobs = false;
    net.run();
    roster.apply(&entry).unwrap();
    assert_eq!(net.send(&alice, vec![item_to(&roster, 2, b"after")])[0].epoch, 2);
    assert_eq!(texts(net.delivered(carol.conn())), [b"before"]);
    assert_eq!(texts(net.delivered(bob.conn())), [&b"before"[..], b"after"]);
    net.log_in(&mut carol);
    assert_eq!(texts(net.delivered(carol.conn())), [b"before"]);
    assert_eq!(net.send(&carol, vec![item_to(&roster, 3, b"me too")])[0].outcome, SendOutcome::Unknown);
    // A device that leaves its user's list is in no group either.
    let (tablet, list) = second(&mut net, &bob, 5);
    let shorter = list.without(&[tablet.identity()], &bob.local.keys.identity).unwrap();
    net.send(&alice, vec![item_to(&roster, 4, b"both")]);
    assert_eq!((net.delivered(bob.conn()).len(), net.delivered(tablet.conn()).len()), (1, 1));
    assert!(net.request(bob.conn(), &Request::PublishList(PublishList { list: shorter.bytes().into() })).is_ok());
    net.send(&alice, vec![item_to(&roster, 5, b"one")]);
    assert_eq!((net.delivered(bob.conn()).len(), net.delivered(tablet.conn()).len()), (1, 0));
}

#[test]
fn a_full_mailbox_keeps_a_message_from_no_other_member() {
    let mut limits = Limits::default();
    limits.mailbox_envelopes = 2;
    let mut net = Net::with(limits, |_| {});
    let (alice, mut bob, carol) = (net.registered("alice", 1), net.registered("bob", 2), net.registered("carol", 3));
    let roster = group(&mut net, &alice, &["bob", "carol"]);
    net.disconnect(&mut bob);
    for id in 1..=3 {
        let sent = net.send(&alice, vec![item_to(&roster, id, &[id])]);
        assert_eq!((sent[0].outcome, sent[0].epoch), (SendOutcome::Taken, 1), "whose mailbox is full does not show");
        let got = net.delivered(carol.conn());
        assert_eq!(texts(got.clone()), [[id]]);
        net.acknowledge(&carol, &got);
    }
    net.log_in(&mut bob);
    assert_eq!(texts(net.delivered(bob.conn())), [[1], [2]]);
}

#[test]
fn transient_envelopes_for_a_group_are_never_stored() {
    let mut net = Net::new();
    let (alice, bob, mut carol) = (net.registered("alice", 1), net.registered("bob", 2), net.registered("carol", 3));
    let roster = group(&mut net, &alice, &["bob", "carol"]);
    net.disconnect(&mut carol);
    let typing = SendItem { transient: true, ..item_to(&roster, 1, b"typing") };
    assert_eq!(net.send(&alice, vec![typing.clone()])[0].outcome, SendOutcome::Taken);
    let got = net.delivered(bob.conn());
    assert_eq!((got.len(), got[0].transient), (1, true));
    net.log_in(&mut carol);
    assert!(net.delivered(carol.conn()).is_empty());
    let mallory = net.registered("mallory", 9);
    assert_eq!(net.send(&mallory, vec![typing])[0].outcome, SendOutcome::Unknown);
    assert!(net.delivered(bob.conn()).is_empty());
}

#[test]
fn members_are_told_of_every_entry_and_so_is_who_it_removes() {
    let mut net = Net::new();
    let (alice, bob, carol) = (net.registered("alice", 1), net.registered("bob", 2), net.registered("carol", 3));
    let (tablet, _) = second(&mut net, &bob, 4);
    let mallory = net.registered("mallory", 5);
    let mut unlisted = Device::new("carol", 6);
    net.log_in_by_password(&mut unlisted);
    let mut roster = group(&mut net, &alice, &["bob"]);
    let added = head(&roster);
    does(&mut net, &alice, &mut roster, add(&["carol"]));
    let all = [added, head(&roster)];
    does(&mut net, &alice, &mut roster, remove(&["bob"]));
    let removed = head(&roster);
    does(&mut net, &alice, &mut roster, Action::Rename { name: "fewer".into() });
    for device in [&bob, &tablet] {
        assert_eq!(changes(&mut net, device), [all[0], all[1], removed]);
    }
    assert_eq!(changes(&mut net, &carol), [all[1], removed, head(&roster)]);
    for device in [&alice, &mallory, &unlisted] {
        assert!(changes(&mut net, device).is_empty(), "who asked, who is no member, and who is not listed");
    }
    // A name is nothing for a log.
    let last = RelayEvent::GroupChanged {
        group: roster.id(),
        sequence: 4,
        action: 4,
        user: name("alice"),
        identity: alice.identity(),
    };
    assert_eq!(net.events.iter().filter(|event| matches!(event, RelayEvent::GroupChanged { .. })).count(), 5);
    assert!(net.events.contains(&last) && !format!("{:?}", net.events).contains("fewer"));
}

/// 10.1: what is wrong first is said first.
#[test]
fn an_entry_is_refused_for_the_first_thing_that_is_wrong() {
    let mut limits = Limits::default();
    limits.publish_rate = Rate::new(40, 1_000_000_000);
    let mut net = Net::with(limits, |_| {});
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let mut tablet = Device::new("alice", 4);
    net.log_in_by_password(&mut tablet);
    let mut roster = group(&mut net, &alice, &["bob"]);
    let good = next(&roster, &alice, Action::Rename { name: "new".into() });
    let broken = Request::GroupEntry(GroupEntry { entry: Bytes::from(&good.bytes()[1..]) });
    // A device that is not listed, before what it sends is looked at.
    assert_eq!(net.refused(tablet.conn(), &broken), RefusalCode::NotAllowed);
    assert_eq!(net.refused(alice.conn(), &broken), RefusalCode::Malformed);
    let mut forged = good.bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let forged = Request::GroupEntry(GroupEntry { entry: forged.into() });
    assert_eq!(net.refused(alice.conn(), &forged), RefusalCode::Malformed);
    // Somebody else's, good as it is; then one in somebody else's name.
    assert_eq!(net.refused(bob.conn(), &put(&good)), RefusalCode::NotAllowed);
    let as_alice = signed(&bob, Entry { actor: name("alice"), ..good.entry().clone() });
    assert_eq!(net.refused(bob.conn(), &put(&as_alice)), RefusalCode::Malformed, "not the key that is named");
    let as_alice = signed(&bob, Entry { identity: bob.identity(), actor: name("alice"), ..good.entry().clone() });
    assert_eq!(net.refused(bob.conn(), &put(&as_alice)), RefusalCode::NotAllowed);
    // An epoch that is not the current one, before the order; the order before the rules.
    let with = |change: &dyn Fn(&mut Entry)| {
        let mut body = good.entry().clone();
        change(&mut body);
        put(&signed(&alice, body))
    };
    assert_eq!(net.refused(alice.conn(), &with(&|e| (e.epoch, e.sequence) = (1, 3))), RefusalCode::EntryRefused);
    for change in [
        |e: &mut Entry| e.sequence = 3,
        |e: &mut Entry| e.sequence = 1,
        |e: &mut Entry| e.previous = [1; 32],
        |e: &mut Entry| (e.previous, e.action) = ([1; 32], Action::Rename { name: "friends".into() }),
    ] {
        assert_eq!(net.refused(alice.conn(), &with(&change)), RefusalCode::EntryOutdated);
    }
    let nothing_new = with(&|e| e.action = Action::Rename { name: "friends".into() });
    assert_eq!(net.refused(alice.conn(), &nothing_new), RefusalCode::EntryRefused);
    let by_bob = next(&roster, &bob, add(&["carol"]));
    assert_eq!(net.refused(bob.conn(), &put(&by_bob)), RefusalCode::EntryRefused);
    // Of a group that is not there, and a beginning that is none.
    let elsewhere = with(&|e| e.group = GroupId::from_bytes([9; 16]));
    assert_eq!(net.refused(alice.conn(), &elsewhere), RefusalCode::EntryRefused);
    let beginning = with(&|e| (e.group, e.previous, e.sequence) = (GroupId::NONE, [0; 32], 0));
    assert_eq!(net.refused(alice.conn(), &beginning), RefusalCode::EntryRefused);
    let named = signed(&alice, Entry { group: roster.id(), ..create(&alice, false, 2).entry().clone() });
    assert_eq!(net.refused(alice.conn(), &put(&named)), RefusalCode::EntryRefused);
    assert_eq!(net.refused(alice.conn(), &put(&next(&roster, &alice, add(&["nobody"])))), RefusalCode::UnknownUser);
    assert_eq!(log(&mut net, &alice, roster.id(), 0).unwrap().sequence, 1, "nothing of all that was done");
    // What is good is taken, and again without effect; what follows it is needed then.
    does(&mut net, &alice, &mut roster, Action::Rename { name: "new".into() });
    net.pushes(bob.conn());
    for again in [&good, &create(&alice, false, 1)] {
        assert!(matches!(net.request(alice.conn(), &put(again)), Ok(Reply::GroupEntry(_))));
    }
    assert!(net.pushes(bob.conn()).is_empty());
    let late = with(&|e| e.action = Action::Rename { name: "newer".into() });
    assert_eq!(net.refused(alice.conn(), &late), RefusalCode::EntryOutdated);
    let refusals = (0..60).map(|_| net.refused(alice.conn(), &late)).collect::<Vec<_>>();
    assert_eq!(refusals.last(), Some(&RefusalCode::RateLimited));
    assert_eq!(net.refused(tablet.conn(), &broken), RefusalCode::NotAllowed, "before the bucket");
}

/// Two devices at the same place: one entry is there.
#[test]
fn of_two_entries_at_one_place_one_is_taken() {
    let mut net = Net::new();
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let mut roster = group(&mut net, &alice, &["bob"]);
    does(&mut net, &alice, &mut roster, Action::Admin { user: name("bob"), admin: true });
    net.hold_jobs = true;
    let first = net.ask(alice.conn(), &put(&next(&roster, &alice, Action::Rename { name: "a".into() })));
    let second = net.ask(bob.conn(), &put(&next(&roster, &bob, Action::Rename { name: "b".into() })));
    // Both are checked before either is stored.
    net.run();
    for _ in 0..2 {
        let (id, job) = net.take_held().unwrap();
        net.finish(id, &job);
    }
    net.hold_jobs = false;
    net.run();
    assert!(matches!(net.answer(alice.conn(), first), Some(Ok(Reply::GroupEntry(_)))));
    assert_eq!(net.answer(bob.conn(), second).unwrap().unwrap_err().code, RefusalCode::EntryOutdated);
    let log = log(&mut net, &bob, roster.id(), 3).unwrap();
    assert_eq!((log.sequence, log.entries.len()), (3, 1));
}

/// A list that came between the check of an entry and its storing: what was signed under the older one is not taken.
#[test]
fn an_entry_under_an_older_list_is_not_taken_although_it_was_checked() {
    let mut net = Net::new();
    let alice = net.registered("alice", 1);
    let (tablet, list) = second(&mut net, &alice, 4);
    let first = signed(&alice, Entry { epoch: 1, ..create(&alice, false, 1).entry().clone() });
    assert!(net.request(alice.conn(), &put(&first)).is_ok());
    let roster = Roster::create(&first).unwrap();
    let by_tablet = next(&roster, &tablet, Action::Rename { name: "stolen".into() });
    let by_tablet = signed(&tablet, Entry { epoch: 1, ..by_tablet.entry().clone() });
    let shorter = list.without(&[tablet.identity()], &alice.local.keys.identity).unwrap();
    // Each is first checked against what is there, and then stored.
    net.hold_jobs = true;
    net.ask(alice.conn(), &Request::PublishList(PublishList { list: shorter.bytes().into() }));
    net.ask(tablet.conn(), &put(&by_tablet));
    net.hold_jobs = false;
    net.run();
    assert!(net.closed.contains_key(&tablet.conn()));
    assert_eq!(log(&mut net, &alice, roster.id(), 0).unwrap().sequence, 0);
}

#[test]
fn a_log_is_for_who_was_a_member_and_comes_in_pages() {
    let mut net = Net::new();
    let (alice, bob, carol) = (net.registered("alice", 1), net.registered("bob", 2), net.registered("carol", 3));
    let mut roster = group(&mut net, &alice, &["bob"]);
    does(&mut net, &alice, &mut roster, remove(&["bob"]));
    while roster.sequence() < 2 * ENTRIES_PER_PAGE as u32 {
        let name = format!("name {}", roster.sequence());
        does(&mut net, &alice, &mut roster, Action::Rename { name });
        net.now += 2_000;
    }
    for device in [&alice, &bob] {
        let (mut from, mut again, mut pages) = (0, None::<Roster>, Vec::new());
        loop {
            let page = log(&mut net, device, roster.id(), from).unwrap();
            assert_eq!(page.sequence, roster.sequence());
            pages.push(page.entries.len());
            for entry in &page.entries {
                let entry = SignedEntry::decode(entry).unwrap();
                match &mut again {
                    None => again = Some(Roster::create(&entry).unwrap()),
                    Some(again) => again.apply(&entry).unwrap(),
                }
            }
            from = page.next;
            if from == 0 {
                break;
            }
        }
        assert_eq!(again.unwrap(), roster);
        assert_eq!(pages, [ENTRIES_PER_PAGE, ENTRIES_PER_PAGE, 1]);
        let beyond = log(&mut net, device, roster.id(), u32::MAX).unwrap();
        assert_eq!((beyond.entries.len(), beyond.next), (0, 0));
        let last = log(&mut net, device, roster.id(), roster.sequence()).unwrap();
        assert_eq!((last.entries.len(), last.next), (1, 0));
    }
    // Whether there is such a group does not show to anybody else.
    assert_eq!(log(&mut net, &carol, roster.id(), 0), Err(RefusalCode::NotFound));
    assert_eq!(log(&mut net, &carol, GroupId::from_bytes([7; 16]), 0), Err(RefusalCode::NotFound));
    let mut unlisted = Device::new("alice", 7);
    net.log_in_by_password(&mut unlisted);
    assert_eq!(log(&mut net, &unlisted, roster.id(), 0), Err(RefusalCode::NotAllowed));
    let request = Request::Groups(FetchGroups { from: GroupId::NONE });
    assert_eq!(net.refused(unlisted.conn(), &request), RefusalCode::NotAllowed);
}

#[test]
fn an_open_group_is_a_lobby_where_the_host_says_so() {
    for lobby in [false, true] {
        let mut net = Net::with(Limits::default(), |config| config.lobby = lobby);
        let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
        group(&mut net, &alice, &[]);
        assert_eq!(groups(&mut net, &bob, GroupId::NONE).lobby, None);
        let rosters: Vec<Roster> = (2..5)
            .map(|nonce| {
                let first = create(&alice, true, nonce);
                assert!(net.request(alice.conn(), &put(&first)).is_ok());
                Roster::create(&first).unwrap()
            })
            .collect();
        let mut roster = rosters[0].clone();
        let page = groups(&mut net, &bob, GroupId::NONE);
        assert_eq!((page.groups, page.more, page.lobby), (vec![], false, Some(head(&roster)).filter(|_| lobby)));
        // Whether or not it is offered, who names it can read its log and come in.
        assert_eq!(log(&mut net, &bob, roster.id(), 0).unwrap().entries.len(), 1);
        assert_eq!(net.send(&bob, vec![item_to(&roster, 1, b"x")])[0].outcome, SendOutcome::Unknown);
        does(&mut net, &bob, &mut roster, add(&["bob"]));
        assert_eq!(changes(&mut net, &alice), [head(&roster)]);
        assert_eq!(net.send(&bob, vec![item_to(&roster, 2, b"hi")])[0].outcome, SendOutcome::Taken);
        assert_eq!(texts(net.delivered(alice.conn())), [b"hi"]);
        let page = groups(&mut net, &bob, GroupId::NONE);
        assert_eq!((page.groups, page.lobby), (vec![head(&roster)], Some(head(&roster)).filter(|_| lobby)));
        let others = next(&roster, &bob, add(&["alice"]));
        assert_eq!(net.refused(bob.conn(), &put(&others)), RefusalCode::EntryRefused);
    }
}

/// G8 and ATTACKS.md C3: a user is in so many groups and no more, whoever adds them.
#[test]
fn c3_groups_of_a_user_are_bounded_and_come_in_pages() {
    let mut limits = Limits::default();
    limits.publish_rate = Rate::new(1_000_000, 1);
    let mut net = Net::with(limits, |_| {});
    let (alice, bob, carol) = (net.registered("alice", 1), net.registered("bob", 2), net.registered("carol", 3));
    let mut ids = Vec::new();
    for number in 0..GROUPS_PER_USER {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let action = Action::Create { name: "g".into(), open: false, nonce };
        let first = signed(&alice, entry(&alice, action));
        assert!(net.request(alice.conn(), &put(&first)).is_ok());
        ids.push(first.group());
    }
    ids.sort_unstable();
    assert_eq!(net.refused(alice.conn(), &put(&create(&alice, false, 9))), RefusalCode::Full);
    let mut roster = group(&mut net, &bob, &["carol"]);
    assert_eq!(net.refused(bob.conn(), &put(&next(&roster, &bob, add(&["alice"])))), RefusalCode::Full);
    let (mut got, mut from) = (Vec::new(), GroupId::NONE);
    loop {
        let page = groups(&mut net, &alice, from);
        assert!(page.groups.len() <= GROUPS_PER_PAGE);
        got.extend(page.groups.iter().map(|head| head.group));
        from = *got.last().unwrap();
        if !page.more {
            break;
        }
    }
    assert_eq!(got, ids);
    // Leaving makes room. The last member may leave too.
    let log = log(&mut net, &alice, ids[0], 0).unwrap();
    let mut left = Roster::create(&SignedEntry::decode(&log.entries[0]).unwrap()).unwrap();
    does(&mut net, &alice, &mut left, remove(&["alice"]));
    does(&mut net, &bob, &mut roster, add(&["alice"]));
    assert!(net.delivered(carol.conn()).is_empty());
}

/// ATTACKS.md C3: members are bounded, and so is what an envelope for all of them costs.
#[test]
fn c3_a_group_has_so_many_members_and_its_sender_pays_for_them() {
    let mut limits = Limits::default();
    // Nothing comes back while this runs.
    limits.account_rate = Rate::new(2_000, 3_600_000_000);
    limits.publish_rate = Rate::new(1_000, 1);
    let mut net = Net::with(limits, |_| {});
    let alice = net.registered("alice", 1);
    let names: Vec<String> = (0..GROUP_MEMBERS).map(|number| format!("u{number}")).collect();
    for name in &names {
        let (user, password) = (crate::support::name(name), securechat_core::relay::PasswordHash::new("fake$x"));
        let result = net.store.run(&[StoreJob::ImportAccount { user, password }]).remove(0);
        assert!(matches!(result, StoreResult::Done));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut roster = group(&mut net, &alice, &[]);
    for some in names[1..].chunks(32) {
        does(&mut net, &alice, &mut roster, add(some));
    }
    assert_eq!(roster.members().count(), GROUP_MEMBERS);
    assert_eq!(net.refused(alice.conn(), &put(&next(&roster, &alice, add(&names[..1])))), RefusalCode::EntryRefused);
    // Nobody of them has a device: it costs a request, in whatever form as many come.
    for id in 0..200 {
        assert_eq!(net.send(&alice, vec![item_to(&roster, id, b"x")])[0].outcome, SendOutcome::Taken);
    }
    let many = |count| Request::Send(Send { items: (0..count).map(|id| item_to(&roster, id as u8, b"x")).collect() });
    assert!(net.request(alice.conn(), &many(GROUP_ENVELOPES_PER_SEND)).is_ok());
    assert_eq!(net.refused(alice.conn(), &many(GROUP_ENVELOPES_PER_SEND + 1)), RefusalCode::Malformed);
    // While it is under way it has cost what the largest group would.
    net.hold_jobs = true;
    let asked: Vec<u32> = (0..20).map(|_| net.ask(alice.conn(), &many(GROUP_ENVELOPES_PER_SEND))).collect();
    net.run();
    net.hold_jobs = false;
    net.run();
    let mut answers = asked.into_iter().map(|id| net.answer(alice.conn(), id).unwrap().map_err(|refusal| refusal.code));
    let each = GROUP_ENVELOPES_PER_SEND * GROUP_MEMBERS * 16 / ENVELOPES_PER_TOKEN;
    assert_eq!(answers.by_ref().take_while(|answer| answer.is_ok()).count(), 1_700 / each);
    assert!(answers.all(|answer| matches!(answer, Err(RefusalCode::RateLimited))));
    assert_eq!(net.send(&alice, vec![item_to(&roster, 250, b"x")])[0].outcome, SendOutcome::Taken, "and has it back");
}

/// It is said, and nothing is changed.
#[test]
fn a_failed_store_changes_no_group() {
    let mut net = Net::new();
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let roster = group(&mut net, &alice, &["bob"]);
    net.pushes(bob.conn());
    let requests = [
        put(&next(&roster, &alice, Action::Rename { name: "new".into() })),
        Request::GroupLog(FetchLog { group: roster.id(), from: 0 }),
        Request::Groups(FetchGroups { from: GroupId::NONE }),
        Request::Send(Send { items: vec![item_to(&roster, 1, b"hello")] }),
    ];
    net.store_fails = true;
    for request in &requests {
        let refusal = net.request(alice.conn(), request).unwrap_err();
        assert_eq!((refusal.code, refusal.retry_after), (RefusalCode::Unavailable, 1));
    }
    // Also when it fails between the check of an entry and its storing.
    net.store_fails = false;
    net.hold_jobs = true;
    let id = net.ask(alice.conn(), &requests[0]);
    net.run();
    let (job, check) = net.take_held().unwrap();
    net.finish(job, &check);
    net.store_fails = true;
    net.hold_jobs = false;
    net.run();
    assert_eq!(net.answer(alice.conn(), id).unwrap().unwrap_err().code, RefusalCode::Unavailable);
    assert!(net.pushes(bob.conn()).is_empty());
    net.store_fails = false;
    assert_eq!(log(&mut net, &alice, roster.id(), 0).unwrap().sequence, 1);
    for request in &requests {
        assert!(net.request(alice.conn(), request).is_ok());
    }
    assert_eq!(net.pushes(bob.conn()).len(), 2);
}

/// No answer and no push before it is kept.
#[test]
fn nothing_of_a_group_leaves_before_it_is_stored() {
    let mut net = Net::new();
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let roster = group(&mut net, &alice, &["bob"]);
    net.pushes(bob.conn());
    net.transcript.clear();
    net.hold_jobs = true;
    net.ask(alice.conn(), &put(&next(&roster, &alice, Action::Rename { name: "new".into() })));
    net.ask(alice.conn(), &Request::Send(Send { items: vec![item_to(&roster, 1, b"hello")] }));
    net.run();
    assert!(net.transcript.is_empty());
    net.hold_jobs = false;
    net.run();
    assert_eq!(net.pushes(bob.conn()).len(), 2);
}
