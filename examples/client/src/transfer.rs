//! Files on their way: read where they lie, written beside their name until they are whole.

use crate::error::Error;
use crate::folder::{new_private_file, private_folder};
use securechat_core::codec::{decode, encode};
use securechat_core::event::FileId;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Longest file name, in bytes, on every system that matters.
const NAME_MAX: usize = 255;
/// How many names are tried before giving up.
const NAMES_TRIED: u32 = 1_000;

/// Which files the transfers are that are under way: what the program keeps of them beside the engine's own records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// Where the files lie that are being sent.
    pub(crate) outgoing: BTreeMap<FileId, PathBuf>,
    /// Where those lie that arrive.
    pub(crate) incoming: BTreeMap<FileId, Place>,
}

impl Files {
    /// As it is kept.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let outgoing: Vec<_> = self.outgoing.iter().map(|(file, path)| (file, path_bytes(path))).collect();
        let of = |place: &Place| (path_bytes(&place.part), place.name.clone(), place.whole.as_deref().map(path_bytes));
        let incoming: Vec<_> = self.incoming.iter().map(|(file, place)| (file, of(place))).collect();
        encode(&(outgoing, incoming))
    }

    /// Reads it back.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        type Kept = (Vec<u8>, String, Option<Vec<u8>>);
        type All = (Vec<(FileId, Vec<u8>)>, Vec<(FileId, Kept)>);
        let (outgoing, incoming): All = decode(bytes).map_err(|error| Error::Core(error.into()))?;
        let place = |(part, name, whole): Kept| Place { part: path(part), name, whole: whole.map(path) };
        Ok(Self {
            outgoing: outgoing.into_iter().map(|(file, bytes)| (file, path(bytes))).collect(),
            incoming: incoming.into_iter().map(|(file, kept)| (file, place(kept))).collect(),
        })
    }
}

#[cfg(unix)]
fn path_bytes(path: &Path) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec()
}

#[cfg(unix)]
fn path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes))
}

#[cfg(not(unix))]
fn path_bytes(path: &Path) -> Vec<u8> {
    path.to_string_lossy().into_owned().into_bytes()
}

#[cfg(not(unix))]
fn path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(&bytes).into_owned())
}

/// A file that is being sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    file: File,
    pub(crate) path: PathBuf,
    /// Its name, without the folders.
    pub(crate) name: String,
    /// Its size when it was offered.
    pub(crate) size: u64,
    /// What was read last.
    read: Vec<u8>,
}

impl Outgoing {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        // Asked before it is opened: opening a pipe would wait for its other end.
        let about = fs::metadata(path).map_err(Error::at(path))?;
        let name = path.file_name().filter(|_| about.is_file()).ok_or_else(|| Error::NotAFile(path.to_owned()))?;
        let file = File::open(path).map_err(Error::at(path))?;
        Ok(Self {
            file,
            // After a restart the program may run elsewhere.
            path: path.canonicalize().map_err(Error::at(path))?,
            name: name.to_string_lossy().into_owned(),
            size: about.len(),
            read: Vec::new(),
        })
    }

    /// `length` bytes from `offset`; fewer when the file has become shorter.
    pub(crate) fn read(&mut self, offset: u64, length: usize) -> Result<&[u8], Error> {
        self.read.resize(length, 0);
        let read = self.file.seek(SeekFrom::Start(offset)).and_then(|_| read_full(&self.file, &mut self.read));
        let count = read.map_err(Error::at(&self.path))?;
        Ok(self.read.get(..count).unwrap_or_default())
    }
}

/// Fills `buffer`, or as much of it as there is; says how much.
fn read_full(mut file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A file that is arriving, as `NAME.part` in its folder, which a restart finds again.
#[derive(Debug)]
pub(crate) struct Incoming {
    file: File,
    place: Place,
    size: u64,
    /// Bytes that are not on the disk yet.
    unsynced: bool,
    /// What could not be written, and where: the disk has room again when it can.
    stuck: Option<(u64, Vec<u8>)>,
}

/// Where a file arrives: what is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) part: PathBuf,
    /// What it is to be called, without the folder.
    pub(crate) name: String,
    /// The name that it is being given.
    pub(crate) whole: Option<PathBuf>,
}

impl Incoming {
    /// Makes room for a file. The name is reduced to a safe one; nothing that exists is touched.
    pub(crate) fn create(folder: &Path, name: &str, size: u64) -> Result<Self, Error> {
        let name = securechat_core::file::safe_name(name);
        private_folder(folder).map_err(Error::at(folder))?;
        let folder = &folder.canonicalize().map_err(Error::at(folder))?;
        for attempt in 0..NAMES_TRIED {
            let part = folder.join(numbered(&name, attempt, ".part"));
            match new_private_file(&part) {
                Ok(file) => return Ok(Self::new(file, Place { part, name, whole: None }, size)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::at(&part)(error)),
            }
        }
        Err(Error::NoFreeName(folder.join(name)))
    }

    /// Goes on with what is there of a file.
    pub(crate) fn reopen(place: Place, size: u64) -> Result<Self, Error> {
        // The part is gone where it got its name and that was not noted any more.
        let found = place.whole.as_ref().filter(|whole| !place.part.exists() && whole.exists());
        let path = found.unwrap_or(&place.part);
        let about = fs::symlink_metadata(path).map_err(Error::at(path))?;
        if !about.is_file() {
            return Err(Error::NotAFile(path.clone()));
        }
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(Error::at(path))?;
        Ok(Self::new(file, place, size))
    }

    fn new(file: File, place: Place, size: u64) -> Self {
        Self { file, place, size, unsynced: false, stuck: None }
    }

    /// What is to be kept of it.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Writes bytes where they belong; never beyond the size announced.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.size) {
            return Err(Error::TooManyBytes);
        }
        self.unsynced = true;
        let written = self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.write_all(bytes));
        written.map_err(Error::at(&self.place.part)).inspect_err(|_| self.stuck = Some((offset, bytes.to_vec())))
    }

    /// Brings to the disk what was written.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        if self.unsynced {
            self.file.sync_data().map_err(Error::at(&self.place.part))?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// Whether what could not be written can be by now.
    pub(crate) fn has_room(&mut self) -> bool {
        if let Some((offset, bytes)) = self.stuck.take()
            && self.write(offset, &bytes).is_err()
        {
            return false;
        }
        self.sync().is_ok()
    }

    /// Gives the whole file its name, or the first free one like it, and says which. `note` is told a name before it is
    /// given, and has to keep it: a crash in between finds the file under one of the two.
    pub(crate) fn finish(mut self, mut note: impl FnMut(&Place) -> Result<(), Error>) -> Result<PathBuf, Error> {
        self.file.sync_all().map_err(Error::at(&self.place.part))?;
        if let Some(whole) = self.place.whole.take_if(|whole| is_same(&self.file, whole)) {
            // It has its name, and at most a link too many.
            _ = fs::remove_file(&self.place.part);
            return Ok(whole);
        }
        let folder = self.place.part.parent().unwrap_or(Path::new(".")).to_owned();
        for attempt in 0..NAMES_TRIED {
            let path = folder.join(numbered(&self.place.name, attempt, ""));
            if path.symlink_metadata().is_ok() {
                continue;
            }
            self.place.whole = Some(path.clone());
            note(&self.place)?;
            match rename_new(&self.place.part, &path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::at(&path)(error)),
            }
        }
        Err(Error::NoFreeName(folder.join(&self.place.name)))
    }
}

impl Place {
    /// Removes what came of a file that nobody waits for any more: the part alone is of no use.
    pub(crate) fn discard(&self) {
        // That it cannot be removed is not worth a word.
        _ = fs::remove_file(&self.part);
    }
}

/// Whether an open file is what a path names.
#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let of = |about: io::Result<fs::Metadata>| about.ok().map(|about| (about.dev(), about.ino()));
    of(file.metadata()).is_some_and(|own| of(fs::symlink_metadata(path)) == Some(own))
}

/// Whether an open file is what a path names: where that cannot be asked, it is when the name was given to nothing else.
#[cfg(not(unix))]
fn is_same(file: &File, path: &Path) -> bool {
    let length = |about: io::Result<fs::Metadata>| about.ok().map(|about| about.len());
    length(file.metadata()).is_some_and(|own| length(fs::symlink_metadata(path)) == Some(own))
}

/// Renames without ever replacing: a hard link does not, and where there are none a placeholder takes the name first.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        Err(_) => {
            drop(new_private_file(to)?);
            fs::rename(from, to)
        }
    }
}

/// `report.pdf`, then `report (1).pdf` and so on, with `end` behind it, shortened where it would be too long for a name.
fn numbered(name: &str, attempt: u32, end: &str) -> String {
    let (stem, extension) = match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= 16 => name.split_at(dot),
        _ => (name, ""),
    };
    let number = if attempt == 0 { String::new() } else { format!(" ({attempt})") };
    let room = NAME_MAX.saturating_sub(extension.len() + number.len() + end.len());
    let end_of_stem = (0..=room.min(stem.len())).rev().find(|length| stem.is_char_boundary(*length)).unwrap_or(0);
    let stem = stem.get(..end_of_stem).unwrap_or(stem);
    format!("{stem}{number}{extension}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_arrives_in_any_order_and_keeps_its_name() {
        let place = tempfile::tempdir().unwrap();
        let mut incoming = Incoming::create(place.path(), "report.pdf", 6).unwrap();
        incoming.write(3, b"def").unwrap();
        incoming.write(0, b"abc").unwrap();
        assert!(place.path().join("report.pdf.part").exists());
        let path = incoming.finish(|_| Ok(())).unwrap();
        assert_eq!(path, place.path().join("report.pdf"));
        assert_eq!(fs::read(path).unwrap(), b"abcdef");
        assert!(!place.path().join("report.pdf.part").exists());
    }

    /// ATTACKS.md E1.
    #[test]
    fn e1_nothing_is_overwritten_and_nothing_leaves_the_folder() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("in");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a.txt"), "mine").unwrap();
        fs::write(folder.join("a.txt.part"), "mine too").unwrap();
        let mut incoming = Incoming::create(&folder, "../in/a.txt", 1).unwrap();
        incoming.write(0, b"x").unwrap();
        let path = incoming.finish(|_| Ok(())).unwrap();
        assert_eq!(path.parent(), Some(folder.as_path()));
        assert_eq!(fs::read(path).unwrap(), b"x");
        assert_eq!(fs::read(folder.join("a.txt")).unwrap(), b"mine");
        assert_eq!(fs::read(folder.join("a.txt.part")).unwrap(), b"mine too");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    /// ATTACKS.md E1: a link in the way is not followed.
    #[cfg(unix)]
    #[test]
    fn e1_a_link_in_the_way_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("target");
        let folder = place.path().join("in");
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(&target, folder.join("a.part")).unwrap();
        std::os::unix::fs::symlink(&target, folder.join("a")).unwrap();
        let mut incoming = Incoming::create(&folder, "a", 1).unwrap();
        incoming.write(0, b"x").unwrap();
        assert_eq!(incoming.finish(|_| Ok(())).unwrap(), folder.join("a (1)"));
        assert!(!target.exists());
    }

    /// ATTACKS.md E2.
    #[test]
    fn e2_the_announced_size_caps_what_is_written() {
        let place = tempfile::tempdir().unwrap();
        let mut incoming = Incoming::create(place.path(), "a", 4).unwrap();
        assert!(matches!(incoming.write(0, b"12345"), Err(Error::TooManyBytes)));
        assert!(matches!(incoming.write(u64::MAX, b"1"), Err(Error::TooManyBytes)));
        incoming.write(3, b"4").unwrap();
    }

    /// ATTACKS.md E2.
    #[cfg(target_os = "linux")]
    #[test]
    fn e2_a_full_disk_is_an_error_that_says_so() {
        let file = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
        let place = tempfile::tempdir().unwrap();
        let mut incoming = Incoming::create(place.path(), "a", 4).unwrap();
        let room = std::mem::replace(&mut incoming.file, file);
        assert!(matches!(incoming.write(0, b"1234"), Err(Error::DiskFull(_))));
        assert!(!incoming.has_room());
        incoming.file = room;
        assert!(incoming.has_room());
    }

    #[test]
    fn a_transfer_given_up_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let incoming = Incoming::create(place.path(), "a", 4).unwrap();
        incoming.place().discard();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    /// A crash may come at any place: what has come is found again, under its part or under its name, once.
    #[test]
    fn what_has_come_is_found_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut incoming = Incoming::create(folder.path(), "a.txt", 4).unwrap();
        incoming.write(2, b"cd").unwrap();
        incoming.sync().unwrap();
        let mut incoming = Incoming::reopen(incoming.place().clone(), 4).unwrap();
        incoming.write(0, b"ab").unwrap();
        // Killed before the name was given.
        let mut noted = incoming.place().clone();
        let stopped = incoming.finish(|place| {
            noted = place.clone();
            Err(Error::Stopped)
        });
        assert!(stopped.is_err() && noted.whole.is_some());
        // Killed between the new name and the end of the old one.
        fs::hard_link(&noted.part, noted.whole.as_ref().unwrap()).unwrap();
        let path = Incoming::reopen(noted.clone(), 4).unwrap().finish(|_| Ok(())).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abcd");
        // Killed before that was noted.
        assert_eq!(Incoming::reopen(noted.clone(), 4).unwrap().finish(|_| Ok(())).unwrap(), path);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::remove_file(path).unwrap();
        assert!(matches!(Incoming::reopen(noted, 4), Err(Error::File { .. })));
    }

    #[test]
    fn where_files_lie_is_kept() {
        let place = Place { part: "/in/a.part".into(), name: "a".into(), whole: Some("/in/a".into()) };
        let files = Files {
            outgoing: BTreeMap::from([([1; 16], "/out/ä".into())]),
            incoming: BTreeMap::from([([2; 16], place.clone()), ([3; 16], Place { whole: None, ..place })]),
        };
        assert_eq!(Files::from_bytes(&files.to_bytes()).unwrap(), files);
        assert!(Files::from_bytes(b"x").is_err());
    }

    #[test]
    fn long_names_stay_names() {
        let name = format!("{}.txt", "ü".repeat(125));
        for attempt in [0, 1, 999] {
            for end in ["", ".part"] {
                let name = numbered(&name, attempt, end);
                assert!(name.len() <= NAME_MAX && name.contains(".txt"), "{name}");
            }
        }
        assert_eq!(numbered(".profile", 2, ""), ".profile (2)");
        assert_eq!(numbered("a.tar.gz", 1, ".part"), "a.tar (1).gz.part");
    }

    #[test]
    fn what_is_sent_is_a_file_and_read_where_asked() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.bin");
        fs::write(&path, b"0123456789").unwrap();
        let mut outgoing = Outgoing::open(&path).unwrap();
        assert_eq!((outgoing.name.as_str(), outgoing.size), ("x.bin", 10));
        assert_eq!(outgoing.read(4, 3).unwrap(), b"456");
        assert_eq!(outgoing.read(8, 5).unwrap(), b"89");
        assert!(matches!(Outgoing::open(place.path()), Err(Error::NotAFile(_))));
        assert!(matches!(Outgoing::open(&place.path().join("y")), Err(Error::File { .. })));
    }
}
