//! What did not hold.

use securechat_core::error::{ApiMisuse, Error as CoreError, InvalidMessage, PeerMisbehaved};
use std::io;
use thiserror::Error;

/// Why an attack is not told as it should be.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// The client said no.
    #[error("{0}")]
    Client(#[from] securechat_client::Error),
    /// The engine said no.
    #[error("{0}")]
    Core(#[from] CoreError),
    /// A file or socket cannot be used.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A user did not see what they should.
    #[error("{who} waited in vain for {what}; {who} was told: {told}")]
    Vain {
        /// Who waited.
        who: String,
        /// For what.
        what: String,
        /// What happened instead.
        told: String,
    },
    /// Something is not as it was claimed to be.
    #[error("it did not hold that {0}")]
    Claim(String),
}

impl From<ApiMisuse> for Fault {
    fn from(error: ApiMisuse) -> Self {
        Self::Core(error.into())
    }
}

impl From<PeerMisbehaved> for Fault {
    fn from(error: PeerMisbehaved) -> Self {
        Self::Core(error.into())
    }
}

impl From<InvalidMessage> for Fault {
    fn from(error: InvalidMessage) -> Self {
        Self::Core(error.into())
    }
}

/// Fails unless what was claimed is so.
pub(crate) fn claim(holds: bool, what: &str) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault::Claim(what.to_owned())) }
}
