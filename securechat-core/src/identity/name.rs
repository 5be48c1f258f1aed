//! Names of users (I11).

use crate::error::InvalidMessage;
use crate::limits::USER_NAME_MAX;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a user at a relay: `[a-z0-9][a-z0-9._-]{0,31}`.
///
/// One spelling per name and ASCII only, so that two names that look alike are the same name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

impl UserName {
    /// Takes `name` if it is one; [`InvalidMessage::UserName`] otherwise. Nothing is trimmed or folded.
    pub fn new(name: &str) -> Result<Self, InvalidMessage> {
        let mut bytes = name.bytes();
        let first = bytes.next().ok_or(InvalidMessage::UserName)?;
        let begins = first.is_ascii_lowercase() || first.is_ascii_digit();
        let goes_on = bytes.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
        if begins && goes_on && name.len() <= USER_NAME_MAX {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidMessage::UserName)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl FromStr for UserName {
    type Err = InvalidMessage;

    fn from_str(name: &str) -> Result<Self, InvalidMessage> {
        Self::new(name)
    }
}

impl TryFrom<&str> for UserName {
    type Error = InvalidMessage;

    fn try_from(name: &str) -> Result<Self, InvalidMessage> {
        Self::new(name)
    }
}

impl TryFrom<String> for UserName {
    type Error = InvalidMessage;

    fn try_from(name: String) -> Result<Self, InvalidMessage> {
        Self::new(&name)
    }
}

impl AsRef<str> for UserName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Serialize for UserName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for UserName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::new(&name).map_err(serde::de::Error::custom)
    }
}

/// A user name that may be absent, as a struct field: the empty string stands for none (I3).
pub(super) mod optional {
    use super::UserName;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::identity) fn serialize<S: Serializer>(
        name: &Option<UserName>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name.as_ref().map_or("", UserName::as_str))
    }

    pub(in crate::identity) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<UserName>, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name.is_empty() { Ok(None) } else { UserName::new(&name).map(Some).map_err(serde::de::Error::custom) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test]
    fn names_are_of_one_form() {
        let longest = "a".repeat(32);
        for name in ["a", "0", "alice", "a.b_c-d", "0-", longest.as_str()] {
            let parsed = UserName::new(name).unwrap();
            assert_eq!((parsed.as_str(), parsed.to_string().as_str()), (name, name));
            assert_eq!(codec::decode::<UserName>(&codec::encode(&parsed)), Ok(parsed));
        }
        let too_long = "a".repeat(33);
        for name in [
            "",
            ".a",
            "-a",
            "_a",
            "A",
            "alicE",
            "a b",
            " a",
            "a ",
            "a/b",
            "a\\b",
            "a\0",
            "a\n",
            "é",
            "аlice",
            "a\u{202e}",
            "..",
            too_long.as_str(),
        ] {
            assert_eq!(UserName::new(name), Err(InvalidMessage::UserName), "{name:?}");
            assert!(codec::decode::<UserName>(&codec::encode(name)).is_err(), "{name:?}");
        }
    }
}
