//! End-to-end sessions between two devices (PROTOCOL.md section 6).
//!
//! [`Sessions`] holds all sessions of this device, and the prekeys that let others open one while it is away. It seals
//! content into envelopes and opens envelopes into content; what content means is the client's matter.
//!
//! | file | what lives in it |
//! |---|---|
//! | `store` | [`Sessions`]: all sessions with all devices, as records, and what time does to them |
//! | `seal`, `open` | its two directions, with the openings of sessions |
//! | `peer` | what is kept of one device, and which of its sessions is used (S7, S8) |
//! | `state` | one session |
//! | `handshake` | PK, PKhfs, PKkem, and the keys that a session takes from them |
//! | `ratchet`, `chain` | the Double Ratchet, and chains of message keys |
//! | `skipped`, `opened` | keys of messages that have not come (S3), places of those that have (S4) |
//! | `prekey` | this device's prekeys (I5, S6) |
//! | `envelope` | the layouts on the wire |

pub(crate) mod chain;
mod envelope;
mod handshake;
mod open;
mod opened;
mod peer;
mod prekey;
mod ratchet;
mod seal;
pub(crate) mod skipped;
mod state;
mod store;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

pub use envelope::{EnvelopeKind, SessionId};
pub use open::{OpenError, Opened, SenderCheck};
pub use prekey::PrekeyPublication;
pub use store::Sessions;
