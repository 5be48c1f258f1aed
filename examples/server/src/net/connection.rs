//! One client's socket with its link.

use crate::census::Place;
use crate::outbox::Outbox;
use crate::socket::Registered;
use securechat_core::link::Link;
use securechat_core::relay::ConnId;
use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};

/// How long the last bytes to a client may take, in milliseconds.
const FLUSH_TIME: u64 = 2_000;
/// How long a client has to end its side once it has everything, in milliseconds.
const LINGER_TIME: u64 = 1_000;

/// A client's connection, from its acceptance to its end.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: Registered<TcpStream>,
    pub(super) client: SocketAddr,
    pub(super) place: Place,
    pub(super) link: Link,
    /// What the relay knows it as, while it does.
    pub(super) conn: Option<ConnId>,
    /// Bytes given to the link since it was last flushed.
    pub(super) ready: usize,
    pub(super) outbox: Outbox,
    pub(super) phase: Phase,
    /// The deadline that the timers have for it.
    pub(super) deadline: Option<u64>,
    /// Whether it stands in the list of those to be flushed.
    pub(super) touched: bool,
    /// Whether the relay was told to give nothing more for now.
    pub(super) paused: bool,
    /// Whether nothing is read because the relay has no room for requests.
    pub(super) held_back: bool,
}

/// How far a connection has come. Times are deadlines, Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The link lives.
    Live,
    /// The link is over, and its last bytes are on their way.
    Flushing(u64),
    /// They are written, and the client knows that nothing follows. What it still sends is thrown away until it ends
    /// its side too: closing before that could reset the connection and lose the last bytes.
    Lingering(u64),
}

/// What a read gave.
pub(super) enum Input {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// The client ended its side, or the connection is broken.
    End,
}

impl Connection {
    pub(super) fn new(socket: Registered<TcpStream>, client: SocketAddr, place: Place, link: Link) -> Self {
        Self {
            socket,
            client,
            place,
            link,
            conn: None,
            ready: 0,
            outbox: Outbox::default(),
            phase: Phase::Live,
            deadline: None,
            touched: false,
            paused: false,
            held_back: false,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> Input {
        loop {
            return match (&*self.socket).read(buffer) {
                Ok(0) => Input::End,
                Ok(n) => Input::Bytes(n),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => Input::Nothing,
                Err(_) => Input::End,
            };
        }
    }

    /// The link is over: what it still has to say is written, nothing more is heard.
    pub(super) fn finish(&mut self, now: u64) {
        if self.is_live() {
            self.phase = Phase::Flushing(now.saturating_add(FLUSH_TIME));
        }
    }

    /// Goes on to lingering when the last bytes are written. Fails when the connection is broken.
    pub(super) fn shut_down_if_flushed(&mut self, now: u64) -> io::Result<()> {
        if matches!(self.phase, Phase::Flushing(_)) && self.outbox.is_empty() {
            self.socket.shutdown(Shutdown::Write)?;
            self.phase = Phase::Lingering(now.saturating_add(LINGER_TIME));
        }
        Ok(())
    }

    /// When something is due for this connection.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        match self.phase {
            Phase::Live => self.link.poll_timeout(),
            Phase::Flushing(until) | Phase::Lingering(until) => Some(until),
        }
    }

    /// Has the poller report what this connection waits for.
    pub(super) fn set_interest(&mut self) -> io::Result<()> {
        self.socket.set_interest(!self.held_back, !self.outbox.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An idle connection holds no buffer; what it holds fits into this and what core promises of a link.
    #[test]
    fn a_connection_is_small() {
        assert!(size_of::<Connection>() <= 1_024, "{}", size_of::<Connection>());
    }
}
