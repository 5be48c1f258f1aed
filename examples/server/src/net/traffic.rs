//! Bytes from clients to the relay, and what it says back to them.

use super::connection::Input;
use super::{Net, log};
use crate::tap::Direction;
use securechat_core::link::LinkEvent;
use securechat_core::relay::{ConnId, Output, RelayEvent};
use securechat_core::wire::CloseCode;
use zeroize::Zeroizing;

/// Bytes read from a socket before the next one has its turn.
pub(super) const READ_SIZE: usize = 256 * 1024;
/// Bytes that a link may have ready before they are written.
pub(super) const WRITE_SIZE: usize = 64 * 1024;
/// From how many bytes on a record is sealed where it is written from, and written at once.
const LARGE: usize = 16 * 1024;

impl Net {
    /// Reads what a client sent and hands it on.
    pub(super) fn take_input(&mut self, slot: usize, now: u64) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if connection.is_live() && !self.relay.has_room() {
            connection.held_back = true;
            return self.held_back.push(slot);
        }
        let count = match connection.read(&mut self.input) {
            Input::Nothing => return,
            Input::End => return self.end(slot, now),
            Input::Bytes(count) => count,
        };
        let bytes = self.input.get(..count).unwrap_or_default();
        self.counters.bytes_in.add(count);
        if let Some(tap) = &self.tap {
            tap.show(connection.client, Direction::In, bytes);
        }
        if connection.is_live() {
            let result = connection.link.handle_input(bytes, now);
            self.take_link_events(slot, now);
            if let Err(error) = result {
                self.fail(slot, error, now);
            }
        }
    }

    pub(super) fn take_link_events(&mut self, slot: usize, now: u64) {
        while let Some(connection) = self.connections.get_mut(slot)
            && let Some(event) = connection.link.poll_event()
        {
            match event {
                LinkEvent::Open { suite, channel_binding, .. } => {
                    tracing::info!(client = %connection.client, %suite, "connected");
                    self.counters.links.add(1);
                    match self.relay.connect(now, connection.place.address(), channel_binding) {
                        Ok(conn) => {
                            connection.conn = Some(conn);
                            self.slot_of.insert(conn, slot);
                        }
                        Err(code) => self.close(slot, code as u8, now),
                    }
                }
                LinkEvent::Data(data) => {
                    // It may hold a password.
                    let data = Zeroizing::new(data);
                    if let Some(conn) = connection.conn {
                        self.relay.handle_data(conn, &data, now);
                    }
                }
                LinkEvent::Closed { .. } => {
                    self.forget(slot, now);
                    self.finish(slot, now);
                }
                // A relay asks nobody who they are, so there is nothing to verify.
                _ => {}
            }
        }
    }

    /// Does everything that follows from what happened: until the relay has nothing more to say, and nothing can be
    /// written any more.
    pub(super) fn settle(&mut self, now: u64) {
        loop {
            while let Some(event) = self.relay.poll_event() {
                self.log(&event);
            }
            while let Some((conn, output)) = self.relay.poll_output() {
                self.put_output(conn, output, now);
            }
            while let Some((job, request)) = self.relay.poll_job() {
                self.workers.submit(job, request);
            }
            let Some(slot) = self.touched.pop() else { return };
            self.flush(slot, now);
        }
    }

    pub(super) fn put_output(&mut self, conn: ConnId, output: Output, now: u64) {
        let Some(slot) = self.slot_of.get(&conn).copied() else { return };
        let Some(connection) = self.connections.get_mut(slot) else { return };
        match output {
            Output::Data(data) if data.len() >= LARGE => {
                self.output.clear();
                match connection.link.send_into(&data, &mut self.output) {
                    Ok(()) => self.write_output(slot, now),
                    Err(error) => self.fail(slot, error, now),
                }
            }
            Output::Data(data) => {
                if let Err(error) = connection.link.send(&data) {
                    return self.fail(slot, error, now);
                }
                connection.ready = connection.ready.saturating_add(data.len());
                // Early, so that the relay hears soon of a client that takes nothing.
                if connection.ready >= WRITE_SIZE { self.flush(slot, now) } else { self.touch(slot) }
            }
            Output::Admitted => {
                connection.link.raise_frame_limit();
                self.census.admit(&connection.place);
            }
            Output::Close(code) => {
                let reason = CloseCode::from_number(code);
                tracing::info!(client = %connection.client, ?reason, "closing");
                connection.conn = None;
                self.slot_of.remove(&conn);
                self.close(slot, code, now);
            }
        }
    }

    pub(super) fn log(&self, event: &RelayEvent) {
        match event {
            RelayEvent::LoggedIn { .. } => self.counters.logins.add(1),
            RelayEvent::Ended { code: Some(CloseCode::Stalled), .. } => self.counters.slow_readers.add(1),
            _ => {}
        }
        let slot = log::conn(event).and_then(|conn| self.slot_of.get(&conn));
        log::write(event, slot.and_then(|slot| self.connections.get(*slot)).map(|connection| connection.client));
    }

    /// Writes what a client's link has ready.
    pub(super) fn flush(&mut self, slot: usize, now: u64) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.touched = false;
        self.output.clear();
        while connection.link.poll_transmit(&mut self.output) {}
        self.write_output(slot, now);
    }

    /// Writes all that a client's link had ready.
    fn write_output(&mut self, slot: usize, now: u64) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.ready = 0;
        if let Some(tap) = self.tap.as_ref().filter(|_| !self.output.is_empty()) {
            tap.show(connection.client, Direction::Out, &self.output);
        }
        let written = connection.outbox.write(&*connection.socket, &self.output);
        let Ok(count) = written.and_then(|count| connection.shut_down_if_flushed(now).map(|()| count)) else {
            return self.remove(slot, now);
        };
        self.counters.bytes_out.add(count);
        // The system's own buffer is queue enough: while it is full, the relay gives nothing more to this client.
        let full = !connection.outbox.is_empty();
        if let Some(conn) = connection.conn.filter(|_| full != connection.paused) {
            connection.paused = full;
            if full { self.relay.pause_output(conn, now) } else { self.relay.resume_output(conn) }
        }
        let deadline = connection.next_deadline();
        self.timers.update(slot, connection.deadline, deadline);
        connection.deadline = deadline;
        if connection.set_interest().is_err() {
            self.remove(slot, now);
        }
    }

    /// Notes that a connection may have something to write.
    pub(super) fn touch(&mut self, slot: usize) {
        if let Some(connection) = self.connections.get_mut(slot)
            && !connection.touched
        {
            connection.touched = true;
            self.touched.push(slot);
        }
    }

    /// Reads again from those that were not read from for want of room.
    pub(super) fn release_held_back(&mut self, now: u64) {
        if self.held_back.is_empty() || !self.relay.has_room() {
            return;
        }
        for slot in std::mem::take(&mut self.held_back) {
            if let Some(connection) = self.connections.get_mut(slot) {
                connection.held_back = false;
                self.touch(slot);
            }
        }
        self.settle(now);
    }
}
