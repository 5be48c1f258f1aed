//! The name of a group.

use crate::error::InvalidMessage;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// The id of a group: the first 16 bytes of a hash over the entry that created it (G1). Shown as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId([u8; 16]);

impl GroupId {
    /// What stands in the entry that creates a group, whose id is not known before it is signed.
    pub const NONE: Self = Self([0; 16]);

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "GroupId({self})")
    }
}

impl FromStr for GroupId {
    type Err = InvalidMessage;

    /// Takes 32 hex digits in lower case; [`InvalidMessage::UnknownValue`] otherwise.
    fn from_str(text: &str) -> Result<Self, InvalidMessage> {
        let digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let whole =
            u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32 && text.as_bytes().iter().all(digit));
        whole.map(|whole| Self(whole.to_be_bytes())).ok_or(InvalidMessage::UnknownValue)
    }
}
