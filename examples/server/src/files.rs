//! Files of the data folder: private to this user, and either whole or not there.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Creates a folder, and those above it, that only this user can enter. One that exists stays as it is.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Opens a file that only this user can read, to be read and written; creates it if need be.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    private_options().create(true).truncate(false).open(path)
}

/// Replaces the file `path` with `contents`, all or nothing, even if the power fails meanwhile.
pub(crate) fn replace_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = Path::new(&temporary);
    // What an interrupted earlier attempt left behind was never in use.
    if let Err(error) = fs::remove_file(temporary)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = private_options().create_new(true).open(temporary)?;
    file.write_all(contents)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    sync_folder(folder)
}

/// Makes the names in a folder durable: a file's own sync does not cover its name.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened as a file, and renames are journalled.
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn mode(path: &Path) -> u32 {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
    }

    /// ATTACKS.md E5.
    #[test]
    #[cfg(unix)]
    fn e5_private_files_are_readable_by_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        create_private_folder(&inner).unwrap();
        assert_eq!(mode(&inner), 0o700);
        let path = inner.join("key");
        replace_private(&path, b"secret").unwrap();
        assert_eq!(mode(&path), 0o600);
        open_private(&inner.join("lock")).unwrap();
        assert_eq!(mode(&inner.join("lock")), 0o600);
    }

    #[test]
    fn a_replacement_is_whole_and_survives_a_left_over_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        replace_private(&path, b"first and longer").unwrap();
        fs::write(folder.path().join("key.new"), b"half an att").unwrap();
        replace_private(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn opening_keeps_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace_private(&path, b"kept").unwrap();
        open_private(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"kept");
    }
}
