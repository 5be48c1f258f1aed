//! What a relay tells its host, for the log. Never a secret, never a content.

use super::connection::ConnId;
use crate::identity::{Identity, UserName};
use crate::roster::GroupId;
use crate::wire::{CloseCode, RefusalCode};

/// Something worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayEvent {
    /// A connection came.
    Connected {
        /// Its id.
        conn: ConnId,
    },
    /// A connection is over.
    Ended {
        /// Its id.
        conn: ConnId,
        /// Why the relay ended it; none when the other side did.
        code: Option<CloseCode>,
    },
    /// A user registered.
    Registered {
        /// On which connection.
        conn: ConnId,
        /// Who.
        user: UserName,
    },
    /// A device logged in.
    LoggedIn {
        /// On which connection.
        conn: ConnId,
        /// Whose device.
        user: UserName,
        /// The device.
        identity: Identity,
        /// Whether it is in its user's list.
        listed: bool,
    },
    /// A login did not succeed.
    LoginRefused {
        /// On which connection.
        conn: ConnId,
        /// Who it claimed to be.
        user: UserName,
        /// The answer it got.
        code: RefusalCode,
    },
    /// A request was refused.
    Refused {
        /// On which connection.
        conn: ConnId,
        /// The kind number of the request.
        kind: u16,
        /// The answer it got.
        code: RefusalCode,
    },
    /// An envelope was taken.
    Routed {
        /// From which device.
        from: Identity,
        /// To which device.
        to: Identity,
        /// How long it is.
        bytes: usize,
        /// Whether it is not stored.
        transient: bool,
    },
    /// An envelope for a group was taken.
    RoutedToGroup {
        /// From which device.
        from: Identity,
        /// To which group.
        group: GroupId,
        /// How many devices it is stored for, or was handed to.
        devices: usize,
        /// How long it is.
        bytes: usize,
        /// Whether it is not stored.
        transient: bool,
    },
    /// A group has another entry.
    GroupChanged {
        /// Which.
        group: GroupId,
        /// The number of the entry.
        sequence: u32,
        /// The number of what it does.
        action: u8,
        /// Who did that.
        user: UserName,
        /// With which device.
        identity: Identity,
    },
    /// A user has another device list.
    ListPublished {
        /// Who.
        user: UserName,
        /// Its epoch.
        epoch: u64,
        /// How many devices it names.
        devices: usize,
    },
    /// A device wants to be added to a user's list.
    ListProposed {
        /// Whose.
        user: UserName,
        /// Which.
        identity: Identity,
    },
    /// A job failed.
    JobFailed,
}
