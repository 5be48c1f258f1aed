//! The folder of a state: who may read it, that only one process uses it, and how often it was saved.
//!
//! ```text
//! NAME/state.db      the records, all sealed (and SQLite's -wal and -shm)
//! NAME/lock          locked as long as a process uses the state
//! NAME.generation    the generation of the newest save, beside the folder, so that a folder that is put back is noticed
//! ```

use crate::error::Error;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A state's folder, locked for this process until it is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    generation: File,
    known: Option<u64>,
    _lock: File,
}

impl Folder {
    /// Creates the folder where there is none and locks it.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has it.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        private_folder(path).map_err(Error::at(path))?;
        let path = path.canonicalize().map_err(Error::at(path))?;
        let lock_path = path.join("lock");
        let lock = private_file(&lock_path).map_err(Error::at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse(path)),
            Err(TryLockError::Error(reason)) => return Err(Error::at(&lock_path)(reason)),
        }
        let mut beside = path.clone().into_os_string();
        beside.push(".generation");
        let beside = PathBuf::from(beside);
        let mut generation = private_file(&beside).map_err(Error::at(&beside))?;
        let mut text = String::new();
        (&mut generation).take(64).read_to_string(&mut text).map_err(Error::at(&beside))?;
        Ok(Self { path, generation, known: text.trim().parse().ok(), _lock: lock })
    }

    /// The database's path.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join("state.db")
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The highest generation ever noted; `None` when there is no note, or no readable one.
    pub(crate) fn generation(&self) -> Option<u64> {
        self.known
    }

    /// Notes a generation that is in the database for good. A note that is lost with the power is only a lower bound.
    pub(crate) fn note_generation(&mut self, generation: u64) -> Result<(), Error> {
        if self.known.is_none_or(|known| generation > known) {
            // Always 21 bytes in one write: a note is replaced as a whole.
            let written = self.generation.seek(SeekFrom::Start(0));
            let written = written.and_then(|_| self.generation.write_all(format!("{generation:020}\n").as_bytes()));
            written.map_err(Error::at(&self.path))?;
            self.known = Some(generation);
        }
        Ok(())
    }
}

/// Creates a folder, and those above it, that only its owner may enter.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Opens a file for reading and writing; a new one is its owner's alone from the first moment.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().create(true).truncate(false)).open(path)
}

/// Creates a file that was not there, not even as a link, for its owner alone.
pub(crate) fn new_private_file(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().create_new(true)).open(path)
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.read(true).write(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("alice");
        let first = Folder::open(&path).unwrap();
        assert!(matches!(Folder::open(&path), Err(Error::InUse(_))));
        drop(first);
        Folder::open(&path).unwrap();
    }

    #[test]
    fn the_generation_outlives_the_folder_and_never_falls() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("alice");
        let mut folder = Folder::open(&path).unwrap();
        assert_eq!(folder.generation(), None);
        folder.note_generation(1_234_567).unwrap();
        folder.note_generation(89).unwrap();
        drop(folder);
        fs::remove_dir_all(&path).unwrap();
        assert_eq!(Folder::open(&path).unwrap().generation(), Some(1_234_567));
    }

    /// ATTACKS.md E5.
    #[cfg(unix)]
    #[test]
    fn e5_files_are_their_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("alice");
        let _folder = Folder::open(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("lock")), 0o600);
        assert_eq!(mode(&place.path().join("alice.generation")), 0o600);
    }
}
