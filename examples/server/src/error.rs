//! Why a server does not start, as sentences that say what to do.

use crate::config::ConfigError;
use crate::import::ImportError;
use std::path::{Path, PathBuf};
use std::{fmt, io};
use thiserror::Error;

/// Why the server, or an import, could not begin or had to stop.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The configuration does not hold together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {path}: {reason}; check the path given with --config")]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: Reason,
    },
    /// Another program listens there.
    #[error("{0} is in use by another program; stop that program, or choose another port with --listen HOST:PORT")]
    AddressInUse(String),
    /// The address is not one to listen on.
    #[error("cannot listen on {address}: {reason}; choose an address of this machine with --listen HOST:PORT")]
    Address {
        /// What was configured.
        address: String,
        /// The system's reason.
        reason: Reason,
    },
    /// The data folder cannot be written.
    #[error(
        "cannot write to {path}: {reason}; make the folder writable for this user, or choose another with --data FOLDER"
    )]
    Folder {
        /// The folder or the file in it.
        path: PathBuf,
        /// The system's reason.
        reason: Reason,
    },
    /// Another server works in the data folder.
    #[error("another securechat-server is using {0}; stop it first, or choose another folder with --data FOLDER")]
    FolderInUse(PathBuf),
    /// The database is damaged.
    #[error(
        "the database {path} is damaged ({reason}); restore it from a backup, or move it and the folder 'blobs' away \
         to begin without accounts; the address that users have stays valid"
    )]
    DatabaseDamaged {
        /// The database.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The database cannot be opened for a reason that the system gives.
    #[error("cannot use the database {path}: {reason}; check the folder's permissions and the space on its disk")]
    Database {
        /// The database.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The database was written by a later version.
    #[error("the database {0} was written by a newer securechat-server; run that version, or restore an older backup")]
    DatabaseNewer(PathBuf),
    /// The identity cannot be used.
    #[error(
        "the file {path} is damaged; restore it from a backup. If there is none, move it away: the server then makes a \
         new identity, and every client refuses it until its user is given the new address"
    )]
    IdentityDamaged {
        /// The file.
        path: PathBuf,
    },
    /// The engine refused what the server gave it.
    #[error("the server cannot be set up: {0}")]
    Core(#[from] securechat_core::error::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers, without which nothing here is safe")]
    Randomness,
    /// The thread that serves the sockets ended by a fault in this program.
    #[error("the server stopped because of a fault in it; please report what the log says")]
    Fault,
    /// A password hash could not be made.
    #[error("the server cannot be set up: {0}")]
    Hash(#[from] crate::password::HashError),
    /// The handler of Ctrl-C could not be set.
    #[error("cannot listen for Ctrl-C: {0}")]
    Signals(String),
    /// The file to import cannot be read.
    #[error("cannot read {path}: {reason}; check the path")]
    ImportFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: Reason,
    },
    /// The file to import has a mistake.
    #[error("nothing was imported from {path}: {error}")]
    Import {
        /// The file.
        path: PathBuf,
        /// The line and what is wrong with it.
        error: ImportError,
    },
    /// The users could not be stored.
    #[error("nothing was imported: {path} cannot be written; check the folder's permissions and the space on its disk")]
    ImportNotStored {
        /// The database.
        path: PathBuf,
    },
    /// Something that the system refused.
    #[error("the system refused {what}: {reason}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        reason: Reason,
    },
}

impl ServerError {
    /// A configuration file that cannot be read.
    pub fn config_file(path: PathBuf, error: &io::Error) -> Self {
        Self::ConfigFile { path, reason: Reason::from(error) }
    }

    pub(crate) fn import_file(path: &Path, error: &io::Error) -> Self {
        Self::ImportFile { path: path.to_owned(), reason: Reason::from(error) }
    }

    pub(crate) fn folder(path: &Path, error: &io::Error) -> Self {
        Self::Folder { path: path.to_owned(), reason: Reason::from(error) }
    }

    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::System { what, reason: Reason::from(&error) }
    }
}

/// The system's reason for an error in its own words, without the number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

impl From<&io::Error> for Reason {
    fn from(error: &io::Error) -> Self {
        let text = error.to_string();
        let words = text.split(" (os error").next().unwrap_or(&text);
        // The reason stands in the middle of a sentence.
        let mut letters = words.chars();
        Self(letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn reasons_read_as_part_of_a_sentence() {
        let error = io::Error::from_raw_os_error(13);
        assert_eq!(Reason::from(&error).to_string(), "permission denied");
    }
}
