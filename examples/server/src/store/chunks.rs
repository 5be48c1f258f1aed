//! The files of blobs: one each, named by its number, with a slot for every chunk.
//!
//! ```text
//! slot i at i × 65,536:  u32 length | sealed chunk
//! ```
//!
//! Slots of chunks that are not there are holes. A file says nothing by itself: which slots count is in the database,
//! which is told only after the bytes are on the disk.

use crate::error::ServerError;
use crate::files;
use securechat_core::wire::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

const SLOT: u64 = 65_536;
/// Chunks that are kept in memory too, 2 MiB: who fetches a file while it comes asks for those put last.
const RECENT: usize = 32;

#[derive(Debug)]
pub(super) struct Chunks {
    folder: PathBuf,
    /// Files written in this transaction.
    written: BTreeMap<i64, File>,
    /// Files that go when this transaction is durable.
    dropped: Vec<i64>,
    /// Whether a file was made in this transaction.
    made: bool,
    /// The chunks written last, by blob and index.
    recent: VecDeque<(i64, u32, Bytes)>,
}

impl Chunks {
    /// Opens the folder, made if it is not there, and removes files that no blob has: a crash may come between the
    /// end of a blob and that of its file.
    pub(super) fn open(folder: PathBuf, known: &BTreeSet<i64>) -> Result<Self, ServerError> {
        let sweep = || {
            files::create_private_folder(&folder)?;
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
                if number.is_some_and(|number| !known.contains(&number)) {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        };
        sweep().map_err(|error: io::Error| ServerError::folder(&folder, &error))?;
        Ok(Self { folder, written: BTreeMap::new(), dropped: Vec::new(), made: false, recent: VecDeque::new() })
    }

    /// A transaction failed: what it left undone is forgotten.
    pub(super) fn forget(&mut self) {
        self.written.clear();
        self.dropped.clear();
        self.made = false;
        self.recent.clear();
    }

    pub(super) fn write(&mut self, number: i64, index: u32, chunk: &Bytes) -> io::Result<()> {
        let too_long = |_| io::Error::from(ErrorKind::InvalidInput);
        let length = u16::try_from(chunk.len()).map(u32::from).map_err(too_long)?;
        if !self.written.contains_key(&number) {
            let path = self.path(number);
            self.made |= !path.exists();
            self.written.insert(number, files::open_private(&path)?);
        }
        let file = self.written.get_mut(&number).ok_or(ErrorKind::NotFound)?;
        file.seek(SeekFrom::Start(u64::from(index).saturating_mul(SLOT)))?;
        file.write_all(&length.to_be_bytes())?;
        file.write_all(chunk)?;
        self.recent.truncate(RECENT - 1);
        self.recent.push_front((number, index, chunk.clone()));
        Ok(())
    }

    pub(super) fn read(&self, number: i64, index: u32) -> io::Result<Bytes> {
        let kept = self.recent.iter().find(|(of, at, _)| (*of, *at) == (number, index));
        if let Some((_, _, chunk)) = kept {
            return Ok(chunk.clone());
        }
        let mut file = File::open(self.path(number))?;
        file.seek(SeekFrom::Start(u64::from(index).saturating_mul(SLOT)))?;
        let mut length = [0; 4];
        file.read_exact(&mut length)?;
        let length = u16::try_from(u32::from_be_bytes(length)).map_err(|_| ErrorKind::InvalidData)?;
        let mut chunk = vec![0; length.into()];
        file.read_exact(&mut chunk)?;
        Ok(chunk.into())
    }

    /// Makes what was written durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.written.values().try_for_each(File::sync_data)?;
        self.written.clear();
        if std::mem::take(&mut self.made) { files::sync_folder(&self.folder) } else { Ok(()) }
    }

    /// Has the file of a blob removed once the transaction is durable.
    pub(super) fn drop(&mut self, number: i64) {
        self.recent.retain(|(of, _, _)| *of != number);
        self.dropped.push(number);
    }

    /// Removes the files of blobs that are gone. What fails is tried again at the next start.
    pub(super) fn remove_dropped(&mut self) {
        for number in std::mem::take(&mut self.dropped) {
            match fs::remove_file(self.path(number)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!(%error, number, "a blob's file cannot be removed yet");
                }
                _ => {}
            }
        }
    }

    fn path(&self, number: i64) -> PathBuf {
        self.folder.join(number.to_string())
    }
}
