//! Signed objects as they travel (I1).
//!
//! | field | bytes | |
//! |---|---|---|
//! | length | 2 | of the body |
//! | body | length | a struct |
//! | signature | 64 | Ed25519 over `label || body` |

use crate::codec::{Reader, Writer};
use crate::crypto::ed25519::SigningKey;
use crate::crypto::hash::sha256;
use crate::crypto::label::Label;
use crate::error::{ApiMisuse, Error, InvalidMessage};
use crate::identity::Identity;
use serde::de::Visitor;
use serde::{Deserializer, Serializer};
use std::marker::PhantomData;

/// The bytes around the body.
pub(crate) const OVERHEAD: usize = 2 + 64;

/// Signs `body` under `label`.
pub(crate) fn sign(label: Label, body: &[u8], key: &SigningKey) -> Result<Vec<u8>, ApiMisuse> {
    let mut bytes = Vec::with_capacity(body.len() + OVERHEAD);
    bytes.put_prefixed(body).map_err(|_| ApiMisuse::TooLarge)?;
    bytes.put(&key.sign(label, &[body]));
    Ok(bytes)
}

/// Gives the body once its signature was found good under the identity at `identity_at` in it.
pub(crate) fn open(label: Label, bytes: &[u8], identity_at: usize, max: usize) -> Result<&[u8], Error> {
    if bytes.len() > max {
        return Err(InvalidMessage::OutOfBounds.into());
    }
    let mut reader = Reader::new(bytes);
    let body = reader.prefixed()?;
    let signature = reader.array::<64>()?;
    reader.finish()?;
    let mut front = Reader::new(body);
    front.take(identity_at)?;
    Identity::from_bytes(front.array()?).verify(label, &[body], &signature)?;
    Ok(body)
}

/// The body of an object that [`sign`] made or [`open`] took.
pub(crate) fn body(bytes: &[u8]) -> &[u8] {
    Reader::new(bytes).prefixed().unwrap_or_default()
}

/// SHA-256 over `body || signature`.
pub(crate) fn hash(bytes: &[u8]) -> [u8; 32] {
    sha256(&[bytes.get(2..).unwrap_or_default()])
}

/// An object that is kept as the bytes it came in: its serde form is those bytes, and reading checks them again.
pub(crate) trait Kept: Sized {
    fn kept(&self) -> &[u8];
    fn take(bytes: &[u8]) -> Result<Self, Error>;
}

pub(crate) fn serialize<T: Kept, S: Serializer>(object: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(object.kept())
}

pub(crate) fn deserialize<'de, T: Kept, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Bytes<T>(PhantomData<T>);
    impl<T: Kept> Visitor<'_> for Bytes<T> {
        type Value = T;

        fn expecting(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            formatter.write_str("a signed object")
        }

        fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<T, E> {
            T::take(bytes).map_err(E::custom)
        }
    }
    deserializer.deserialize_bytes(Bytes(PhantomData))
}

/// Serde of a [`Kept`] type.
macro_rules! serde_as_kept {
    ($type:ty) => {
        impl crate::identity::signed::Kept for $type {
            fn kept(&self) -> &[u8] {
                self.bytes()
            }

            fn take(bytes: &[u8]) -> Result<Self, crate::error::Error> {
                Self::decode(bytes)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                crate::identity::signed::serialize(self, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::identity::signed::deserialize(deserializer)
            }
        }
    };
}
pub(crate) use serde_as_kept;
