//! What the application does to groups: each becomes an entry of the log, signed by this device.

use super::state::Wishes;
use crate::client::Client;
use crate::client::links::Asked;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::{Event, RequestKind};
use crate::group::GroupLog;
use crate::identity::UserName;
use crate::limits::USERS_PER_ENTRY;
use crate::roster::{Action, Entry, GroupId, SignedEntry};
use crate::wire::{self, Bytes, Refusal, RefusalCode, Request};

/// Things to do to one group that wait, at most.
const ACTIONS: usize = 64;
/// How long to wait after the relay did not take an entry for now, in milliseconds.
const RETRY_AFTER: u64 = 1_000;

/// What is known of a group.
#[derive(Clone, derive_more::Debug, PartialEq, Eq)]
pub struct GroupInfo {
    /// What its admins call it: untrusted text.
    #[debug("{} bytes", name.len())]
    pub name: String,
    /// Whether any user of the relay may come in, so that whoever can register there can read it, its operator included
    /// (G3). Hosts must show that.
    pub open: bool,
    /// The number of the newest entry that counts here.
    pub sequence: u32,
    /// The members, in the order of their names, each with whether they are an admin.
    pub members: Vec<(UserName, bool)>,
    /// Whether this user is a member.
    pub member: bool,
    /// Whether this user is an admin.
    pub admin: bool,
    /// Whether its log was forked, and nothing is sent before the host decides (G6).
    pub forked: bool,
    /// Whether something this device did to it waits for the relay.
    pub waits: bool,
}

impl Client {
    /// The groups that are known here, also those that this user has left.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> + '_ {
        self.groups.known.keys().copied()
    }

    /// Whether the relay has told, on this connection, which groups there are and whether it offers a lobby.
    pub fn groups_told(&self) -> bool {
        self.groups.ready
    }

    /// The lobby that the relay offers (G3), as soon as it [told](Self::groups_told).
    pub fn lobby(&self) -> Option<GroupId> {
        self.groups.lobby
    }

    /// What is known of a group.
    pub fn group(&self, group: &GroupId) -> Option<GroupInfo> {
        let known = self.groups.known.get(group)?;
        let roster = known.log.roster();
        let own = &self.config.user;
        Some(GroupInfo {
            name: roster.name().to_owned(),
            open: roster.is_open(),
            sequence: roster.sequence(),
            members: roster.members().map(|user| (user.clone(), roster.is_admin(user))).collect(),
            member: roster.is_member(own),
            admin: roster.is_admin(own),
            forked: known.wishes.fork.is_some(),
            waits: known.wishes.wait(),
        })
    }

    /// Creates a group with this user as its first member and admin. In an `open` one any user of the relay may come in
    /// (G3). It exists for others once the relay took it.
    ///
    /// Fails with `NotLoggedIn` where this device has no list yet, `TooLarge` for a name that is empty or longer than
    /// 128 bytes, and `Busy` above 1,024 groups.
    pub fn create_group(&mut self, name: &str, open: bool, now: u64) -> Result<GroupId, Error> {
        self.advance(now);
        if !self.groups.has_room_for(&GroupId::NONE, &self.config.user, &mut self.changes) {
            return Err(ApiMisuse::Busy.into());
        }
        let action = Action::Create { name: name.to_owned(), open, nonce: self.random_id() };
        let first = self.sign_entry(GroupId::NONE, [0; 32], 0, action)?;
        let log = GroupLog::begin(first.clone())?;
        let group = log.roster().id();
        let wishes = Wishes { signed: Some(first), ..Wishes::default() };
        self.groups.begin(log, wishes, self.now, &mut self.changes);
        self.settle();
        Ok(group)
    }

    /// Comes into an open group of the relay, such as its lobby; `GroupJoined` tells when it is done.
    ///
    /// Fails with `NotLoggedIn`, and with `WrongState` for who is a member already.
    pub fn join_group(&mut self, group: &GroupId, now: u64) -> Result<(), Error> {
        self.advance(now);
        self.relay()?;
        if self.groups.known.get(group).is_some_and(|known| known.log.roster().is_member(&self.config.user)) {
            return Err(ApiMisuse::WrongState.into());
        }
        let sync = self.groups.syncs.entry(*group).or_default();
        sync.join = true;
        self.begin_sync(*group);
        self.settle();
        Ok(())
    }

    /// Adds users. Fails with `NotFound`, with `NotPermitted` for who is no admin or where they are members already, with
    /// `TooLarge` where somebody stands twice, and with `Busy`.
    pub fn add_to_group(&mut self, group: &GroupId, users: &[UserName], now: u64) -> Result<(), Error> {
        for some in users.chunks(USERS_PER_ENTRY) {
            self.change_group(group, Action::Add { users: some.to_vec() }, now)?;
        }
        Ok(())
    }

    /// Removes users, or lets this one leave. Fails as [`add_to_group`](Self::add_to_group) does; the last admin cannot leave
    /// members behind.
    pub fn remove_from_group(&mut self, group: &GroupId, users: &[UserName], now: u64) -> Result<(), Error> {
        for some in users.chunks(USERS_PER_ENTRY) {
            self.change_group(group, Action::Remove { users: some.to_vec() }, now)?;
        }
        Ok(())
    }

    /// Makes a member an admin, or takes that back.
    pub fn set_group_admin(&mut self, group: &GroupId, user: &UserName, admin: bool, now: u64) -> Result<(), Error> {
        self.change_group(group, Action::Admin { user: user.clone(), admin }, now)
    }

    /// Gives a group another name. Fails also with `TooLarge` for one that is empty or longer than 128 bytes.
    pub fn rename_group(&mut self, group: &GroupId, name: &str, now: u64) -> Result<(), Error> {
        self.change_group(group, Action::Rename { name: name.to_owned() }, now)
    }

    fn change_group(&mut self, group: &GroupId, action: Action, now: u64) -> Result<(), Error> {
        self.advance(now);
        // Else it would wait, and be saved as it is, for an entry that nobody can sign.
        action.check().map_err(|_| ApiMisuse::TooLarge)?;
        let epoch = self.own_epoch()?;
        let known = self.groups.known.get_mut(group).ok_or(ApiMisuse::NotFound)?;
        if known.wishes.fork.is_some() {
            return Err(ApiMisuse::RosterForked.into());
        }
        if known.wishes.actions.len() >= ACTIONS {
            return Err(ApiMisuse::Busy.into());
        }
        // What is on its way may permit it yet; what nothing precedes is judged now.
        if !known.wishes.wait() && !known.log.roster().permits(&self.config.user, epoch, &action) {
            return Err(ApiMisuse::NotPermitted.into());
        }
        known.wishes.actions.push_back(action);
        self.groups.save_wishes(*group, &mut self.changes);
        self.settle();
        Ok(())
    }

    fn own_epoch(&self) -> Result<u64, ApiMisuse> {
        self.account.list().map(|list| list.epoch()).ok_or(ApiMisuse::NotLoggedIn)
    }

    fn sign_entry(
        &self,
        group: GroupId,
        previous: [u8; 32],
        sequence: u32,
        action: Action,
    ) -> Result<SignedEntry, ApiMisuse> {
        let (identity, actor, epoch) = (self.identity(), self.config.user.clone(), self.own_epoch()?);
        let entry = Entry { identity, group, previous, sequence, time: self.now, epoch, actor, action };
        SignedEntry::sign(entry, &self.local.keys.identity)
    }

    /// G2: after a device of this user was revoked, what it signs under the older list counts no longer in any group
    /// where the user is admin.
    pub(super) fn sign_epochs(&mut self) {
        let (Ok(epoch), own) = (self.own_epoch(), &self.config.user) else { return };
        let lists = &self.account.lists;
        let revoked_since = |before: u64| {
            let since = usize::try_from(before).ok().and_then(|before| lists.get(before..)).unwrap_or_default();
            since.iter().flat_map(|list| list.identities()).any(|device| !self.devices().contains(device))
        };
        let mut due = Vec::new();
        for (group, known) in &self.groups.known {
            let roster = known.log.roster();
            let before = roster.epoch_of(own).unwrap_or_default();
            let wanted = || known.wishes.actions.contains(&Action::Epoch) || known.wishes.fork.is_some();
            if before < epoch && !wanted() && roster.permits(own, epoch, &Action::Epoch) && revoked_since(before) {
                due.push(*group);
            }
        }
        for group in due {
            if let Some(known) = self.groups.known.get_mut(&group) {
                known.wishes.actions.push_back(Action::Epoch);
            }
            self.groups.save_wishes(group, &mut self.changes);
        }
    }

    /// Asks the relay to take what was signed, or signs what is to be done next.
    pub(super) fn publish_entries(&mut self) {
        let Ok(relay) = self.relay() else { return };
        if !self.groups.ready || !self.is_listed() || self.groups.rest > self.now {
            return;
        }
        let due: Vec<GroupId> = self
            .groups
            .known
            .iter()
            .filter(|(_, known)| known.wishes.wait())
            .map(|(group, _)| *group)
            .filter(|group| !self.groups.syncs.contains_key(group))
            .filter(|group| {
                self.open_on(relay, |asked| matches!(asked, Asked::GroupEntry(other) if other == group)) == 0
            })
            .collect();
        for group in due {
            if let Some(entry) = self.next_entry(group) {
                let request = Request::GroupEntry(wire::GroupEntry { entry: Bytes::from(entry.bytes()) });
                self.ask(relay, request, Asked::GroupEntry(group));
            }
        }
    }

    /// The entry that was signed and not answered, or the next one: a second one for its place is never signed before the
    /// first was refused (G2).
    fn next_entry(&mut self, group: GroupId) -> Option<SignedEntry> {
        let epoch = self.own_epoch().ok()?;
        loop {
            let known = self.groups.known.get_mut(&group)?;
            if let Some(signed) = &known.wishes.signed {
                return Some(signed.clone());
            }
            let action = known.wishes.actions.front()?.clone();
            let roster = known.log.roster();
            let (previous, sequence) = (roster.hash(), roster.sequence().saturating_add(1));
            let permitted = roster.permits(&self.config.user, epoch, &action);
            let signed = permitted.then(|| self.sign_entry(group, previous, sequence, action)).and_then(Result::ok);
            let known = self.groups.known.get_mut(&group)?;
            match signed {
                Some(entry) => known.wishes.signed = Some(entry),
                None => {
                    known.wishes.actions.pop_front();
                    self.tell(Event::GroupRefused { group, error: ApiMisuse::NotPermitted.into() });
                }
            }
            self.groups.save_wishes(group, &mut self.changes);
        }
    }

    /// The relay took the entry that this device signed.
    pub(in crate::client) fn entry_taken(&mut self, group: GroupId) {
        let signed = self.groups.known.get(&group).and_then(|known| known.wishes.signed.clone());
        let Some(signed) = signed else { return };
        if signed.entry().sequence == 0 {
            self.entry_settled(group);
            self.tell(Event::GroupJoined { group });
        } else if self.take_entry(group, signed).is_err() {
            // Another entry came to its place meanwhile: what the relay has is looked at.
            self.begin_sync(group);
        }
    }

    /// What this device signed is in the log, or will never be.
    pub(super) fn entry_settled(&mut self, group: GroupId) {
        let Some(known) = self.groups.known.get_mut(&group) else { return };
        if known.wishes.signed.take().is_some_and(|signed| signed.entry().sequence > 0) {
            known.wishes.actions.pop_front();
        }
        self.groups.save_wishes(group, &mut self.changes);
    }

    /// The relay did not take an entry.
    pub(in crate::client) fn entry_refused(&mut self, group: GroupId, refusal: Refusal) {
        match refusal.code {
            RefusalCode::EntryOutdated => {
                // Somebody was faster: when theirs is known, another one is signed on top of it. Until then this one stays,
                // or a relay that refuses it and keeps it would get two for one place. For another epoch it is signed anew.
                let epoch = self.own_epoch().ok();
                let mut refused = None;
                if let Some(known) = self.groups.known.get_mut(&group) {
                    refused = known.wishes.signed.as_ref().map(|signed| signed.entry().sequence);
                    known.wishes.signed.take_if(|signed| Some(signed.entry().epoch) != epoch);
                }
                self.groups.save_wishes(group, &mut self.changes);
                self.begin_sync(group);
                if let Some(sync) = self.groups.syncs.get_mut(&group) {
                    sync.refused = refused;
                }
            }
            RefusalCode::RateLimited | RefusalCode::Unavailable => {
                let wait = refusal.wait(RETRY_AFTER);
                self.groups.rest = self.now.saturating_add(wait);
            }
            _ => {
                self.entry_settled(group);
                self.tell_refused(RequestKind::Group, refusal);
                self.tell(Event::GroupRefused { group, error: PeerMisbehaved::RosterEntry.into() });
            }
        }
    }
}
