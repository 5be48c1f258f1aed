//! Keys of messages that have not come yet (S3): 4,000 per session or sender key, for 30 days, the oldest going first.
//!
//! They are kept and saved in runs of up to 32 that follow each other in a chain, so that a message rewrites one run and
//! not all.

use crate::codec;
use crate::crypto::secret::SecretVec;
use crate::error::InvalidMessage;
use crate::limits::{SKIPPED_KEPT, SKIPPED_LIFE};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use zeroize::Zeroize;

/// The place of a message: which chain of message keys, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// What names the chain: the sender's ratchet key.
    pub(crate) chain: [u8; 32],
    /// Number in the chain, from 0.
    pub(crate) number: u32,
}

/// The skipped keys of one session. Itself it serialises only its counter; the runs are records beside it.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Skipped {
    /// The id that the next run gets.
    next: u64,
    /// In the order of their coming.
    #[serde(skip)]
    runs: VecDeque<Run>,
    #[serde(skip)]
    changed: BTreeSet<u64>,
}

/// Keys that follow each other in a chain: the record `session/<id>/skipped/<run>`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Run {
    id: u64,
    since: u64,
    chain: [u8; 32],
    /// The number of the first key's message.
    first: u32,
    /// A bit for each key, the lowest for the first: whether it is still kept. The others are wiped.
    kept: u32,
    /// 32 bytes for each key.
    keys: SecretVec,
}

/// Keys in a run, at most.
const RUN: u32 = u32::BITS;

impl Skipped {
    /// The key kept for `place`.
    pub(crate) fn get(&self, place: &Spot) -> Option<&[u8; 32]> {
        self.runs.iter().rev().find_map(|run| run.key(run.find(place)?))
    }

    /// Erases the key of `place`, which was used.
    pub(crate) fn remove(&mut self, place: &Spot) {
        let Some(at) = self.runs.iter().rposition(|run| run.find(place).is_some()) else { return };
        if let Some(key) = self.runs.get(at).and_then(|run| run.find(place)) {
            self.erase(at, key);
        }
    }

    /// Erases one key of a run, and a run without keys.
    fn erase(&mut self, at: usize, key: u32) {
        let Some(run) = self.runs.get_mut(at) else { return };
        run.erase(key);
        self.changed.insert(run.id);
        if run.kept == 0 {
            self.runs.remove(at);
        }
    }

    /// Keeps `skipped`; what is then above the limit goes, the oldest first.
    pub(crate) fn add(&mut self, skipped: Vec<Run>, now: u64) {
        for run in skipped {
            // A peer that uses a ratchet key twice claims a place twice; the later key takes it.
            if self.runs.iter().any(|older| older.meets(&run)) {
                run.places().for_each(|place| self.remove(&place));
            }
            self.changed.insert(self.next);
            self.runs.push_back(Run { id: self.next, since: now, ..run });
            self.next += 1;
        }
        for _ in SKIPPED_KEPT..self.len() {
            if let Some(oldest) = self.runs.front() {
                self.erase(0, oldest.kept.trailing_zeros());
            }
        }
    }

    /// How many keys are kept.
    pub(crate) fn len(&self) -> usize {
        self.runs.iter().map(|run| run.kept.count_ones() as usize).sum()
    }

    /// Erases the keys that were kept long enough.
    pub(crate) fn expire(&mut self, now: u64) {
        while self.expires().is_some_and(|at| at <= now) {
            self.changed.extend(self.runs.pop_front().map(|run| run.id));
        }
    }

    /// When the oldest key has been kept long enough.
    pub(crate) fn expires(&self) -> Option<u64> {
        self.runs.front().map(|oldest| oldest.since.saturating_add(SKIPPED_LIFE))
    }

    /// The runs changed since the last call, each with its record or none if it has no key any more.
    pub(crate) fn take_changed(&mut self) -> impl Iterator<Item = (u64, Option<SecretVec>)> + '_ {
        core::mem::take(&mut self.changed).into_iter().map(|id| (id, self.run(id).map(codec::encode_secret)))
    }

    fn run(&self, id: u64) -> Option<&Run> {
        let at = self.runs.binary_search_by_key(&id, |run| run.id).ok()?;
        self.runs.get(at)
    }

    /// The ids of all runs.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u64> + '_ {
        self.runs.iter().map(|run| run.id)
    }

    /// Puts a saved run back.
    pub(crate) fn restore(&mut self, record: &[u8]) -> Result<(), InvalidMessage> {
        let run: Run = codec::decode(record)?;
        let at = self.runs.partition_point(|other| other.id < run.id);
        self.runs.insert(at, run);
        Ok(())
    }
}

impl Run {
    /// The keys of the next messages of a chain, all zeros, to be filled in with [`keys_mut`](Self::keys_mut): of `count`,
    /// or as many of them as a run takes.
    pub(crate) fn new(chain: [u8; 32], first: u32, count: u32) -> Self {
        let count = count.min(RUN);
        let kept = u32::MAX.checked_shr(RUN - count).unwrap_or_default();
        let keys = SecretVec::new(vec![0; 32 * count as usize]);
        Self { id: 0, since: 0, chain, first, kept, keys }
    }

    /// The keys, in order.
    pub(crate) fn keys_mut(&mut self) -> &mut [[u8; 32]] {
        self.keys.as_chunks_mut().0
    }

    fn key(&self, key: u32) -> Option<&[u8; 32]> {
        self.keys.as_chunks().0.get(key as usize)
    }

    /// Which of the keys is kept for `place`.
    fn find(&self, place: &Spot) -> Option<u32> {
        let key = place.number.checked_sub(self.first)?;
        (self.kept.checked_shr(key)? & 1 == 1 && self.chain == place.chain).then_some(key)
    }

    fn erase(&mut self, key: u32) {
        self.kept &= !1_u32.checked_shl(key).unwrap_or_default();
        if let Some(key) = self.keys_mut().get_mut(key as usize) {
            key.zeroize();
        }
    }

    /// Whether another run may have a key for the same place.
    fn meets(&self, other: &Self) -> bool {
        self.chain == other.chain && self.first.abs_diff(other.first) < RUN
    }

    fn places(&self) -> impl Iterator<Item = Spot> + use<> {
        let chain = self.chain;
        (self.first..).take(self.keys.len() / 32).map(move |number| Spot { chain, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::DAY;

    /// Runs as a chain leaves them: full ones, and a last one.
    fn keys(chain: u8, numbers: core::ops::Range<u32>) -> Vec<Run> {
        let chain = [chain; 32];
        let runs = numbers.clone().step_by(RUN as usize).map(|first| {
            let mut run = Run::new(chain, first, numbers.end - first);
            (first..).zip(run.keys_mut()).for_each(|(number, key)| key.fill(number as u8));
            run
        });
        runs.collect()
    }

    fn place(chain: u8, number: u32) -> Spot {
        Spot { chain: [chain; 32], number }
    }

    #[test]
    fn the_oldest_go_first() {
        let mut skipped = Skipped::default();
        skipped.add(keys(1, 0..2_000), 0);
        skipped.add(keys(2, 0..2_000), 1);
        assert_eq!(skipped.len(), 4_000);
        skipped.add(keys(3, 0..10), 2);
        assert_eq!(skipped.len(), 4_000);
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
        assert_eq!(skipped.len(), 4);
        skipped.expire(30 * DAY);
        assert_eq!(skipped.len(), 1);
        assert_eq!(skipped.expires(), Some(31 * DAY));
        skipped.remove(&place(1, 3));
        assert_eq!(skipped.expires(), None);
    }

    #[test]
    fn a_message_rewrites_one_run() {
        let changed = |skipped: &mut Skipped| -> Vec<_> {
            skipped.take_changed().map(|(run, record)| (run, record.is_some())).collect()
        };
        let mut skipped = Skipped::default();
        skipped.add(keys(1, 0..100), 0);
        assert_eq!(changed(&mut skipped), [(0, true), (1, true), (2, true), (3, true)]);
        skipped.remove(&place(1, 40));
        assert_eq!(changed(&mut skipped), [(1, true)]);
        for number in 96..100 {
            skipped.remove(&place(1, number));
        }
        assert_eq!(changed(&mut skipped), [(3, false)]);
        assert!(skipped.ids().eq([0, 1, 2]));
    }

    #[test]
    fn a_place_claimed_twice_is_one_place() {
        let mut skipped = Skipped::default();
        skipped.add(keys(1, 0..40), 0);
        let mut again = keys(1, 31..33);
        again[0].keys_mut()[0] = [9; 32];
        skipped.add(again, DAY);
        assert_eq!((skipped.len(), skipped.runs.len()), (40, 3));
        assert_eq!(skipped.get(&place(1, 31)), Some(&[9; 32]));
        skipped.expire(30 * DAY);
        assert_eq!(skipped.expires(), Some(31 * DAY));
        skipped.remove(&place(1, 31));
        skipped.remove(&place(1, 32));
        assert!(skipped.runs.is_empty());
    }

    /// ATTACKS.md B10: in memory and in the records.
    #[test]
    fn b10_a_key_that_was_used_is_wiped_beside_those_that_are_kept() {
        let mut skipped = Skipped::default();
        skipped.add(keys(1, 1..5), 0);
        skipped.remove(&place(1, 3));
        assert_eq!(skipped.runs[0].keys.as_chunks().0, [[1; 32], [2; 32], [0; 32], [4; 32]]);
        assert!(skipped.get(&place(1, 3)).is_none());
        skipped.remove(&place(1, 3));
        assert_eq!(skipped.len(), 3);
        let (_, record) = skipped.take_changed().next().unwrap();
        assert!(!record.unwrap().contains(&3));
    }

    #[test]
    fn runs_end_where_numbers_do() {
        let mut skipped = Skipped::default();
        skipped.add(keys(1, u32::MAX - 33..u32::MAX), 0);
        for number in [u32::MAX - 33, u32::MAX - 2, u32::MAX - 1] {
            assert_eq!(skipped.get(&place(1, number)), Some(&[number as u8; 32]));
        }
        for number in [0, 1, u32::MAX - 34, u32::MAX] {
            assert_eq!(skipped.get(&place(1, number)), None);
        }
        assert_eq!(skipped.get(&place(2, u32::MAX - 1)), None);
        skipped.add(keys(1, u32::MAX - 33..u32::MAX), 0);
        assert_eq!(skipped.len(), 33);
    }

    #[test]
    fn records_restore_the_same_keys() {
        let mut skipped = Skipped::default();
        skipped.add(keys(1, 0..400), 7);
        skipped.remove(&place(1, 3));
        let mut records: Vec<_> = skipped.take_changed().filter_map(|(_, record)| record).collect();
        let mut again: Skipped = codec::decode(&codec::encode(&skipped)).unwrap();
        records.reverse();
        for record in &records {
            again.restore(record).unwrap();
        }
        assert_eq!((again.next, again.len()), (13, 399));
        assert!(again.ids().eq(0..13));
        assert!(again.get(&place(1, 3)).is_none());
        assert_eq!(again.get(&place(1, 144)), Some(&[144; 32]));
        assert_eq!(again.expires(), skipped.expires());
        again.remove(&place(1, 144));
        assert_eq!(again.take_changed().map(|(run, _)| run).collect::<Vec<_>>(), [4]);
    }
}
