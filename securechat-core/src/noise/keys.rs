//! What a side brings into a handshake.

use crate::crypto::secret::Secret;
use crate::crypto::{ed25519, mlkem, rsa, x25519};
use std::sync::Arc;

/// Who of the two writes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Writes the first message.
    Initiator,
    /// Reads the first message.
    Responder,
}

/// A long-term private key, of the family that the suite asks for.
#[derive(Debug)]
pub enum StaticKey {
    /// For suites 0x01__ and 0x03__.
    X25519(x25519::PrivateKey),
    /// For suites 0x02__.
    Rsa(Arc<rsa::PrivateKey>),
}

/// A long-term public key that is known beforehand.
#[derive(Clone, Debug)]
pub enum RemoteStatic {
    /// For suites 0x01__ and 0x03__.
    X25519(x25519::PublicKey),
    /// For suites 0x02__.
    Rsa(rsa::PublicKey),
}

/// What one side brings into a handshake: as much of it as its pattern and role ask for.
#[derive(Debug, Default)]
pub struct Keys {
    /// The key of our `s`, which also opens the other side's `skem`.
    pub local_static: Option<StaticKey>,
    /// The key of our `sig`.
    pub local_identity: Option<ed25519::SigningKey>,
    /// Our `e`, where the other side knows it beforehand.
    pub local_prekey: Option<x25519::PrivateKey>,
    /// Our `e1`, where the other side knows it beforehand.
    pub local_prekey_mlkem: Option<mlkem::DecapsulationKey>,
    /// The other side's `s`, where it is known beforehand.
    pub remote_static: Option<RemoteStatic>,
    /// The other side's `e`, where it is known beforehand.
    pub remote_prekey: Option<x25519::PublicKey>,
    /// The other side's `e1`, where it is known beforehand.
    pub remote_prekey_mlkem: Option<mlkem::EncapsulationKey>,
    /// The secrets of the `psk` tokens, in the order in which they are used.
    pub psks: Vec<Secret<32>>,
}

/// The other side's long-term public keys as its verified bundle names them.
#[derive(Clone, Copy, Debug)]
pub struct RemoteKeys<'a> {
    /// The identity that signed the bundle.
    pub identity: &'a ed25519::VerifyingKey,
    /// The static key for suites 0x01__ and 0x03__.
    pub x25519: &'a x25519::PublicKey,
    /// The static key for suites 0x02__.
    pub rsa: Option<&'a rsa::PublicKey>,
}
