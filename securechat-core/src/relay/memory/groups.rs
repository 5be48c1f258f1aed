//! Groups: their logs, and who is in them.

use super::{Answer, MemoryStore, User, require};
use crate::identity::{Identity, UserName};
use crate::relay::answer::{GroupPage, GroupState, LogPage, SentItem, StoreOutcome, StoreRefusal, StoreResult};
use crate::relay::store::{NewEntry, StoredItem};
use crate::roster::GroupId;
use crate::wire::{Bytes, GroupHead};
use core::ops::Bound;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::relay) struct Group {
    /// How many groups were made before it.
    pub(in crate::relay) number: u64,
    pub(in crate::relay) open: bool,
    pub(in crate::relay) sequence: u32,
    hash: [u8; 32],
    roster: Bytes,
    /// Whoever was a member once, and whether they are now.
    pub(in crate::relay) members: BTreeMap<UserName, bool>,
    #[serde(skip)]
    pub(in crate::relay) entries: Vec<Bytes>,
}

impl MemoryStore {
    pub(super) fn send_to_group(
        &mut self,
        (sender, user): (&Identity, &UserName),
        group: &GroupId,
        item: &StoredItem,
        room: (usize, u64),
        now: u64,
    ) -> SentItem {
        let group = self.groups.get(group).filter(|group| group.has(user));
        let Some(group) = group else { return SentItem::new(0, StoreOutcome::Unknown) };
        let users = group.members.iter().filter(|(_, member)| **member).filter_map(|(user, _)| self.users.get(user));
        let devices = users.flat_map(|user| &user.listed).filter(|device| *device != sender);
        let send = |device: &Identity| (*device, self.mailboxes.send((sender, user), *device, item, room, now));
        let devices = devices.map(send).collect();
        SentItem { epoch: group.sequence.into(), outcome: StoreOutcome::Passed, devices }
    }

    pub(super) fn group(&self, group: &GroupId, place: u32, user: &UserName) -> GroupState {
        let group = self.groups.get(group);
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        GroupState {
            epoch: self.users.get(user).and_then(User::epoch),
            roster: group.map(|group| group.roster.clone()),
            entry: group.and_then(|group| group.entries.get(place).cloned()),
        }
    }

    pub(super) fn put_entry(&mut self, entry: &NewEntry) -> Answer {
        let (actor, epoch) = &entry.actor;
        require(self.users.get(actor).and_then(User::epoch) == Some(*epoch), StoreRefusal::Changed)?;
        let newest = self.groups.get(&entry.group).map(|group| (group.sequence, group.hash));
        require(newest == entry.before, StoreRefusal::Changed)?;
        for user in &entry.added {
            require(self.users.contains_key(user), StoreRefusal::NotFound)?;
        }
        let is_full = |user| self.users.get(user).is_some_and(|user| user.groups.len() >= entry.room);
        require(!entry.added.iter().any(is_full), StoreRefusal::Full)?;
        let number = self.groups.len() as u64;
        let group = self.groups.entry(entry.group).or_insert_with(|| Group::new(number, entry.open));
        if group.open {
            self.lobby.get_or_insert((group.number, entry.group));
        }
        group.entries.push(entry.bytes.clone());
        (group.sequence, group.hash, group.roster) = (entry.sequence, entry.hash, entry.roster.clone());
        let changed = entry.added.iter().map(|user| (user, true)).chain(entry.removed.iter().map(|user| (user, false)));
        for (user, member) in changed {
            group.members.insert(user.clone(), member);
            let Some(user) = self.users.get_mut(user) else { continue };
            if member {
                user.groups.insert(entry.group);
            } else {
                user.groups.remove(&entry.group);
            }
        }
        Ok(StoreResult::Done)
    }

    pub(super) fn log(&self, group: &GroupId, user: &UserName, from: u32, count: usize) -> Option<LogPage> {
        let group = self.groups.get(group).filter(|group| group.open || group.members.contains_key(user))?;
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let entries = group.entries.iter().skip(from).take(count).cloned().collect();
        Some(LogPage { sequence: group.sequence, entries })
    }

    pub(super) fn groups(&self, user: &UserName, after: &GroupId, count: usize, lobby: bool) -> GroupPage {
        let head = |id: &GroupId| self.groups.get(id).map(|group| group.head(*id));
        let after = (Bound::Excluded(*after), Bound::Unbounded);
        let mut groups = self.users.get(user).into_iter().flat_map(|user| user.groups.range(after)).filter_map(head);
        let page = groups.by_ref().take(count).collect();
        let more = groups.next().is_some();
        let lobby = self.lobby.filter(|_| lobby).and_then(|(_, group)| head(&group));
        GroupPage { groups: page, more, lobby }
    }
}

impl Group {
    fn new(number: u64, open: bool) -> Self {
        let (members, entries) = (BTreeMap::new(), Vec::new());
        Self { number, open, sequence: 0, hash: [0; 32], roster: Bytes::default(), members, entries }
    }

    /// Whether this user is a member now.
    fn has(&self, user: &UserName) -> bool {
        self.members.get(user).is_some_and(|member| *member)
    }

    fn head(&self, group: GroupId) -> GroupHead {
        GroupHead { group, sequence: self.sequence, hash: self.hash }
    }
}
