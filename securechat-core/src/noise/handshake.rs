//! A handshake from the first message to its keys (Noise section 5.3, PROTOCOL.md section 4).

use super::keys::{Keys, RemoteKeys, Role};
use super::pattern::{Pattern, Token};
use super::running::Running;
use super::transport::Transport;
use crate::crypto::secret::{Secret, SecretVec};
use crate::error::Error;
use crate::suite::Suite;
use core::fmt;
use rand_core::CryptoRng;

/// A handshake under way: messages are written and read in turns until it [is finished](Self::is_finished).
///
/// After a message that carried a static key or a signature, the caller decodes the bundle in its payload and
/// [confirms](Self::confirm) it; nothing else is possible before. A handshake that fails is over: its keys are erased
/// and every later call returns the same error.
pub struct Handshake(Result<Box<Running>, Error>);

impl Handshake {
    /// A handshake before its first message.
    ///
    /// Fails with [`ApiMisuse::MissingKey`](crate::error::ApiMisuse::MissingKey) when a key that is known beforehand is missing; any other key that is
    /// missing fails the message that needs it.
    pub fn new(
        pattern: &'static Pattern,
        suite: Suite,
        role: Role,
        prologue: &[u8],
        keys: Keys,
    ) -> Result<Self, Error> {
        Running::new(pattern, suite, role, prologue, keys).map(|running| Self(Ok(Box::new(running))))
    }

    /// Appends the next message, with `payload` in it, to `out`.
    pub fn write(&mut self, payload: &[u8], rng: &mut dyn CryptoRng, out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        let result = self.step(|running| running.write(payload, rng, out));
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// Reads the next message and gives its payload. `rng` blinds RSA operations.
    ///
    /// The payload of a message [with a static key or a signature](Self::carries_identity) is not authenticated until
    /// it was [confirmed](Self::confirm).
    pub fn read(&mut self, message: &[u8], rng: &mut dyn CryptoRng) -> Result<SecretVec, Error> {
        self.step(|running| running.read(message, rng))
    }

    /// Checks that the other side's static key, and the identity that signed, are those of its bundle.
    ///
    /// Fails with [`StaticKeyMismatch`](crate::error::PeerMisbehaved::StaticKeyMismatch) or [`IdentityMismatch`](crate::error::PeerMisbehaved::IdentityMismatch).
    pub fn confirm(&mut self, remote: &RemoteKeys<'_>) -> Result<(), Error> {
        self.step(|running| running.confirm(remote))
    }

    /// Whether the next message, written or read, carries its sender's static key or signature, and so a bundle.
    pub fn carries_identity(&self) -> bool {
        let tokens = self.0.as_ref().ok().and_then(|running| running.tokens());
        tokens.is_some_and(|tokens| tokens.contains(&Token::S) || tokens.contains(&Token::Sig))
    }

    /// Whether reading the next message takes an RSA private operation.
    pub fn decapsulates(&self) -> bool {
        let tokens = self.0.as_ref().ok().filter(|running| !running.is_my_turn()).and_then(|running| running.tokens());
        tokens.is_some_and(|tokens| tokens.contains(&Token::Skem))
    }

    /// Whether the next message is ours to write.
    pub fn is_my_turn(&self) -> bool {
        self.0.as_ref().is_ok_and(|running| running.tokens().is_some() && running.is_my_turn())
    }

    /// Whether all messages were written and read, and what they carried was confirmed.
    pub fn is_finished(&self) -> bool {
        self.0.as_ref().is_ok_and(|running| running.is_finished())
    }

    /// `Split`: the keys of both directions and the final hash. Fails unless it is finished.
    pub fn into_transport(self) -> Result<Transport, Error> {
        let running = self.0.and_then(Running::finished)?;
        let (initiators, responders, hash) = running.symmetric.split();
        Ok(match running.role {
            Role::Initiator => Transport::new(initiators, responders, hash),
            Role::Responder => Transport::new(responders, initiators, hash),
        })
    }

    /// The final chaining key and hash, from which a session derives its own keys. Fails unless it is finished.
    pub fn into_session(self) -> Result<(Secret<32>, [u8; 32]), Error> {
        self.0.and_then(Running::finished).map(|running| running.symmetric.into_chaining_key())
    }

    /// One step, after which either all is well or everything but the error is gone.
    fn step<T>(&mut self, step: impl FnOnce(&mut Running) -> Result<T, Error>) -> Result<T, Error> {
        let result = self.0.as_mut().map_err(|error| *error).and_then(|running| step(running));
        if let Err(error) = &result {
            self.0 = Err(*error);
        }
        result
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(running) => formatter
                .debug_struct("Handshake")
                .field("pattern", &running.pattern.name)
                .field("suite", &running.suite)
                .field("role", &running.role)
                .field("next", &running.next)
                .finish(),
            Err(error) => formatter.debug_tuple("Handshake").field(error).finish(),
        }
    }
}
