//! The key under which this device sends to a group.

use super::message::{KeyId, SIGNATURE, SIGNED, associated_data, halves, keys};
use crate::codec::Writer;
use crate::crypto::aead::{AeadKey, Cipher, OVERHEAD_MAX};
use crate::crypto::ed25519::{SigningKey, VerifyingKey};
use crate::crypto::secret::Secret;
use crate::error::{ApiMisuse, Error};
use crate::identity::Identity;
use crate::limits::{CONTENT_MAX, GROUP_HEADER, SENDER_KEY_LIFE, SENDER_KEY_MESSAGES};
use crate::padding::pad;
use crate::roster::{GroupId, Roster};
use crate::session::EnvelopeKind;
use crate::session::chain::Chain;
use core::fmt;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

/// One's own sender key of a group. A state record, which is saved before what is sealed under it leaves (S10).
#[derive(Serialize, Deserialize)]
pub struct SenderKey {
    id: KeyId,
    signing: SigningKey,
    cipher: Cipher,
    chain: Chain,
    /// Where the chain began: devices that a member adds while this key is in use get what their user got (G4).
    first: Secret<32>,
    made: u64,
    /// The newest entry when it was made: a removal after it ends the key (G8).
    sequence: u32,
}

/// A sender key as it is handed to one member, at one position (G4).
pub struct HandedKey {
    /// The key that verifies.
    pub signing: VerifyingKey,
    /// The cipher.
    pub cipher: Cipher,
    /// The number of the first message that it opens.
    pub number: u32,
    /// The chain at that number.
    pub chain: Secret<32>,
}

impl SenderKey {
    /// A fresh key of this device for a group.
    pub fn generate(sender: &Identity, roster: &Roster, cipher: Cipher, now: u64, rng: &mut dyn CryptoRng) -> Self {
        let signing = SigningKey::generate(rng);
        let id = KeyId::new(sender, roster.id(), &signing.verifying_key(), cipher);
        let first = Secret::random(rng);
        let chain = Chain::new(first.duplicate(), 0);
        Self { id, signing, cipher, chain, first, made: now, sequence: roster.sequence() }
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The number of the next message.
    pub fn number(&self) -> u32 {
        self.chain.number()
    }

    /// The key from the message with this number on, or from the next one where that is later than the next.
    pub fn handed(&self, from: u32) -> HandedKey {
        let mut chain = Chain::new(self.first.duplicate(), 0);
        while chain.number() < from.min(self.chain.number()) && chain.next().is_ok() {}
        let (signing, cipher) = (self.signing.verifying_key(), self.cipher);
        HandedKey { signing, cipher, number: chain.number(), chain: chain.key().duplicate() }
    }

    /// Whether another key is due before the next message (G8), as far as the roster and the clock say: somebody was
    /// removed since it was made, or it has sealed 1,000 messages, or is 7 days old.
    pub fn is_spent(&self, roster: &Roster, now: u64) -> bool {
        roster.removal_after(self.sequence).is_some()
            || self.chain.number() >= SENDER_KEY_MESSAGES
            || now.saturating_sub(self.made) >= SENDER_KEY_LIFE
    }

    /// Seals a content: a whole envelope, which the key must be saved before. It names the roster's newest entry.
    ///
    /// Fails with `TooLarge` above 55,000 bytes.
    pub fn seal(
        &mut self,
        sender: &Identity,
        roster: &Roster,
        content: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, Error> {
        if content.len() > CONTENT_MAX {
            return Err(ApiMisuse::TooLarge.into());
        }
        let number = self.chain.number();
        let message_key = self.chain.next()?;
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        let keys = keys(message_key.as_bytes(), &salt);
        let (key, commit) = halves(&keys);
        let padded = pad(content);
        let mut envelope = Vec::with_capacity(1 + GROUP_HEADER + padded.len() + OVERHEAD_MAX + SIGNATURE);
        envelope.put_u8(EnvelopeKind::Group as u8);
        envelope.put(roster.id().as_bytes());
        envelope.put(self.id.as_bytes());
        envelope.put_u32(number);
        envelope.put_u32(roster.sequence());
        envelope.put(&roster.hash());
        envelope.put(&salt);
        envelope.put(commit);
        let ad = associated_data(sender, envelope.get(1..).unwrap_or_default());
        let start = envelope.len();
        envelope.put(&padded);
        AeadKey::new(self.cipher, key).seal_in_place(0, &ad, &mut envelope, start);
        let signed = envelope.get(1..).unwrap_or_default();
        let signature = self.signing.sign(SIGNED, &[sender.as_bytes(), signed]);
        envelope.put(&signature);
        Ok(envelope)
    }
}

impl fmt::Debug for SenderKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SenderKey({}, {})", self.id, self.chain.number())
    }
}

/// The group that a handed key is for is told with it.
impl fmt::Debug for HandedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HandedKey({:?}, from {})", self.cipher, self.number)
    }
}

impl HandedKey {
    /// The id of this key when this device handed it over for this group.
    pub fn id(&self, sender: &Identity, group: GroupId) -> KeyId {
        KeyId::new(sender, group, &self.signing, self.cipher)
    }
}
