//! Keys of messages that have not come yet (S3): 4,000 per session, for 30 days, the oldest going first.
//!
//! They are saved in pages of 32 in the order of their coming, so that a message rewrites one page and not all.

use super::ratchet::{Place, SkippedKey};
use crate::codec;
use crate::crypto::secret::Secret;
use crate::crypto::x25519::PublicKey;
use crate::error::InvalidMessage;
use crate::limits::{SKIPPED_KEPT, SKIPPED_LIFE};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// The skipped keys of one session. Itself it serialises only its counter; the keys are in pages.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Skipped {
    /// The sequence number that the next key gets.
    next: u64,
    #[serde(skip)]
    keys: BTreeMap<(PublicKey, u32), Kept>,
    #[serde(skip)]
    by_age: BTreeMap<u64, (PublicKey, u32)>,
    #[serde(skip)]
    changed: BTreeSet<u64>,
}

struct Kept {
    sequence: u64,
    since: u64,
    key: Secret<32>,
}

/// Keys in one page.
const PAGE: u64 = 32;

impl Skipped {
    /// The key kept for `place`.
    pub(super) fn get(&self, place: &Place) -> Option<&Secret<32>> {
        self.keys.get(&(place.key, place.number)).map(|kept| &kept.key)
    }

    /// Erases the key of `place`, which was used.
    pub(super) fn remove(&mut self, place: &Place) {
        self.remove_at(&(place.key, place.number));
    }

    fn remove_at(&mut self, place: &(PublicKey, u32)) {
        if let Some(kept) = self.keys.remove(place) {
            self.by_age.remove(&kept.sequence);
            self.changed.insert(kept.sequence / PAGE);
        }
    }

    /// Keeps `skipped`; what is then above the limit goes, the oldest first.
    pub(super) fn add(&mut self, skipped: Vec<SkippedKey>, now: u64) {
        for SkippedKey { chain, number, key } in skipped {
            let sequence = self.next;
            self.next += 1;
            // A peer that uses a ratchet key twice claims a place twice; the later key takes it.
            self.remove_at(&(chain, number));
            self.by_age.insert(sequence, (chain, number));
            self.keys.insert((chain, number), Kept { sequence, since: now, key });
            self.changed.insert(sequence / PAGE);
        }
        while self.keys.len() > SKIPPED_KEPT {
            self.remove_oldest();
        }
    }

    /// Erases the keys that were kept long enough.
    pub(super) fn expire(&mut self, now: u64) {
        while self.expires().is_some_and(|at| at <= now) {
            self.remove_oldest();
        }
    }

    /// When the oldest key has been kept long enough.
    pub(super) fn expires(&self) -> Option<u64> {
        let (_, oldest) = self.by_age.first_key_value()?;
        self.keys.get(oldest).map(|kept| kept.since.saturating_add(SKIPPED_LIFE))
    }

    fn remove_oldest(&mut self) {
        if let Some((sequence, oldest)) = self.by_age.pop_first() {
            self.keys.remove(&oldest);
            self.changed.insert(sequence / PAGE);
        }
    }

    /// The pages changed since the last call, each with its record or none if it is empty now.
    pub(super) fn take_changed(&mut self) -> impl Iterator<Item = (u64, Option<Zeroizing<Vec<u8>>>)> + '_ {
        core::mem::take(&mut self.changed).into_iter().map(|page| (page, self.page(page)))
    }

    /// All pages that hold keys.
    pub(super) fn pages(&self) -> BTreeSet<u64> {
        self.by_age.keys().map(|sequence| sequence / PAGE).collect()
    }

    fn page(&self, page: u64) -> Option<Zeroizing<Vec<u8>>> {
        let range = page.saturating_mul(PAGE)..page.saturating_add(1).saturating_mul(PAGE);
        let entries: Vec<_> = self
            .by_age
            .range(range)
            .filter_map(|(sequence, place)| self.keys.get(place).map(|kept| (sequence, kept.since, place, &kept.key)))
            .collect();
        if entries.is_empty() { None } else { Some(codec::encode_secret(&entries)) }
    }

    /// Puts a saved page back.
    pub(super) fn restore_page(&mut self, record: &[u8]) -> Result<(), InvalidMessage> {
        for (sequence, since, place, key) in codec::decode::<Vec<(u64, u64, (PublicKey, u32), Secret<32>)>>(record)? {
            self.by_age.insert(sequence, place);
            self.keys.insert(place, Kept { sequence, since, key });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::DAY;

    fn keys(chain: u8, numbers: core::ops::Range<u32>) -> Vec<SkippedKey> {
        let chain = PublicKey::from_bytes([chain; 32]);
        numbers.map(|number| SkippedKey { chain, number, key: Secret::from_bytes(&[number as u8; 32]) }).collect()
    }

    fn place(chain: u8, number: u32) -> Place {
        Place { key: PublicKey::from_bytes([chain; 32]), previous: 0, number }
    }

    #[test]
    fn the_oldest_go_first() {
        let mut skipped = Skipped::default();
        skipped.add(keys(1, 0..2_000), 0);
        skipped.add(keys(2, 0..2_000), 1);
        assert_eq!(skipped.keys.len(), 4_000);
        skipped.add(keys(3, 0..10), 2);
        assert_eq!(skipped.keys.len(), 4_000);
        assert!(skipped.get(&place(1, 9)).is_none() && skipped.get(&place(1, 10)).is_some());
        assert!(skipped.get(&place(3, 9)).is_some());
    }

    #[test]
    fn they_are_kept_for_thirty_days() {
        let mut skipped = Skipped::default();
        skipped.add(keys(1, 0..3), 0);
        skipped.add(keys(1, 3..4), DAY);
        assert_eq!(skipped.expires(), Some(30 * DAY));
        skipped.expire(30 * DAY - 1);
        assert_eq!(skipped.keys.len(), 4);
        skipped.expire(30 * DAY);
        assert_eq!(skipped.keys.len(), 1);
        assert_eq!(skipped.expires(), Some(31 * DAY));
        skipped.remove(&place(1, 3));
        assert_eq!(skipped.expires(), None);
    }

    #[test]
    fn a_message_rewrites_one_page() {
        let mut skipped = Skipped::default();
        skipped.add(keys(1, 0..100), 0);
        let pages: Vec<_> = skipped.take_changed().map(|(page, record)| (page, record.is_some())).collect();
        assert_eq!(pages, [(0, true), (1, true), (2, true), (3, true)]);
        skipped.remove(&place(1, 40));
        assert_eq!(skipped.take_changed().map(|(page, _)| page).collect::<Vec<_>>(), [1]);
        for number in 96..100 {
            skipped.remove(&place(1, number));
        }
        assert_eq!(
            skipped.take_changed().map(|(page, record)| (page, record.is_some())).collect::<Vec<_>>(),
            [(3, false)]
        );
        assert_eq!(skipped.pages().into_iter().collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn a_place_claimed_twice_is_one_place() {
        let mut skipped = Skipped::default();
        skipped.add(keys(1, 0..3), 0);
        skipped.add(keys(1, 1..2), DAY);
        assert_eq!((skipped.keys.len(), skipped.by_age.len()), (3, 3));
        skipped.expire(30 * DAY);
        assert_eq!(skipped.expires(), Some(31 * DAY));
        skipped.remove(&place(1, 1));
        assert!(skipped.keys.is_empty() && skipped.by_age.is_empty());
    }

    #[test]
    fn pages_restore_the_same_keys() {
        let mut skipped = Skipped::default();
        skipped.add(keys(1, 0..50), 7);
        skipped.remove(&place(1, 3));
        let records: Vec<_> = skipped.take_changed().filter_map(|(_, record)| record).collect();
        let mut again: Skipped = codec::decode(&codec::encode(&skipped)).unwrap();
        for record in &records {
            again.restore_page(record).unwrap();
        }
        assert_eq!(again.next, 50);
        assert_eq!(again.keys.len(), 49);
        assert!(again.get(&place(1, 3)).is_none());
        assert_eq!(again.get(&place(1, 44)).unwrap().as_bytes(), &[44; 32]);
        assert_eq!(again.expires(), skipped.expires());
    }
}
