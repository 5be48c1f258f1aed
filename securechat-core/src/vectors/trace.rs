//! What a case states of a handshake's end and engines do not give out: the chaining key and what it is split into.

use core::cell::RefCell;
use serde_json::{Value, json};

thread_local! {
    static LAST: RefCell<Option<Value>> = const { RefCell::new(None) };
}

/// A handshake ended: its chaining key and hash, and the transport keys where there are some.
pub(crate) fn note_end(chaining_key: &[u8; 32], hash: &[u8; 32], keys: Option<[&[u8; 32]; 2]>) {
    let hex = super::hex;
    let mut end = json!({ "chaining_key": hex(chaining_key), "hash": hex(hash) });
    if let Some([initiator, responder]) = keys {
        end["initiator_key"] = hex(initiator);
        end["responder_key"] = hex(responder);
    }
    LAST.set(Some(end));
}

/// The end of the last handshake in this thread, once.
pub(crate) fn take_end() -> Option<Value> {
    LAST.take()
}
