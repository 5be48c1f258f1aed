//! The RSA-wrapped key exchange as a KEM (PROTOCOL.md 2.2).
//!
//! ```text
//! Encap(pk)       m = 32 random bytes
//!                 ct = RSAES-OAEP(SHA-256, MGF1-SHA-256, label "rsa-kem", m)
//! Decap(sk, ct)   m = the message in ct, or HMAC-SHA-256(z, ct) if there is none
//! both            ss = HKDF(salt = SHA-256(pk || ct), ikm = m, info = label "rsa-kem ss", 32)
//! ```
//!
//! Decapsulation never fails: whoever sends a wrong ciphertext gets a secret that nobody else has, in the time and by
//! the path of a right one. There is no PKCS#1 v1.5 decryption anywhere.

#[cfg(test)]
mod tests;

use super::backend::{Active, Backend, RsaPrivate, oaep, rust_crypto};
use super::hash::{hkdf, hmac_sha256, sha256};
use super::label::Label;
use super::secret::Secret;
use crate::codec::{Reader, Writer};
use crate::error::{ApiMisuse, InvalidMessage};
use core::fmt;
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::sync::Arc;
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

/// The one public exponent.
pub const EXPONENT: u64 = 65_537;
/// Smallest modulus, in bits.
pub const BITS_MIN: usize = 2048;
/// Largest modulus, in bits.
pub const BITS_MAX: usize = 4096;

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const LENGTH_IN_TWO_BYTES: u8 = 0x82;
const EXPONENT_DER: [u8; 5] = [INTEGER, 3, 1, 0, 1];

/// An RSA public key of 2048 to 4096 bits with exponent 65537, as PKCS#1 DER. Cheap to clone.
///
/// ```text
/// 30 82 length u16
///   02 82 length u16 | modulus, a zero byte before it if its top bit is set
///   02 03 01 00 01
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(Arc<[u8]>);

impl PublicKey {
    /// The key of PKCS#1 DER. Fails with [`InvalidMessage::PublicKey`] on anything but the one encoding of an odd
    /// modulus of 2048 to 4096 bits and exponent 65537; nothing is computed before that is known.
    pub fn from_der(der: &[u8]) -> Result<Self, InvalidMessage> {
        Self::from_modulus(modulus_in(der).map_err(|_| InvalidMessage::PublicKey)?)
            .filter(|key| *key.0 == *der)
            .ok_or(InvalidMessage::PublicKey)
    }

    /// The key of a modulus, big-endian without leading zeros.
    fn from_modulus(modulus: &[u8]) -> Option<Self> {
        let (first, last) = (*modulus.first()?, *modulus.last()?);
        let bits = 8 * modulus.len() - first.leading_zeros() as usize;
        if first == 0 || last % 2 == 0 || !(BITS_MIN..=BITS_MAX).contains(&bits) {
            return None;
        }
        let sign = if first < 0x80 { &[][..] } else { &[0] };
        let length = u16::try_from(sign.len() + modulus.len()).ok()?;
        let mut der = Vec::with_capacity(modulus.len() + 14);
        der.put(&[SEQUENCE, LENGTH_IN_TWO_BYTES]);
        der.put_u16(length + 9);
        der.put(&[INTEGER, LENGTH_IN_TWO_BYTES]);
        der.put_u16(length);
        der.put(sign);
        der.put(modulus);
        der.put(&EXPONENT_DER);
        Some(Self(der.into()))
    }

    /// The key's PKCS#1 DER.
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// SHA-256 of the DER: what an `s` token carries for the key (section 4).
    pub fn id(&self) -> [u8; 32] {
        sha256(&[&self.0])
    }

    /// Length of a ciphertext for this key: that of the modulus in bytes.
    pub fn ciphertext_len(&self) -> usize {
        self.modulus().len()
    }

    /// A ciphertext for the holder of the private key, and the secret in it.
    ///
    /// AWS-LC takes OAEP's seed from its own randomness; there `rng` gives the message alone.
    pub fn encapsulate(&self, rng: &mut dyn CryptoRng) -> (Vec<u8>, Secret<32>) {
        encapsulate::<Active>(self, rng)
    }

    /// The modulus, big-endian without leading zeros.
    pub(super) fn modulus(&self) -> &[u8] {
        modulus_in(&self.0).unwrap_or_default()
    }
}

/// The modulus in a public key's DER, without a leading zero.
fn modulus_in(der: &[u8]) -> Result<&[u8], InvalidMessage> {
    let mut reader = Reader::new(der);
    reader.take(6)?;
    let modulus = reader.prefixed()?;
    Ok(modulus.strip_prefix(&[0]).unwrap_or(modulus))
}

fn encapsulate<B: Backend>(key: &PublicKey, rng: &mut dyn CryptoRng) -> (Vec<u8>, Secret<32>) {
    let message = Secret::random(rng);
    // The key was checked, so this cannot fail; if it ever did, nobody could open the ciphertext.
    let ciphertext = B::rsa_encrypt(key, message.as_bytes(), rng).unwrap_or_else(|| vec![0; key.ciphertext_len()]);
    let secret = shared_secret(key, &ciphertext, &message);
    (ciphertext, secret)
}

/// `HKDF(salt = SHA-256(pk || ct), ikm = m, info = label "rsa-kem ss", 32)`
fn shared_secret(key: &PublicKey, ciphertext: &[u8], message: &Secret<32>) -> Secret<32> {
    let mut secret = Secret::zero();
    let salt = sha256(&[key.der(), ciphertext]);
    hkdf(&salt, message.as_bytes(), &[Label::RSA_KEM_SS.bytes()], secret.as_mut_bytes());
    secret
}

/// OAEP's decoder alone, without the private operation before it: for measurements of its timing.
#[doc(hidden)]
pub fn oaep_decode(encoded: &mut [u8], message: &mut [u8; 32]) -> bool {
    oaep::decode(encoded, Label::RSA_KEM.bytes(), message).into()
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("rsa::PublicKey(SHA-256 ")?;
        super::write_hex(formatter, &self.id())?;
        formatter.write_str(")")
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.der())
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let der: &[u8] = Deserialize::deserialize(deserializer)?;
        Self::from_der(der).map_err(serde::de::Error::custom)
    }
}

/// An RSA private key of 2048 to 4096 bits. In records it is its PKCS#1 DER.
///
/// Decapsulating takes milliseconds and no exclusive access, so a key is shared behind an `Arc`.
pub struct PrivateKey(Private<Active>);

impl PrivateKey {
    /// A fresh key of `bits` (2048 to 4096) bits. Takes seconds. Fails with [`ApiMisuse::PrivateKey`] on another size.
    pub fn generate(bits: usize, rng: &mut dyn CryptoRng) -> Result<Self, ApiMisuse> {
        if !(BITS_MIN..=BITS_MAX).contains(&bits) {
            return Err(ApiMisuse::PrivateKey);
        }
        Self::from_der(&rust_crypto::rsa_generate(bits, rng)?)
    }

    /// The key of PKCS#1 DER. Fails with [`ApiMisuse::PrivateKey`] unless its public key is one that
    /// [`PublicKey::from_der`] takes, its numbers agree with each other, and the encoding is the canonical one.
    pub fn from_der(der: &[u8]) -> Result<Self, ApiMisuse> {
        Private::from_der(der).map(Self)
    }

    /// The key as PKCS#1 DER.
    pub fn to_der(&self) -> Zeroizing<Vec<u8>> {
        self.0.der.clone()
    }

    /// The public key that belongs to it.
    pub fn public(&self) -> &PublicKey {
        &self.0.public
    }

    /// The secret in a ciphertext, which may be any bytes: without an error, and in the same way for right and wrong
    /// ones. `rng` blinds the private operation (AWS-LC takes its own randomness for that).
    pub fn decapsulate(&self, ciphertext: &[u8], rng: &mut dyn CryptoRng) -> Secret<32> {
        self.0.decapsulate(ciphertext, rng)
    }

    /// The message of any length under any label; see [`super::published`].
    pub(super) fn decrypt_any(&self, ciphertext: &[u8], label: &[u8], rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
        self.0.decrypt_any(ciphertext, label, rng)
    }
}

/// A private key of either backend.
struct Private<B: Backend> {
    key: B::RsaPrivate,
    public: PublicKey,
    der: Zeroizing<Vec<u8>>,
    /// `z = HKDF(empty salt, ikm = DER, info = label "rsa-kem reject", 32)`
    reject: Secret<32>,
}

impl<B: Backend> Private<B> {
    fn from_der(der: &[u8]) -> Result<Self, ApiMisuse> {
        let public = rust_crypto::rsa_check(der, |modulus, exponent| {
            PublicKey::from_modulus(modulus).filter(|_| *exponent == [1, 0, 1])
        })?;
        let mut reject = Secret::zero();
        hkdf(&[], der, &[Label::RSA_KEM_REJECT.bytes()], reject.as_mut_bytes());
        Ok(Self { key: B::RsaPrivate::new(der)?, public, der: der.to_vec().into(), reject })
    }

    fn decapsulate(&self, ciphertext: &[u8], rng: &mut dyn CryptoRng) -> Secret<32> {
        let (number, in_range) = self.in_range(ciphertext);
        let mut message = Secret::zero();
        let found = self.key.decrypt(&number, message.as_mut_bytes(), rng) & in_range;
        let mut rejected = Secret::zero();
        hmac_sha256(self.reject.as_bytes(), &[ciphertext], rejected.as_mut_bytes());
        select(&mut message, &rejected, !found);
        shared_secret(&self.public, ciphertext, &message)
    }

    /// The message of any length under any label, in a ciphertext with one; for published vectors.
    fn decrypt_any(&self, ciphertext: &[u8], label: &[u8], rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
        let (number, in_range) = self.in_range(ciphertext);
        self.key.decrypt_any(&number, label, rng).filter(|_| in_range.into())
    }

    /// What the private operation is given, and whether that is the ciphertext. One of another length or not below the
    /// modulus, which whoever sent it knows, is replaced, so that the same work is done.
    fn in_range<'a>(&self, ciphertext: &'a [u8]) -> (Cow<'a, [u8]>, Choice) {
        let modulus = self.public.modulus();
        if ciphertext.len() == modulus.len() && ciphertext < modulus {
            return (ciphertext.into(), Choice::from(1));
        }
        // Zero and one would be cheaper than other numbers. This one has a leading zero byte, so it is below the modulus.
        let mut number = vec![0x55; modulus.len()];
        number.iter_mut().take(1).for_each(|first| *first = 0);
        (number.into(), Choice::from(0))
    }
}

/// Replaces `secret` by `other` if `choice`, in constant time.
fn select(secret: &mut Secret<32>, other: &Secret<32>, choice: Choice) {
    secret.as_mut_bytes().iter_mut().zip(other.as_bytes()).for_each(|(a, b)| a.conditional_assign(b, choice));
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "rsa::PrivateKey({:?})", self.public())
    }
}

impl Serialize for PrivateKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0.der)
    }
}

impl<'de> Deserialize<'de> for PrivateKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let der: &[u8] = Deserialize::deserialize(deserializer)?;
        Self::from_der(der).map_err(serde::de::Error::custom)
    }
}
