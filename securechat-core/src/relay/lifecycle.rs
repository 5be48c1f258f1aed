//! Connections come, are too slow or too many, and go.

use super::connection::{ConnId, Connection, Phase, Who};
use super::limiter::Address;
use super::{Relay, RelayEvent, Timer};
use crate::wire::{CloseCode, Refusal, RefusalCode};

impl Relay {
    /// A link is open: `address` is the host's key for where it comes from, the same for the same peer.
    ///
    /// Gives [`CloseCode::Busy`] to close it with when there are too many from that address, or altogether; in the
    /// latter case the one that has gone longest without a login makes room for it.
    pub fn connect(&mut self, now: u64, address: Address, channel_binding: [u8; 32]) -> Result<ConnId, CloseCode> {
        let limits = &self.config.limits;
        if self.addresses.get(&address).is_some_and(|count| *count >= limits.connections_per_address) {
            return Err(CloseCode::Busy);
        }
        if self.connections.len() >= limits.connections {
            let oldest = *self.strangers.first().ok_or(CloseCode::Busy)?;
            self.end(oldest, CloseCode::Busy, now);
        }
        self.last_conn += 1;
        let conn = ConnId(self.last_conn);
        self.connections.insert(conn, Connection::new(address, channel_binding, now));
        self.strangers.insert(conn);
        *self.addresses.entry(address).or_default() += 1;
        self.arm(conn);
        self.note(RelayEvent::Connected { conn });
        Ok(conn)
    }

    /// A connection's link is gone. What was asked on it is still done.
    pub fn disconnect(&mut self, conn: ConnId, now: u64) {
        if self.connections.contains_key(&conn) {
            self.leave(conn, None, now);
            self.forget(conn);
        }
    }

    /// Ends all connections; the host polls their output as usual.
    pub fn shutdown(&mut self, now: u64) {
        let all: Vec<ConnId> = self.connections.keys().copied().collect();
        all.into_iter().for_each(|conn| self.end(conn, CloseCode::Shutdown, now));
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Who is logged in there.
    pub(super) fn who(&self, conn: ConnId) -> Result<Who, Refusal> {
        let admitted = self.connections.get(&conn).and_then(Connection::admitted);
        admitted.map(|admitted| admitted.who.clone()).ok_or(RefusalCode::WrongState.into())
    }

    pub(super) fn check_deadline(&mut self, conn: ConnId, now: u64) {
        let Some(connection) = self.connections.get(&conn) else { return };
        let (at, code) = connection.deadline(&self.config.limits);
        if at > now {
            self.arm(conn);
        } else if connection.is_ending() {
            self.forget(conn);
        } else {
            self.end(conn, code, now);
        }
    }

    /// Ends a connection: nothing more is taken from it, and after what waits for it its link is closed.
    pub(super) fn end(&mut self, conn: ConnId, code: CloseCode, now: u64) {
        if self.connections.get(&conn).is_none_or(Connection::is_ending) {
            return;
        }
        self.leave(conn, Some(code), now);
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.out.close = Some(code);
        }
        self.drop_output_if_ending(conn);
        self.make_ready(conn);
    }

    /// Takes a connection out of everything but the list of connections.
    pub(super) fn leave(&mut self, conn: ConnId, code: Option<CloseCode>, now: u64) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        match core::mem::replace(&mut connection.phase, Phase::Ending) {
            Phase::Stranger(_) => _ = self.strangers.remove(&conn),
            Phase::Admitted(admitted) => self.depart(conn, &admitted.who, now),
            Phase::Ending => return,
        }
        self.drop_waits(conn);
        self.note(RelayEvent::Ended { conn, code });
    }

    pub(super) fn forget(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.remove(&conn) else { return };
        self.queued = self.queued.saturating_sub(connection.out.bytes);
        self.timers.remove(&(connection.armed, Timer::Connection(conn)));
        if let Some(count) = self.addresses.get_mut(&connection.address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&connection.address);
            }
        }
    }

    /// Sets a connection's timer to its deadline.
    pub(super) fn arm(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        self.timers.remove(&(connection.armed, Timer::Connection(conn)));
        connection.armed = connection.deadline(&self.config.limits).0;
        self.timers.insert((connection.armed, Timer::Connection(conn)));
    }
}
