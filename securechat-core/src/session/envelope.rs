//! The layouts of section 6: envelopes, first messages, session messages.

use super::ratchet::Place;
use crate::codec::{Reader, Writer};
use crate::crypto::x25519::PublicKey;
use crate::error::{Error, InvalidMessage};
use crate::limits::ENVELOPE_MAX;
use core::fmt;
use serde::{Deserialize, Serialize};

/// What an envelope holds: its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EnvelopeKind {
    /// A first message: a handshake and a session message.
    First = 1,
    /// A session message.
    Session = 2,
    /// A group message.
    Group = 3,
}

impl EnvelopeKind {
    /// The kind of an envelope. Fails with `Truncated`, `OutOfBounds` or `UnknownValue`.
    pub fn of(envelope: &[u8]) -> Result<Self, InvalidMessage> {
        if envelope.len() > ENVELOPE_MAX {
            return Err(InvalidMessage::OutOfBounds);
        }
        match Reader::new(envelope).u8()? {
            1 => Ok(Self::First),
            2 => Ok(Self::Session),
            3 => Ok(Self::Group),
            _ => Err(InvalidMessage::UnknownValue),
        }
    }
}

/// The id of a session, equal on both sides (`SID`). It is sent in clear.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// The id of these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id's bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id that [`Display`](fmt::Display) writes: 32 lower-case hex digits.
    pub(super) fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 32 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+')).map(|id| Self(id.to_be_bytes()))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SessionId({self})")
    }
}

/// Bytes of a session message before its ciphertext.
pub(super) const HEADER: usize = 16 + 32 + 4 + 4 + 16;

/// Everything of a session message but its ciphertext.
///
/// | field | bytes |
/// |---|---|
/// | session id | 16 |
/// | ratchet key | 32 |
/// | previous chain length | u32 |
/// | number | u32 |
/// | salt | 16 |
pub(super) struct Header {
    pub(super) session: SessionId,
    pub(super) place: Place,
    pub(super) salt: [u8; 16],
}

impl Header {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put(self.session.as_bytes());
        out.put(self.place.key.as_bytes());
        out.put_u32(self.place.previous);
        out.put_u32(self.place.number);
        out.put(&self.salt);
    }

    fn decode(bytes: &[u8; HEADER]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(bytes);
        Ok(Self {
            session: SessionId(reader.array()?),
            place: Place {
                key: PublicKey::from_bytes(reader.array()?),
                previous: reader.u32()?,
                number: reader.u32()?,
            },
            salt: reader.array()?,
        })
    }
}

/// A session message as it came.
pub(super) struct SessionMessage<'a> {
    pub(super) header: Header,
    /// The whole message, which a memory of opened messages hashes.
    pub(super) bytes: &'a [u8],
    /// The header as it came: associated data.
    pub(super) header_bytes: &'a [u8; HEADER],
    pub(super) ciphertext: &'a [u8],
}

impl<'a> SessionMessage<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, InvalidMessage> {
        let (header_bytes, ciphertext) = bytes.split_first_chunk().ok_or(InvalidMessage::Truncated)?;
        Ok(Self { header: Header::decode(header_bytes)?, bytes, header_bytes, ciphertext })
    }
}

/// What stands before the session message in a first message.
///
/// | field | bytes |
/// |---|---|
/// | suite | u16 |
/// | prekey id | u32 |
/// | order | u32 |
/// | handshake message | u16 length, bytes |
#[derive(Clone, Copy)]
pub(super) struct Opening<'a> {
    pub(super) suite: u16,
    pub(super) prekey: u32,
    pub(super) order: u32,
    pub(super) handshake: &'a [u8],
}

impl<'a> Opening<'a> {
    pub(super) fn encode(&self) -> Result<Vec<u8>, InvalidMessage> {
        let mut out = Vec::with_capacity(2 + 4 + 4 + 2 + self.handshake.len());
        out.put_u16(self.suite);
        out.put_u32(self.prekey);
        out.put_u32(self.order);
        out.put_prefixed(self.handshake)?;
        Ok(out)
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        Ok(Self { suite: reader.u16()?, prekey: reader.u32()?, order: reader.u32()?, handshake: reader.prefixed()? })
    }
}

/// An envelope of a session, taken apart.
pub(super) enum Envelope<'a> {
    First(Opening<'a>, SessionMessage<'a>),
    Session(SessionMessage<'a>),
}

impl<'a> Envelope<'a> {
    /// Fails with `InvalidMessage`; a group's envelope is an `UnknownValue` here.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        let kind = EnvelopeKind::of(bytes)?;
        let mut reader = Reader::new(bytes);
        reader.u8()?;
        match kind {
            EnvelopeKind::First => {
                let opening = Opening::decode(&mut reader)?;
                Ok(Self::First(opening, SessionMessage::decode(reader.rest())?))
            }
            EnvelopeKind::Session => Ok(Self::Session(SessionMessage::decode(reader.rest())?)),
            EnvelopeKind::Group => Err(InvalidMessage::UnknownValue.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_read_back_from_hex() {
        let id = SessionId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        assert_eq!(id.to_string(), "000102030405060708090a0b0c0d0eff");
        assert_eq!(SessionId::from_hex(&id.to_string()), Some(id));
        for wrong in ["", "0", "+00102030405060708090a0b0c0d0eff", "000102030405060708090A0b0c0d0eff"] {
            assert_eq!(SessionId::from_hex(wrong), None);
        }
    }

    #[test]
    fn every_cut_of_a_header_is_truncated() {
        let header = Header {
            session: SessionId([1; 16]),
            place: Place { key: PublicKey::from_bytes([2; 32]), previous: 3, number: 4 },
            salt: [5; 16],
        };
        let opening = Opening { suite: 0x0101, prekey: 6, order: 7, handshake: &[8; 40] };
        let mut bytes = vec![1];
        bytes.put(&opening.encode().unwrap());
        header.encode(&mut bytes);
        for end in 0..bytes.len() {
            assert_eq!(Envelope::decode(&bytes[..end]).err(), Some(InvalidMessage::Truncated.into()), "{end}");
        }
        bytes.push(9);
        let Ok(Envelope::First(opening, message)) = Envelope::decode(&bytes) else { panic!() };
        assert_eq!((opening.suite, opening.prekey, opening.order, opening.handshake), (0x0101, 6, 7, &[8; 40][..]));
        assert_eq!((message.header.place, message.header.salt), (header.place, [5; 16]));
        assert_eq!((message.bytes.len(), message.ciphertext), (73, &[9][..]));
    }

    #[test]
    fn what_is_not_an_envelope_of_a_session_is_refused() {
        assert_eq!(EnvelopeKind::of(&[]), Err(InvalidMessage::Truncated));
        assert_eq!(EnvelopeKind::of(&[0]), Err(InvalidMessage::UnknownValue));
        assert_eq!(EnvelopeKind::of(&[4]), Err(InvalidMessage::UnknownValue));
        assert_eq!(EnvelopeKind::of(&vec![2; ENVELOPE_MAX + 1]), Err(InvalidMessage::OutOfBounds));
        assert_eq!(Envelope::decode(&[3; 100]).err(), Some(InvalidMessage::UnknownValue.into()));
    }
}
