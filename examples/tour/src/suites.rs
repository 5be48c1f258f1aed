//! The six suites by name.

use securechat_core::crypto::aead::Cipher;
use securechat_core::suite::{KeyExchange, Suite};

/// What `--help` ends with.
pub(crate) const HELP: &str = "\
Suites:
  0x0101  x25519-aes-gcm            X25519, AES-256-GCM
  0x0102  x25519-aes-cbc            X25519, AES-256-CBC with HMAC-SHA-256
  0x0201  rsa-aes-gcm               RSA-OAEP and X25519, AES-256-GCM
  0x0202  rsa-aes-cbc               RSA-OAEP and X25519, AES-256-CBC with HMAC-SHA-256
  0x0301  x25519-mlkem768-aes-gcm   X25519 and ML-KEM-768 (post-quantum), AES-256-GCM
  0x0302  x25519-mlkem768-aes-cbc   X25519 and ML-KEM-768 (post-quantum), AES-256-CBC with HMAC-SHA-256

Exit status: 0 only if everything held that the story claims.";

/// The name of a suite, as `--suite` takes it.
pub(crate) fn name(suite: Suite) -> String {
    let exchange = match suite.key_exchange {
        KeyExchange::X25519 => "x25519",
        KeyExchange::Rsa => "rsa",
        KeyExchange::Hybrid => "x25519-mlkem768",
    };
    let cipher = match suite.cipher {
        Cipher::AesGcm => "aes-gcm",
        Cipher::AesCbcHmac => "aes-cbc",
    };
    format!("{exchange}-{cipher}")
}

/// What a suite is made of.
pub(crate) fn words(suite: Suite) -> String {
    let exchange = match suite.key_exchange {
        KeyExchange::X25519 => "X25519",
        KeyExchange::Rsa => "RSA-OAEP and X25519",
        KeyExchange::Hybrid => "X25519 and ML-KEM-768",
    };
    let cipher = match suite.cipher {
        Cipher::AesGcm => "AES-256-GCM",
        Cipher::AesCbcHmac => "AES-256-CBC-HMAC",
    };
    format!("{exchange}, {cipher}")
}

/// A suite by its name or its number.
pub(crate) fn parse(text: &str) -> Result<Suite, String> {
    let found = Suite::ALL.into_iter().find(|suite| name(*suite) == text || suite.to_string() == text);
    found.ok_or_else(|| format!("the suites are {}", Suite::ALL.map(name).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_those_of_the_help() {
        for suite in Suite::ALL {
            assert_eq!(parse(&name(suite)), Ok(suite));
            assert_eq!(parse(&suite.to_string()), Ok(suite));
            assert!(HELP.contains(&format!("  {suite}  {:<26}", name(suite))), "{suite}");
        }
        assert!(parse("rot13").unwrap_err().contains("x25519-aes-gcm"));
    }
}
