//! Links: a secure channel over one connection, of use without any chat.

use crate::boundary::{
    Buffer, Failure, Guarded, Out, OutStruct, Outgoing, array, bytes, call, error_text, free, handle, new_handle,
    required, with,
};
use crate::config::{Settings, securechat_config};
use crate::event::securechat_event_kind::*;
use crate::event::{EVENT_LEAST, SECURECHAT_FLAG_EXPECTED, SECURECHAT_FLAG_EXPIRED, securechat_event};
use crate::identity::securechat_identity;
use crate::random::random;
use crate::status::securechat_status;
use core::ffi::c_char;
use core::ptr::{null, null_mut};
use securechat_core::identity::{Fingerprint, SignedBundle, UserName};
use securechat_core::link::{Link, LinkConfig, LinkEvent, Purpose};
use zeroize::Zeroize;

use securechat_status::*;

/// The end that opened the connection.
pub const SECURECHAT_ROLE_INITIATOR: u32 = 0;
/// The end that took the connection.
pub const SECURECHAT_ROLE_RESPONDER: u32 = 1;
/// Only the responder shows an identity.
pub const SECURECHAT_PURPOSE_RELAY: u32 = 0;
/// Both ends show theirs.
pub const SECURECHAT_PURPOSE_PEER: u32 = 1;
/// Most bytes in one securechat_link_send, in every suite.
pub const SECURECHAT_LINK_DATA_MAX: usize = 65_486;

/// Links: a secure channel over one connection, for any bytes; no chat, no accounts.
///
/// Bytes that came go in with securechat_link_input, what is to be written comes out with securechat_link_output, and what
/// happened is told by securechat_link_next_event. After each call that is not const, drain both. A link that failed stays failed;
/// write what its output still has, then close the connection.
///
/// ```c
/// // Two ends in one program; with sockets, each is in its own.
/// securechat_identity *identity = NULL;
/// securechat_bundle info;
/// uint8_t bundle[4096];
/// size_t length = 0;
/// assert(securechat_identity_generate(NULL, now, &identity) == SECURECHAT_OK);
/// assert(securechat_identity_bundle(identity, bundle, sizeof bundle, &length) == SECURECHAT_OK);
/// assert(securechat_bundle_read(bundle, length, &info, sizeof info) == SECURECHAT_OK);
///
/// securechat_link *ends[2] = {NULL, NULL};
/// assert(securechat_link_new(NULL, SECURECHAT_ROLE_INITIATOR, SECURECHAT_PURPOSE_RELAY, NULL, info.fingerprint, now, &ends[0]) ==
///        SECURECHAT_OK);
/// assert(securechat_link_new(NULL, SECURECHAT_ROLE_RESPONDER, SECURECHAT_PURPOSE_RELAY, identity, NULL, now, &ends[1]) ==
///        SECURECHAT_OK);
/// int sent = 0, received = 0;
/// for (int turn = 0; !received; turn++) {
///     securechat_link *from = ends[turn % 2], *to = ends[(turn + 1) % 2];
///     securechat_event event;
///     while (securechat_link_next_event(from, &event, sizeof event) == SECURECHAT_OK && event.kind != SECURECHAT_EVENT_NONE) {
///         if (event.kind == SECURECHAT_EVENT_OPEN && from == ends[0])
///             sent = securechat_link_send(from, (const uint8_t *)"hello", 5) == SECURECHAT_OK;
///         if (event.kind == SECURECHAT_EVENT_DATA)
///             received = event.data_len == 5 && memcmp(event.data, "hello", 5) == 0;
///     }
///     const uint8_t *bytes;
///     assert(securechat_link_output(from, &bytes, &length) == SECURECHAT_OK);
///     assert(securechat_link_input(to, bytes, length, now) == SECURECHAT_OK);
///     assert(securechat_link_output_consume(from, length) == SECURECHAT_OK);
/// }
/// assert(sent);
/// securechat_link_free(ends[0]);
/// securechat_link_free(ends[1]);
/// securechat_identity_free(identity);
/// ```
#[allow(non_camel_case_types)]
pub struct securechat_link(Guarded<Channel>);

handle!(securechat_link, Channel);

/// A link, what it gave to be written, and what it lends.
pub(crate) struct Channel {
    link: Link,
    expected: Option<Fingerprint>,
    raised: bool,
    out: Outgoing,
    lent: Lent,
}

/// What the last event points to.
#[derive(Default)]
struct Lent {
    event: Option<LinkEvent>,
    channel_binding: [u8; 32],
}

impl Lent {
    fn replace(&mut self, event: Option<LinkEvent>) {
        if let Some(LinkEvent::Data(data)) = &mut self.event {
            data.zeroize();
        }
        self.event = event;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.replace(None);
    }
}

impl Channel {
    /// A bare link has no login: its frames have their full length once it is open.
    fn raise(&mut self) {
        if !self.raised && self.link.is_open() {
            self.link.raise_frame_limit();
            self.raised = true;
        }
    }

    fn next_event(&mut self, out: OutStruct<securechat_event>) {
        self.lent.replace(None);
        self.lent.event = self.link.poll_event();
        match &self.lent.event {
            // What is out is zero already, which is SECURECHAT_EVENT_NONE.
            None => {}
            Some(LinkEvent::Data(data)) => out.fill(|event| {
                event.kind = SECURECHAT_EVENT_DATA as u32;
                event.set_data(data);
            }),
            Some(_) => out.set(&self.rare_event()),
        }
    }

    /// What is told once in the life of a link.
    fn rare_event(&mut self) -> securechat_event {
        let mut out = securechat_event::new(SECURECHAT_EVENT_NONE);
        match &self.lent.event {
            Some(LinkEvent::Verify { bundle, expired, .. }) => {
                out.kind = SECURECHAT_EVENT_VERIFY as u32;
                show(&mut out, bundle);
                out.flag(SECURECHAT_FLAG_EXPIRED, *expired);
                if let Some(expected) = self.expected {
                    out.expected = *expected.as_bytes();
                    out.flag(SECURECHAT_FLAG_EXPECTED, true);
                }
            }
            Some(LinkEvent::Open { suite, channel_binding, remote }) => {
                out.kind = SECURECHAT_EVENT_OPEN as u32;
                out.code = suite.id().into();
                if let Some(bundle) = remote {
                    show(&mut out, bundle);
                }
                self.lent.channel_binding = *channel_binding;
                out.set_data(&self.lent.channel_binding);
            }
            Some(LinkEvent::Closed { code }) => {
                out.kind = SECURECHAT_EVENT_CLOSED_BY_PEER as u32;
                out.code = (*code).into();
            }
            _ => {}
        }
        out
    }
}

fn show(event: &mut securechat_event, bundle: &SignedBundle) {
    event.fingerprint = *bundle.fingerprint().as_bytes();
    event.device = *bundle.identity().as_bytes();
    event.set_user(bundle.user().map_or("", UserName::as_str));
}

/// Makes one end of a link. The initiator's first output is ready at once.
///
/// `role` is SECURECHAT_ROLE_..., `purpose` SECURECHAT_PURPOSE_... and the same on both ends. `identity` is needed by the responder and by
/// both peers, and not shown by an initiator towards a relay, which may pass NULL. `pin` is the fingerprint (32 bytes) that the
/// other side's identity must have, or NULL. The link stops with SECURECHAT_EVENT_VERIFY where it has another, or there is no pin. Free it with securechat_link_free.
/// Fails with SECURECHAT_ERR_MISSING_KEY when an identity, or a key that the suites need, is missing.
///
/// Towards a securechat relay use a client instead: it takes long frames after a login only.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn securechat_link_new(
    config: *const securechat_config,
    role: u32,
    purpose: u32,
    identity: *mut securechat_identity,
    pin: *const u8,
    now: u64,
    link: *mut *mut securechat_link,
) -> securechat_status {
    // SAFETY: an out-parameter, by the header.
    let out = unsafe { Out::new(link, null_mut()) };
    call("securechat_link_new", || {
        // SAFETY: a config and a pin, by the header.
        let (out, settings, pin) = unsafe { (out?, Settings::read(config)?, array::<32>(pin)) };
        let purpose = match purpose {
            SECURECHAT_PURPOSE_RELAY => Purpose::Relay,
            SECURECHAT_PURPOSE_PEER => Purpose::Peer,
            _ => return Err(Failure::new(SECURECHAT_ERR_ARGUMENT, "no such purpose")),
        };
        let mut link = LinkConfig::new(purpose);
        link.policy = settings.policy;
        link.limits = settings.limits;
        link.pin = pin.map(Fingerprint::from_bytes);
        if !identity.is_null() {
            let taken = &mut link;
            // SAFETY: a handle, by the header.
            let status = unsafe {
                with("securechat_link_new", identity, |owned| {
                    taken.local = Some(owned.local.clone());
                    taken.rsa_slots = Some(owned.rsa_slots.clone());
                    Ok(())
                })
            };
            if status != SECURECHAT_OK {
                return Err(status.into());
            }
        }
        let expected = link.pin;
        let link = match role {
            SECURECHAT_ROLE_INITIATOR => Link::initiator(link, random()?, now)?,
            SECURECHAT_ROLE_RESPONDER => Link::responder(link, random()?, now)?,
            _ => return Err(Failure::new(SECURECHAT_ERR_ARGUMENT, "no such role")),
        };
        let channel = Channel { link, expected, raised: false, out: Outgoing::default(), lent: Lent::default() };
        out.set(new_handle(channel));
        Ok(())
    })
}

/// Frees a link and wipes its keys. The other side sees the connection cut off unless securechat_link_close went before.
/// NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_link_free(link: *mut securechat_link) {
    // SAFETY: a handle, by the header.
    unsafe { free(link) }
}

/// The text of this link's last failure, for people: borrowed until the next call that is not const. Empty if none failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_link_error(link: *const securechat_link) -> *const c_char {
    // SAFETY: a handle, by the header.
    unsafe { error_text(link) }
}

/// Takes bytes that arrived, in any split. No bytes are nothing; the end of the stream is securechat_link_end.
///
/// Fails, for good, with a number from 100 to 299 or SECURECHAT_ERR_DECRYPT when what came is wrong. Events from before are still
/// there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_link_input(
    link: *mut securechat_link,
    data: *const u8,
    data_len: usize,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and bytes, by the header.
    unsafe {
        with("securechat_link_input", link, |channel| {
            // What was lent is over; what comes takes its place in memory, which the caches still have.
            channel.lent.replace(None);
            let result = channel.link.handle_input(bytes(data, data_len)?, now);
            channel.raise();
            Ok(result?)
        })
    }
}

/// Says that no more bytes will come: the connection ended.
///
/// Fails with SECURECHAT_ERR_TRUNCATION unless the other side had closed the link: what came before may be cut off.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_link_end(link: *mut securechat_link) -> securechat_status {
    // SAFETY: a handle, by the header.
    unsafe { with("securechat_link_end", link, |channel| Ok(channel.link.handle_end()?)) }
}

/// Lends what is to be written to the connection: `data` and `length`, which is 0 when there is nothing.
///
/// Borrowed until the next call on this link that is not const. Write what the connection takes, then say how much that was with
/// securechat_link_output_consume. A link that failed or closed may still have something.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_link_output(
    link: *mut securechat_link,
    data: *mut *const u8,
    length: *mut usize,
) -> securechat_status {
    // SAFETY: a handle and out-parameters, by the header.
    unsafe {
        let (data, length) = (Out::new(data, null()), Out::new(length, 0));
        with("securechat_link_output", link, |channel| {
            let (data, length) = (data?, length?);
            channel.link.poll_transmit(&mut channel.out.bytes);
            let rest = channel.out.rest();
            data.set(rest.as_ptr());
            length.set(rest.len());
            Ok(())
        })
    }
}

/// Says that the first `count` bytes of the output were written. Fails with SECURECHAT_ERR_ARGUMENT when there are not so many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_link_output_consume(link: *mut securechat_link, count: usize) -> securechat_status {
    // SAFETY: a handle, by the header.
    unsafe { with("securechat_link_output_consume", link, |channel| channel.out.consume(count)) }
}

/// Copies output into `buffer`, as much as there is and as fits, and consumes it: for hosts whose writing outlives the call.
/// `length` is set to how much that was; 0 when there is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_link_read_output(
    link: *mut securechat_link,
    buffer: *mut u8,
    size: usize,
    length: *mut usize,
) -> securechat_status {
    // SAFETY: a handle, a buffer and an out-parameter, by the header.
    unsafe {
        let length = Out::new(length, 0);
        with("securechat_link_read_output", link, |channel| {
            let (length, mut buffer) = (length?, Buffer::new(buffer, size)?);
            channel.link.poll_transmit(&mut channel.out.bytes);
            channel.out.read(&mut buffer, length)
        })
    }
}

/// Tells the next thing that happened, in `event` of `event_size` bytes; SECURECHAT_EVENT_NONE when there is nothing more.
///
/// What it points to is borrowed until the next call that is not const, and wiped then. Links tell SECURECHAT_EVENT_VERIFY,
/// SECURECHAT_EVENT_OPEN, SECURECHAT_EVENT_DATA and SECURECHAT_EVENT_CLOSED_BY_PEER.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_link_next_event(
    link: *mut securechat_link,
    event: *mut securechat_event,
    event_size: usize,
) -> securechat_status {
    // SAFETY: a handle and a struct of the size that the caller says.
    unsafe {
        let event = OutStruct::new(event, event_size, EVENT_LEAST);
        with("securechat_link_next_event", link, |channel| {
            channel.next_event(event?);
            Ok(())
        })
    }
}

/// Does what is due at `now`, and sets `next` to when to call again, in Unix milliseconds, UINT64_MAX when nothing is due and
/// when it failed: the handshake's time limit. Fails with SECURECHAT_ERR_HANDSHAKE_TIMEOUT when that is over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_link_tick(
    link: *mut securechat_link,
    now: u64,
    next: *mut u64,
) -> securechat_status {
    // SAFETY: a handle and an out-parameter, by the header.
    unsafe {
        let next = Out::new(next, u64::MAX);
        with("securechat_link_tick", link, |channel| {
            let next = next?;
            channel.link.handle_timeout(now)?;
            next.set(channel.link.poll_timeout().unwrap_or(u64::MAX));
            Ok(())
        })
    }
}

/// Sends bytes as one record, of at most SECURECHAT_LINK_DATA_MAX. They come out of securechat_link_output sealed.
///
/// Fails with SECURECHAT_ERR_WRONG_STATE before SECURECHAT_EVENT_OPEN, SECURECHAT_ERR_CLOSED after a close, SECURECHAT_ERR_TOO_LARGE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_link_send(
    link: *mut securechat_link,
    data: *const u8,
    data_len: usize,
) -> securechat_status {
    // SAFETY: a handle and bytes, by the header.
    unsafe {
        with("securechat_link_send", link, |channel| {
            // Sealed where it will be written from.
            Ok(channel.link.send_into(bytes(data, data_len)?, &mut channel.out.bytes)?)
        })
    }
}

/// After SECURECHAT_EVENT_VERIFY: goes on with the identity of this fingerprint (32 bytes), the one that was shown.
///
/// Fails with SECURECHAT_ERR_IDENTITY_MISMATCH, for good, when it is another. To refuse, call securechat_link_close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_link_accept(
    link: *mut securechat_link,
    fingerprint: *const u8,
    now: u64,
) -> securechat_status {
    // SAFETY: a handle and 32 bytes, by the header.
    unsafe {
        with("securechat_link_accept", link, |channel| {
            let fingerprint = Fingerprint::from_bytes(required(fingerprint)?);
            let result = channel.link.accept(&fingerprint, now);
            channel.raise();
            Ok(result?)
        })
    }
}

/// Closes the link, both directions of it: this side can send nothing more, and the other side, when this reaches it, answers with
/// its own close and can send nothing either. Write the output; what the other side had sent before is still taken and told, up to
/// SECURECHAT_EVENT_CLOSED_BY_PEER. Who is to go on sending has to be asked for its end, by a message of the program's own, first.
///
/// `code` is SECURECHAT_CLOSE_... or any other number up to 255. A link that is not open yet just ends, and one that waits after
/// SECURECHAT_EVENT_VERIFY refuses the other side.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_link_close(link: *mut securechat_link, code: u32) -> securechat_status {
    // SAFETY: a handle, by the header.
    unsafe {
        with("securechat_link_close", link, |channel| {
            let code = u8::try_from(code).map_err(|_| SECURECHAT_ERR_ARGUMENT)?;
            Ok(channel.link.close(code)?)
        })
    }
}
