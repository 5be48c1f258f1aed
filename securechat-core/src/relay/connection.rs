//! One connection as the relay sees it, and what waits to go out on it.

use super::limiter::{Address, Bucket};
use super::mailbox::Mail;
use crate::crypto::secret::{Secret, SecretVec};
use crate::identity::{Identity, UserName};
use crate::limits::Limits;
use crate::wire::{BlobId, CloseCode, Presence};
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

/// Which connection. Never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub(super) u64);

impl ConnId {
    /// The number, for logs and for hosts that keep connections elsewhere.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The id with this number.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// What the host does with a connection's link.
#[derive(derive_more::Debug, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes as one data record.
    Data(#[debug("{} bytes", _0.len())] SecretVec),
    /// Let the other side send frames of full length from now on (3).
    Admitted,
    /// Close the link with this code, as [`CloseCode`] numbers it. The connection is gone from the relay.
    Close(u8),
}

/// Everything the relay keeps for one connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) address: Address,
    pub(super) phase: Phase,
    /// When bytes last came.
    pub(super) last_seen: u64,
    /// When its timer goes off.
    pub(super) armed: u64,
    pub(super) bucket: Bucket,
    /// Requests in a row that its bucket refused.
    pub(super) refused: u32,
    /// Requests whose answer has not been handed to the host.
    pub(super) open: usize,
    /// Bytes of its requests that wait for jobs.
    pub(super) held: usize,
    pub(super) out: Outbox,
}

/// How far a connection has come.
#[derive(Debug)]
pub(super) enum Phase {
    /// Not logged in.
    Stranger(Stranger),
    /// Logged in.
    Admitted(Box<Admitted>),
    /// Over, but for what is still to go out.
    Ending,
}

#[derive(Debug)]
pub(super) struct Stranger {
    pub(super) since: u64,
    pub(super) channel_binding: [u8; 32],
    /// Whether the relay's own password was given.
    pub(super) entered: bool,
    /// The login or registration under way.
    pub(super) login: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) who: Who,
    pub(super) presence: Presence,
    /// A secret for one-time codes that waits for its first code.
    pub(super) code: Option<Secret<20>>,
    /// The blob that chunks were last put into, and the size of its file.
    pub(super) upload: Option<(BlobId, u64)>,
    pub(super) mail: Mail,
}

/// The device at the other end.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) user: UserName,
    pub(super) identity: Identity,
    /// Whether it is in its user's current list.
    pub(super) listed: bool,
    /// Whether it logged in with the password.
    pub(super) by_password: bool,
}

impl Connection {
    pub(super) fn new(address: Address, channel_binding: [u8; 32], now: u64) -> Self {
        Self {
            address,
            phase: Phase::Stranger(Stranger { since: now, channel_binding, entered: false, login: None }),
            last_seen: now,
            armed: 0,
            bucket: Bucket::default(),
            refused: 0,
            open: 0,
            held: 0,
            out: Outbox::default(),
        }
    }

    pub(super) fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending)
    }

    pub(super) fn stranger(&mut self) -> Option<&mut Stranger> {
        if let Phase::Stranger(stranger) = &mut self.phase { Some(stranger) } else { None }
    }

    pub(super) fn admitted(&self) -> Option<&Admitted> {
        if let Phase::Admitted(admitted) = &self.phase { Some(admitted) } else { None }
    }

    pub(super) fn admitted_mut(&mut self) -> Option<&mut Admitted> {
        if let Phase::Admitted(admitted) = &mut self.phase { Some(admitted) } else { None }
    }

    /// When this connection has been silent or stuck for too long, and what it is then closed with.
    pub(super) fn deadline(&self, limits: &Limits) -> (u64, CloseCode) {
        let after =
            |from: u64, time: Duration| from.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let silent = match &self.phase {
            Phase::Stranger(stranger) => (after(stranger.since, limits.login_timeout), CloseCode::LoginTimeout),
            _ => (after(self.last_seen, limits.idle_timeout), CloseCode::Idle),
        };
        match self.out.paused {
            Some(since) if after(since, limits.stall_timeout) < silent.0 => {
                (after(since, limits.stall_timeout), CloseCode::Stalled)
            }
            _ => silent,
        }
    }
}

/// What waits for the host to take it.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    items: VecDeque<Item>,
    /// Bytes of the items.
    pub(super) bytes: usize,
    /// Since when the host takes nothing, if it does not.
    pub(super) paused: Option<u64>,
    /// What follows the items.
    pub(super) close: Option<CloseCode>,
    /// Whether the connection stands in the list of those with something to take.
    pub(super) ready: bool,
}

#[derive(derive_more::Debug)]
pub(super) enum Item {
    /// The answer to a request.
    Answer(#[debug("{} bytes", _0.len())] SecretVec),
    /// A push, which many connections may share.
    Push(#[debug("{} bytes", _0.len())] Arc<SecretVec>),
    Admitted,
}

impl Item {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Answer(bytes) => bytes.len(),
            Self::Push(bytes) => bytes.len(),
            Self::Admitted => 0,
        }
    }
}

impl Outbox {
    pub(super) fn push(&mut self, item: Item) {
        self.bytes += item.len();
        self.items.push_back(item);
    }

    /// Takes the next item. An idle connection keeps no queue.
    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes -= item.len();
        if self.items.is_empty() {
            self.items = VecDeque::new();
        }
        Some(item)
    }

    /// Drops everything; gives how many bytes that were.
    pub(super) fn clear(&mut self) -> usize {
        self.items = VecDeque::new();
        core::mem::take(&mut self.bytes)
    }

    /// Whether the host can take something.
    pub(super) fn has_output(&self) -> bool {
        if self.paused.is_some() { self.close.is_some() } else { self.close.is_some() || !self.items.is_empty() }
    }
}
