//! ML-KEM-768 (FIPS 203).

use ml_kem::{Decapsulate, KeyExport, ml_kem_768};
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a public key.
pub const ENCAPSULATION_KEY_LEN: usize = 1_184;
/// Bytes of a ciphertext.
pub const CIPHERTEXT_LEN: usize = 1_088;

/// An expanded private key.
pub struct DecapsulationKey(ml_kem_768::DecapsulationKey);

impl DecapsulationKey {
    /// The key that FIPS 203 derives from a seed `d || z`.
    pub fn from_seed(seed: &[u8; 64]) -> Self {
        Self(ml_kem_768::DecapsulationKey::from_seed((*seed).into()))
    }

    /// The key expanded, as FIPS 203 encodes it.
    #[allow(deprecated)] // Deprecated for keeping keys in; who asks hands it to another implementation and drops it.
    pub fn expanded(&self) -> Zeroizing<[u8; 2_400]> {
        Zeroizing::new(ml_kem::ExpandedKeyEncoding::to_expanded_bytes(&self.0).into())
    }

    /// The public key.
    pub fn encapsulation_key(&self) -> Box<[u8; ENCAPSULATION_KEY_LEN]> {
        Box::new(self.0.encapsulation_key().to_bytes().into())
    }

    /// Decapsulation with implicit rejection, into storage of the caller's, who wipes it.
    pub fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT_LEN], secret: &mut [u8; 32]) {
        take(self.0.decapsulate(ciphertext.into()).as_mut(), secret);
    }
}

/// Encapsulates `message`, which is to be random: gives the ciphertext, and the secret into storage of the caller's, who
/// wipes it. None for a key that the check of FIPS 203 section 7.2 refuses.
pub fn encapsulate(key: &[u8; ENCAPSULATION_KEY_LEN], message: &[u8; 32], secret: &mut [u8; 32]) -> Option<Vec<u8>> {
    let key = ml_kem_768::EncapsulationKey::new(key.into()).ok()?;
    let (ciphertext, mut shared) = key.encapsulate_deterministic(message.into());
    take(shared.as_mut(), secret);
    Some(ciphertext.to_vec())
}

/// Moves a secret that lies open to where it is wiped.
fn take(open: &mut [u8; 32], secret: &mut [u8; 32]) {
    secret.copy_from_slice(open);
    open.zeroize();
}
