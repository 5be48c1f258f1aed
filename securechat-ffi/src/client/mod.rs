//! The client: what an application holds.

pub mod account;
pub mod contacts;
pub mod files;
pub mod groups;
pub mod lent;
pub mod links;
pub mod messages;
pub mod state;

use crate::boundary::{Guarded, Out, Outgoing, Result, handle, text};
use core::ffi::c_char;
use lent::Lent;
use securechat_core::client::{Client, Save};
use securechat_core::content::Conversation;
use securechat_core::event::LinkId;
use securechat_core::identity::UserName;
use securechat_core::vault::Vault;
use std::collections::{BTreeMap, BTreeSet};

/// Clients: one device of one user, with its keys, sessions, contacts, files and connections.
///
/// The program owns the sockets, the store and the clock. After each call that is not const, in this order and until all are empty:
/// save what securechat_client_next_save gives and say securechat_client_save_done, write what securechat_client_output gives for
/// each link, handle what securechat_client_next_event tells. Call securechat_client_tick when it is due.
///
/// ```c
/// // A new device. Its key protects the saved records: derive it from a passphrase (Argon2id) or keep it in a key store.
/// uint8_t key[32] = {1, 2, 3};
/// securechat_client *alice = NULL;
/// assert(securechat_client_new(NULL, "alice", 5, key, NULL, 0, SECURECHAT_HISTORY_CONTINUED, 0, now, &alice) == SECURECHAT_OK);
///
/// // Before anything leaves, its state is saved: one transaction of any key-value store.
/// securechat_record record;
/// size_t records = 0;
/// while (securechat_client_next_save(alice, &record) == SECURECHAT_OK && record.key != NULL)
///     records++; // put `record.value` under `record.key`, or delete where the value is NULL
/// assert(records > 0 && securechat_client_save_done(alice) == SECURECHAT_OK);
///
/// // A text waits until there is a connection.
/// uint8_t id[16];
/// assert(securechat_client_send(alice, "bob", 3, SECURECHAT_MESSAGE_TEXT, NULL, (const uint8_t *)"hello", 5, now, id) ==
///        SECURECHAT_OK);
///
/// // Connect a socket to the relay's address, then move its bytes: securechat_client_input and securechat_client_output.
/// const char *address = "relay.example:7441";
/// uint32_t link = 0;
/// const uint8_t *bytes;
/// size_t length = 0;
/// assert(securechat_client_connect_relay(alice, address, strlen(address), now, &link) == SECURECHAT_OK);
/// while (securechat_client_next_save(alice, &record) == SECURECHAT_OK && record.key != NULL) {}
/// assert(securechat_client_save_done(alice) == SECURECHAT_OK);
/// assert(securechat_client_output(alice, link, &bytes, &length) == SECURECHAT_OK && length > 0);
/// assert(securechat_client_output_consume(alice, link, length) == SECURECHAT_OK);
///
/// securechat_event event;
/// assert(securechat_client_next_event(alice, &event, sizeof event) == SECURECHAT_OK && event.kind == SECURECHAT_EVENT_NONE);
/// securechat_client_free(alice);
/// ```
#[allow(non_camel_case_types)]
pub struct securechat_client(Guarded<Owned>);

handle!(securechat_client, Owned);

/// A client with what stands around it at the boundary.
pub(crate) struct Owned {
    client: Client,
    /// The key of the client's own vault, for wrapping it anew and for what the application seals.
    vault: Vault,
    /// What is to be written, by link.
    out: BTreeMap<LinkId, Outgoing>,
    /// The record of the wrapped vault key that the next batch begins with.
    wrapped: Option<Save>,
    /// The batch that the host is saving. Nothing is transmitted while there is one.
    batch: Option<Vec<Save>>,
    /// How many of its records were given.
    given: usize,
    /// Links whose other side is to be accepted or refused.
    undecided: BTreeSet<LinkId>,
    /// Links whose connection ended while a save kept back what they had to write: nobody asks for it any more.
    ended: BTreeSet<LinkId>,
    lent: Lent,
}

impl Owned {
    /// Takes what the client has to transmit, each for its link.
    fn collect(&mut self) {
        if self.batch.is_some() || self.wrapped.is_some() {
            return;
        }
        let mut bytes = Vec::new();
        while let Some(link) = self.client.poll_transmit(&mut bytes) {
            if self.ended.contains(&link) {
                bytes.clear();
                continue;
            }
            let out = self.out.entry(link).or_default();
            if out.bytes.is_empty() {
                out.bytes = core::mem::take(&mut bytes);
            } else {
                out.bytes.append(&mut bytes);
            }
        }
    }
}

/// A user's name.
///
/// # Safety
///
/// As for [`text`].
unsafe fn user(pointer: *const c_char, length: usize) -> Result<UserName> {
    // SAFETY: the caller's promise.
    Ok(UserName::new(unsafe { text(pointer, length) }?)?)
}

/// To whom something goes: a user, or a group as it is called.
///
/// # Safety
///
/// As for [`text`].
unsafe fn conversation(pointer: *const c_char, length: usize) -> Result<Conversation> {
    // SAFETY: the caller's promise.
    Ok(unsafe { text(pointer, length) }?.parse()?)
}

/// Sixteen bytes that are written out.
///
/// # Safety
///
/// `pointer` is NULL or names 16 bytes to write to.
unsafe fn id_out(pointer: *mut u8) -> Result<Out<[u8; 16]>> {
    // SAFETY: the caller's promise.
    unsafe { Out::new(pointer.cast(), [0; 16]) }
}
