//! Suites and the policy that orders them (PROTOCOL.md section 2).

use crate::crypto::aead::Cipher;
use crate::error::{ApiMisuse, InvalidMessage};
use core::fmt;
use core::str::FromStr;

/// One combination of key exchange and cipher; the hash is SHA-256 throughout.
///
/// Displayed and parsed as `0x0301`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Suite {
    /// How keys are agreed: the high byte of the id.
    pub key_exchange: KeyExchange,
    /// What they encrypt with: the low byte of the id.
    pub cipher: Cipher,
}

/// The key exchange of a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyExchange {
    /// X25519 static and ephemeral keys.
    X25519 = 1,
    /// RSA static keys that wrap a secret, X25519 ephemeral keys.
    Rsa = 2,
    /// X25519 static keys, X25519 and ML-KEM-768 ephemeral keys.
    Hybrid = 3,
}

impl Suite {
    /// Every suite, in order of its id.
    pub const ALL: [Self; 6] = [
        Self { key_exchange: KeyExchange::X25519, cipher: Cipher::AesGcm },
        Self { key_exchange: KeyExchange::X25519, cipher: Cipher::AesCbcHmac },
        Self { key_exchange: KeyExchange::Rsa, cipher: Cipher::AesGcm },
        Self { key_exchange: KeyExchange::Rsa, cipher: Cipher::AesCbcHmac },
        Self { key_exchange: KeyExchange::Hybrid, cipher: Cipher::AesGcm },
        Self { key_exchange: KeyExchange::Hybrid, cipher: Cipher::AesCbcHmac },
    ];

    /// The number on the wire.
    pub const fn id(self) -> u16 {
        u16::from_be_bytes([self.key_exchange as u8, self.cipher.id()])
    }

    /// The suite of a number, if there is one.
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.id() == id)
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "0x{:04x}", self.id())
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Suite({self})")
    }
}

impl FromStr for Suite {
    type Err = InvalidMessage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|suite| suite.to_string() == text).ok_or(InvalidMessage::UnknownValue)
    }
}

/// The suites that a host allows, in order of preference: at least one, and none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy(Vec<Suite>);

impl Policy {
    /// A policy of these suites, the preferred one first.
    ///
    /// Fails with [`ApiMisuse::Policy`] when there is none or one stands there twice.
    pub fn new(suites: Vec<Suite>) -> Result<Self, ApiMisuse> {
        let repeated =
            suites.iter().enumerate().any(|(index, suite)| suites.iter().skip(index + 1).any(|s| s == suite));
        if suites.is_empty() || repeated { Err(ApiMisuse::Policy) } else { Ok(Self(suites)) }
    }

    /// The suites in order of preference.
    pub fn suites(&self) -> &[Suite] {
        &self.0
    }

    /// Whether `suite` may be used.
    pub fn allows(&self, suite: Suite) -> bool {
        self.0.contains(&suite)
    }

    /// The first suite of this policy, in its own order, whose number is among `ids`; numbers not known are skipped.
    pub fn first_of(&self, ids: &[u16]) -> Option<Suite> {
        self.0.iter().copied().find(|suite| ids.contains(&suite.id()))
    }
}

impl Default for Policy {
    /// The hybrid suites, then X25519. RSA is for those who name it.
    fn default() -> Self {
        let of = |key_exchange| [Cipher::AesGcm, Cipher::AesCbcHmac].map(|cipher| Suite { key_exchange, cipher });
        Self([of(KeyExchange::Hybrid), of(KeyExchange::X25519)].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_table() {
        let ids = Suite::ALL.map(Suite::id);
        assert_eq!(ids, [0x0101, 0x0102, 0x0201, 0x0202, 0x0301, 0x0302]);
        for suite in Suite::ALL {
            assert_eq!(Suite::from_id(suite.id()), Some(suite));
            assert_eq!(suite.to_string().parse(), Ok(suite));
        }
        for unknown in [0, 0x0100, 0x0103, 0x0401, 0x0001, 0xFFFF] {
            assert_eq!(Suite::from_id(unknown), None);
        }
        assert_eq!(Suite::ALL[4].to_string(), "0x0301");
        assert_eq!("0x0303".parse::<Suite>(), Err(InvalidMessage::UnknownValue));
    }

    #[test]
    fn the_default_policy_is_hybrid_first_and_without_rsa() {
        let ids: Vec<_> = Policy::default().suites().iter().map(|suite| suite.id()).collect();
        assert_eq!(ids, [0x0301, 0x0302, 0x0101, 0x0102]);
    }

    #[test]
    fn a_policy_names_at_least_one_suite_and_none_twice() {
        assert_eq!(Policy::new(vec![]), Err(ApiMisuse::Policy));
        assert_eq!(Policy::new(vec![Suite::ALL[0], Suite::ALL[1], Suite::ALL[0]]), Err(ApiMisuse::Policy));
        assert!(Policy::new(Suite::ALL.to_vec()).is_ok());
    }

    #[test]
    fn the_choice_follows_the_policy_and_skips_the_unknown() {
        let policy = Policy::default();
        assert_eq!(policy.first_of(&[0x9999, 0x0101, 0x0302]), Suite::from_id(0x0302));
        assert_eq!(policy.first_of(&[0x0201, 0x9999]), None);
    }
}
