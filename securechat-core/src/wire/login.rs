//! The signature of a login: a device shows that it holds its key, on this very connection.

use crate::crypto::ed25519::SigningKey;
use crate::crypto::label::Label;
use crate::error::PeerMisbehaved;
use crate::identity::{Identity, UserName};

/// What a login signature is over:
///
/// ```text
/// label "login" | relay identity 32 | user name length u8 | user name | identity 32 | channel binding 32
/// ```
///
/// It binds the login to the relay and to the link (4.2), so that nobody who relays it gains anything.
#[derive(Clone, Copy, Debug)]
pub struct LoginClaim<'a> {
    /// The identity of the relay at the other end of the link.
    pub relay: &'a Identity,
    /// Who logs in.
    pub user: &'a UserName,
    /// With which device.
    pub identity: &'a Identity,
    /// The link's channel binding.
    pub channel_binding: &'a [u8; 32],
}

impl LoginClaim<'_> {
    /// Signs it with the key of `identity`.
    pub fn sign(&self, key: &SigningKey) -> [u8; 64] {
        self.with_parts(|parts| key.sign(Label::LOGIN, parts))
    }

    /// Checks the signature under `identity`; [`PeerMisbehaved::BadSignature`] when it is not one.
    pub fn verify(&self, signature: &[u8; 64]) -> Result<(), PeerMisbehaved> {
        self.with_parts(|parts| self.identity.verify(Label::LOGIN, parts, signature))
    }

    fn with_parts<T>(&self, then: impl FnOnce(&[&[u8]]) -> T) -> T {
        let user = self.user.as_str().as_bytes();
        // A user name has at most 32 bytes.
        let length = [user.len() as u8];
        then(&[self.relay.as_bytes(), &length, user, self.identity.as_bytes(), self.channel_binding])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let (relay, identity) = (Identity::from_bytes([2; 32]), Identity::from(key.verifying_key()));
        let (user, other) = (UserName::new("alice").unwrap(), UserName::new("alicf").unwrap());
        let claim = LoginClaim { relay: &relay, user: &user, identity: &identity, channel_binding: &[3; 32] };
        let signature = claim.sign(&key);
        assert_eq!(claim.verify(&signature), Ok(()));
        let elsewhere = Identity::from_bytes([4; 32]);
        for wrong in [
            LoginClaim { relay: &elsewhere, ..claim },
            LoginClaim { user: &other, ..claim },
            LoginClaim { identity: &elsewhere, ..claim },
            LoginClaim { channel_binding: &[5; 32], ..claim },
        ] {
            assert_eq!(wrong.verify(&signature), Err(PeerMisbehaved::BadSignature), "{wrong:?}");
        }
    }
}
