//! A client's connections: bytes in, bytes out, events.

use super::{Owned, securechat_client};
use crate::boundary::{Buffer, Out, OutStruct, Outgoing, Result, array, bytes, required, text, with};
use crate::event::{EVENT_LEAST, SECURECHAT_FLAG_OPEN, securechat_event};
use crate::link::{SECURECHAT_ROLE_INITIATOR, SECURECHAT_ROLE_RESPONDER};
use crate::status::securechat_status;
use core::ffi::c_char;
use core::ptr::null;
use securechat_core::event::{Event, LinkId};
use securechat_core::identity::{Fingerprint, RelayAddress};

use securechat_status::*;

/// Begins a link to a relay, whose address is `host:port#fingerprint`, and sets `link` to its number,
/// which is never 0.
///
/// Connect a socket to host and port (securechat_address_parse) and move its bytes. The relay must have that fingerprint, or
/// else the one that was pinned for that place before; where neither is known, SECURECHAT_EVENT_VERIFY asks. A device with an account
/// logs in by itself; another one registers or logs in after SECURECHAT_EVENT_OPEN. Fails with SECURECHAT_ERR_UNKNOWN_VALUE for a text that
/// is no address, SECURECHAT_ERR_WRONG_STATE when there is a link to a relay already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_connect_relay(
    client: *mut securechat_client,
    address: *const c_char,
    address_len: usize,
    now: u64,
    link: *mut u32,
) -> securechat_status {
    // SAFETY: a handle, a text and an out-parameter, by the header.
    unsafe {
        let link = Out::new(link, 0);
        with("securechat_client_connect_relay", client, |owned| {
            let link = link?;
            let address: RelayAddress = text(address, address_len)?.parse()?;
            link.set(owned.client.connect_relay(&address, now)?.0);
            Ok(())
        })
    }
}

/// Begins a link to a peer without a relay, and sets `link` to its number.
///
/// `role` is SECURECHAT_ROLE_INITIATOR for who connected, SECURECHAT_ROLE_RESPONDER for who was connected to. `pin` is the fingerprint (32
/// bytes) that an initiator expects, or NULL: then SECURECHAT_EVENT_VERIFY asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_connect_peer(
    client: *mut securechat_client,
    role: u32,
    pin: *const u8,
    now: u64,
    link: *mut u32,
) -> securechat_status {
    // SAFETY: a handle, 32 bytes and an out-parameter, by the header.
    unsafe {
        let link = Out::new(link, 0);
        with("securechat_client_connect_peer", client, |owned| {
            let (link, pin) = (link?, array(pin).map(Fingerprint::from_bytes));
            link.set(match role {
                SECURECHAT_ROLE_INITIATOR => owned.client.connect_peer(pin, now)?.0,
                SECURECHAT_ROLE_RESPONDER => owned.client.accept_peer(now)?.0,
                _ => return Err(SECURECHAT_ERR_ARGUMENT.into()),
            });
            Ok(())
        })
    }
}

/// After SECURECHAT_EVENT_VERIFY: goes on with the identity of this fingerprint (32 bytes), the one that was shown, and pins it.
///
/// Fails with SECURECHAT_ERR_IDENTITY_MISMATCH, and the link is over, when it is another. To refuse, call securechat_client_close_link.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_accept_link(
    client: *mut securechat_client,
    link: u32,
    fingerprint: *const u8,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and 32 bytes, by the header.
    unsafe {
        with("securechat_client_accept_link", client, |owned| {
            let fingerprint = Fingerprint::from_bytes(required(fingerprint)?);
            owned.undecided.remove(&LinkId(link));
            Ok(owned.client.accept_link(LinkId(link), &fingerprint, now)?)
        })
    }
}

/// Closes a link in order: write what its output still has, then close its socket and call securechat_client_end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_close_link(
    client: *mut securechat_client,
    link: u32,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle, by the header.
    unsafe {
        with("securechat_client_close_link", client, |owned| {
            if owned.undecided.remove(&LinkId(link)) {
                owned.client.refuse_link(LinkId(link), now);
            } else {
                owned.client.close_link(LinkId(link), now);
            }
            Ok(())
        })
    }
}

/// Takes bytes that arrived on a link, in any split. What is wrong with them ends the link and comes as
/// SECURECHAT_EVENT_LINK_CLOSED. A link that is over takes nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_input(
    client: *mut securechat_client,
    link: u32,
    data: *const u8,
    data_len: usize,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and bytes, by the header.
    unsafe {
        with("securechat_client_input", client, |owned| {
            owned.client.handle_input(LinkId(link), bytes(data, data_len)?, now);
            Ok(())
        })
    }
}

/// Says that a link's connection ended or broke. What was not written of its output is dropped; what was not sent waits for
/// the next connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_end(
    client: *mut securechat_client,
    link: u32,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle, by the header.
    unsafe {
        with("securechat_client_end", client, |owned| {
            owned.client.handle_end(LinkId(link), now);
            owned.collect();
            owned.out.remove(&LinkId(link));
            owned.ended.insert(LinkId(link));
            Ok(())
        })
    }
}

/// Lends what is to be written to a link's connection: `data` and `length`, which is 0 when there is nothing or a save waits.
///
/// Borrowed until the next call on this client that is not const. Write what the connection takes, then say how much that was with
/// securechat_client_output_consume.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_output(
    client: *mut securechat_client,
    link: u32,
    data: *mut *const u8,
    length: *mut usize,
) -> securechat_status {
    // SAFETY: a handle and out-parameters, by the header.
    unsafe {
        let (data, length) = (Out::new(data, null()), Out::new(length, 0));
        with("securechat_client_output", client, |owned| {
            let (data, length) = (data?, length?);
            owned.collect();
            if let Some(out) = owned.out.get(&LinkId(link)) {
                data.set(out.rest().as_ptr());
                length.set(out.rest().len());
            }
            Ok(())
        })
    }
}

/// Says that the first `count` bytes of a link's output were written. Fails with SECURECHAT_ERR_ARGUMENT when there are not so many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_output_consume(
    client: *mut securechat_client,
    link: u32,
    count: usize,
) -> securechat_status {
    // SAFETY: a handle, by the header.
    unsafe { with("securechat_client_output_consume", client, |owned| owned.written(link, |out| out.consume(count))) }
}

/// Copies a link's output into `buffer`, as much as there is and as fits, and consumes it: for hosts whose writing outlives the
/// call. `length` is set to how much that was; 0 when there is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_read_output(
    client: *mut securechat_client,
    link: u32,
    buffer: *mut u8,
    size: usize,
    length: *mut usize,
) -> securechat_status {
    // SAFETY: a handle, a buffer and an out-parameter, by the header.
    unsafe {
        let length = Out::new(length, 0);
        with("securechat_client_read_output", client, |owned| {
            let (length, mut buffer) = (length?, Buffer::new(buffer, size)?);
            owned.collect();
            owned.written(link, |out| out.read(&mut buffer, length))
        })
    }
}

/// Does what is due at `now`, and sets `next` to when to call again, in Unix milliseconds; UINT64_MAX when nothing is due and when
/// it failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_tick(
    client: *mut securechat_client,
    now: u64,
    next: *mut u64,
) -> securechat_status {
    // SAFETY: a handle and an out-parameter, by the header.
    unsafe {
        let next = Out::new(next, u64::MAX);
        with("securechat_client_tick", client, |owned| {
            let next = next?;
            owned.client.handle_timeout(now);
            next.set(owned.client.poll_timeout().unwrap_or(u64::MAX));
            Ok(())
        })
    }
}

/// Tells the next thing that happened, in `event` of `event_size` bytes; SECURECHAT_EVENT_NONE when there is nothing more.
///
/// What it points to is borrowed until the next call that is not const, and wiped with the next event. An event that was not taken
/// is part of the saved state and is told again after a restart.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_client_next_event(
    client: *mut securechat_client,
    event: *mut securechat_event,
    event_size: usize,
) -> securechat_status {
    // SAFETY: a handle and a struct of the size that the caller says.
    unsafe {
        let event = OutStruct::new(event, event_size, EVENT_LEAST);
        with("securechat_client_next_event", client, |owned| {
            event?.set(&owned.next_event());
            Ok(())
        })
    }
}

impl Owned {
    fn next_event(&mut self) -> securechat_event {
        let (client, undecided) = (&mut self.client, &mut self.undecided);
        let mut open = false;
        let mut out = self.lent.next(|| {
            let event = client.poll_event();
            match &event {
                Some(Event::Verify { link, .. }) => _ = undecided.insert(*link),
                Some(Event::LinkClosed { link, .. }) => _ = undecided.remove(link),
                Some(Event::GroupJoined { group }) => open = client.group(group).is_some_and(|group| group.open),
                Some(Event::Lobby { .. }) => open = true,
                _ => {}
            }
            event
        });
        out.flag(SECURECHAT_FLAG_OPEN, open);
        out
    }

    /// Works on what a link has to write, and forgets what has nothing.
    fn written(&mut self, link: u32, work: impl FnOnce(&mut Outgoing) -> Result) -> Result {
        let link = LinkId(link);
        let mut nothing = Outgoing::default();
        let out = self.out.get_mut(&link).unwrap_or(&mut nothing);
        work(out)?;
        if out.rest().is_empty() {
            self.out.remove(&link);
        }
        Ok(())
    }
}
