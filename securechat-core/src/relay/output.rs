//! What goes out to the links, and how much of it may wait.

use super::connection::{ConnId, Connection, Item, Output};
use super::{Relay, RelayEvent, Ticket, UNAVAILABLE, share};
use crate::wire::{CloseCode, Push, Refusal, Reply};
use std::sync::Arc;

impl Relay {
    /// The next thing to do with a link. Connections take turns.
    pub fn poll_output(&mut self) -> Option<(ConnId, Output)> {
        while let Some(conn) = self.ready.pop_front() {
            let Some(connection) = self.connections.get_mut(&conn) else { continue };
            connection.out.ready = false;
            if !connection.out.has_output() {
                continue;
            }
            let Some(item) = connection.out.pop() else {
                if let Some(code) = connection.out.close {
                    self.forget(conn);
                    return Some((conn, Output::Close(code as u8)));
                }
                continue;
            };
            self.queued = self.queued.saturating_sub(item.len());
            let output = match item {
                Item::Admitted => Output::Admitted,
                Item::Push(bytes) => Output::Data(Arc::unwrap_or_clone(bytes)),
                Item::Answer(bytes) => {
                    connection.open = connection.open.saturating_sub(1);
                    Output::Data(bytes)
                }
            };
            self.make_ready(conn);
            self.load_mail(conn);
            return Some((conn, output));
        }
        None
    }

    /// The host gives nothing more to this connection's link for now: too much of it is not written yet.
    pub fn pause_output(&mut self, conn: ConnId, now: u64) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if connection.out.paused.is_none() {
            connection.out.paused = Some(now);
            self.arm(conn);
        }
        self.drop_output_if_ending(conn);
    }

    /// The host can write to this connection's link again.
    pub fn resume_output(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        connection.out.paused = None;
        self.make_ready(conn);
        self.load_mail(conn);
    }

    pub(super) fn reply(&mut self, ticket: Ticket, reply: &Reply, now: u64) {
        match reply.encode(ticket.request) {
            Ok(bytes) => self.put_out(ticket.conn, Item::Answer(bytes), now),
            // Every reply is made to fit.
            Err(_) => self.refuse(ticket, UNAVAILABLE, now),
        }
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, refusal: Refusal, now: u64) {
        if let Some(stranger) = self.connections.get_mut(&ticket.conn).and_then(Connection::stranger) {
            stranger.login.take_if(|request| *request == ticket.request);
        }
        self.note(RelayEvent::Refused { conn: ticket.conn, kind: ticket.kind, code: refusal.code });
        if let Ok(bytes) = refusal.encode(ticket.request) {
            self.put_out(ticket.conn, Item::Answer(bytes), now);
        }
    }

    pub(super) fn push(&mut self, conn: ConnId, push: &Push, now: u64) {
        // Every push is made to fit.
        if let Ok(bytes) = push.encode() {
            self.put_out(conn, Item::Push(Arc::new(bytes)), now);
        }
    }

    /// Queues an item; a reader whose queue is full is ended.
    pub(super) fn put_out(&mut self, conn: ConnId, item: Item, now: u64) {
        let room = share(self.config.limits.output_total, self.queued).min(self.config.limits.output_queue);
        let Some(connection) = self.connections.get_mut(&conn).filter(|connection| !connection.is_ending()) else {
            return;
        };
        if connection.out.bytes + item.len() > room {
            connection.out.paused.get_or_insert(now);
            return self.end(conn, CloseCode::Stalled, now);
        }
        self.queued += item.len();
        connection.out.push(item);
        self.make_ready(conn);
    }

    pub(super) fn make_ready(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if connection.out.has_output() && !connection.out.ready {
            connection.out.ready = true;
            self.ready.push_back(conn);
        }
    }

    /// Who does not read is not waited for.
    pub(super) fn drop_output_if_ending(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if connection.is_ending() && connection.out.paused.is_some() {
            self.queued = self.queued.saturating_sub(connection.out.clear());
            self.make_ready(conn);
        }
    }
}
