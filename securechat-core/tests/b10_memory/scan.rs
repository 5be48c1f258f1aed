//! Looking for secrets in this process's own memory.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// How much of a secret has to be found for it to be found: half of a key of 32 bytes.
const PIECE: usize = 16;
/// What the bytes that are looked for are hidden with, so that the search does not find its own.
const MASK: u8 = 0xA5;
/// Bytes looked at in one go. They lie on the stack, which is not searched.
const WINDOW: usize = 1 << 16;

/// Secrets by name, cut into pieces and hidden.
#[derive(Clone, Default)]
pub struct Secrets(Vec<(&'static str, [u8; PIECE])>);

impl Secrets {
    /// Takes note of a secret of at least 16 bytes.
    pub fn note(&mut self, name: &'static str, secret: &[u8]) {
        assert!(secret.len() >= PIECE, "{name} is too short to be told from anything else");
        assert!(secret.iter().any(|byte| *byte != 0), "{name} is not there yet");
        let (pieces, rest) = secret.as_chunks::<PIECE>();
        pieces.iter().for_each(|piece| self.0.push((name, piece.map(|byte| byte ^ MASK))));
        if let (false, Some(last)) = (rest.is_empty(), secret.last_chunk::<PIECE>()) {
            self.0.push((name, last.map(|byte| byte ^ MASK)));
        }
    }

    pub fn one(name: &'static str, secret: &[u8]) -> Self {
        let mut secrets = Self::default();
        secrets.note(name, secret);
        secrets
    }

    pub fn add(&mut self, others: &Self) {
        self.0.extend_from_slice(&others.0);
    }

    /// Without those whose bytes are in what everybody may see.
    #[must_use]
    pub fn except_in(mut self, public: &[u8]) -> Self {
        self.0.retain(|(_, piece)| !public.windows(PIECE).any(|window| is(window, piece)));
        self
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Every one of these is in memory.
    #[track_caller]
    pub fn must_be_found(&self) {
        let found = self.search();
        for (name, _) in &self.0 {
            assert!(found.iter().any(|place| place.name == *name), "{name} is in use and was not found");
        }
    }

    /// No piece of any of these is in memory.
    #[track_caller]
    pub fn must_be_gone(&self) {
        assert!(!self.0.is_empty(), "nothing is looked for");
        let found = self.search();
        let mut names: Vec<_> = found.iter().map(|place| place.name).collect();
        names.dedup();
        assert!(found.is_empty(), "{} pieces are left in memory: {names:?}, {found:x?}", found.len());
    }

    /// Where in writable memory, the stack excluded, pieces of these are.
    pub fn search(&self) -> Vec<Place> {
        let mut beginnings = [false; 1 << 16];
        for (_, piece) in &self.0 {
            beginnings[beginning(piece[0] ^ MASK, piece[1] ^ MASK)] = true;
        }
        let memory = File::open("/proc/self/mem").unwrap();
        let mut found = Vec::new();
        let mut window = [0; WINDOW];
        for mapping in mappings() {
            let mut at = mapping.start;
            while at < mapping.end {
                let length = usize::try_from(mapping.end - at).unwrap().min(WINDOW);
                // The kernel lets nobody read some of its own mappings.
                let Ok(length) = memory.read_at(&mut window[..length], at) else { break };
                if length < PIECE {
                    break;
                }
                for (place, bytes) in window[..length].windows(PIECE).enumerate() {
                    if !beginnings[beginning(bytes[0], bytes[1])] {
                        continue;
                    }
                    for (name, _) in self.0.iter().filter(|(_, piece)| is(bytes, piece)) {
                        found.push(Place { name, address: at + place as u64, mapping: mapping.name.clone() });
                    }
                }
                at += (length - PIECE + 1) as u64;
            }
        }
        found
    }
}

/// Where a piece of a secret was found.
#[derive(Debug)]
pub struct Place {
    pub name: &'static str,
    #[allow(dead_code)] // Shown when a scan fails.
    pub address: u64,
    #[allow(dead_code)]
    pub mapping: String,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

fn is(bytes: &[u8], hidden: &[u8; PIECE]) -> bool {
    bytes.iter().zip(hidden).all(|(byte, hidden)| *byte == hidden ^ MASK)
}

fn beginning(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

struct Mapping {
    start: u64,
    end: u64,
    name: String,
}

/// Every writable mapping but the stack of the main thread, which is the only one.
fn mappings() -> Vec<Mapping> {
    assert_eq!(
        fs::read_dir("/proc/self/task").unwrap().count(),
        1,
        "other threads have stacks that are not told apart"
    );
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mappings = maps.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next()?, fields.next()?);
        let name = fields.nth(3).unwrap_or("anonymous").to_owned();
        let (start, end) = range.split_once('-')?;
        let number = |digits| u64::from_str_radix(digits, 16).unwrap();
        let is_searched = rights.starts_with("rw") && name != "[stack]";
        is_searched.then(|| Mapping { start: number(start), end: number(end), name })
    });
    let mappings: Vec<_> = mappings.collect();
    assert!(mappings.iter().any(|mapping| mapping.name == "[heap]"), "{maps}");
    mappings
}
