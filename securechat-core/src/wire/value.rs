//! The values that messages are made of.

use super::PASSWORD_MAX;
use crate::error::InvalidMessage;
use core::fmt;
use core::ops::Deref;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A run of bytes that this layer does not look into. Cheap to clone. Encoded as its length and the bytes.
#[derive(Clone)]
pub struct Bytes(Shared);

#[derive(Clone)]
enum Shared {
    /// In one piece with its count.
    Short(Arc<[u8]>),
    /// In the vector that it came in, which is not moved.
    Long(Arc<Vec<u8>>),
}

/// From how many bytes on a vector stays where it is.
const LONG: usize = 4_096;

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Shared::Short(bytes) => bytes,
            Shared::Long(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(if bytes.len() < LONG { Shared::Short(bytes.into()) } else { Shared::Long(Arc::new(bytes)) })
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(Shared::Short(bytes.into()))
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl Default for Bytes {
    fn default() -> Self {
        Self::from(&[][..])
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes", self.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Slice;
        impl<'de> Visitor<'de> for Slice {
            type Value = Bytes;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("bytes")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Bytes, E> {
                Ok(bytes.into())
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(bytes.into())
            }
        }
        deserializer.deserialize_bytes(Slice)
    }
}

macro_rules! id16 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
            }
        }
    };
}

id16! {
    /// The id of an envelope: random, chosen by its sender, the same whenever the send is repeated (L1).
    EnvelopeId
}
id16! {
    /// The id of a blob: 16 random bytes; who knows them gets its chunks (L8).
    BlobId
}

/// A password: 1 to 256 bytes of UTF-8, wiped when dropped, never printed.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes a password; fails when it is empty or too long.
    pub fn new(password: String) -> Result<Self, InvalidMessage> {
        let password = Zeroizing::new(password);
        if password.is_empty() || password.len() > PASSWORD_MAX {
            return Err(InvalidMessage::OutOfBounds);
        }
        Ok(Self(password))
    }

    /// The password.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(..)")
    }
}

/// A one-time code of six digits (RFC 6238), never printed.
#[derive(Clone, Copy, Serialize)]
#[serde(transparent)]
pub struct OneTimeCode(u32);

impl OneTimeCode {
    /// Takes the number that the digits write; fails above 999,999.
    pub fn new(number: u32) -> Result<Self, InvalidMessage> {
        if number > 999_999 { Err(InvalidMessage::OutOfBounds) } else { Ok(Self(number)) }
    }

    /// The number that the digits write.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl<'de> Deserialize<'de> for OneTimeCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u32::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl fmt::Debug for OneTimeCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OneTimeCode(..)")
    }
}
