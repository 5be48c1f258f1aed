//! The search for what must not be there, and for what must.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

/// Bytes in a row of a text or password that already count as a find.
const IN_A_ROW: usize = 10;
/// Bytes in a row of a file that count.
const OF_A_FILE: usize = 24;
/// Pieces of a file that are searched for, spread over all of it.
const PIECES: usize = 20_000;
/// Different bytes that a piece of a file must have: zeros and rulers are everywhere.
const VARIETY: usize = 6;
/// Bytes by which pieces are looked up.
const START: usize = 4;

/// Something to search for: pieces of one length, any of which is a find.
pub(crate) struct Trace {
    pub(crate) what: String,
    pieces: Vec<Vec<u8>>,
}

impl Trace {
    /// A text: any ten bytes in a row of it, or all of it when it is shorter; under four bytes it cannot be searched for.
    pub(crate) fn text(what: impl Into<String>, text: &str) -> Self {
        Self { what: what.into(), pieces: in_a_row(text.as_bytes()) }
    }

    /// The same without the pieces that stand in `bytes`: what an empty relay holds already says nothing about secrets.
    pub(crate) fn not_in(mut self, bytes: &[u8]) -> Self {
        let mut known = HashSet::new();
        self.search(bytes, |piece| _ = known.insert(piece.to_vec()));
        self.pieces.retain(|piece| !known.contains(piece));
        self
    }

    /// Exactly these bytes: for what is expected to be found.
    pub(crate) fn exactly(what: impl Into<String>, bytes: &[u8]) -> Self {
        Self { what: what.into(), pieces: vec![bytes.to_vec()] }
    }

    /// A file: pieces of 24 bytes that are not the same byte over and over; a shorter one is searched for like a text.
    pub(crate) fn file(bytes: &[u8]) -> Self {
        if bytes.len() < OF_A_FILE {
            return Self { what: "the file".to_owned(), pieces: in_a_row(bytes) };
        }
        let various = |piece: &&[u8]| {
            let mut seen = piece.to_vec();
            seen.sort_unstable();
            seen.dedup();
            seen.len() >= VARIETY
        };
        let all: Vec<&[u8]> =
            bytes.chunks(OF_A_FILE).filter(|piece| piece.len() == OF_A_FILE).filter(various).collect();
        let step = all.len().div_ceil(PIECES).max(1);
        let pieces: Vec<_> = all.into_iter().step_by(step).map(<[u8]>::to_vec).collect();
        Self { what: format!("the file, pieces of {OF_A_FILE} bytes"), pieces }
    }

    /// How many pieces are searched for.
    pub(crate) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// How many of the pieces stand somewhere in `bytes`.
    pub(crate) fn found(&self, bytes: &[u8]) -> usize {
        let mut seen = HashSet::new();
        self.search(bytes, |piece| _ = seen.insert(piece));
        self.pieces.iter().filter(|piece| seen.contains(piece.as_slice())).count()
    }

    /// At how many places in `bytes` a piece stands.
    pub(crate) fn places(&self, bytes: &[u8]) -> usize {
        let mut count = 0;
        self.search(bytes, |_| count += 1);
        count
    }

    fn search<'a>(&'a self, bytes: &[u8], mut find: impl FnMut(&'a [u8])) {
        let mut by_start: HashMap<[u8; START], HashSet<&[u8]>> = HashMap::new();
        // Most places are passed over by one look at a bit: a wire of hundreds of megabytes is searched in seconds.
        let mut may_start = vec![0_u64; 1 << 18];
        for piece in &self.pieces {
            if let Some(start) = piece.first_chunk() {
                by_start.entry(*start).or_default().insert(piece);
                let (word, bit) = bit_of(start);
                may_start.get_mut(word).into_iter().for_each(|bits| *bits |= bit);
            }
        }
        for (place, start) in bytes.windows(START).enumerate() {
            let (word, bit) = bit_of(start);
            if may_start.get(word).is_none_or(|bits| bits & bit == 0) {
                continue;
            }
            let rest = bytes.get(place..).unwrap_or_default();
            let candidates = rest.first_chunk().and_then(|start| by_start.get(start));
            candidates.into_iter().flatten().filter(|piece| rest.starts_with(piece)).for_each(|piece| find(piece));
        }
    }
}

/// Every ten bytes in a row, or all of them.
fn in_a_row(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.windows(IN_A_ROW.min(bytes.len()).max(START)).map(<[u8]>::to_vec).collect()
}

/// Where the first three bytes have their bit among 2^24.
fn bit_of(start: &[u8]) -> (usize, u64) {
    let index = start.iter().take(3).fold(0_usize, |index, byte| index << 8 | usize::from(*byte));
    (index / 64, 1 << (index % 64))
}

/// All bytes of all files below a folder, and how many files those are.
pub(crate) fn disk(folder: &Path) -> (Vec<u8>, usize) {
    let (mut bytes, mut files) = (Vec::new(), 0);
    let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            let (more, count) = disk(&path);
            bytes.extend(more);
            files += count;
        } else if let Ok(content) = fs::read(&path) {
            bytes.extend(content);
            files += 1;
        }
    }
    (bytes, files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_by_any_part_of_it() {
        let text = "meet me at the old mill";
        let trace = Trace::text("a text", text);
        assert_eq!(trace.pieces(), text.len() - 9);
        assert_eq!(trace.found(text.as_bytes()), trace.pieces());
        assert_eq!(trace.found(b"....the old mill....the old mill"), 3);
        assert_eq!(trace.found(b"....the old mil"), 2);
        assert_eq!(trace.found(b"the old, meet me"), 0);
        assert_eq!(trace.found(b""), 0);
        assert_eq!(Trace::text("a password", "abcdef").found(b"xxabcdefabcdef"), 1);
    }

    #[test]
    fn a_file_is_found_by_any_piece_of_it() {
        let file: Vec<u8> = (0..10_000_u32).flat_map(u32::to_be_bytes).collect();
        let trace = Trace::file(&file);
        assert_eq!(trace.pieces(), 40_000 / 24);
        assert_eq!(trace.found(&file), trace.pieces());
        assert_eq!(trace.found(&[&[0; 7][..], &file[24 * 50..24 * 51], &[1; 9]].concat()), 1);
        assert_eq!(Trace::file(&[0; 10_000]).pieces(), 0);
        assert_eq!(Trace::file(b"a short file").pieces(), 3);
        assert_eq!(Trace::file(b"").pieces(), 0);
    }

    #[test]
    fn what_was_there_before_does_not_count() {
        let trace = Trace::text("a text", "CREATE TABLE").not_in(b"..CREATE TABL..");
        assert_eq!(trace.pieces(), 1);
        assert_eq!(trace.found(b"CREATE TABLE"), 1);
        assert_eq!(Trace::text("too short", "abc").pieces(), 0);
    }

    #[test]
    fn a_large_file_is_searched_for_all_over() {
        let file: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_be_bytes).collect();
        let trace = Trace::file(&file);
        assert!(trace.pieces() <= PIECES && trace.pieces() > PIECES / 2);
        assert!(trace.found(&file[3_000_000..]) > 0);
    }

    #[test]
    fn what_is_exactly_there_is_counted() {
        assert_eq!(Trace::exactly("a name", b"alice").places(b"alice and alice's"), 2);
    }

    #[test]
    fn every_file_counts() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("blobs")).unwrap();
        fs::write(place.path().join("a"), "one").unwrap();
        fs::write(place.path().join("blobs/1"), "two").unwrap();
        assert_eq!(disk(place.path()), (b"onetwo".to_vec(), 2));
    }
}
