//! The thread that serves the sockets: it carries bytes between clients, their links and the relay engine.
//!
//! ```text
//! socket ─ bytes → link ─ data → relay ─ jobs → workers
//!    ↑               │ ↑            │ ↑            │
//!    └──── bytes ────┘ └── output ──┘ └── results ─┘
//! ```
//!
//! Nothing here waits for a single client: sockets do not block, what one does not take waits in its outbox, and when
//! much waits there the relay is told to give that client no more.

mod accept;
mod connection;
mod links;
mod log;
mod slots;

use crate::census::Census;
use crate::clock;
use crate::error::ServerError;
use crate::socket::Registered;
use crate::stats::Counters;
use crate::tap::{Direction, Tap};
use crate::timers::Timers;
use crate::workers::Workers;
use connection::{Connection, Input, Phase};
use polling::{Events, Poller};
use securechat_core::error::Error;
use securechat_core::link::LinkEvent;
use securechat_core::relay::{ConnId, Output, Relay, RelayEvent};
use securechat_core::wire::CloseCode;
use slots::Slots;
use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::Zeroizing;

pub(crate) use links::Links;

/// The poller's key of the listener; connections have the numbers of their slots.
const LISTENER: usize = usize::MAX - 1;
/// Bytes read from a socket at once.
const READ_SIZE: usize = 64 * 1024;
/// Reads from one socket before the next one has its turn.
const READS_PER_TURN: usize = 4;
/// Bytes that a link may have ready before they are written.
const WRITE_SIZE: usize = 64 * 1024;
/// Bytes in an outbox above which the relay gives nothing more to that client, and below which it does again.
const PAUSE_ABOVE: usize = 256 * 1024;
const RESUME_BELOW: usize = 64 * 1024;
/// How long clients have to take their last bytes when the server stops, in milliseconds.
const STOP_TIME: u64 = 3_000;

/// Everything that the thread owns.
pub(crate) struct Net {
    poller: Arc<Poller>,
    /// None once the server stops.
    listener: Option<Registered<TcpListener>>,
    /// When to accept again after the system ran out of something.
    accept_at: Option<u64>,
    connections: Slots<Connection>,
    slot_of: HashMap<ConnId, usize>,
    census: Census,
    timers: Timers,
    links: Links,
    relay: Relay,
    workers: Workers,
    tap: Option<Tap>,
    counters: Arc<Counters>,
    /// Connections that may have something to write.
    touched: Vec<usize>,
    /// Connections that are not read from until the relay has room.
    held_back: Vec<usize>,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// What [`Net`] is made of.
pub(crate) struct Parts {
    pub(crate) poller: Arc<Poller>,
    pub(crate) listener: TcpListener,
    pub(crate) census: Census,
    pub(crate) links: Links,
    pub(crate) relay: Relay,
    pub(crate) workers: Workers,
    pub(crate) tap: Option<Tap>,
    pub(crate) counters: Arc<Counters>,
}

impl Net {
    pub(crate) fn new(parts: Parts) -> Result<Self, ServerError> {
        let Parts { poller, listener, census, links, relay, workers, tap, counters } = parts;
        let listener =
            Registered::new(listener, &poller, LISTENER).map_err(ServerError::system("to watch a socket"))?;
        Ok(Self {
            poller,
            listener: Some(listener),
            accept_at: None,
            connections: Slots::new(),
            slot_of: HashMap::new(),
            census,
            timers: Timers::default(),
            links,
            relay,
            workers,
            tap,
            counters,
            touched: Vec::new(),
            held_back: Vec::new(),
            input: vec![0; READ_SIZE],
            output: Vec::with_capacity(2 * WRITE_SIZE),
        })
    }

    /// Serves until `stop` is set and the poller notified, then closes every link.
    pub(crate) fn run(mut self, stop: &AtomicBool) -> Result<(), ServerError> {
        let mut events = Events::new();
        let mut stop_at = None;
        while stop_at.is_none_or(|stop_at| clock::now() < stop_at && self.census.count() > 0) {
            self.turn(&mut events, stop_at)?;
            if stop_at.is_none() && stop.load(Ordering::Acquire) {
                stop_at = Some(clock::now().saturating_add(STOP_TIME));
                self.begin_to_stop();
            }
        }
        Ok(())
    }

    /// Waits for something to happen and does what follows from it.
    fn turn(&mut self, events: &mut Events, stop_at: Option<u64>) -> Result<(), ServerError> {
        let wait = clock::wait_until(self.next_deadline().into_iter().chain(stop_at).min(), clock::now());
        events.clear();
        self.poller.wait(events, Some(wait)).map_err(ServerError::system("to wait for sockets"))?;
        let now = clock::now();
        let mut accept = false;
        for event in events.iter() {
            match event.key {
                LISTENER => accept = true,
                slot => self.handle_event(slot, event.readable, now),
            }
        }
        while let Some((job, result)) = self.workers.next_result() {
            self.relay.complete(job, result, now);
        }
        self.handle_timeouts(now);
        self.settle(now);
        // Last, so that a slot freed in this turn is not taken while events of its former holder are about.
        if accept || self.accept_at.is_some_and(|at| at <= now) {
            self.accept(now);
        }
        self.release_held_back(now);
        Ok(())
    }

    fn next_deadline(&self) -> Option<u64> {
        let deadlines = [self.timers.next(), self.relay.poll_timeout(), self.accept_at, Some(self.links.renew_at())];
        deadlines.into_iter().flatten().min()
    }

    fn handle_event(&mut self, slot: usize, readable: bool, now: u64) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let held_back = connection.held_back;
        let rearmed = connection.socket.rearm();
        if rearmed.is_err() || (held_back && readable) {
            // Nothing was to be reported of reading, so this is the news that the connection broke.
            return self.remove(slot, now);
        }
        if readable {
            self.take_input(slot, now);
        }
        self.touch(slot);
    }

    fn handle_timeouts(&mut self, now: u64) {
        if self.relay.poll_timeout().is_some_and(|at| at <= now) {
            self.relay.handle_timeout(now);
        }
        if self.links.renew_at() <= now {
            self.links.renew(now);
        }
        while let Some(slot) = self.timers.pop(now) {
            let Some(connection) = self.connections.get_mut(slot) else { continue };
            connection.deadline = None;
            match connection.phase {
                Phase::Live => match connection.link.handle_timeout(now) {
                    Ok(()) => self.touch(slot),
                    Err(error) => self.fail(slot, error, now),
                },
                Phase::Flushing(_) | Phase::Lingering(_) => self.remove(slot, now),
            }
        }
    }

    /// Reads what a client sent and hands it on.
    fn take_input(&mut self, slot: usize, now: u64) {
        for _ in 0..READS_PER_TURN {
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
                    return self.fail(slot, error, now);
                }
            }
            if count < READ_SIZE {
                return;
            }
        }
    }

    fn take_link_events(&mut self, slot: usize, now: u64) {
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
    fn settle(&mut self, now: u64) {
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

    fn put_output(&mut self, conn: ConnId, output: Output, now: u64) {
        let Some(slot) = self.slot_of.get(&conn).copied() else { return };
        let Some(connection) = self.connections.get_mut(slot) else { return };
        match output {
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

    fn log(&self, event: &RelayEvent) {
        match event {
            RelayEvent::LoggedIn { .. } => self.counters.logins.add(1),
            RelayEvent::Ended { code: Some(CloseCode::Stalled), .. } => self.counters.slow_readers.add(1),
            _ => {}
        }
        let slot = log::conn(event).and_then(|conn| self.slot_of.get(&conn));
        log::write(event, slot.and_then(|slot| self.connections.get(*slot)).map(|connection| connection.client));
    }

    /// Writes what a client's link has ready.
    fn flush(&mut self, slot: usize, now: u64) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.touched = false;
        connection.ready = 0;
        self.output.clear();
        while connection.link.poll_transmit(&mut self.output) {}
        if let Some(tap) = self.tap.as_ref().filter(|_| !self.output.is_empty()) {
            tap.show(connection.client, Direction::Out, &self.output);
        }
        let written = connection.outbox.write(&*connection.socket, &self.output);
        let Ok(count) = written.and_then(|count| connection.shut_down_if_flushed(now).map(|()| count)) else {
            return self.remove(slot, now);
        };
        self.counters.bytes_out.add(count);
        if let Some(conn) = connection.conn {
            let waiting = connection.outbox.len();
            if waiting > PAUSE_ABOVE && !connection.paused {
                connection.paused = true;
                self.relay.pause_output(conn, now);
            } else if waiting < RESUME_BELOW && connection.paused {
                connection.paused = false;
                self.relay.resume_output(conn);
            }
        }
        let deadline = connection.next_deadline();
        self.timers.update(slot, connection.deadline, deadline);
        connection.deadline = deadline;
        if connection.set_interest().is_err() {
            self.remove(slot, now);
        }
    }

    /// Notes that a connection may have something to write.
    fn touch(&mut self, slot: usize) {
        if let Some(connection) = self.connections.get_mut(slot)
            && !connection.touched
        {
            connection.touched = true;
            self.touched.push(slot);
        }
    }

    /// Closes a link in order.
    fn close(&mut self, slot: usize, code: u8, now: u64) {
        if let Some(connection) = self.connections.get_mut(slot) {
            // One that has failed meanwhile has nothing to close.
            let _ = connection.link.close(code);
        }
        self.finish(slot, now);
    }

    /// A link failed, by its own fault or by the client's. The client sees the connection end.
    fn fail(&mut self, slot: usize, error: Error, now: u64) {
        if let Some(connection) = self.connections.get_mut(slot) {
            tracing::debug!(client = %connection.client, %error, "link failed");
        }
        self.forget(slot, now);
        self.finish(slot, now);
    }

    /// The client ended its side.
    fn end(&mut self, slot: usize, now: u64) {
        if let Some(connection) = self.connections.get_mut(slot)
            && connection.is_live()
            && let Err(error) = connection.link.handle_end()
        {
            tracing::debug!(client = %connection.client, %error, "connection lost");
        }
        self.remove(slot, now);
    }

    /// Lets the last bytes be written; the connection ends after them.
    fn finish(&mut self, slot: usize, now: u64) {
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.finish(now);
        }
        self.touch(slot);
    }

    /// The relay need not know this connection any more.
    fn forget(&mut self, slot: usize, now: u64) {
        if let Some(conn) = self.connections.get_mut(slot).and_then(|connection| connection.conn.take()) {
            self.slot_of.remove(&conn);
            self.relay.disconnect(conn, now);
        }
    }

    /// Ends a connection at once.
    fn remove(&mut self, slot: usize, now: u64) {
        self.forget(slot, now);
        if let Some(connection) = self.connections.remove(slot) {
            self.timers.update(slot, connection.deadline, None);
            self.census.leave(connection.place);
            tracing::debug!(client = %connection.client, "disconnected");
            self.counters.connections.set(self.census.count());
        }
    }

    /// Reads again from those that were not read from for want of room.
    fn release_held_back(&mut self, now: u64) {
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

    fn begin_to_stop(&mut self) {
        let now = clock::now();
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
