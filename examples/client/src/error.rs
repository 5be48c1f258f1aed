//! What can go wrong around the engine, each as one sentence that says what to do.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error as ThisError;

/// Anything that can go wrong in a program that drives a client.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The engine refused or failed.
    #[error(transparent)]
    Core(#[from] securechat_core::error::Error),
    /// Nothing listens at the address.
    #[error("nothing answers at {0}: is it running there, and is the port right?")]
    Refused(String),
    /// The host's name is not known.
    #[error("there is no host {0}: check the name and your network")]
    UnknownHost(String),
    /// The address cannot be reached.
    #[error("{address} cannot be reached ({reason})")]
    Unreachable {
        /// The address.
        address: String,
        /// What the operating system says.
        reason: io::Error,
    },
    /// An address is not one.
    #[error("'{0}' is not an address: write host:port#fingerprint")]
    Address(String),
    /// The address to listen on cannot be used.
    #[error("cannot listen on {address} ({reason}): is another program using the port?")]
    Listen {
        /// The address.
        address: String,
        /// What the operating system says.
        reason: io::Error,
    },
    /// A new state needs to know whose it is.
    #[error("there is no state in {0} yet: say whose it will be with --user NAME")]
    NewState(PathBuf),
    /// There is no state to do something with.
    #[error("there is no state in {0}: say where it is with --state FOLDER or --user NAME")]
    NoState(PathBuf),
    /// Several states, and none was chosen.
    #[error("there are several states in {0}: say whose with --user NAME")]
    SeveralStates(PathBuf),
    /// The state belongs to another user.
    #[error("the state in {folder} belongs to {user}: use another folder for another user")]
    OtherUser {
        /// The folder of the state.
        folder: PathBuf,
        /// Whose state it is.
        user: String,
    },
    /// The passphrase does not open the state.
    #[error("this passphrase does not open the state")]
    WrongPassphrase,
    /// An empty passphrase protects nothing.
    #[error("an empty passphrase protects nothing: choose one")]
    EmptyPassphrase,
    /// There is nobody to ask for the passphrase.
    #[error("no passphrase: give --passphrase-file FILE or SECURECHAT_PASSPHRASE")]
    NoPassphrase,
    /// A new passphrase was not typed the same twice.
    #[error("the two passphrases are not the same")]
    PassphrasesDiffer,
    /// Another process has the state open.
    #[error("another securechat is using {0}: close it first")]
    InUse(PathBuf),
    /// The database is damaged, or not one.
    #[error("the database {0} is damaged: move it away and restore a copy, or begin as a new device")]
    Damaged(PathBuf),
    /// The database was made by a newer version.
    #[error("the database {0} was made by a newer version: update this program")]
    NewerVersion(PathBuf),
    /// The database failed.
    #[error("the state cannot be saved ({0}): nothing more is sent until it can")]
    Database(#[from] rusqlite::Error),
    /// The disk is full.
    #[error("the disk is full: make room ({0})")]
    DiskFull(PathBuf),
    /// A file or folder cannot be used.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        reason: io::Error,
    },
    /// What is to be sent is not a regular file.
    #[error("{0} is not a file")]
    NotAFile(PathBuf),
    /// No free name was found for a file.
    #[error("{0} has too many files of that name")]
    NoFreeName(PathBuf),
    /// A transfer of an earlier run, of which the file is not known any more.
    #[error("it is not known any more which file it was: send it again, or ask for it again")]
    NotKept,
    /// More bytes came than were announced.
    #[error("more bytes came than the file was to have")]
    TooManyBytes,
    /// The operating system gave no random numbers.
    #[error("the operating system gives no random numbers")]
    Randomness,
    /// A file that was to be made is there already.
    #[error("{0} exists already: choose another name")]
    Exists(PathBuf),
    /// What is to be imported is no sealed archive.
    #[error("{0} is no archive that can be imported: /export --encrypted makes one")]
    NotAnArchive(PathBuf),
    /// The passphrase does not open the archive.
    #[error("this passphrase does not open the archive")]
    ArchivePassphrase,
    /// The archive was cut, or changed.
    #[error("{0} is not whole, or was changed: nothing of it was taken")]
    ArchiveDamaged(PathBuf),
    /// The archive is another user's.
    #[error("the archive {path} is the history of {user}, and not of this state's user")]
    OtherArchive {
        /// Which archive.
        path: PathBuf,
        /// Whose it is.
        user: String,
    },
    /// The client is stopped.
    #[error("the client has stopped")]
    Stopped,
}

impl Error {
    /// Whatever a file operation said, with the place where it said it.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |reason| match reason.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull(path.to_owned()),
            _ => Self::File { path: path.to_owned(), reason },
        }
    }

    /// The engine's error, if it is one.
    pub fn core(&self) -> Option<securechat_core::error::Error> {
        match self {
            Self::Core(error) => Some(*error),
            _ => None,
        }
    }
}
