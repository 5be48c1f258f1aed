//! Groups: their logs, and the mailboxes of everyone in them.

use super::{Checked, account, identity, put_list, run_one, send, user, waiting};
use crate::relay::answer::{SentItem, StoreOutcome, StoreRefusal, StoreResult};
use crate::relay::store::{NewEntry, Store, StoreJob};
use crate::roster::GroupId;
use crate::wire::{EnvelopeId, EnvelopeRef, GroupHead, Recipient};

pub(super) fn logs(store: &mut dyn Store) -> Checked {
    for (name, device) in [("alice", 1), ("bob", 2), ("carol", 3)] {
        answer!(store, StoreJob::CreateAccount(account(name, device)?), StoreResult::Done);
    }
    let group = |group, place, name| Ok::<_, String>(StoreJob::Group { group: id(group), place, user: user(name)? });
    let put = |group, sequence, added: &[&str], removed: &[&str]| {
        put_entry(group, sequence, added, removed).map(StoreJob::PutEntry)
    };
    let log =
        |group, name, from, count| Ok::<_, String>(StoreJob::Log { group: id(group), user: user(name)?, from, count });
    answer!(
        store,
        group(2, 0, "alice")?,
        StoreResult::Group(state) if state.epoch == Some(0) && state.roster.is_none() && state.entry.is_none()
    );
    answer!(store, log(2, "alice", 0, 9)?, StoreResult::Log(None));
    answer!(store, put(2, 1, &["alice"], &[])?, StoreResult::Refused(StoreRefusal::Changed));
    answer!(store, put(2, 0, &["alice"], &[])?, StoreResult::Done);
    answer!(store, put(2, 0, &["alice"], &[])?, StoreResult::Refused(StoreRefusal::Changed));
    answer!(
        store,
        group(2, 0, "nobody")?,
        StoreResult::Group(state) if state.epoch.is_none()
            && state.roster.as_deref() == Some(b"roster 0")
            && state.entry.as_deref() == Some(b"entry 0")
    );
    // Whatever an entry was checked against has to be so still.
    answer!(store, put(2, 2, &["bob"], &[])?, StoreResult::Refused(StoreRefusal::Changed));
    let other = NewEntry { before: Some((0, [9; 32])), ..put_entry(2, 1, &["bob"], &[])? };
    answer!(store, StoreJob::PutEntry(other), StoreResult::Refused(StoreRefusal::Changed));
    let other = NewEntry { actor: (user("alice")?, 1), ..put_entry(2, 1, &["bob"], &[])? };
    answer!(store, StoreJob::PutEntry(other), StoreResult::Refused(StoreRefusal::Changed));
    answer!(store, put(2, 1, &["bob", "nobody"], &[])?, StoreResult::Refused(StoreRefusal::NotFound));
    answer!(store, log(2, "bob", 0, 9)?, StoreResult::Log(None));
    answer!(store, put(2, 1, &["bob", "carol"], &[])?, StoreResult::Done);
    answer!(store, put(2, 2, &[], &["carol"])?, StoreResult::Done);
    answer!(
        store,
        group(2, 3, "alice")?,
        StoreResult::Group(state) if state.roster.as_deref() == Some(b"roster 2") && state.entry.is_none()
    );
    // The log is for who was a member once; that of an open group is for everyone.
    let entries = |result: &StoreResult| match result {
        StoreResult::Log(Some(page)) => (page.sequence, page.entries.iter().map(|entry| entry.to_vec()).collect()),
        _ => (u32::MAX, Vec::new()),
    };
    let entry = |sequence: u32| format!("entry {sequence}").into_bytes();
    answer!(store, log(2, "carol", 0, 9)?, result if entries(result) == (2, vec![entry(0), entry(1), entry(2)]));
    answer!(store, log(2, "bob", 0, 2)?, result if entries(result) == (2, vec![entry(0), entry(1)]));
    answer!(store, log(2, "bob", 2, 2)?, result if entries(result) == (2, vec![entry(2)]));
    answer!(store, log(2, "bob", u32::MAX, 2)?, result if entries(result) == (2, vec![]));
    for open in [9, 1, 3] {
        answer!(store, put(open, 0, &["alice"], &[])?, StoreResult::Done);
    }
    answer!(store, log(9, "carol", 0, 9)?, result if entries(result) == (0, vec![entry(0)]));
    // There is room for 4 groups.
    answer!(store, put(4, 0, &["alice"], &[])?, StoreResult::Refused(StoreRefusal::Full));
    answer!(store, put(4, 0, &["bob", "alice"], &[])?, StoreResult::Refused(StoreRefusal::Full));
    answer!(store, put(4, 0, &["bob"], &[])?, StoreResult::Done);
    let page = |name, after, count, lobby| {
        Ok::<_, String>(StoreJob::Groups { user: user(name)?, after: id(after), count, lobby })
    };
    let heads = |result: &StoreResult| match result {
        StoreResult::Groups(page) => {
            let head = |head: &GroupHead| (head.group.as_bytes()[0], head.sequence, head.hash[0]);
            (page.groups.iter().map(head).collect(), page.more, page.lobby.as_ref().map(head))
        }
        _ => (Vec::new(), true, None),
    };
    let all = vec![(1, 0, 0), (2, 2, 2), (3, 0, 0), (9, 0, 0)];
    answer!(store, page("alice", 0, 4, false)?, result if heads(result) == (all, false, None));
    answer!(store, page("alice", 1, 2, false)?, result if heads(result) == (vec![(2, 2, 2), (3, 0, 0)], true, None));
    answer!(store, page("alice", 9, 2, false)?, result if heads(result) == (vec![], false, None));
    answer!(store, page("bob", 0, 9, false)?, result if heads(result) == (vec![(2, 2, 2), (4, 0, 0)], false, None));
    // Of the open ones, 9 was made first.
    answer!(store, page("carol", 0, 9, true)?, result if heads(result) == (vec![], false, Some((9, 0, 0))));
    answer!(store, page("nobody", 0, 9, true)?, result if heads(result) == (vec![], false, Some((9, 0, 0))));
    // Who leaves makes room, and may come back.
    answer!(store, put(9, 1, &[], &["alice"])?, StoreResult::Done);
    answer!(store, put(4, 1, &["alice"], &[])?, StoreResult::Done);
    answer!(store, put(9, 2, &["alice"], &[])?, StoreResult::Refused(StoreRefusal::Full));
    answer!(store, put(2, 3, &["carol"], &[])?, StoreResult::Done);
    answer!(store, page("carol", 0, 9, true)?, result if heads(result) == (vec![(2, 3, 3)], false, Some((9, 1, 1))));
    Ok(())
}

pub(super) fn mailboxes(store: &mut dyn Store) -> Checked {
    for (name, device) in [("carol", 4), ("alice", 1), ("bob", 7)] {
        answer!(store, StoreJob::CreateAccount(account(name, device)?), StoreResult::Done);
    }
    answer!(store, put_list("alice", Some(0), 1, &[1, 2])?, StoreResult::Done);
    answer!(store, put_list("bob", Some(0), 1, &[7, 3])?, StoreResult::Done);
    let put =
        |sequence, added: &[&str], removed: &[&str]| put_entry(5, sequence, added, removed).map(StoreJob::PutEntry);
    let to = |sender, name, id: u8, length: Option<usize>| {
        let mut job = send(sender, name, &[(id, 5, length)])?;
        if let StoreJob::Send { items, .. } = &mut job {
            items.iter_mut().for_each(|item| item.recipient = Recipient::Group(self::id(5)));
        }
        Ok::<_, String>(job)
    };
    let none = |result: &StoreResult| {
        let StoreResult::Sent(sent) = result else { return false };
        **sent == [SentItem::new(0, StoreOutcome::Unknown)]
    };
    // As the number of the newest entry, and by device: s is stored, p passed, f full.
    let came = |result: &StoreResult| match result {
        StoreResult::Sent(sent) => {
            let outcome = |outcome: &StoreOutcome| match outcome {
                StoreOutcome::Stored(_) => 's',
                StoreOutcome::Passed => 'p',
                StoreOutcome::Full => 'f',
                StoreOutcome::Unknown => 'u',
            };
            let devices = |sent: &SentItem| {
                let devices = sent.devices.iter();
                devices.map(|(device, at)| (device.as_bytes()[0], outcome(at))).collect::<Vec<_>>()
            };
            sent.first().map(|sent| (sent.epoch, outcome(&sent.outcome), devices(sent)))
        }
        _ => None,
    };
    answer!(store, to(1, "alice", 1, Some(5))?, result if none(result));
    answer!(store, put(0, &["alice"], &[])?, StoreResult::Done);
    answer!(store, put(1, &["bob"], &[])?, StoreResult::Done);
    answer!(store, to(4, "carol", 1, Some(5))?, result if none(result));
    answer!(store, to(4, "carol", 1, None)?, result if none(result));
    let all = |each| Some((1, 'p', vec![(2, each), (3, each), (7, each)]));
    answer!(store, to(1, "alice", 1, None)?, result if came(result) == all('p'));
    answer!(store, waiting(2, 0, 9, 99), StoreResult::Waiting(page) if page.envelopes.is_empty());
    answer!(store, to(1, "alice", 1, Some(5))?, result if came(result) == all('s'));
    answer!(store, to(1, "alice", 1, Some(5))?, result if came(result) == all('p'));
    answer!(store, waiting(1, 0, 9, 99), StoreResult::Waiting(page) if page.envelopes.is_empty());
    answer!(
        store,
        waiting(3, 0, 9, 99),
        StoreResult::Waiting(page) if page.envelopes.len() == 1 && page.envelopes.iter().all(|waiting| {
            waiting.sender == identity(1) && waiting.user.as_str() == "alice" && waiting.envelope.len() == 5
        })
    );
    // A mailbox is one, whomever its envelopes were for.
    answer!(store, send(1, "alice", &[(1, 3, Some(5))])?, StoreResult::Sent(sent)
        if sent.iter().all(|sent| sent.outcome == StoreOutcome::Passed && sent.devices.is_empty()));
    // What is full for one is not for the others, and can be sent to it again.
    answer!(store, send(4, "carol", &[(1, 3, Some(90))])?, StoreResult::Sent(_));
    let some = Some((1, 'p', vec![(2, 's'), (3, 'f'), (7, 's')]));
    answer!(store, to(1, "alice", 2, Some(6))?, result if came(result) == some);
    let envelopes = vec![EnvelopeRef { sender: identity(4), id: EnvelopeId([1; 16]) }];
    answer!(store, StoreJob::Acknowledge { recipient: identity(3), envelopes }, StoreResult::Done);
    let some = Some((1, 'p', vec![(2, 'p'), (3, 's'), (7, 'p')]));
    answer!(store, to(1, "alice", 2, Some(6))?, result if came(result) == some);
    // Devices that are listed now, of members now.
    answer!(store, put_list("bob", Some(1), 2, &[3])?, StoreResult::Done);
    answer!(store, put(2, &["carol"], &[])?, StoreResult::Done);
    let some = Some((2, 'p', vec![(1, 's'), (2, 's'), (4, 's')]));
    answer!(store, to(3, "bob", 3, Some(1))?, result if came(result) == some);
    answer!(store, put(3, &[], &["bob"])?, StoreResult::Done);
    answer!(store, to(3, "bob", 4, Some(1))?, result if none(result));
    answer!(store, to(4, "carol", 4, None)?, result if came(result) == Some((3, 'p', vec![(1, 'p'), (2, 'p')])));
    Ok(())
}

fn id(number: u8) -> GroupId {
    GroupId::from_bytes([number; 16])
}

/// An entry by Carol, whose hash is its number. There is room for 4 groups, of which those with odd numbers
/// are open.
fn put_entry(group: u8, sequence: u8, added: &[&str], removed: &[&str]) -> Result<NewEntry, String> {
    let users = |names: &[&str]| names.iter().map(|name| user(name)).collect::<Result<Vec<_>, String>>();
    Ok(NewEntry {
        group: id(group),
        before: sequence.checked_sub(1).map(|before| (before.into(), [before; 32])),
        actor: (user("carol")?, 0),
        sequence: sequence.into(),
        hash: [sequence; 32],
        bytes: format!("entry {sequence}").into_bytes().into(),
        roster: format!("roster {sequence}").into_bytes().into(),
        open: group % 2 == 1,
        added: users(added)?,
        removed: users(removed)?,
        room: 4,
    })
}
