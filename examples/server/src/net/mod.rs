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
mod ending;
mod links;
mod log;
mod slots;
mod traffic;

use crate::census::Census;
use crate::clock;
use crate::error::ServerError;
use crate::socket::Registered;
use crate::stats::Counters;
use crate::tap::Tap;
use crate::timers::Timers;
use crate::workers::Workers;
use connection::{Connection, Phase};
use polling::{Events, Poller};
use securechat_core::relay::{ConnId, Relay};
use slots::Slots;
use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use traffic::{READ_SIZE, WRITE_SIZE};

pub(crate) use links::Links;

/// The poller's key of the listener; connections have the numbers of their slots.
const LISTENER: usize = usize::MAX - 1;
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
        tracing::info!("the relay has stopped");
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
        if accept {
            self.accept(now);
        }
        if self.accept_at.is_some_and(|at| at <= now) {
            self.resume_accepting();
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
}
