//! Files on their way: read where they lie, written beside their name until they are whole.

use crate::error::Error;
use crate::folder::{new_private_file, private_folder};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Longest file name, in bytes, on every system that matters.
const NAME_MAX: usize = 255;
/// How many names are tried before giving up.
const NAMES_TRIED: u32 = 1_000;

/// A file that is being sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    file: File,
    path: PathBuf,
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
            path: path.to_owned(),
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

/// A file that is arriving, as `NAME.part` in its folder. Dropped before it is whole, the part is removed.
#[derive(Debug)]
pub(crate) struct Incoming {
    file: File,
    part: PathBuf,
    folder: PathBuf,
    name: String,
    size: u64,
    whole: bool,
}

impl Incoming {
    /// Makes room for a file. The name is reduced to a safe one; nothing that exists is touched.
    pub(crate) fn create(folder: &Path, name: &str, size: u64) -> Result<Self, Error> {
        let name = securechat_core::file::safe_name(name);
        private_folder(folder).map_err(Error::at(folder))?;
        for attempt in 0..NAMES_TRIED {
            let part = folder.join(numbered(&name, attempt, ".part"));
            match new_private_file(&part) {
                Ok(file) => return Ok(Self { file, part, folder: folder.to_owned(), name, size, whole: false }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::at(&part)(error)),
            }
        }
        Err(Error::NoFreeName(folder.join(name)))
    }

    /// Writes bytes where they belong; never beyond the size announced.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.size) {
            return Err(Error::TooManyBytes);
        }
        self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.write_all(bytes)).map_err(Error::at(&self.part))
    }

    /// Gives the whole file its name, or the first free one like it, and says which.
    pub(crate) fn finish(mut self) -> Result<PathBuf, Error> {
        self.file.sync_all().map_err(Error::at(&self.part))?;
        for attempt in 0..NAMES_TRIED {
            let path = self.folder.join(numbered(&self.name, attempt, ""));
            match rename_new(&self.part, &path) {
                Ok(()) => {
                    self.whole = true;
                    return Ok(path);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::at(&path)(error)),
            }
        }
        Err(Error::NoFreeName(self.folder.join(&self.name)))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.whole {
            // The part alone is of no use; that it cannot be removed is not worth a word.
            _ = fs::remove_file(&self.part);
        }
    }
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
        let path = incoming.finish().unwrap();
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
        let path = incoming.finish().unwrap();
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
        assert_eq!(incoming.finish().unwrap(), folder.join("a (1)"));
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
        let file = fs::OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
        let place = tempfile::tempdir().unwrap();
        let mut incoming = Incoming::create(place.path(), "a", 4).unwrap();
        incoming.file = file;
        assert!(matches!(incoming.write(0, b"1234"), Err(Error::DiskFull(_))));
    }

    #[test]
    fn a_transfer_given_up_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        drop(Incoming::create(place.path(), "a", 4).unwrap());
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
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
