//! Which chunks of a file are there, and their tags (F3).

use crate::error::ApiMisuse;
use crate::limits::CHUNKS_PER_RECORD;
use core::fmt;
use core::ops::Range;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const PER_PAGE: u64 = CHUNKS_PER_RECORD as u64;
const WORD_BITS: usize = 64;

/// The tags of the chunks that were sealed, or that came and opened.
///
/// It grows with what is in, a page of 1,024 chunks at a time, whatever size was announced: 32 bytes a chunk, which are 5.6 MB
/// for 10 GiB. A page is one record.
pub struct Manifest {
    count: u64,
    present: u64,
    pages: BTreeMap<u64, Page>,
}

/// What became of a tag that was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// The chunk is new.
    New,
    /// The chunk was there, and is the same.
    Same,
    /// The chunk was there, and is another; the first stays.
    Other,
    /// There is no such chunk.
    OutOfRange,
}

impl Manifest {
    /// That of a file of `count` chunks, none of them there.
    pub fn new(count: u64) -> Self {
        Self { count, present: 0, pages: BTreeMap::new() }
    }

    /// A manifest from its saved pages. Fails with `Record` when they are not those of a file of `count` chunks.
    pub fn restore(count: u64, pages: impl IntoIterator<Item = (u64, Page)>) -> Result<Self, ApiMisuse> {
        let mut manifest = Self::new(count);
        for (number, page) in pages {
            if page.tags.len() != manifest.page_len(number) || page.tags.is_empty() || page.has_stray_bits() {
                return Err(ApiMisuse::Record);
            }
            manifest.present = manifest.present.saturating_add(page.present());
            if manifest.pages.insert(number, page).is_some() {
                return Err(ApiMisuse::Record);
            }
        }
        Ok(manifest)
    }

    /// Its pages with their numbers, each to be saved as a record: page n has the chunks from 1,024 n.
    pub fn pages(&self) -> impl Iterator<Item = (u64, &Page)> {
        self.pages.iter().map(|(number, page)| (*number, page))
    }

    /// The page that chunk `i` is on, to be saved after the chunk was noted.
    pub fn page_of(&self, i: u64) -> Option<(u64, &Page)> {
        self.pages.get(&(i / PER_PAGE)).map(|page| (i / PER_PAGE, page))
    }

    /// How many chunks the file has.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many of them are there.
    pub fn present(&self) -> u64 {
        self.present
    }

    /// Whether all of them are.
    pub fn is_complete(&self) -> bool {
        self.present == self.count
    }

    /// The tag of chunk `i`, if it is there.
    pub fn tag(&self, i: u64) -> Option<&[u8; 32]> {
        self.pages.get(&(i / PER_PAGE))?.tag(place(i))
    }

    /// Notes the tag of chunk `i`.
    pub fn note(&mut self, i: u64, tag: [u8; 32]) -> Noted {
        if i >= self.count {
            return Noted::OutOfRange;
        }
        match self.tag(i) {
            Some(known) if *known == tag => Noted::Same,
            Some(_) => Noted::Other,
            None => {
                let length = self.page_len(i / PER_PAGE);
                self.pages.entry(i / PER_PAGE).or_insert_with(|| Page::new(length)).set(place(i), tag);
                self.present = self.present.saturating_add(1);
                Noted::New
            }
        }
    }

    /// The chunks that are not there, in order, as ranges.
    pub fn missing(&self) -> impl Iterator<Item = Range<u64>> {
        let mut from = 0;
        core::iter::from_fn(move || {
            let start = self.first_from(from, false)?;
            from = self.first_from(start, true).unwrap_or(self.count);
            Some(start..from)
        })
    }

    /// The first chunk at or after `from` that is not there.
    pub fn next_missing(&self, from: u64) -> Option<u64> {
        self.first_from(from, false)
    }

    /// All tags in order, page by page; `None` while one is missing.
    pub(super) fn tags(&self) -> Option<impl Iterator<Item = &[u8]>> {
        self.is_complete().then(|| self.pages.values().map(|page| page.tags.as_flattened()))
    }

    /// The first chunk at or after `from` that is there, or that is not.
    fn first_from(&self, from: u64, present: bool) -> Option<u64> {
        let mut i = from;
        while i < self.count {
            let number = i / PER_PAGE;
            let Some(page) = self.pages.get(&number) else {
                if !present {
                    return Some(i);
                }
                i = self.pages.range(number..).next()?.0 * PER_PAGE;
                continue;
            };
            match (place(i)..page.tags.len()).find(|place| page.has(*place) == present) {
                Some(found) => return Some(number * PER_PAGE + found as u64),
                None => i = number.saturating_add(1).saturating_mul(PER_PAGE),
            }
        }
        None
    }

    /// How many chunks page `number` has.
    fn page_len(&self, number: u64) -> usize {
        let before = number.saturating_mul(PER_PAGE);
        usize::try_from(self.count.saturating_sub(before).min(PER_PAGE)).unwrap_or(0)
    }
}

impl fmt::Debug for Manifest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Manifest({} of {})", self.present, self.count)
    }
}

/// Where chunk `i` stands on its page.
fn place(i: u64) -> usize {
    (i % PER_PAGE) as usize
}

/// The tags of up to 1,024 chunks that follow each other: one record.
#[derive(Serialize, Deserialize)]
pub struct Page {
    /// A bit for each chunk that is there, the first one lowest.
    have: [u64; CHUNKS_PER_RECORD / WORD_BITS],
    /// Their tags; zeros where there is none yet.
    tags: Vec<[u8; 32]>,
}

impl Page {
    fn new(length: usize) -> Self {
        Self { have: [0; CHUNKS_PER_RECORD / WORD_BITS], tags: vec![[0; 32]; length] }
    }

    fn has(&self, place: usize) -> bool {
        self.have.get(place / WORD_BITS).is_some_and(|word| word >> (place % WORD_BITS) & 1 == 1)
    }

    fn tag(&self, place: usize) -> Option<&[u8; 32]> {
        self.tags.get(place).filter(|_| self.has(place))
    }

    fn set(&mut self, place: usize, tag: [u8; 32]) {
        if let (Some(word), Some(slot)) = (self.have.get_mut(place / WORD_BITS), self.tags.get_mut(place)) {
            *word |= 1 << (place % WORD_BITS);
            *slot = tag;
        }
    }

    fn present(&self) -> u64 {
        self.have.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    fn has_stray_bits(&self) -> bool {
        (self.tags.len()..CHUNKS_PER_RECORD).any(|place| self.has(place))
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Page({} of {})", self.present(), self.tags.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};

    fn tag(i: u64) -> [u8; 32] {
        [i as u8; 32]
    }

    /// The missing ranges as pairs of start and end.
    fn missing(manifest: &Manifest) -> Vec<(u64, u64)> {
        manifest.missing().map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn missing_ranges_shrink_as_chunks_come() {
        let mut manifest = Manifest::new(3_000);
        assert_eq!(missing(&manifest), [(0, 3_000)]);
        for i in [0, 5, 1_023, 1_024, 2_999] {
            assert_eq!(manifest.note(i, tag(i)), Noted::New);
        }
        assert_eq!(missing(&manifest), [(1, 5), (6, 1_023), (1_025, 2_999)]);
        assert_eq!((manifest.present(), manifest.is_complete()), (5, false));
        assert!(manifest.tags().is_none());
        for i in 0..3_000 {
            manifest.note(i, tag(i));
        }
        assert_eq!(missing(&manifest), []);
        assert!(manifest.is_complete());
        let all: Vec<u8> = manifest.tags().unwrap().flatten().copied().collect();
        assert!(all.chunks(32).zip(0..).all(|(bytes, i)| bytes == tag(i)));
        assert_eq!(all.len(), 3_000 * 32);
    }

    #[test]
    fn the_first_tag_of_a_chunk_stays() {
        let mut manifest = Manifest::new(2);
        assert_eq!(manifest.note(1, tag(1)), Noted::New);
        assert_eq!(manifest.note(1, tag(1)), Noted::Same);
        assert_eq!(manifest.note(1, tag(9)), Noted::Other);
        assert_eq!(manifest.note(2, tag(2)), Noted::OutOfRange);
        assert_eq!((manifest.tag(1), manifest.tag(0), manifest.present()), (Some(&tag(1)), None, 1));
    }

    /// What was announced costs nothing; only what came does.
    #[test]
    fn an_absurd_count_costs_a_page() {
        let mut manifest = Manifest::new(u64::MAX);
        manifest.note(u64::MAX - 1, tag(0));
        manifest.note(1 << 40, tag(1));
        assert_eq!(missing(&manifest), [(0, 1 << 40), ((1 << 40) + 1, u64::MAX - 1)]);
        assert_eq!(manifest.pages().count(), 2);
    }

    #[test]
    fn pages_are_records() {
        let mut manifest = Manifest::new(1_030);
        for i in [3, 700, 1_029] {
            manifest.note(i, tag(i));
        }
        let saved: Vec<_> = manifest.pages().map(|(number, page)| (number, encode(page))).collect();
        assert_eq!(
            saved.iter().map(|(number, bytes)| (*number, bytes.len() < 33_000)).collect::<Vec<_>>(),
            [(0, true), (1, true)]
        );
        let page = |(number, bytes): &(u64, Vec<u8>)| (*number, decode::<Page>(bytes).unwrap());
        let restored = Manifest::restore(1_030, saved.iter().map(page)).unwrap();
        assert_eq!((missing(&restored), restored.present()), (missing(&manifest), 3));
        assert_eq!(restored.tag(700), Some(&tag(700)));
        assert_eq!(manifest.page_of(1_029).map(|(number, page)| encode(page) == saved[1].1 && number == 1), Some(true));

        // Pages of another file, twice, or beyond the end are no state of this one.
        assert_eq!(Manifest::restore(1_031, saved.iter().map(page)).err(), Some(ApiMisuse::Record));
        assert_eq!(Manifest::restore(1_030, [&saved[0], &saved[0]].map(page)).err(), Some(ApiMisuse::Record));
        assert_eq!(Manifest::restore(1_030, [(7, page(&saved[1]).1)]).err(), Some(ApiMisuse::Record));
        let stray = Page { have: [1 << 60; 16], tags: vec![[0; 32]; 6] };
        assert_eq!(Manifest::restore(1_030, [(1, stray)]).err(), Some(ApiMisuse::Record));
    }
}
