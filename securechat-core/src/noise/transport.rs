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

/// The two ends of a handshake that is over, for tests of what comes after it.
#[cfg(test)]
pub(crate) fn both_ends(cipher: crate::crypto::aead::Cipher) -> [Transport; 2] {
    let key = |byte| AeadKey::new(cipher, &[byte; 32]);
    [Transport::new(key(1), key(2), [3; 32]), Transport::new(key(2), key(1), [3; 32])]
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

    /// Record by record: the counter goes on through a rekey, and the next rekey counts from the last.
    #[test]
    fn b4_every_record_has_its_counter_and_its_key() {
        for cipher in [Cipher::AesGcm, Cipher::AesCbcHmac] {
            let [one, other] = both_ends(cipher).map(|end| end.rekey_after(3));
            let (mut sealer, mut opener) = (one.sealer, other.opener);
            let mut key = AeadKey::new(cipher, &[1; 32]);
            for number in 0..20 {
                if number > 0 && number % 3 == 0 {
                    key = key.rekey();
                }
                let mut record = b"front and text".to_vec();
                sealer.seal(&mut record, 10).unwrap();
                assert_eq!(record, [b"front and ", &key.seal(number, &[], b"text")[..]].concat(), "record {number}");
                assert_eq!(opener.open(&mut record[10..]).unwrap(), b"text");
            }
        }
    }

    #[test]
    fn b1_b2_a_record_opens_once_in_its_place_and_what_does_not_open_moves_nothing() {
        for cipher in [Cipher::AesGcm, Cipher::AesCbcHmac] {
            let [mut one, other] = both_ends(cipher);
            let records = [0, 1, 2].map(|number| {
                let mut record = vec![number; 5];
                one.sealer.seal(&mut record, 0).unwrap();
                record
            });
            let mut opener = other.opener;
            for number in [0, 1, 2] {
                for wrong in (0..3).filter(|wrong| *wrong != number) {
                    assert!(opener.open(&mut records[wrong].clone()).is_err(), "{wrong} for {number}");
                }
                let mut forged = records[number].clone();
                forged[0] ^= 1;
                assert!(opener.open(&mut forged).is_err());
                assert!(forged.iter().all(|byte| *byte == 0), "wiped");
                assert_eq!(opener.open(&mut records[number].clone()).unwrap(), [number as u8; 5]);
            }
        }
    }

    #[test]
    fn b4_the_key_of_a_direction_lasts_2_to_the_20_records() {
        let key = || AeadKey::new(Cipher::AesGcm, &[1; 32]);
        let (first, second, third) = (key(), key().rekey(), key().rekey().rekey());
        for (number, key) in
            [(0, &first), ((1 << 20) - 1, &first), (1 << 20, &second), ((2 << 20) - 1, &second), (2 << 20, &third)]
        {
            let record = sealed_at(AeadKey::new(Cipher::AesGcm, &[1; 32]), number, b"text");
            assert_eq!(record, key.seal(number, &[], b"text"), "record {number}");
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
