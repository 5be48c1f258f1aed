//! The Noise Protocol Framework, revision 34, driven by a table of patterns (PROTOCOL.md section 4).
//!
//! Beside the tokens of Noise and of its hybrid forward secrecy extension there are two of this protocol's own, `skem`
//! and `sig`; [`Handshake`] runs any pattern made of them.

mod handshake;
mod keys;
mod pattern;
mod running;
mod symmetric;
mod transport;

#[cfg(test)]
mod tests;

pub use handshake::Handshake;
pub use keys::{Keys, RemoteKeys, RemoteStatic, Role, StaticKey};
pub use pattern::Pattern;
#[doc(hidden)]
pub use pattern::Token;
pub use transport::{Opener, Sealer, Transport};

/// The full name of a pattern in a suite, for vectors.
#[cfg(test)]
pub(crate) fn name_of(pattern: &Pattern, suite: crate::suite::Suite) -> String {
    running::protocol_name(pattern, suite)
}
#[cfg(test)]
pub(crate) use transport::{both_ends, sealed_at};
