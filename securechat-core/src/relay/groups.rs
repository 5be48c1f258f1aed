//! Groups: logs of signed entries, each taken on top of the newest (G1 to G3).
//!
//! The relay sees who does what to a group and what it is called, and nothing of what is said in it.

use super::accounts::require_listed;
use super::answer::{GroupPage, GroupState, LogPage, StoreRefusal, StoreResult};
use super::connection::{ConnId, Item, Who};
use super::job::JobResult;
use super::login::rate_limited;
use super::store::{NewEntry, StoreJob};
use super::{Outcome, Relay, RelayEvent, Step, Ticket, UNAVAILABLE};
use crate::codec::{decode, encode};
use crate::error::PeerMisbehaved;
use crate::identity::UserName;
use crate::limits::GROUPS_PER_USER;
use crate::roster::{Action, Roster, SignedEntry};
use crate::wire::{
    Done, ENTRIES_PER_PAGE, FetchGroups, FetchLog, GROUPS_PER_PAGE, GroupEntry, GroupHead, Groups, Log, Push,
    RefusalCode, Reply,
};
use std::sync::Arc;

/// What a request about groups waits for.
pub(super) enum Expect {
    /// The group that an entry is to change.
    Group(Who, Box<SignedEntry>),
    /// That the entry is stored, and what the group comes to with it.
    Entry(Who, Box<(SignedEntry, Roster)>),
    /// Entries from one on.
    Log(u32),
    /// Groups of a user.
    Groups,
}

impl Relay {
    pub(super) fn group_entry(&mut self, ticket: Ticket, who: Who, request: &GroupEntry, now: u64) -> Outcome {
        require_listed(&who)?;
        self.limiter.published.take(&who.user, 1, now).map_err(rate_limited)?;
        let entry = SignedEntry::decode(&request.entry).map_err(|_| RefusalCode::Malformed)?;
        let body = entry.entry();
        if body.identity != who.identity || body.actor != who.user {
            return Err(RefusalCode::NotAllowed.into());
        }
        let job = StoreJob::Group { group: entry.group(), place: body.sequence, user: who.user.clone() };
        self.store(ticket, job, Step::Group(Expect::Group(who, Box::new(entry))))
    }

    pub(super) fn group_log(&mut self, ticket: Ticket, who: Who, request: &FetchLog) -> Outcome {
        require_listed(&who)?;
        let (group, from) = (request.group, request.from);
        let job = StoreJob::Log { group, user: who.user, from, count: ENTRIES_PER_PAGE };
        self.store(ticket, job, Step::Group(Expect::Log(from)))
    }

    pub(super) fn groups(&mut self, ticket: Ticket, who: Who, request: &FetchGroups) -> Outcome {
        require_listed(&who)?;
        let (after, lobby) = (request.from, self.config.lobby);
        let job = StoreJob::Groups { user: who.user, after, count: GROUPS_PER_PAGE, lobby };
        self.store(ticket, job, Step::Group(Expect::Groups))
    }

    pub(super) fn resume_group(
        &mut self,
        ticket: Option<Ticket>,
        expect: Expect,
        result: JobResult,
        now: u64,
    ) -> Outcome {
        let (Some(ticket), JobResult::Store(result)) = (ticket, result) else { return Err(UNAVAILABLE) };
        let reply = match (expect, result) {
            (Expect::Group(who, entry), StoreResult::Group(state)) => {
                return self.put_entry(ticket, who, entry, &state, now);
            }
            (Expect::Entry(who, taken), StoreResult::Done) => {
                let (entry, roster) = *taken;
                self.group_changed(ticket.conn, &who, &entry, &roster, now);
                Reply::GroupEntry(Done)
            }
            (Expect::Entry(..), StoreResult::Refused(refusal)) => return Err(refused(refusal).into()),
            (Expect::Log(from), StoreResult::Log(page)) => {
                Reply::GroupLog(log(from, page.ok_or(RefusalCode::NotFound)?))
            }
            (Expect::Groups, StoreResult::Groups(GroupPage { groups, more, lobby })) => {
                Reply::Groups(Groups { groups, more, lobby })
            }
            _ => return Err(UNAVAILABLE),
        };
        self.reply(ticket, &reply, now);
        Ok(())
    }

    /// Checks an entry against the newest one by G1 to G3, and stores it.
    fn put_entry(
        &mut self,
        ticket: Ticket,
        who: Who,
        entry: Box<SignedEntry>,
        state: &GroupState,
        now: u64,
    ) -> Outcome {
        let body = entry.entry();
        if state.entry.as_deref() == Some(entry.bytes()) {
            self.reply(ticket, &Reply::GroupEntry(Done), now);
            return Ok(());
        }
        // The device is in the current list, so it may sign under that list's epoch and under no other (G2).
        if state.epoch != Some(body.epoch) {
            return Err(RefusalCode::EntryRefused.into());
        }
        let before = match &state.roster {
            Some(roster) => Some(decode::<Roster>(roster).map_err(|_| UNAVAILABLE)?),
            None => None,
        };
        let roster = follow(before.as_ref(), &entry)?;
        let (added, removed) = match &body.action {
            Action::Create { .. } => (vec![body.actor.clone()], Vec::new()),
            Action::Add { users } => (users.clone(), Vec::new()),
            Action::Remove { users } => (Vec::new(), users.clone()),
            Action::Admin { .. } | Action::Rename { .. } | Action::Epoch => (Vec::new(), Vec::new()),
        };
        let job = StoreJob::PutEntry(NewEntry {
            group: roster.id(),
            before: before.map(|before| (before.sequence(), before.hash())),
            actor: (body.actor.clone(), body.epoch),
            sequence: roster.sequence(),
            hash: roster.hash(),
            bytes: entry.bytes().into(),
            roster: encode(&roster).into(),
            open: roster.is_open(),
            added,
            removed,
            room: GROUPS_PER_USER,
        });
        self.store(ticket, job, Step::Group(Expect::Entry(who, Box::new((*entry, roster)))))
    }

    /// A group has another entry: its members are told, and those whom the entry removed.
    fn group_changed(&mut self, asker: ConnId, who: &Who, entry: &SignedEntry, roster: &Roster, now: u64) {
        let head = GroupHead { group: roster.id(), sequence: roster.sequence(), hash: roster.hash() };
        let action = entry.entry().action.number();
        let user = who.user.clone();
        self.note(RelayEvent::GroupChanged {
            group: head.group,
            sequence: head.sequence,
            action,
            user,
            identity: who.identity,
        });
        // Every push is made to fit. All devices share its bytes.
        let Ok(bytes) = Push::GroupChanged(head).encode().map(Arc::new) else { return };
        let removed: &[UserName] =
            if let Action::Remove { users } = &entry.entry().action { users } else { Default::default() };
        for conn in
            roster.members().chain(removed).flat_map(|user| self.presence.connections_of(user)).collect::<Vec<_>>()
        {
            let connection = self.connections.get(&conn).and_then(|connection| connection.admitted());
            if conn != asker && connection.is_some_and(|admitted| admitted.who.listed) {
                self.put_out(conn, Item::Push(bytes.clone()), now);
            }
        }
    }
}

/// The roster with this entry on top.
fn follow(before: Option<&Roster>, entry: &SignedEntry) -> Result<Roster, RefusalCode> {
    let refused = |error| match error {
        PeerMisbehaved::RosterOrder => RefusalCode::EntryOutdated,
        _ => RefusalCode::EntryRefused,
    };
    let Some(before) = before else { return Roster::create(entry).map_err(refused) };
    let mut roster = before.clone();
    roster.apply(entry).map_err(refused)?;
    Ok(roster)
}

fn refused(refusal: StoreRefusal) -> RefusalCode {
    match refusal {
        StoreRefusal::NotFound => RefusalCode::UnknownUser,
        StoreRefusal::Full => RefusalCode::Full,
        _ => RefusalCode::EntryOutdated,
    }
}

fn log(from: u32, page: LogPage) -> Log {
    let LogPage { sequence, entries } = page;
    let after = from.saturating_add(u32::try_from(entries.len()).unwrap_or(u32::MAX));
    let next = if entries.is_empty() || after > sequence { 0 } else { after };
    Log { sequence, entries, next }
}
