//! Fixed RSA keys for tests, which would otherwise spend their time on making some. Nobody uses them for anything else.

use super::rsa::PrivateKey;

/// PKCS#1 DER of a private key of 2048 bits.
pub(crate) const RSA_2048: &[u8] = include_bytes!("../../tests/keys/rsa2048.der");
/// PKCS#1 DER of a private key of 3072 bits.
pub(crate) const RSA_3072: &[u8] = include_bytes!("../../tests/keys/rsa3072.der");
/// PKCS#1 DER of a private key of 4096 bits.
pub(crate) const RSA_4096: &[u8] = include_bytes!("../../tests/keys/rsa4096.der");

/// The private key of 2048 bits.
pub(crate) fn rsa_2048() -> PrivateKey {
    PrivateKey::from_der(RSA_2048).unwrap()
}
