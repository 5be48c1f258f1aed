//! What did not hold.

use std::io;
use thiserror::Error;

/// Why the tour ends without success.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// The client said no.
    #[error("{0}")]
    Client(#[from] securechat_client::Error),
    /// The relay said no.
    #[error("the relay: {0}")]
    Relay(#[from] securechat_server::ServerError),
    /// The relay's database cannot be read.
    #[error("the relay's database: {0}")]
    Database(#[from] rusqlite::Error),
    /// A file or folder cannot be used.
    #[error("{0}: {1}")]
    File(String, io::Error),
    /// Something that had to happen did not.
    #[error("{who} waited in vain for {what}")]
    Vain {
        /// Who waited.
        who: String,
        /// For what.
        what: &'static str,
    },
    /// Something is not as it was claimed to be.
    #[error("it did not hold that {0}")]
    Claim(String),
}

/// Fails unless what was claimed is so.
pub(crate) fn claim(holds: bool, what: &str) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault::Claim(what.to_owned())) }
}
