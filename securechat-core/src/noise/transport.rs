//! What a finished handshake gives: one key for each direction (Noise section 5.1, PROTOCOL.md R2 and R3).

use crate::crypto::aead::AeadKey;
use crate::error::{Error, PeerMisbehaved};
use crate::limits;
use core::fmt;

/// Both directions of a finished handshake.
#[derive(Debug)]
pub struct Transport {
    /// Seals what this side sends.
    pub sealer: Sealer,
    /// Opens what the other side sent.
    pub opener: Opener,
    /// The final transcript hash, equal on both sides and never again: the channel binding.
    pub hash: [u8; 32],
}

impl Transport {
    pub(super) fn new(send: AeadKey, receive: AeadKey, hash: [u8; 32]) -> Self {
        Self { sealer: Sealer(Direction::new(send)), opener: Opener(Direction::new(receive)), hash }
    }

    /// Rekeys after every `records` records instead of 2^20; both sides have to agree. For tests of the rekey.
    #[doc(hidden)]
    #[must_use]
    pub fn rekey_after(mut self, records: u64) -> Self {
        self.sealer.0.rekey_after = records;
        self.opener.0.rekey_after = records;
        self
    }
}

/// The sending direction.
pub struct Sealer(Direction);

impl Sealer {
    /// Seals `buffer[start..]` in place under the next counter; it grows by the cipher's overhead.
    ///
    /// Fails with [`PeerMisbehaved::CounterExhausted`] when no counter is left.
    pub fn seal(&mut self, buffer: &mut Vec<u8>, start: usize) -> Result<(), Error> {
        let counter = self.0.prepare()?;
        self.0.key.seal_in_place(counter, &[], buffer, start);
        self.0.next = counter + 1;
        Ok(())
    }
}

/// The receiving direction.
pub struct Opener(Direction);

impl Opener {
    /// Opens `buffer` in place as the next record; what it gives is the plaintext. The counter moves only when the tag
    /// was right; otherwise the buffer is wiped.
    pub fn open<'a>(&mut self, buffer: &'a mut [u8]) -> Result<&'a mut [u8], Error> {
        let counter = self.0.prepare()?;
        let plaintext = self.0.key.open_in_place(counter, &[], buffer)?;
        self.0.next = counter + 1;
        Ok(plaintext)
    }
}

/// One direction: its present key and the counter of the next record.
struct Direction {
    key: AeadKey,
    next: u64,
    rekey_after: u64,
    /// The counter at which the present key began.
    keyed_at: u64,
}

impl Direction {
    fn new(key: AeadKey) -> Self {
        Self { key, next: 0, rekey_after: limits::REKEY_AFTER, keyed_at: 0 }
    }

    /// Makes the key ready for the next record and gives its counter. Doing so twice changes nothing.
    fn prepare(&mut self) -> Result<u64, PeerMisbehaved> {
        if self.next >= limits::COUNTER_END {
            return Err(PeerMisbehaved::CounterExhausted);
        }
        if self.next - self.keyed_at >= self.rekey_after {
            self.key = self.key.rekey();
            self.keyed_at = self.next;
        }
        Ok(self.next)
    }
}

/// The record of any number, as if all before it had been sealed.
#[cfg(test)]
pub(crate) fn sealed_at(key: AeadKey, number: u64, plaintext: &[u8]) -> Vec<u8> {
    let mut direction = Direction::new(key);
    for rekeyed in 1..=number / limits::REKEY_AFTER {
        direction.next = rekeyed * limits::REKEY_AFTER;
        direction.prepare().unwrap();
    }
    direction.next = number;
    let mut record = plaintext.to_vec();
    Sealer(direction).seal(&mut record, 0).unwrap();
    record
}

impl fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Sealer(next: {})", self.0.next)
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Opener(next: {})", self.0.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::aead::Cipher;

    #[test]
    fn b4_a_direction_ends_before_its_counter_does() {
        for cipher in [Cipher::AesGcm, Cipher::AesCbcHmac] {
            let [mut sealer, mut opener] = [(); 2].map(|()| Direction::new(AeadKey::new(cipher, &[1; 32])));
            for direction in [&mut sealer, &mut opener] {
                direction.next = limits::COUNTER_END - 1;
                direction.keyed_at = direction.next;
            }
            let (mut sealer, mut opener) = (Sealer(sealer), Opener(opener));
            let mut record = b"the last".to_vec();
            sealer.seal(&mut record, 0).unwrap();
            assert_eq!(opener.open(&mut record.clone()).unwrap(), b"the last");
            let exhausted = Err(PeerMisbehaved::CounterExhausted.into());
            assert_eq!(sealer.seal(&mut record, 0), exhausted);
            assert_eq!(opener.open(&mut record).map(drop), exhausted.map(drop));
        }
    }

    #[test]
    fn debug_shows_counters_only() {
        let key = || AeadKey::new(Cipher::AesGcm, &[0x41; 32]);
        let shown = format!("{:?}", Transport::new(key(), key(), [0; 32]));
        assert!(
            shown.starts_with("Transport { sealer: Sealer(next: 0), opener: Opener(next: 0), hash: [0,"),
            "{shown}"
        );
    }
}
