//! A relay's connections: each is a link, with what waits to be written to it.

use super::{Owned, securechat_relay};
use crate::boundary::{Buffer, Out, Outgoing, Result, bytes, required, with};
use crate::random::random;
use crate::status::securechat_status;
use core::ptr::null;
use securechat_core::error::{ApiMisuse, Error, PeerMisbehaved};
use securechat_core::link::{Link, LinkEvent};
use securechat_core::relay::{Address, ConnId, Output};
use securechat_core::wire::CloseCode;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use zeroize::Zeroizing;

use securechat_status::*;

/// Bytes that wait to be written to a connection from which on the relay gives it nothing more.
const FULL: usize = 64 * 1024;

/// All connections, by number.
#[derive(Default)]
pub(super) struct Connections {
    all: BTreeMap<u64, Connection>,
    /// The connection of an admitted link.
    of: BTreeMap<ConnId, u64>,
    /// How many each address has.
    addresses: BTreeMap<Address, usize>,
    /// Those whose handshake is not over, by its deadline.
    handshakes: BTreeSet<(u64, u64)>,
    /// Those without a login, the oldest first: who makes room.
    strangers: BTreeSet<u64>,
    /// Those with something to write that the host was not told of, each once.
    ready: VecDeque<u64>,
    last: u64,
}

struct Connection {
    link: Link,
    out: Outgoing,
    address: Address,
    /// Its place in the relay, while it has one.
    conn: Option<ConnId>,
    deadline: u64,
    paused: bool,
    is_ready: bool,
    /// The host was told that it is over.
    ended: bool,
}

impl Connections {
    /// When the first handshake has to be over.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.handshakes.first().map(|(deadline, _)| *deadline)
    }

    /// The number of the connection that has this place in the relay, or 0.
    pub(super) fn number(&self, conn: ConnId) -> u64 {
        self.of.get(&conn).copied().unwrap_or_default()
    }

    fn count(&self, address: &Address) -> usize {
        self.addresses.get(address).copied().unwrap_or_default()
    }

    /// The next connection that has something to write which the host was not told of.
    pub(super) fn next_ready(&mut self) -> Option<u64> {
        while let Some(number) = self.ready.pop_front() {
            let Some(connection) = self.all.get_mut(&number) else { continue };
            connection.is_ready = false;
            if !connection.out.rest().is_empty() {
                return Some(number);
            }
        }
        None
    }

    fn enter(&mut self, link: Link, address: Address) -> u64 {
        self.last += 1;
        let deadline = link.poll_timeout().unwrap_or(u64::MAX);
        *self.addresses.entry(address).or_default() += 1;
        self.handshakes.insert((deadline, self.last));
        self.strangers.insert(self.last);
        let connection = Connection {
            link,
            out: Outgoing::default(),
            address,
            conn: None,
            deadline,
            paused: false,
            is_ready: false,
            ended: false,
        };
        self.all.insert(self.last, connection);
        self.last
    }

    fn remove(&mut self, number: u64) -> Option<Connection> {
        let connection = self.all.remove(&number)?;
        self.handshakes.remove(&(connection.deadline, number));
        self.strangers.remove(&number);
        if let Some(conn) = connection.conn {
            self.of.remove(&conn);
        }
        if let Some(count) = self.addresses.get_mut(&connection.address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&connection.address);
            }
        }
        Some(connection)
    }

    /// Moves what a link has ready to what the host writes.
    fn collect(&mut self, number: u64) {
        let Some(connection) = self.all.get_mut(&number) else { return };
        connection.link.poll_transmit(&mut connection.out.bytes);
        if !connection.out.rest().is_empty() && !connection.is_ready {
            connection.is_ready = true;
            self.ready.push_back(number);
        }
    }
}

/// Takes a connection, and sets `connection` to its number, which is never 0 and never given twice.
///
/// `address` (16 bytes) says where it comes from, the same for the same peer: an IPv4 address with zeros behind it, or the first 64 bits
/// of an IPv6 address with zeros behind them, since one subscriber has all that begin alike. When there are too many altogether, the one
/// that has gone longest without a login is ended. Fails with SECURECHAT_ERR_BUSY when there are too many from there, or all are logged in:
/// close the socket.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_relay_connect(
    relay: *mut securechat_relay,
    address: *const u8,
    now: u64,
    connection: *mut u64,
) -> securechat_status {
    // SAFETY: a handle, 16 bytes and an out-parameter, by the header.
    unsafe {
        let connection = Out::new(connection, 0);
        with("securechat_relay_connect", relay, |owned| {
            let connection = connection?;
            owned.at(now)?;
            connection.set(owned.connect(required(address)?)?);
            Ok(())
        })
    }
}

/// Takes bytes that arrived on a connection, in any split. What is wrong with them ends it: SECURECHAT_EVENT_RELAY_ENDED.
///
/// Fails with SECURECHAT_ERR_AGAIN, and takes nothing, while jobs stand before what came already: read no more from any connection
/// until one was completed. A connection that is over takes nothing and does not fail.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_relay_input(
    relay: *mut securechat_relay,
    connection: u64,
    data: *const u8,
    data_len: usize,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and bytes, by the header.
    unsafe {
        with("securechat_relay_input", relay, |owned| {
            owned.at(now)?;
            let data = bytes(data, data_len)?;
            if !owned.relay.has_room() {
                return Err(SECURECHAT_ERR_AGAIN.into());
            }
            owned.input(connection, data);
            owned.settle();
            Ok(())
        })
    }
}

/// Says that a connection ended or broke, or that its socket is closed after SECURECHAT_EVENT_RELAY_ENDED: it is forgotten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_relay_end(
    relay: *mut securechat_relay,
    connection: u64,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle, by the header.
    unsafe {
        with("securechat_relay_end", relay, |owned| {
            owned.at(now)?;
            owned.forget(connection);
            owned.settle();
            Ok(())
        })
    }
}

/// Lends what is to be written to a connection: `data` and `length`, which is 0 when there is nothing.
///
/// Borrowed until the next call on this relay that is not const. Write what the connection takes, then say how much that was with
/// securechat_relay_output_consume.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_relay_output(
    relay: *mut securechat_relay,
    connection: u64,
    data: *mut *const u8,
    length: *mut usize,
) -> securechat_status {
    // SAFETY: a handle and out-parameters, by the header.
    unsafe {
        let (data, length) = (Out::new(data, null()), Out::new(length, 0));
        with("securechat_relay_output", relay, |owned| {
            let (data, length) = (data?, length?);
            if let Some(connection) = owned.connections.all.get(&connection) {
                data.set(connection.out.rest().as_ptr());
                length.set(connection.out.rest().len());
            }
            Ok(())
        })
    }
}

/// Says that the first `count` bytes of a connection's output were written. Fails with SECURECHAT_ERR_ARGUMENT when there are not so
/// many. A connection that is written to slowly costs no more memory than what is lent: the relay waits for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_relay_output_consume(
    relay: *mut securechat_relay,
    connection: u64,
    count: usize,
) -> securechat_status {
    // SAFETY: a handle, by the header.
    unsafe {
        with("securechat_relay_output_consume", relay, |owned| owned.written(connection, |out| out.consume(count)))
    }
}

/// Copies a connection's output into `buffer`, as much as there is and as fits, and consumes it: for hosts whose writing outlives
/// the call. `length` is set to how much that was; 0 when there is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_relay_read_output(
    relay: *mut securechat_relay,
    connection: u64,
    buffer: *mut u8,
    size: usize,
    length: *mut usize,
) -> securechat_status {
    // SAFETY: a handle, a buffer and an out-parameter, by the header.
    unsafe {
        let length = Out::new(length, 0);
        with("securechat_relay_read_output", relay, |owned| {
            let (length, mut buffer) = (length?, Buffer::new(buffer, size)?);
            owned.written(connection, |out| out.read(&mut buffer, length))
        })
    }
}

impl Owned {
    fn connect(&mut self, address: Address) -> Result<u64> {
        if self.connections.count(&address) >= self.limits.connections_per_address {
            return Err(ApiMisuse::Busy.into());
        }
        if self.connections.all.len() >= self.limits.connections {
            // Whoever has gone longest without a login makes room.
            let oldest = *self.connections.strangers.first().ok_or(ApiMisuse::Busy)?;
            self.fail(oldest, ApiMisuse::Busy.into());
            self.connections.remove(oldest);
        }
        let link = Link::responder(self.link.clone(), random()?, self.now)?;
        Ok(self.connections.enter(link, address))
    }

    fn input(&mut self, number: u64, data: &[u8]) {
        let Some(connection) = self.connections.all.get_mut(&number).filter(|connection| !connection.ended) else {
            return;
        };
        let result = connection.link.handle_input(data, self.now);
        self.take_link_events(number);
        self.connections.collect(number);
        if let Err(error) = result {
            self.fail(number, error);
        }
    }

    fn take_link_events(&mut self, number: u64) {
        while let Some(connection) = self.connections.all.get_mut(&number)
            && let Some(event) = connection.link.poll_event()
        {
            match event {
                LinkEvent::Open { suite, channel_binding, .. } => {
                    self.connections.handshakes.remove(&(connection.deadline, number));
                    match self.relay.connect(self.now, connection.address, channel_binding) {
                        Ok(conn) => {
                            connection.conn = Some(conn);
                            self.connections.of.insert(conn, number);
                            self.tell_connected(number, suite);
                        }
                        Err(code) => self.close(number, code as u8),
                    }
                }
                LinkEvent::Data(data) => {
                    // It may hold a password.
                    let data = Zeroizing::new(data);
                    if let Some(conn) = connection.conn {
                        self.relay.handle_data(conn, &data, self.now);
                    }
                }
                LinkEvent::Closed { code } => {
                    self.leave(number);
                    self.over(number, Some(code), false, None);
                }
                // A relay asks nobody who they are, so there is nothing to verify.
                _ => {}
            }
        }
    }

    /// What the relay wants done with a link.
    pub(super) fn put_output(&mut self, conn: ConnId, output: Output) {
        let Some(number) = self.connections.of.get(&conn).copied() else { return };
        let Some(connection) = self.connections.all.get_mut(&number) else { return };
        match output {
            Output::Data(data) => {
                if let Err(error) = connection.link.send_into(&data, &mut connection.out.bytes) {
                    return self.fail(number, error);
                }
                if connection.out.rest().len() >= FULL && !connection.paused {
                    connection.paused = true;
                    self.relay.pause_output(conn, self.now);
                }
            }
            Output::Admitted => {
                connection.link.raise_frame_limit();
                self.connections.strangers.remove(&number);
            }
            Output::Close(code) => {
                connection.conn = None;
                self.connections.of.remove(&conn);
                self.close(number, code);
            }
        }
        self.connections.collect(number);
    }

    fn written(&mut self, number: u64, work: impl FnOnce(&mut Outgoing) -> Result) -> Result {
        let mut nothing = Outgoing::default();
        let Some(connection) = self.connections.all.get_mut(&number) else { return work(&mut nothing) };
        work(&mut connection.out)?;
        if connection.paused && connection.out.rest().len() < FULL {
            connection.paused = false;
            if let Some(conn) = connection.conn {
                self.relay.resume_output(conn);
                self.settle();
            }
        }
        Ok(())
    }

    /// Closes a link in order.
    fn close(&mut self, number: u64, code: u8) {
        if let Some(connection) = self.connections.all.get_mut(&number) {
            // One that has failed meanwhile has nothing to close.
            let _ = connection.link.close(code);
        }
        self.connections.collect(number);
        self.over(number, Some(code), true, None);
    }

    /// A link failed, by its own fault or by the client's.
    fn fail(&mut self, number: u64, error: Error) {
        self.leave(number);
        self.over(number, None, false, Some(error));
    }

    /// The relay need not know this connection any more.
    fn leave(&mut self, number: u64) {
        let conn = self.connections.all.get_mut(&number).and_then(|connection| connection.conn.take());
        if let Some(conn) = conn {
            self.connections.of.remove(&conn);
            self.relay.disconnect(conn, self.now);
        }
    }

    /// Tells the host, once, that a connection is over.
    fn over(&mut self, number: u64, code: Option<u8>, ours: bool, error: Option<Error>) {
        let Some(connection) = self.connections.all.get_mut(&number) else { return };
        self.connections.handshakes.remove(&(connection.deadline, number));
        if !core::mem::replace(&mut connection.ended, true) {
            self.tell_ended(number, code.unwrap_or(CloseCode::Done as u8), ours, error);
        }
    }

    fn forget(&mut self, number: u64) {
        self.leave(number);
        self.connections.remove(number);
    }

    /// Ends the connections whose handshake takes too long.
    pub(super) fn end_late_handshakes(&mut self) {
        while let Some((_, number)) = self.connections.handshakes.first().copied().filter(|(at, _)| *at <= self.now) {
            let Some(connection) = self.connections.all.get_mut(&number) else { return };
            let error = connection.link.handle_timeout(self.now).err();
            self.fail(number, error.unwrap_or(PeerMisbehaved::HandshakeTimeout.into()));
        }
    }
}
