//! Chains of message keys (`KDF_CK`): those of a session's two directions, and those of the sender keys of groups.

use super::skipped::{Run, Spot};
use crate::crypto::hash::hmac_sha256_twice;
use crate::crypto::secret::Secret;
use crate::error::PeerMisbehaved;
use crate::limits::SKIPPED_PER_MESSAGE;
use serde::{Deserialize, Serialize};

/// A chain of message keys (`KDF_CK`).
#[derive(Serialize, Deserialize)]
pub(crate) struct Chain {
    key: Secret<32>,
    /// The number of the next message.
    number: u32,
}

impl Chain {
    /// The chain whose next message has that number.
    pub(crate) fn new(key: Secret<32>, number: u32) -> Self {
        Self { key, number }
    }

    /// The number of the next message.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The chain's key: it and the number are what a sender key is handed over as (G4).
    pub(crate) fn key(&self) -> &Secret<32> {
        &self.key
    }

    #[cfg(test)]
    pub(super) fn set_number(&mut self, number: u32) {
        self.number = number;
    }

    /// A copy, to be thrown away or to take its place.
    pub(crate) fn duplicate(&self) -> Self {
        Self { key: self.key.duplicate(), number: self.number }
    }

    /// The key of the next message. Number 2^32−1 ends the chain.
    pub(crate) fn next(&mut self) -> Result<Secret<32>, PeerMisbehaved> {
        let mut message_key = Secret::zero();
        self.step(message_key.as_mut_bytes(), &mut Secret::zero())?;
        Ok(message_key)
    }

    /// As [`next`](Self::next); `spare` is where the next chain key is made, and gets the one before.
    fn step(&mut self, message_key: &mut [u8; 32], spare: &mut Secret<32>) -> Result<(), PeerMisbehaved> {
        let number = self.number.checked_add(1).ok_or(PeerMisbehaved::CounterExhausted)?;
        hmac_sha256_twice(self.key.as_bytes(), [&[0x01], &[0x02]], [message_key, spare.as_mut_bytes()]);
        core::mem::swap(&mut self.key, spare);
        self.number = number;
        Ok(())
    }

    /// How many keys lie between the next message and message `number`.
    pub(crate) fn missing_before(&self, number: u32) -> u32 {
        number.saturating_sub(self.number)
    }

    /// Goes on to message `number`, keeping the keys on the way.
    pub(crate) fn skip(&mut self, chain: &[u8; 32], number: u32, skipped: &mut Vec<Run>) -> Result<(), PeerMisbehaved> {
        if self.missing_before(number) == 0 {
            return Ok(());
        }
        let mut spare = Secret::zero();
        while self.number < number {
            let mut run = Run::new(*chain, self.number, self.missing_before(number));
            for key in run.keys_mut() {
                self.step(key, &mut spare)?;
            }
            skipped.push(run);
        }
        Ok(())
    }

    /// Goes past the message at `place` and gives its key.
    pub(crate) fn skip_to(&mut self, place: &Spot, skipped: &mut Vec<Run>) -> Result<Secret<32>, PeerMisbehaved> {
        self.skip(&place.chain, place.number, skipped)?;
        self.next()
    }
}

/// S3: the old and the new chain together, counted before anything is derived.
pub(crate) fn within_skip_limit(old: u32, new: u32) -> Result<(), PeerMisbehaved> {
    if old.saturating_add(new) <= SKIPPED_PER_MESSAGE { Ok(()) } else { Err(PeerMisbehaved::TooManySkipped) }
}

/// A step of a chain: the message key and the next chain key.
#[cfg(test)]
pub(super) fn kdf_chain(key: Secret<32>) -> (Secret<32>, Secret<32>) {
    let mut chain = Chain::new(key, 0);
    let message_key = chain.next().unwrap();
    (message_key, chain.key)
}
