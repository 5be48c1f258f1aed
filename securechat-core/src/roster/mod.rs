//! The roster of a group: a log of signed entries, and the rules by which one follows the others (PROTOCOL.md G1 to G3).
//!
//! ```text
//! create ← add alice bob ← rename ← remove bob ← …        each names the hash of the one before
//! ```
//!
//! The relay keeps the log and takes an entry only on top of the newest; every member checks all of it again. Members are
//! users; who reads is each member's current device list.

mod entry;
mod id;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

pub use entry::{Action, ENTRY_MAX, Entry, SignedEntry};
pub use id::GroupId;

use crate::error::PeerMisbehaved;
use crate::identity::UserName;
use crate::limits::{GROUP_MEMBERS, MEMBERSHIPS, OPEN_JOINS, ROSTER_ENTRIES};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the entries of a group come to. A state record.
///
/// An entry is taken in two steps: [`check`](Self::check) says whether the rules allow it here, [`apply`](Self::apply)
/// makes it count. That its signer is in the actor's device list of the epoch that it names (G2) is looked up by the
/// caller, who has the lists.
#[derive(Clone, derive_more::Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    id: GroupId,
    #[debug("{} bytes", name.len())]
    name: String,
    open: bool,
    sequence: u32,
    hash: [u8; 32],
    admins: BTreeSet<UserName>,
    /// When each user came and went, in order; who is a member now has a last stay without an end.
    stays: BTreeMap<UserName, Vec<Stay>>,
    /// The highest device-list epoch under which each actor signed.
    epochs: BTreeMap<UserName, u64>,
}

/// From the entry that added a user to the one that removed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stay {
    from: u32,
    until: Option<u32>,
}

impl Stay {
    fn covers(&self, sequence: u32) -> bool {
        self.from <= sequence && self.until.is_none_or(|until| sequence < until)
    }
}

impl Roster {
    /// The group that an entry creates: its actor is its first member and admin.
    ///
    /// Fails with [`PeerMisbehaved::RosterEntry`] when the entry does not begin a group.
    pub fn create(entry: &SignedEntry) -> Result<Self, PeerMisbehaved> {
        let Action::Create { name, open, .. } = &entry.entry().action else { return Err(PeerMisbehaved::RosterEntry) };
        let body = entry.entry();
        if !(body.sequence == 0 && body.group == GroupId::NONE && body.previous == [0; 32]) {
            return Err(PeerMisbehaved::RosterEntry);
        }
        Ok(Self {
            id: entry.created_group(),
            name: name.clone(),
            open: *open,
            sequence: 0,
            hash: entry.hash(),
            admins: BTreeSet::from([body.actor.clone()]),
            stays: BTreeMap::from([(body.actor.clone(), vec![Stay { from: 0, until: None }])]),
            epochs: BTreeMap::from([(body.actor.clone(), body.epoch)]),
        })
    }

    /// The group.
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// What its admins call it: untrusted text of at most 128 bytes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether any user of the relay may add themself, so that whoever can register there can read it (G3).
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// The number of the newest entry.
    pub fn sequence(&self) -> u32 {
        self.sequence
    }

    /// The hash of the newest entry.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The members now, in the order of their names.
    pub fn members(&self) -> impl Iterator<Item = &UserName> + '_ {
        self.stays.iter().filter(|(_, stays)| is_in(stays)).map(|(user, _)| user)
    }

    /// Whether this user is a member now.
    pub fn is_member(&self, user: &UserName) -> bool {
        self.stays.get(user).is_some_and(|stays| is_in(stays))
    }

    /// Whether this user is an admin now.
    pub fn is_admin(&self, user: &UserName) -> bool {
        self.admins.contains(user)
    }

    /// The highest epoch of their device list under which a user signed an entry.
    pub fn epoch_of(&self, actor: &UserName) -> Option<u64> {
        self.epochs.get(actor).copied()
    }

    /// Whether this user was a member once, or is.
    pub fn was_member(&self, user: &UserName) -> bool {
        self.stays.contains_key(user)
    }

    /// Whether this user was a member right after the entry with this number.
    pub fn was_member_at(&self, user: &UserName, sequence: u32) -> bool {
        self.stays.get(user).is_some_and(|stays| stays.iter().any(|stay| stay.covers(sequence)))
    }

    /// The first entry after `sequence` that removed somebody (G7).
    pub fn removal_after(&self, sequence: u32) -> Option<u32> {
        let ends = self.stays.values().flatten().filter_map(|stay| stay.until);
        ends.filter(|until| *until > sequence).min()
    }

    /// Whether `entry` may follow now.
    ///
    /// Fails with [`PeerMisbehaved::RosterOrder`] when it is not the entry after the newest, and with
    /// [`PeerMisbehaved::RosterEntry`] when the rules do not allow it there: its actor may not do that, there is nothing to
    /// do, a bound is reached, or its epoch is below one that the actor signed under before.
    pub fn check(&self, entry: &SignedEntry) -> Result<(), PeerMisbehaved> {
        let body = entry.entry();
        let next = self.sequence.checked_add(1);
        if body.group != self.id || Some(body.sequence) != next || body.previous != self.hash {
            return Err(PeerMisbehaved::RosterOrder);
        }
        let rises = self.epochs.get(&body.actor).is_none_or(|epoch| *epoch <= body.epoch);
        if rises && body.sequence < ROSTER_ENTRIES && self.permits(&body.actor, body.epoch, &body.action) {
            Ok(())
        } else {
            Err(PeerMisbehaved::RosterEntry)
        }
    }

    /// Checks an entry and makes it count. A failure changes nothing.
    pub fn apply(&mut self, entry: &SignedEntry) -> Result<(), PeerMisbehaved> {
        self.check(entry)?;
        let body = entry.entry();
        match &body.action {
            Action::Create { .. } | Action::Epoch => {}
            Action::Add { users } => {
                for user in users {
                    self.stays.entry(user.clone()).or_default().push(Stay { from: body.sequence, until: None });
                }
            }
            Action::Remove { users } => {
                for user in users {
                    self.admins.remove(user);
                    if let Some(stay) = self.stays.get_mut(user).and_then(|stays| stays.last_mut()) {
                        stay.until = Some(body.sequence);
                    }
                }
            }
            Action::Admin { user, admin: true } => _ = self.admins.insert(user.clone()),
            Action::Admin { user, admin: false } => _ = self.admins.remove(user),
            Action::Rename { name } => self.name.clone_from(name),
        }
        self.epochs.insert(body.actor.clone(), body.epoch);
        self.sequence = body.sequence;
        self.hash = entry.hash();
        Ok(())
    }

    /// Whether `actor` may do this now, under this epoch of their device list.
    pub fn permits(&self, actor: &UserName, epoch: u64, action: &Action) -> bool {
        let admin = self.is_admin(actor);
        let itself = |users: &[UserName]| users == core::slice::from_ref(actor);
        match action {
            Action::Create { .. } => false,
            Action::Add { users } => {
                let members = self.members().count() + users.len();
                let memberships = self.stays.values().map(Vec::len).sum::<usize>() + users.len();
                let came = self.stays.get(actor).map_or(0, Vec::len);
                (admin || (self.open && itself(users) && came < OPEN_JOINS && !self.admins.is_empty()))
                    && users.iter().all(|user| !self.is_member(user))
                    && members <= GROUP_MEMBERS
                    && memberships <= MEMBERSHIPS
            }
            Action::Remove { users } => {
                (admin || itself(users)) && users.iter().all(|user| self.is_member(user)) && self.leaves_an_admin(users)
            }
            Action::Admin { user, admin: make } => {
                let news = self.is_member(user) && self.is_admin(user) != *make;
                admin && news && (*make || self.admins.len() > 1)
            }
            Action::Rename { name } => admin && self.name != *name,
            Action::Epoch => admin && self.epochs.get(actor).is_none_or(|before| *before < epoch),
        }
    }

    /// Whether there is an admin without these users, or nobody at all.
    fn leaves_an_admin(&self, without: &[UserName]) -> bool {
        let stays = |user: &&UserName| !without.contains(user);
        self.admins.iter().any(|admin| stays(&admin)) || !self.members().any(|member| stays(&member))
    }
}

fn is_in(stays: &[Stay]) -> bool {
    stays.last().is_some_and(|stay| stay.until.is_none())
}
