//! How connections end.

use super::Net;
use crate::clock;
use securechat_core::error::Error;

impl Net {
    /// Closes a link in order.
    pub(super) fn close(&mut self, slot: usize, code: u8, now: u64) {
        if let Some(connection) = self.connections.get_mut(slot) {
            // One that has failed meanwhile has nothing to close.
            let _ = connection.link.close(code);
        }
        self.finish(slot, now);
    }

    /// A link failed, by its own fault or by the client's. The client sees the connection end.
    pub(super) fn fail(&mut self, slot: usize, error: Error, now: u64) {
        if let Some(connection) = self.connections.get_mut(slot) {
            tracing::debug!(client = %connection.client, %error, "link failed");
        }
        self.forget(slot, now);
        self.finish(slot, now);
    }

    /// The client ended its side.
    pub(super) fn end(&mut self, slot: usize, now: u64) {
        if let Some(connection) = self.connections.get_mut(slot)
            && connection.is_live()
            && let Err(error) = connection.link.handle_end()
        {
            tracing::debug!(client = %connection.client, %error, "connection lost");
        }
        self.remove(slot, now);
    }

    /// Lets the last bytes be written; the connection ends after them.
    pub(super) fn finish(&mut self, slot: usize, now: u64) {
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.finish(now);
        }
        self.touch(slot);
    }

    /// The relay need not know this connection any more.
    pub(super) fn forget(&mut self, slot: usize, now: u64) {
        if let Some(conn) = self.connections.get_mut(slot).and_then(|connection| connection.conn.take()) {
            self.slot_of.remove(&conn);
            self.relay.disconnect(conn, now);
        }
    }

    /// Ends a connection at once.
    pub(super) fn remove(&mut self, slot: usize, now: u64) {
        self.forget(slot, now);
        if let Some(connection) = self.connections.remove(slot) {
            self.timers.update(slot, connection.deadline, None);
            self.census.leave(connection.place);
            tracing::debug!(client = %connection.client, "disconnected");
            self.counters.connections.set(self.census.count());
        }
    }

    /// Takes no more connections, and closes those that are there.
    pub(super) fn begin_to_stop(&mut self) {
        let now = clock::now();
        tracing::info!(connections = self.census.count(), "stopping");
        self.listener = None;
        self.accept_at = None;
        self.relay.shutdown(now);
        self.settle(now);
        // Those whose handshake is not over: there is nothing to say to them.
        for slot in self.connections.numbers() {
            if self.connections.get_mut(slot).is_some_and(|connection| connection.is_live()) {
                self.remove(slot, now);
            }
        }
    }
}
