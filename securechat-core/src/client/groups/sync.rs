//! Logs of groups: fetched, checked entry by entry, and compared where they differ.

use super::state::{Sync, Wanted, Wishes};
use crate::client::Client;
use crate::client::contacts::OfferedLists;
use crate::client::links::Asked;
use crate::error::{ApiMisuse, Error, InvalidMessage, PeerMisbehaved};
use crate::event::{Event, GroupChange};
use crate::group::{Fork, GroupLog};
use crate::identity::{Identity, SignedDeviceList, UserName};
use crate::limits::{GROUPS_PER_USER, ROSTER_ENTRIES};
use crate::roster::{Action, GroupId, SignedEntry};
use crate::wire::{self, GroupHead, Refusal, RefusalCode, Request};

/// How long a relay is not asked to take entries after what it said of a log cannot be right, in milliseconds.
const DOUBTED: u64 = 60_000;

/// What is known about the signer of an entry.
enum Signer {
    /// In the actor's list of the epoch named.
    Listed,
    /// Not in it, or there is no such list.
    Unlisted,
    /// The list is being looked up.
    Unknown,
}

impl Client {
    /// A page of this user's groups came.
    pub(in crate::client) fn groups_came(&mut self, page: &wire::Groups) {
        for head in &page.groups {
            self.groups.named.insert(head.group);
            self.head_told(head);
        }
        let more = page.more && self.groups.named.len() <= GROUPS_PER_USER;
        if let Some(last) = page.groups.last().filter(|_| more) {
            return self.ask_for_groups(last.group);
        }
        self.groups.ready = true;
        self.groups.lobby = page.lobby.map(|lobby| lobby.group);
        // Groups that the relay does not name any more: its log says why, or it hides them.
        let own = &self.config.user;
        let members = self.groups.known.iter().filter(|(_, known)| known.log.roster().is_member(own));
        let unpublished =
            |known: &super::state::Known| known.log.roster().sequence() == 0 && known.wishes.signed.is_some();
        let gone = members.filter(|(group, known)| !self.groups.named.contains(group) && !unpublished(known));
        let gone: Vec<GroupId> = gone.map(|(group, _)| *group).collect();
        let joins: Vec<GroupId> = self.groups.syncs.iter().filter(|(_, sync)| sync.join).map(|(id, _)| *id).collect();
        gone.into_iter().chain(joins).for_each(|group| self.begin_sync(group));
        if let Some(lobby) = page.lobby.filter(|lobby| !self.groups.known.contains_key(&lobby.group)) {
            self.tell(Event::Lobby { group: lobby.group });
        }
        for group in self.groups.groups_waited_for() {
            self.retry_group(group);
        }
    }

    /// The relay said how long a group's log is.
    pub(in crate::client) fn head_told(&mut self, head: &GroupHead) {
        let Some(known) = self.groups.known.get(&head.group) else { return self.begin_sync(head.group) };
        let roster = known.log.roster();
        // A lower one is looked at too: either it is on its way since before, or the relay has forgotten entries.
        if head.sequence != roster.sequence() {
            self.begin_sync(head.group);
        } else if known.log.entry(head.sequence).is_some_and(|entry| entry.hash() != head.hash) {
            self.sync_whole(head.group);
        }
    }

    /// Fetches what follows the newest entry that is known here.
    pub(super) fn begin_sync(&mut self, group: GroupId) {
        if !self.groups.has_room_for(&group, &self.config.user, &mut self.changes) {
            return;
        }
        let next = self.groups.known.get(&group).map_or(0, |known| known.log.roster().sequence().saturating_add(1));
        let sync = self.groups.syncs.entry(group).or_default();
        if !sync.asked && sync.incoming.is_empty() {
            sync.from = Some(next);
        }
    }

    /// Fetches all of a log: what the relay says of it is not what is known here.
    fn sync_whole(&mut self, group: GroupId) {
        let sync = self.groups.syncs.entry(group).or_default();
        if !core::mem::replace(&mut sync.whole, true) {
            sync.incoming.clear();
            sync.from = Some(0);
        }
    }

    /// A page of a log came. An answer that cannot be right ends the fetching, and the application is told.
    pub(in crate::client) fn log_came(&mut self, group: GroupId, from: u32, page: &wire::Log) {
        let Some(sync) = self.groups.syncs.get_mut(&group) else { return };
        sync.asked = false;
        let known = self.groups.known.get(&group).map_or(0, |known| known.log.roster().sequence());
        if page.sequence < known {
            // It took the entries that are known here, or they came from who saw it take them.
            self.log_doubted(group);
        } else if let Err(error) = read_page(sync, from, page) {
            self.log_failed(group, error);
        }
    }

    /// The relay does not show a log: the group is none, or none of this user's.
    pub(in crate::client) fn log_refused(&mut self, group: GroupId, refusal: Refusal) {
        let joined = self.groups.syncs.remove(&group).is_some_and(|sync| sync.join);
        if matches!(refusal.code, RefusalCode::RateLimited | RefusalCode::Unavailable) {
            // On the next connection, or with the next word of it.
            return;
        }
        if joined {
            self.tell(Event::GroupRefused { group, error: ApiMisuse::NotFound.into() });
        }
        if !self.groups.known.contains_key(&group) {
            for number in self.groups.waiting_in(group) {
                if let Some(waiting) = self.groups.take_one(number, &mut self.changes) {
                    self.tell(Event::Unopened { claimed: waiting.claimed });
                }
            }
        }
    }

    /// The relay denies an entry that it took, or refuses one for another that it does not show. What this device wants
    /// waits, and is not asked for again and again.
    fn log_doubted(&mut self, group: GroupId) {
        self.groups.rest = self.now.saturating_add(DOUBTED);
        self.log_failed(group, PeerMisbehaved::RosterOrder.into());
    }

    fn log_failed(&mut self, group: GroupId, error: Error) {
        self.groups.syncs.remove(&group);
        self.tell(Event::GroupRefused { group, error });
    }

    /// Takes fetched entries as far as their signers are known, and asks for what follows.
    pub(super) fn advance_logs(&mut self) {
        if self.relay().is_err() {
            return;
        }
        let groups: Vec<GroupId> = self.groups.syncs.keys().copied().collect();
        groups.into_iter().for_each(|group| self.advance_log(group));
    }

    fn advance_log(&mut self, group: GroupId) {
        while let Some(entry) = self.groups.syncs.get(&group).and_then(|sync| sync.incoming.front().cloned()) {
            match self.signer_of(group, &entry) {
                Signer::Listed => {}
                Signer::Unlisted => return self.log_failed(group, PeerMisbehaved::NotInDeviceList.into()),
                Signer::Unknown => return,
            }
            match self.take_entry(group, entry) {
                Ok(()) => {
                    if let Some(sync) = self.groups.syncs.get_mut(&group) {
                        sync.incoming.pop_front();
                    }
                }
                Err(PeerMisbehaved::RosterOrder) if self.groups.syncs.get(&group).is_some_and(|sync| !sync.whole) => {
                    self.sync_whole(group);
                }
                Err(error) => return self.log_failed(group, error.into()),
            }
        }
        let Ok(relay) = self.relay() else { return };
        let Some(sync) = self.groups.syncs.get_mut(&group).filter(|sync| !sync.asked) else { return };
        match sync.from.take() {
            Some(from) => {
                sync.asked = true;
                let request = Request::GroupLog(wire::FetchLog { group, from });
                self.ask(relay, request, Asked::GroupLog(group, from));
            }
            None => self.log_known(group),
        }
    }

    /// All that the relay has of a log is taken.
    fn log_known(&mut self, group: GroupId) {
        let Some(sync) = self.groups.syncs.remove(&group) else { return };
        let own = self.config.user.clone();
        let Some(known) = self.groups.known.get_mut(&group) else { return };
        let roster = known.log.roster();
        if sync.refused.is_some_and(|sequence| roster.sequence() < sequence) {
            return self.log_doubted(group);
        }
        let member = roster.is_member(&own);
        if sync.news && member {
            self.tell(Event::GroupJoined { group });
        } else if sync.join && !member {
            if roster.is_open() {
                known.wishes.actions.push_back(Action::Add { users: vec![own] });
                self.groups.save_wishes(group, &mut self.changes);
            } else {
                self.tell(Event::GroupRefused { group, error: ApiMisuse::NotPermitted.into() });
            }
        }
        self.retry_group(group);
    }

    /// Takes one entry, whose signer is listed: the next of a log, or the first. One that is there already is passed over;
    /// one that is there and another is a fork.
    pub(super) fn take_entry(&mut self, group: GroupId, entry: SignedEntry) -> Result<(), PeerMisbehaved> {
        let sequence = entry.entry().sequence;
        let now = self.now;
        let Some(known) = self.groups.known.get_mut(&group) else {
            if entry.group() != group || sequence != 0 {
                return Err(PeerMisbehaved::RosterEntry);
            }
            self.groups.begin(GroupLog::begin(entry)?, Wishes::default(), now, &mut self.changes);
            if let Some(sync) = self.groups.syncs.get_mut(&group) {
                sync.news = true;
            }
            return Ok(());
        };
        if sequence <= known.log.roster().sequence() {
            if known.log.entry(sequence).is_some_and(|own| own.hash() == entry.hash()) {
                return Ok(());
            }
            return match known.log.compare(core::slice::from_ref(&entry)) {
                Fork::At(_) => {
                    self.forked(group, entry);
                    Err(PeerMisbehaved::RosterFork)
                }
                _ => Err(PeerMisbehaved::RosterEntry),
            };
        }
        known.log.push(entry.clone(), now)?;
        self.groups.save_entry(group, sequence, now, &mut self.changes);
        let signed = self.groups.known.get(&group).and_then(|known| known.wishes.signed.as_ref());
        if let Some(signed) = signed.filter(|signed| signed.entry().sequence == sequence) {
            if signed.hash() == entry.hash() {
                self.entry_settled(group);
            } else if let Some(known) = self.groups.known.get_mut(&group) {
                // Another entry has its place: it was as good as refused.
                known.wishes.signed = None;
                self.groups.save_wishes(group, &mut self.changes);
            }
        }
        self.tell_entry(group, &entry);
        Ok(())
    }

    /// Tells the application what an entry changed, unless it learns the group as a whole.
    fn tell_entry(&mut self, group: GroupId, entry: &SignedEntry) {
        let body = entry.entry();
        let joins = matches!(&body.action, Action::Add { users } if users.contains(&self.config.user));
        if let Some(sync) = self.groups.syncs.get_mut(&group)
            && (sync.news || joins)
        {
            sync.news = true;
            return;
        }
        if joins {
            return self.tell(Event::GroupJoined { group });
        }
        let change = match &body.action {
            Action::Add { users } => GroupChange::Added { users: users.clone() },
            Action::Remove { users } => GroupChange::Removed { users: users.clone() },
            Action::Admin { user, admin } => GroupChange::Admin { user: user.clone(), admin: *admin },
            Action::Rename { name } => GroupChange::Renamed { name: name.clone() },
            Action::Create { .. } | Action::Epoch => return,
        };
        self.tell(Event::GroupChanged { group, by: body.actor.clone(), change });
    }

    /// G6: two entries for one place, both by somebody entitled. Nothing is sent before the host decides.
    fn forked(&mut self, group: GroupId, entry: SignedEntry) {
        let Some(known) = self.groups.known.get_mut(&group) else { return };
        if known.wishes.fork.is_some() || known.wishes.rejected.contains(&entry.hash()) {
            return;
        }
        let (sequence, by) = (entry.entry().sequence, entry.entry().actor.clone());
        known.wishes.fork = Some(entry);
        self.groups.save_wishes(group, &mut self.changes);
        self.tell(Event::GroupForked { group, sequence, by });
    }

    /// Decides which side of a forked log counts (G6): the one known first, or the `other`.
    ///
    /// Fails with `NotFound` where there is no fork.
    pub fn resolve_fork(&mut self, group: &GroupId, other: bool, now: u64) -> Result<(), Error> {
        self.advance(now);
        let known = self.groups.known.get_mut(group).ok_or(ApiMisuse::NotFound)?;
        let entry = known.wishes.fork.take().ok_or(ApiMisuse::NotFound)?;
        let (sequence, last) = (entry.entry().sequence, known.log.roster().sequence());
        if !other {
            known.wishes.rejected.push(entry.hash());
        } else if let Some(mut log) = sequence.checked_sub(1).and_then(|kept| known.log.cut(kept)) {
            known.wishes.rejected.extend(known.log.entry(sequence).map(SignedEntry::hash));
            log.push(entry, self.now)?;
            known.log = log;
            known.wishes.signed = None;
            self.groups.forget_entries(*group, sequence, last, &mut self.changes);
            self.groups.save_entry(*group, sequence, self.now, &mut self.changes);
        }
        self.groups.save_wishes(*group, &mut self.changes);
        self.begin_sync(*group);
        self.retry_group(*group);
        self.settle();
        Ok(())
    }

    /// A member showed entries, asked for or not (G6, G7).
    pub(super) fn entries_shown(&mut self, group: GroupId, from: &Identity, entries: &[Vec<u8>]) {
        let decoded: Result<Vec<SignedEntry>, Error> = entries.iter().map(|bytes| SignedEntry::decode(bytes)).collect();
        let (Ok(shown), Some(known)) = (decoded, self.groups.known.get(&group)) else { return };
        match known.log.compare(&shown) {
            Fork::None => {
                let next = known.log.roster().sequence().saturating_add(1);
                let news = shown.into_iter().skip_while(|entry| entry.entry().sequence < next);
                let news: Vec<_> = news.zip(next..).take_while(|(entry, at)| entry.entry().sequence == *at).collect();
                if news.is_empty() {
                    return;
                }
                let sync = self.groups.syncs.entry(group).or_default();
                if sync.incoming.is_empty() && !sync.asked {
                    sync.incoming.extend(news.into_iter().map(|(entry, _)| entry));
                }
            }
            Fork::At(sequence) => {
                let Some(entry) = shown.into_iter().find(|entry| entry.entry().sequence == sequence) else { return };
                if let Signer::Listed = self.signer_of(group, &entry) {
                    self.forked(group, entry);
                }
            }
            Fork::Before(sequence) => self.want_entries(group, from, sequence.saturating_sub(1)),
            Fork::Invalid => {}
        }
    }

    /// Asks a device to show the entry with that number and those before it, once on a connection.
    pub(super) fn want_entries(&mut self, group: GroupId, device: &Identity, sequence: u32) {
        if self.groups.ask_once(device, group, Wanted::Entries(sequence)) {
            let Some(user) = self.contacts.user_of(device).cloned() else { return };
            self.control(group, &user, device, crate::content::GroupControl::EntriesWanted { sequence });
        }
    }

    /// Whether the signer of an entry was in the actor's device list of the epoch that it names (G2).
    fn signer_of(&mut self, group: GroupId, entry: &SignedEntry) -> Signer {
        let body = entry.entry();
        let (user, epoch) = (&body.actor, body.epoch);
        let listed = |listed: bool| if listed { Signer::Listed } else { Signer::Unlisted };
        let known = if *user == self.config.user {
            self.account.list().map(|list| (list.epoch(), list.contains(&body.identity)))
        } else {
            self.contacts.pin(user).map(|pin| (pin.epoch(), pin.contains(&body.identity)))
        };
        match known {
            Some((current, contains)) if current == epoch => listed(contains),
            Some((current, _)) if epoch < current => {
                if let Some(devices) = self.groups.past.get(&(user.clone(), epoch)) {
                    return listed(devices.contains(&body.identity));
                }
                self.fetch_past(user)
            }
            _ => {
                let user = user.clone();
                let sync = self.groups.syncs.entry(group).or_default();
                if !self.contacts.lookups.is_open(&user) && !sync.looked_up.insert(user.clone()) {
                    return Signer::Unlisted;
                }
                self.contacts.lookups.begin(&user);
                Signer::Unknown
            }
        }
    }

    /// Fetches all lists of a user, for entries that were signed under older ones than the pinned.
    fn fetch_past(&mut self, user: &UserName) -> Signer {
        let Ok(relay) = self.relay() else { return Signer::Unknown };
        // Asked for before, in this connection: there is no such list.
        if self.groups.past.contains_key(&(user.clone(), u64::MAX)) {
            return Signer::Unlisted;
        }
        if self.groups.fetching.insert(user.clone()) {
            let request = Request::FetchLists(wire::FetchLists { user: user.clone(), from: 0 });
            self.ask(relay, request, Asked::PastLists(user.clone(), OfferedLists::new(true)));
        }
        Signer::Unknown
    }

    /// A page of a user's older lists came: they count when they lead to the pinned one.
    pub(in crate::client) fn past_came(&mut self, user: UserName, mut lists: OfferedLists, page: &wire::Lists) {
        let pushed = page.lists.iter().try_for_each(|bytes| lists.push(SignedDeviceList::decode(bytes).ok()?).ok());
        if pushed.is_some() && page.next != 0 && page.next == lists.next() && !page.lists.is_empty() {
            if let Ok(relay) = self.relay() {
                let request = Request::FetchLists(wire::FetchLists { user: user.clone(), from: page.next });
                self.ask(relay, request, Asked::PastLists(user, lists));
            }
            return;
        }
        self.groups.fetching.remove(&user);
        let pinned = self.known_list(&user);
        // An empty mark says that they were asked for, whatever came.
        self.groups.past.insert((user.clone(), u64::MAX), Vec::new());
        let (Ok((chain, lists)), Some((epoch, hash))) = (lists.finish(), pinned) else { return };
        if pushed.is_some() && chain.hash_at(epoch) == Some(hash) {
            for list in lists {
                self.groups.past.insert((user.clone(), list.epoch()), list.identities().to_vec());
            }
        }
    }

    /// The relay does not show a user's older lists.
    pub(in crate::client) fn past_refused(&mut self, user: UserName) {
        self.groups.fetching.remove(&user);
        self.groups.past.insert((user, u64::MAX), Vec::new());
    }
}

/// Reads a page of a log into what is to be taken, rising by one from the entry asked for.
fn read_page(sync: &mut Sync, from: u32, page: &wire::Log) -> Result<(), Error> {
    for (bytes, sequence) in page.entries.iter().zip(from..) {
        let entry = SignedEntry::decode(bytes)?;
        if entry.entry().sequence != sequence {
            return Err(PeerMisbehaved::RosterOrder.into());
        }
        sync.incoming.push_back(entry);
    }
    if page.next == 0 {
        return Ok(());
    }
    let read = u32::try_from(page.entries.len()).unwrap_or(u32::MAX);
    if read == 0 || page.next != from.saturating_add(read) || page.next >= ROSTER_ENTRIES {
        return Err(InvalidMessage::OutOfBounds.into());
    }
    sync.from = Some(page.next);
    Ok(())
}
