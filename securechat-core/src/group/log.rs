//! The log of a group as this device holds it.

use super::message::GroupMessage;
use crate::error::PeerMisbehaved;
use crate::identity::UserName;
use crate::limits::GROUP_GRACE;
use crate::roster::{Roster, SignedEntry};
use std::collections::BTreeMap;

/// The entries that count here, each checked, and what they come to.
#[derive(Clone, Debug)]
pub struct GroupLog {
    roster: Roster,
    entries: Vec<SignedEntry>,
    /// When the entries that removed somebody were learned of.
    learned: BTreeMap<u32, u64>,
}

/// What the log says about a message (G6, G7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its sender knows of every removal that is known here.
    Counts,
    /// It is from before a removal that its sender did not know of yet: it is opened, and marked.
    BeforeRemoval,
    /// It names an entry that is not known here yet.
    Ahead,
    /// It names another entry than the one that counts here at that place.
    Elsewhere,
    /// It does not count.
    Refused(PeerMisbehaved),
}

/// Whether entries that somebody showed are another log than this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fork {
    /// They agree, as far as they go.
    None,
    /// The entry with this number is another one, and follows the same entry before it by the rules: two logs.
    At(u32),
    /// They differ from the first one on: what is before has to be shown.
    Before(u32),
    /// They are no log at all.
    Invalid,
}

impl GroupLog {
    /// The log that an entry begins. Fails with [`PeerMisbehaved::RosterEntry`] when it begins none.
    pub fn begin(first: SignedEntry) -> Result<Self, PeerMisbehaved> {
        Ok(Self { roster: Roster::create(&first)?, entries: vec![first], learned: BTreeMap::new() })
    }

    /// What the entries come to.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The entry with this number.
    pub fn entry(&self, sequence: u32) -> Option<&SignedEntry> {
        self.entries.get(usize::try_from(sequence).ok()?)
    }

    /// The entries from this number on.
    pub fn entries_from(&self, sequence: u32) -> &[SignedEntry] {
        usize::try_from(sequence).ok().and_then(|from| self.entries.get(from..)).unwrap_or_default()
    }

    /// Takes the next entry, whose signer was found in the actor's list. A failure changes nothing.
    pub fn push(&mut self, entry: SignedEntry, now: u64) -> Result<(), PeerMisbehaved> {
        let before = self.roster.sequence();
        self.roster.apply(&entry)?;
        if self.roster.removal_after(before).is_some() {
            self.learned.insert(self.roster.sequence(), now);
        }
        self.entries.push(entry);
        Ok(())
    }

    /// What the log says about a message of this user.
    pub fn standing(&self, sender: &UserName, message: &GroupMessage<'_>, now: u64) -> Standing {
        if message.sequence > self.roster.sequence() {
            return Standing::Ahead;
        }
        if self.entry(message.sequence).is_none_or(|entry| entry.hash() != message.hash) {
            return Standing::Elsewhere;
        }
        if !self.roster.was_member_at(sender, message.sequence) {
            return Standing::Refused(PeerMisbehaved::NotMember);
        }
        let Some(removal) = self.roster.removal_after(message.sequence) else { return Standing::Counts };
        let learned = self.learned.get(&removal).copied().unwrap_or_default();
        if now.saturating_sub(learned) < GROUP_GRACE {
            Standing::BeforeRemoval
        } else {
            Standing::Refused(PeerMisbehaved::RosterState)
        }
    }

    /// Compares entries that somebody showed, rising by one, with those that count here.
    pub fn compare(&self, shown: &[SignedEntry]) -> Fork {
        let id = self.roster.id();
        let differs =
            |entry: &&SignedEntry| self.entry(entry.entry().sequence).is_some_and(|own| own.hash() != entry.hash());
        let Some(entry) = shown.iter().find(differs) else { return Fork::None };
        let sequence = entry.entry().sequence;
        let Some(before) = sequence.checked_sub(1).and_then(|before| self.entry(before)) else { return Fork::Invalid };
        if entry.group() != id {
            return Fork::Invalid;
        }
        if entry.entry().previous != before.hash() {
            return if shown.first() == Some(entry) { Fork::Before(sequence) } else { Fork::Invalid };
        }
        match self.roster_at(sequence.saturating_sub(1)).map(|roster| roster.check(entry)) {
            Some(Ok(())) => Fork::At(sequence),
            _ => Fork::Invalid,
        }
    }

    /// The same log up to and with the entry of this number.
    pub fn cut(&self, sequence: u32) -> Option<Self> {
        let mut entries = self.entries.iter();
        let mut log = Self::begin(entries.next()?.clone()).ok()?;
        for entry in entries.take(usize::try_from(sequence).ok()?) {
            let at = self.learned.get(&entry.entry().sequence).copied().unwrap_or_default();
            log.push(entry.clone(), at).ok()?;
        }
        Some(log)
    }

    fn roster_at(&self, sequence: u32) -> Option<Roster> {
        self.cut(sequence).map(|log| log.roster)
    }
}
