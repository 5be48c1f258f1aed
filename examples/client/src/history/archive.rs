//! The history as a file: readable, or sealed under a passphrase of its own and fit to be read again.
//!
//! ```text
//! readable: JSON lines; the first says what it is, each further one is a message or a reaction (README.md)
//! sealed:   "securechat history 1\n" | salt 16 | cost 12 | wrapped key 64 | chunk ...
//! chunk:    last u8 (0 or 1) | length u32 | sealed
//! ```
//!
//! The chunks, put together, are the readable form. They are sealed with a vault of their own, whose random key is wrapped
//! under the passphrase, each for its number and whether it is the last: no chunk opens in another place, and an archive that
//! was cut has no last one.

use super::record::Record;
use crate::error::Error;
use crate::folder::new_private_file;
use crate::passphrase::{self, Cost, SALT};
use crate::state::{State, random};
use securechat_core::crypto::Random;
use securechat_core::identity::UserName;
use securechat_core::roster::GroupId;
use securechat_core::vault::Vault;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

const MAGIC: &[u8; 21] = b"securechat history 1\n";
const COST: usize = 12;
const WRAPPED: usize = 64;
/// Bytes of the readable form in a chunk.
const CHUNK: usize = 1 << 16;
/// What sealing adds to them.
const SEALED_MAX: usize = CHUNK + 32;
/// Records that are imported in one transaction.
const BATCH: usize = 500;

/// The first line of an archive.
#[derive(Serialize, Deserialize)]
struct Head {
    securechat: String,
    version: u32,
    user: UserName,
    /// How many lines follow.
    records: u64,
    /// What the groups are called, by their ids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    groups: BTreeMap<String, String>,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Messages that were not known here.
    pub new: usize,
    /// Messages that were.
    pub known: usize,
}

impl State {
    /// Writes the history to a new file, readable by its owner only: as it is, or sealed under a passphrase.
    /// Says how many messages there are.
    ///
    /// # Errors
    /// [`Error::Exists`] when there is such a file already.
    pub fn export(&mut self, path: &Path, passphrase: Option<(&str, Cost)>) -> Result<usize, Error> {
        self.save()?;
        if passphrase.is_some_and(|(passphrase, _)| passphrase.is_empty()) {
            return Err(Error::EmptyPassphrase);
        }
        let file = new_private_file(path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Error::Exists(path.to_owned()),
            _ => Error::at(path)(error),
        })?;
        let exported = self.export_to(&file, path, passphrase);
        if exported.is_err() {
            // Half an archive is of no use.
            _ = fs::remove_file(path);
        }
        exported
    }

    pub(super) fn export_to(&self, file: &File, path: &Path, passphrase: Option<(&str, Cost)>) -> Result<usize, Error> {
        let mut order = Vec::new();
        self.each_record(false, |place, record| {
            order.push((record.order(), place));
            Ok(())
        })?;
        order.sort_unstable();
        let named = |group: GroupId| self.client.group(&group).map(|info| (group.to_string(), info.name));
        let head = Head {
            securechat: "history".into(),
            version: 1,
            user: self.client.user().clone(),
            records: order.len() as u64,
            groups: self.client.groups().filter_map(named).collect(),
        };
        let mut writer = Writer::new(BufWriter::new(file), passphrase).map_err(at(path))?;
        let mut count = 0;
        writer.line(&head).map_err(at(path))?;
        for (_, place) in order {
            let Some(sealed) = self.store.row(&place)? else { continue };
            let record: Record = self.open_row(&place, &sealed)?;
            count += usize::from(matches!(record, Record::Message(_)));
            writer.line(&record).map_err(at(path))?;
        }
        writer.finish().and_then(|()| file.sync_all().map_err(Failed::Io)).map_err(at(path))?;
        Ok(count)
    }

    /// Takes in a sealed archive of the same user. What is here already stays once. Nothing is taken from an archive that is
    /// not whole.
    ///
    /// # Errors
    /// [`Error::NotAnArchive`], [`Error::ArchivePassphrase`], [`Error::ArchiveDamaged`], [`Error::OtherArchive`].
    pub fn import(&mut self, path: &Path, passphrase: &str, now: u64) -> Result<Imported, Error> {
        let file = File::open(path).map_err(Error::at(path))?;
        let mut reader = Reader::new(BufReader::new(file), passphrase).map_err(at(path))?;
        // To the end first: only who has seen the last chunk knows that the archive is whole.
        io::copy(&mut reader, &mut io::sink()).map_err(|_| Error::ArchiveDamaged(path.to_owned()))?;
        reader.rewind().map_err(at(path))?;
        let damaged = || Error::ArchiveDamaged(path.to_owned());
        let mut lines = BufReader::new(reader).lines();
        let mut next = || lines.next().transpose().map_err(|_| damaged());
        let head: Head = next()?.and_then(|line| serde_json::from_str(&line).ok()).ok_or_else(damaged)?;
        if head.user != *self.client.user() {
            return Err(Error::OtherArchive { path: path.to_owned(), user: head.user.to_string() });
        }
        let mut imported = Imported::default();
        while let Some(line) = next()? {
            let record: Record = serde_json::from_str(&line).map_err(|_| damaged())?;
            if record.expires().is_some_and(|at| at <= now) {
                continue;
            }
            let is_message = matches!(record, Record::Message(_));
            match self.put(record)? {
                true => imported.new += usize::from(is_message),
                false => imported.known += usize::from(is_message),
            }
            if self.history.changed.len() >= BATCH {
                self.save()?;
            }
        }
        self.save()?;
        Ok(imported)
    }
}

/// What goes wrong with an archive, before it is known where it lies.
enum Failed {
    Io(io::Error),
    Other(Error),
    NoArchive,
    Passphrase,
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn at(path: &Path) -> impl FnOnce(Failed) -> Error {
    |failed| match failed {
        Failed::Io(error) => Error::at(path)(error),
        Failed::Other(error) => error,
        Failed::NoArchive => Error::NotAnArchive(path.to_owned()),
        Failed::Passphrase => Error::ArchivePassphrase,
    }
}

/// The name for which a chunk is sealed.
fn chunk_name(number: u64, last: bool) -> String {
    format!("archive/{number:016x}/{}", if last { "last" } else { "more" })
}

/// Writes lines, sealed or not.
struct Writer<W> {
    out: W,
    seal: Option<(Vault, Random)>,
    chunk: Vec<u8>,
    number: u64,
}

impl<W: Write> Writer<W> {
    fn new(mut out: W, passphrase: Option<(&str, Cost)>) -> Result<Self, Failed> {
        let mut seal = None;
        if let Some((passphrase, cost)) = passphrase {
            let mut rng = random().map_err(Failed::Other)?;
            let mut salt = [0; SALT];
            rng.fill_bytes(&mut salt);
            let key = passphrase::derive(passphrase, &salt, cost).map_err(Failed::Other)?;
            let vault = Vault::generate(&mut *rng);
            out.write_all(MAGIC)?;
            out.write_all(&salt)?;
            out.write_all(&cost.to_bytes())?;
            out.write_all(&vault.wrap(&key, &mut *rng))?;
            seal = Some((vault, rng));
        }
        Ok(Self { out, seal, chunk: Vec::new(), number: 0 })
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), Failed> {
        let mut line = serde_json::to_vec(value).map_err(io::Error::other)?;
        line.push(b'\n');
        if self.seal.is_none() {
            return Ok(self.out.write_all(&line)?);
        }
        for part in line.chunks(CHUNK) {
            // A chunk leaves when more follows it: the last one has to know that it is.
            let room = CHUNK - self.chunk.len();
            let (now, later) = part.split_at(room.min(part.len()));
            self.chunk.extend_from_slice(now);
            if !later.is_empty() {
                self.write_chunk(false)?;
                self.chunk.extend_from_slice(later);
            }
        }
        Ok(())
    }

    fn write_chunk(&mut self, last: bool) -> Result<(), Failed> {
        let Some((vault, rng)) = &mut self.seal else { return Ok(()) };
        let sealed = vault.seal(&chunk_name(self.number, last), &self.chunk, &mut **rng);
        let length = u32::try_from(sealed.len()).map_err(io::Error::other)?;
        self.out.write_all(&[u8::from(last)])?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&sealed)?;
        self.chunk.clear();
        self.number += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<(), Failed> {
        self.write_chunk(true)?;
        Ok(self.out.flush()?)
    }
}

/// Reads a sealed archive. Any chunk that is not the one to come is an error, and so is an end before the last.
struct Reader<R> {
    from: R,
    vault: Vault,
    number: u64,
    last: bool,
    chunk: io::Cursor<Vec<u8>>,
}

impl<R: Read + Seek> Reader<R> {
    fn new(mut from: R, passphrase: &str) -> Result<Self, Failed> {
        let (mut magic, mut salt, mut cost, mut wrapped) = ([0; MAGIC.len()], [0; SALT], [0; COST], [0; WRAPPED]);
        for part in [&mut magic[..], &mut salt, &mut cost, &mut wrapped] {
            from.read_exact(part).map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => Failed::NoArchive,
                _ => Failed::Io(error),
            })?;
        }
        let cost = Cost::from_bytes(&cost).filter(|_| magic == *MAGIC).ok_or(Failed::NoArchive)?;
        let key = passphrase::derive(passphrase, &salt, cost).map_err(Failed::Other)?;
        let vault = Vault::unwrap(&key, &wrapped).map_err(|_| Failed::Passphrase)?;
        Ok(Self { from, vault, number: 0, last: false, chunk: io::Cursor::default() })
    }

    /// Begins again with the first chunk.
    fn rewind(&mut self) -> Result<(), Failed> {
        self.from.seek(SeekFrom::Start((MAGIC.len() + SALT + COST + WRAPPED) as u64))?;
        (self.number, self.last, self.chunk) = (0, false, io::Cursor::default());
        Ok(())
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let damaged = || io::Error::from(ErrorKind::InvalidData);
        let mut head = [0; 5];
        self.from.read_exact(&mut head)?;
        let [last, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if last > 1 || length > SEALED_MAX {
            return Err(damaged());
        }
        let mut sealed = vec![0; length];
        self.from.read_exact(&mut sealed)?;
        self.last = last == 1;
        let opened = self.vault.open(&chunk_name(self.number, self.last), &sealed).map_err(|_| damaged())?;
        self.number += 1;
        self.chunk = io::Cursor::new(opened.to_vec());
        // Behind the last chunk there is nothing.
        if self.last && self.from.read(&mut [0])? > 0 { Err(damaged()) } else { Ok(()) }
    }
}

impl<R: Read + Seek> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.chunk.read(buffer)?;
            if count > 0 || self.last || buffer.is_empty() {
                return Ok(count);
            }
            self.next_chunk()?;
        }
    }
}
