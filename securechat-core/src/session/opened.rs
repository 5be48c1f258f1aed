//! The last 256 messages that a session opened (S4): what tells a replay, and a second message at the same place.
//!
//! They are saved in a ring of slots of 16, so that a message rewrites one slot and not all.

use super::ratchet::Place;
use crate::codec;
use crate::crypto::secret::SecretVec;
use crate::error::InvalidMessage;
use crate::limits::OPENED_REMEMBERED;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};

/// The opened messages of one session. Itself it serialises only its counter; the messages are in slots.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Opened {
    /// How many messages were ever opened; the last entry has the number before.
    count: u64,
    #[serde(skip)]
    entries: VecDeque<Entry>,
    #[serde(skip)]
    changed: BTreeSet<u64>,
}

/// What S4 remembers of a message: the first bytes of its SHA-256.
pub(super) type MessageHash = [u8; 4];

/// 12 bytes, in memory and in records.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// The place, in [`short`].
    place: [u8; 8],
    hash: MessageHash,
}

/// What is known of a message at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// This very message was opened.
    Replay,
    /// Another message was opened at this place.
    Fork,
}

/// Entries in one slot.
const SLOT: u64 = 16;
/// Slots in the ring: enough for the last 256 wherever they begin, so that a slot is used again only when all in it is old.
const SLOTS: u64 = OPENED_REMEMBERED as u64 / SLOT + 1;

impl Opened {
    /// Looks up the place of a message, and compares its hash.
    pub(super) fn look_up(&self, place: &Place, hash: &MessageHash) -> Option<Seen> {
        let place = short(place);
        let entry = self.entries.iter().rev().find(|entry| entry.place == place)?;
        Some(if entry.hash == *hash { Seen::Replay } else { Seen::Fork })
    }

    /// Remembers a message.
    pub(super) fn push(&mut self, place: &Place, hash: MessageHash) {
        if self.entries.len() == OPENED_REMEMBERED {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { place: short(place), hash });
        self.changed.insert(self.count / SLOT % SLOTS);
        self.count += 1;
    }

    /// The slots changed since the last call, each with its record.
    pub(super) fn take_changed(&mut self) -> impl Iterator<Item = (u64, SecretVec)> + '_ {
        core::mem::take(&mut self.changed).into_iter().map(|slot| (slot, self.slot(slot)))
    }

    /// All slots that were ever written.
    pub(super) fn slots(&self) -> core::ops::Range<u64> {
        0..self.count.div_ceil(SLOT).min(SLOTS)
    }

    /// The sequence number of the first entry.
    fn first(&self) -> u64 {
        self.count.saturating_sub(self.entries.len() as u64)
    }

    fn slot(&self, slot: u64) -> SecretVec {
        let numbered = (self.first()..).zip(&self.entries);
        let entries: Vec<_> = numbered.filter(|(sequence, _)| sequence / SLOT % SLOTS == slot).collect();
        codec::encode_secret(&entries)
    }

    /// Puts saved slots back; `self` is as it was decoded, with no entries yet.
    pub(super) fn restore<'a>(&mut self, records: impl Iterator<Item = &'a [u8]>) -> Result<(), InvalidMessage> {
        let mut entries = Vec::new();
        for record in records {
            entries.extend(codec::decode::<Vec<(u64, Entry)>>(record)?);
        }
        entries.sort_by_key(|(sequence, _)| *sequence);
        let kept = self.count.saturating_sub(OPENED_REMEMBERED as u64);
        self.entries = entries.into_iter().filter(|(sequence, _)| *sequence >= kept).map(|(_, entry)| entry).collect();
        Ok(())
    }
}

/// A place in 8 bytes, as S4 has it. Two places of a chain differ, and those of two random ratchet keys are alike once in
/// 2^64 times. A sender who makes such keys on purpose only forges a fork of its own message, which it can do anyhow.
fn short(place: &Place) -> [u8; 8] {
    let key = place.key.as_bytes().first_chunk().copied().unwrap_or_default();
    u64::from_be_bytes(key).wrapping_add(place.number.into()).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::x25519::PublicKey;
    use std::collections::BTreeMap;

    fn place(number: u32) -> Place {
        Place { key: PublicKey::from_bytes([(number % 3) as u8; 32]), previous: 0, number }
    }

    fn hash(number: u32) -> MessageHash {
        [number as u8; 4]
    }

    #[test]
    fn replay_and_fork_are_told_apart_for_the_last_256() {
        let mut opened = Opened::default();
        for number in 0..300 {
            assert_eq!(opened.look_up(&place(number), &hash(number)), None);
            opened.push(&place(number), hash(number));
        }
        for number in 0..300 {
            let (same, other) = if number < 44 { (None, None) } else { (Some(Seen::Replay), Some(Seen::Fork)) };
            assert_eq!(opened.look_up(&place(number), &hash(number)), same);
            assert_eq!(opened.look_up(&place(number), &hash(number + 1)), other);
            assert_eq!(opened.look_up(&Place { key: PublicKey::from_bytes([9; 32]), ..place(number) }, &hash(0)), None);
        }
    }

    #[test]
    fn saved_after_each_message_it_restores_the_same() {
        let mut opened = Opened::default();
        let mut store = BTreeMap::new();
        for number in 0..600 {
            opened.push(&place(number), hash(number));
            let changed: Vec<_> = opened.take_changed().collect();
            assert_eq!(changed.len(), 1);
            assert!(changed[0].1.len() <= 16 * (12 + 2) + 1);
            store.extend(changed);
            let mut again: Opened = codec::decode(&codec::encode(&opened)).unwrap();
            again.restore(store.values().map(|record| record.as_slice())).unwrap();
            assert!(again.entries == opened.entries && again.count == opened.count);
            assert!(again.slots().eq(store.keys().copied()));
        }
        assert!(opened.entries.capacity() * size_of::<Entry>() <= 256 * 12);
        assert_eq!(store.len(), 17);
    }
}
