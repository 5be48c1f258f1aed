//! New connections.

use super::Net;
use super::connection::Connection;
use crate::address;
use crate::census::Room;
use crate::socket::Registered;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};

/// Connections accepted before others have their turn.
const ACCEPTS_PER_TURN: usize = 64;
/// How long nothing is accepted after the system ran out of files or memory, in milliseconds.
const PAUSE: u64 = 200;

impl Net {
    /// Accepts what waits. To be called when the poller said that something does.
    pub(super) fn accept(&mut self, now: u64) {
        for accepted in 0..ACCEPTS_PER_TURN {
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((stream, client)) => {
                    self.counters.accepted.add(1);
                    if let Err(error) = self.welcome(stream, client, now) {
                        tracing::debug!(%client, %error, "connection not taken");
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => break,
                    // Of the connection that was to be accepted: it is gone already.
                    ErrorKind::Interrupted
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::ConnectionReset
                    | ErrorKind::PermissionDenied
                    | ErrorKind::HostUnreachable
                    | ErrorKind::NetworkUnreachable
                    | ErrorKind::NetworkDown => {}
                    // The last file went to the connection before. Whether another waits, the poller knows.
                    _ if accepted > 0 => break,
                    _ => return self.pause_accepting(&error, now),
                },
            }
        }
        self.rearm_listener();
        self.settle(now);
    }

    fn welcome(&mut self, stream: TcpStream, client: SocketAddr, now: u64) -> io::Result<()> {
        let address = address::key(client.ip());
        match self.census.room(&address) {
            Room::Free => {}
            Room::Instead(slot) => {
                self.counters.displaced.add(1);
                self.remove(slot, now);
            }
            Room::None => {
                self.counters.displaced.add(1);
                return Err(io::Error::other("there is no room"));
            }
        }
        stream.set_nonblocking(true)?;
        // Answers are small and waited for.
        stream.set_nodelay(true)?;
        let slot = self.connections.next();
        let socket = Registered::new(stream, &self.poller, slot)?;
        let link = self.links.accept(now).map_err(io::Error::other)?;
        let place = self.census.enter(address, slot);
        self.connections.insert(Connection::new(socket, client, place, link));
        self.counters.connections.set(self.census.count());
        self.touch(slot);
        Ok(())
    }

    /// Out of files or memory, most likely: whoever waits longest for a login makes room, and a while later it goes on.
    /// Trying again at once would only burn time, since the connection that cannot be accepted stays in the queue.
    fn pause_accepting(&mut self, error: &io::Error, now: u64) {
        tracing::warn!(%error, "cannot accept connections for the moment");
        if let Some(slot) = self.census.longest_waiting() {
            self.counters.displaced.add(1);
            self.remove(slot, now);
        }
        self.accept_at = Some(now.saturating_add(PAUSE));
        self.watch_listener(false);
        self.settle(now);
    }

    pub(super) fn resume_accepting(&mut self) {
        self.accept_at = None;
        self.watch_listener(true);
        self.rearm_listener();
    }

    fn rearm_listener(&self) {
        if let Some(listener) = &self.listener
            && let Err(error) = listener.rearm()
        {
            tracing::error!(%error, "the listener cannot be watched");
        }
    }

    fn watch_listener(&mut self, readable: bool) {
        if let Some(listener) = &mut self.listener
            && let Err(error) = listener.set_interest(readable, false)
        {
            tracing::error!(%error, "the listener cannot be watched");
        }
    }
}
