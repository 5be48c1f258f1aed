//! Relays and members that do not keep to the rules.

use super::{group_of, marks, name, names, read, said, settle, write};
use securechat_core::client::History;
use securechat_core::error::{ApiMisuse, PeerMisbehaved};
use securechat_core::event::Event;
use securechat_core::limits::{GROUP_GRACE, GROUP_HOLD, GROUP_WAITING};
use securechat_core::relay::{StoreJob, StoreResult};
use securechat_core::wire::{Bytes, Push, Reply};
use std::cell::RefCell;
use std::rc::Rc;

/// ATTACKS.md D1: a relay that keeps a removal back. Who does not know of it writes under the older entry; everybody who
/// does sees the mark, and tells them.
#[test]
fn d1_a_hidden_removal_is_marked_and_told() {
    let (mut net, group) = group_of(51, &["alice", "bob", "carol"]);
    write(&mut net, 0, group, "one");
    write(&mut net, 1, group, "two");
    // Bob hears of no change, neither by push nor by what is said of his own messages.
    net.relay.on_push = Some(Box::new(|push| !matches!(push, Push::GroupChanged(_))));
    net.relay.on_reply = Some(Box::new(|reply| {
        if let Reply::Send(sent) = reply {
            sent.results.iter_mut().for_each(|result| result.epoch = 0);
        }
    }));
    net.hosts[0].client.remove_from_group(&group, &names(&["carol"]), net.now).unwrap();
    settle(&mut net, 0);
    net.forget_events();
    write(&mut net, 1, group, "does carol read this?");
    assert_eq!(read(&net, 0), said(&[("bob", "does carol read this?")]));
    assert!(marks(&net, 0)[0].before_removal);
    // Alice showed Bob what he lacked: the next one is for those who are left.
    let change = |event: &Event| matches!(event, Event::GroupChanged { .. });
    assert!(net.saw(1, change), "{:?}", net.hosts[1].events);
    write(&mut net, 1, group, "now she does not");
    assert!(!marks(&net, 0)[1].before_removal);
    assert_eq!(read(&net, 2).len(), 0);
}

/// A relay that sends an envelope to the wrong group, or a second time.
#[test]
fn b2_a_group_message_opens_once_whatever_the_relay_does() {
    let (mut net, group) = group_of(52, &["alice", "bob"]);
    net.weather = None;
    write(&mut net, 0, group, "one");
    let mut last = None;
    net.relay.on_push = Some(Box::new(move |push| {
        if let Push::Deliver(deliver) = push {
            let this = deliver.envelope.clone();
            // Each delivery brings what the one before brought, under an id of its own.
            if let Some(before) = last.replace(this) {
                deliver.envelope = before;
            }
        }
        true
    }));
    for text in ["two", "three", "four"] {
        write(&mut net, 0, group, text);
    }
    let texts = read(&net, 1);
    let mut once = texts.clone();
    once.dedup();
    assert_eq!(texts, once, "nothing twice");
}

/// ATTACKS.md D1: a relay that serves another log than the one that counts.
#[test]
fn d1_a_log_cannot_be_made_up() {
    let (mut net, group) = group_of(53, &["alice", "bob"]);
    let dave = net.register("dave", &securechat_core::suite::Policy::default());
    // The relay leaves the removal out of what it shows to Dave, who comes later.
    net.hosts[0].client.rename_group(&group, "first", net.now).unwrap();
    settle(&mut net, 0);
    net.relay.on_result = Some(Box::new(|job, result| {
        if let (StoreJob::Log { .. }, StoreResult::Log(Some(log))) = (job, result)
            && log.entries.len() > 2
        {
            log.entries.remove(1);
        }
    }));
    net.hosts[0].client.add_to_group(&group, &names(&["dave"]), net.now).unwrap();
    settle(&mut net, 0);
    let refused = |event: &Event| matches!(event, Event::GroupRefused { .. });
    assert!(net.saw(dave, refused), "{:?}", net.hosts[dave].events);
    assert!(net.hosts[dave].client.group(&group).is_none_or(|info| !info.member));
}

/// A relay that shows two halves of a group two logs, with the help of a copy of an admin's device: Bob saw one entry and
/// Carol another at the same place, both signed by Alice. The relay shows Carol's side from now on.
fn two_logs(seed: u64) -> (super::Net, super::GroupId) {
    let (mut net, group) = group_of(seed, &["alice", "bob", "carol"]);
    for host in 0..3 {
        write(&mut net, host, group, "one");
    }
    let copy = (net.hosts[0].records.clone(), net.relay.store.clone());
    net.cut(2);
    net.hosts[0].client.rename_group(&group, "for bob", net.now).unwrap();
    settle(&mut net, 0);
    assert_eq!(net.hosts[1].client.group(&group).unwrap().name, "for bob");
    net.cut(1);
    net.relay.store = copy.1;
    net.restart_from(0, copy.0, History::Continued).unwrap();
    for host in [0, 2] {
        net.connect(host);
        net.run();
    }
    net.hosts[0].client.rename_group(&group, "for carol", net.now).unwrap();
    settle(&mut net, 0);
    assert_eq!(net.hosts[2].client.group(&group).unwrap().name, "for carol");
    net.forget_events();
    (net, group)
}

/// ATTACKS.md D1.
#[test]
fn d1_two_logs_are_a_fork_as_soon_as_they_meet() {
    let (mut net, group) = two_logs(54);
    net.connect(1);
    net.run();
    let told = Event::GroupForked { group, sequence: 2, by: name("alice") };
    assert!(net.saw(1, |event| *event == told), "{:?}", net.hosts[1].events);
    assert!(net.hosts[1].client.group(&group).unwrap().forked);
    let refused = net.hosts[1].client.send_text(group, "who is here?", net.now).unwrap_err();
    assert_eq!(refused, ApiMisuse::RosterForked.into());
    let refused = net.hosts[1].client.rename_group(&group, "x", net.now).unwrap_err();
    assert_eq!(refused, ApiMisuse::RosterForked.into());
    // It is told once, and not forgotten.
    net.restart(1, History::Continued).unwrap();
    net.connect(1);
    net.run();
    assert!(net.hosts[1].client.group(&group).unwrap().forked);
    assert!(net.hosts[1].client.resolve_fork(&group, true, net.now).is_ok());
    settle(&mut net, 1);
    assert_eq!(net.hosts[1].client.group(&group).unwrap().name, "for carol");
    write(&mut net, 2, group, "here");
    write(&mut net, 1, group, "good");
    assert_eq!(read(&net, 1).last(), said(&[("carol", "here")]).last());
    assert_eq!(read(&net, 2).last(), said(&[("bob", "good")]).last());
    assert!(net.hosts[1].client.resolve_fork(&group, true, net.now).is_err(), "there is none any more");
}

/// ATTACKS.md D1: where the relay keeps the sides apart, the first message between them shows it.
#[test]
fn d1_a_message_from_the_other_side_shows_the_fork() {
    let (mut net, group) = two_logs(55);
    // Bob is told of no other head.
    net.relay.on_reply = Some(Box::new(|reply| {
        if let Reply::Groups(groups) = reply {
            groups.groups.clear();
        }
    }));
    net.relay.on_push = Some(Box::new(|push| !matches!(push, Push::GroupChanged(_))));
    net.relay.on_result = Some(Box::new(|job, result| {
        if let (StoreJob::Log { user, .. }, StoreResult::Log(page)) = (job, result)
            && user.as_str() == "bob"
        {
            *page = None;
        }
    }));
    net.connect(1);
    net.run();
    assert!(!net.hosts[1].client.group(&group).unwrap().forked);
    write(&mut net, 2, group, "from the other side");
    assert!(net.hosts[1].client.group(&group).unwrap().forked, "{:?}", net.hosts[1].events);
    assert_eq!(read(&net, 1).len(), 0, "nothing of it is shown before the host decides");
    net.hosts[1].client.resolve_fork(&group, true, net.now).unwrap();
    settle(&mut net, 1);
    assert_eq!(read(&net, 1), said(&[("carol", "from the other side")]));
}

/// G6: whoever decides to stay on their side is not asked again, and what comes from the other is refused after a day.
#[test]
fn g6_the_other_side_is_refused_after_a_day() {
    let (mut net, group) = two_logs(56);
    write(&mut net, 2, group, "from the other side");
    net.connect(1);
    net.run();
    assert!(net.hosts[1].client.group(&group).unwrap().forked);
    net.hosts[1].client.resolve_fork(&group, false, net.now).unwrap();
    settle(&mut net, 1);
    assert!(!net.hosts[1].client.group(&group).unwrap().forked);
    net.forget_events();
    net.advance(GROUP_GRACE);
    assert!(net.saw(1, |event| *event == Event::Unopened { claimed: name("carol") }), "{:?}", net.hosts[1].events);
    assert_eq!(read(&net, 1).len(), 0);
}

/// What a client says of a log that cannot be right.
fn doubted(group: super::GroupId) -> impl Fn(&Event) -> bool {
    move |event| *event == Event::GroupRefused { group, error: PeerMisbehaved::RosterOrder.into() }
}

/// ATTACKS.md D1: a relay that goes back to before a removal takes nothing back, and those who saw it are told.
#[test]
fn d1_a_log_put_back_is_told_and_takes_nothing_back() {
    let (mut net, group) = group_of(58, &["alice", "bob", "carol"]);
    for host in 0..3 {
        write(&mut net, host, group, "one");
    }
    let before = net.relay.store.clone();
    net.hosts[0].client.remove_from_group(&group, &names(&["carol"]), net.now).unwrap();
    settle(&mut net, 0);
    net.relay.store = before;
    net.forget_events();
    for host in 0..3 {
        net.cut(host);
        net.connect(host);
        net.run();
        assert!(net.saw(host, doubted(group)), "{:?}", net.hosts[host].events);
    }
    let members = [(name("alice"), true), (name("bob"), false)];
    assert!((0..2).all(|host| net.hosts[host].client.group(&group).unwrap().members == members));
    write(&mut net, 1, group, "as if nothing had happened");
    assert_eq!(read(&net, 0), said(&[("bob", "as if nothing had happened")]));
    assert_eq!(read(&net, 2).len(), 0);
}

/// ATTACKS.md C3, G2: a relay that refuses an entry for another that it never shows is told of, not asked without end, and
/// gets no second entry for the place, which with the first would be a fork.
#[test]
fn c3_refusals_of_entries_without_end() {
    let (mut net, group) = group_of(59, &["alice", "bob"]);
    let kept: Rc<RefCell<Vec<Bytes>>> = Rc::default();
    let keep = kept.clone();
    net.relay.on_job = Some(Box::new(move |job| {
        if let StoreJob::PutEntry(entry) = job {
            keep.borrow_mut().push(entry.bytes.clone());
            // It is compared with one that nobody has.
            entry.before = Some((7, [7; 32]));
        }
    }));
    net.forget_events();
    net.hosts[0].client.rename_group(&group, "another name", net.now).unwrap();
    settle(&mut net, 0);
    assert!(net.saw(0, doubted(group)), "{:?}", net.hosts[0].events);
    net.advance(59_000);
    assert_eq!(kept.borrow().len(), 1);
    net.advance(600_000);
    assert!((2..=11).contains(&kept.borrow().len()), "{}", kept.borrow().len());
    net.restart(0, History::Continued).unwrap();
    net.connect(0);
    net.run();
    assert!(kept.borrow().iter().all(|entry| *entry == kept.borrow()[0]));
    assert!(net.hosts[0].client.group(&group).unwrap().waits);
    // Honest again, it gets what was wanted all the time.
    net.relay.on_job = None;
    net.advance(61_000);
    assert_eq!(net.hosts[1].client.group(&group).unwrap().name, "another name", "{:?}", net.hosts[1].events);
}

/// ATTACKS.md C3: a relay that makes up groups, keys and messages fills nothing.
#[test]
fn c3_messages_of_groups_that_nobody_knows_are_bounded() {
    let (mut net, group) = group_of(57, &["alice", "bob"]);
    let mut number = 0_u8;
    net.relay.on_push = Some(Box::new(move |push| {
        if let Push::Deliver(deliver) = push
            && deliver.envelope.first() == Some(&3)
        {
            let mut changed = deliver.envelope.to_vec();
            number = number.wrapping_add(1);
            changed[1] ^= number;
            deliver.envelope = changed.into();
        }
        true
    }));
    let before = net.hosts[1].records.len();
    for round in 0..GROUP_WAITING + 50 {
        net.hosts[0].client.send_text(group, &round.to_string(), net.now).unwrap();
        settle(&mut net, 0);
    }
    assert!(net.hosts[1].records.len() <= before + GROUP_WAITING + 100, "{}", net.hosts[1].records.len());
    let unopened = net.hosts[1].events.iter().filter(|event| matches!(event, Event::Unopened { .. })).count();
    assert!(unopened >= 50, "{unopened}");
}

/// Whatever a relay delivers first: what one device wrote is shown in the order in which it was written, also where the
/// older is under a key that has not come. What never comes holds the rest up for half a minute.
#[test]
fn b2_a_later_message_waits_behind_an_older_one_of_its_sender() {
    let (mut net, group) = group_of(58, &["alice", "bob", "carol"]);
    write(&mut net, 0, group, "first");
    // Bob gets no session message for a while: the key that follows the removal is one.
    let alice = net.hosts[0].client.identity();
    net.relay.on_push = Some(Box::new(move |push| match push {
        Push::Deliver(deliver) => deliver.envelope.first() == Some(&3) || deliver.sender != alice,
        _ => true,
    }));
    net.hosts[0].client.remove_from_group(&group, &names(&["carol"]), net.now).unwrap();
    settle(&mut net, 0);
    write(&mut net, 0, group, "under the new key");
    net.relay.on_push = None;
    // Another key comes at once, and what is under it would open.
    for _ in 0..1_000 {
        net.hosts[0].client.send_text(group, "fill", net.now).unwrap();
    }
    settle(&mut net, 0);
    write(&mut net, 0, group, "under the next one");
    assert_eq!(read(&net, 1), said(&[("alice", "first")]), "nothing overtakes");
    net.advance(GROUP_HOLD);
    assert_eq!(read(&net, 1).last(), said(&[("alice", "under the next one")]).last());
}
