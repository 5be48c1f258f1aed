//! How the two ends of a link settle on a suite (PROTOCOL.md 4.1).

use super::Purpose;
use crate::codec::{Reader, Writer};
use crate::crypto::label::Label;
use crate::error::{ApiMisuse, Error, InvalidMessage, PeerMisbehaved};
use crate::limits::SUITES_PER_OFFER;
use crate::suite::{Policy, Suite};

/// What every offer begins with.
const MAGIC: &[u8; 4] = b"SCHT";
/// The version of the offer's format.
const VERSION: u8 = 1;

/// An offer without the Noise message that follows it in its frame.
///
/// ```text
/// "SCHT" | version u8 = 1 | count u8, 1..=16 | count × suite u16 | chosen u8 (an index) | purpose u8
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The numbers of the suites, in order; a responder skips those that it does not know.
    pub(crate) suites: Vec<u16>,
    /// Which of them the Noise message is for.
    pub(super) chosen: u8,
    pub(super) purpose: Purpose,
}

impl Offer {
    /// The first offer of an initiator: all that its policy allows, and its first choice.
    pub(super) fn new(policy: &Policy, purpose: Purpose) -> Self {
        Self { suites: policy.suites().iter().map(|suite| suite.id()).collect(), chosen: 0, purpose }
    }

    /// The offer that a retry asks for: the same but for the index. `None` if it never held that suite, or chose it.
    pub(crate) fn retry(&self, suite: u16) -> Option<Self> {
        let index = self.suites.iter().position(|id| *id == suite)?;
        let chosen = u8::try_from(index).ok().filter(|chosen| *chosen != self.chosen)?;
        Some(Self { chosen, ..self.clone() })
    }

    /// The number of the chosen suite.
    pub(crate) fn chosen_id(&self) -> Option<u16> {
        self.suites.get(usize::from(self.chosen)).copied()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.put_u8(VERSION);
        bytes.put_u8(self.suites.len() as u8);
        for suite in &self.suites {
            bytes.put_u16(*suite);
        }
        bytes.put_u8(self.chosen);
        bytes.put_u8(self.purpose as u8);
        bytes
    }

    /// Reads the front of a frame. Gives the offer, its own bytes and the Noise message after it.
    pub(crate) fn decode(frame: &[u8]) -> Result<(Self, &[u8], &[u8]), Error> {
        let mut reader = Reader::new(frame);
        if reader.array()? != *MAGIC {
            return Err(InvalidMessage::UnknownValue.into());
        }
        if reader.u8()? != VERSION {
            return Err(InvalidMessage::Version.into());
        }
        let count = usize::from(reader.u8()?);
        if !(1..=SUITES_PER_OFFER).contains(&count) {
            return Err(InvalidMessage::OutOfBounds.into());
        }
        let suites = (0..count).map(|_| reader.u16()).collect::<Result<Vec<_>, _>>()?;
        let chosen = reader.u8()?;
        if usize::from(chosen) >= count {
            return Err(InvalidMessage::OutOfBounds.into());
        }
        let purpose = match reader.u8()? {
            0 => Purpose::Relay,
            1 => Purpose::Peer,
            _ => return Err(PeerMisbehaved::WrongPurpose.into()),
        };
        let (header, message) = frame.split_at_checked(frame.len() - reader.remaining()).unwrap_or_default();
        Ok((Self { suites, chosen, purpose }, header, message))
    }

    /// The suite that a responder takes (N1): of those offered, the first by its own policy.
    pub(crate) fn choice(&self, policy: &Policy) -> Result<Suite, PeerMisbehaved> {
        policy.first_of(&self.suites).ok_or(PeerMisbehaved::NoCommonSuite)
    }
}

/// What comes back for an offer.
///
/// ```text
/// 1 | Noise message 2
/// 2 | suite u16             try again with this one
/// 3 | code u8               refused
/// ```
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    Accept(&'a [u8]),
    Retry(u16),
    Refuse(u8),
}

/// The first byte of an answer that carries the Noise message.
pub(super) const ACCEPT: u8 = 1;
const RETRY: u8 = 2;
const REFUSE: u8 = 3;

impl<'a> Answer<'a> {
    pub(crate) fn decode(frame: &'a [u8]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(frame);
        let answer = match reader.u8()? {
            ACCEPT => return Ok(Self::Accept(reader.rest())),
            RETRY => Self::Retry(reader.u16()?),
            REFUSE => Self::Refuse(reader.u8()?),
            _ => return Err(InvalidMessage::UnknownValue),
        };
        reader.finish()?;
        Ok(answer)
    }
}

/// The content of the frame that asks for a retry.
pub(super) fn retry_answer(suite: Suite) -> [u8; 3] {
    let [high, low] = suite.id().to_be_bytes();
    [RETRY, high, low]
}

/// The content of the frame that refuses an offer because of `error`.
pub(super) fn refusal_answer(error: Error) -> [u8; 2] {
    let code = REFUSALS.iter().find(|(_, ours, _)| *ours == error).map_or(MALFORMED, |(code, ..)| *code);
    [REFUSE, code]
}

/// What a refusal means to the initiator.
pub(super) fn refusal_error(code: u8) -> PeerMisbehaved {
    REFUSALS.iter().find(|(known, ..)| *known == code).map_or(PeerMisbehaved::Refused, |(.., theirs)| *theirs)
}

const MALFORMED: u8 = 4;

/// The codes of refusals, with the error at the responder and at the initiator.
const REFUSALS: [(u8, Error, PeerMisbehaved); 4] = [
    (1, Error::PeerMisbehaved(PeerMisbehaved::NoCommonSuite), PeerMisbehaved::NoCommonSuite),
    (2, Error::InvalidMessage(InvalidMessage::Version), PeerMisbehaved::VersionRefused),
    (3, Error::PeerMisbehaved(PeerMisbehaved::WrongPurpose), PeerMisbehaved::WrongPurpose),
    (5, Error::ApiMisuse(ApiMisuse::Busy), PeerMisbehaved::PeerBusy),
];

/// An offer that was answered with a retry, and that answer: the contents of both frames.
#[derive(Debug)]
pub(super) struct Retried {
    pub(super) offer_frame: Vec<u8>,
    pub(super) answer: [u8; 3],
}

/// The prologue of the handshake (N3): everything that was negotiated, in the order in which it was sent.
///
/// ```text
/// label "link" | after a retry: u32 length | first offer frame | u32 length | answer | the present offer
/// ```
pub(super) fn prologue(retried: Option<&Retried>, offer: &[u8]) -> Vec<u8> {
    let mut bytes = Label::LINK.bytes().to_vec();
    if let Some(retried) = retried {
        for frame in [retried.offer_frame.as_slice(), &retried.answer] {
            bytes.put_u32(frame.len() as u32);
            bytes.put(frame);
        }
    }
    bytes.put(offer);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> Offer {
        Offer { suites: vec![0x0301, 0x0A0A, 0x0101], chosen: 2, purpose: Purpose::Peer }
    }

    #[test]
    fn an_offer_is_laid_out_as_drawn() {
        let mut frame = offer().encode();
        assert_eq!(frame, b"SCHT\x01\x03\x03\x01\x0a\x0a\x01\x01\x02\x01");
        frame.extend_from_slice(b"noise");
        let (decoded, header, message) = Offer::decode(&frame).unwrap();
        assert_eq!((decoded, header, message), (offer(), &frame[..14], &b"noise"[..]));
    }

    #[test]
    fn malformed_offers_are_refused_with_their_code() {
        let good = offer().encode();
        let refused = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut frame = good.clone();
            change(&mut frame);
            refusal_answer(Offer::decode(&frame).unwrap_err())
        };
        for end in 0..good.len() {
            assert_eq!(refused(&|frame| frame.truncate(end)), [3, 4]);
        }
        assert_eq!(refused(&|frame| frame[0] = b's'), [3, 4]);
        assert_eq!(refused(&|frame| frame[4] = 2), [3, 2]);
        assert_eq!(refused(&|frame| frame[5] = 0), [3, 4]);
        assert_eq!(refused(&|frame| frame[5] = 17), [3, 4]);
        assert_eq!(refused(&|frame| frame[12] = 3), [3, 4]);
        assert_eq!(refused(&|frame| frame[13] = 2), [3, 3]);
    }

    #[test]
    fn refusals_keep_their_meaning_on_the_way() {
        let meanings = [
            (ApiMisuse::Busy.into(), PeerMisbehaved::PeerBusy),
            (PeerMisbehaved::NoCommonSuite.into(), PeerMisbehaved::NoCommonSuite),
            (InvalidMessage::Version.into(), PeerMisbehaved::VersionRefused),
            (PeerMisbehaved::WrongPurpose.into(), PeerMisbehaved::WrongPurpose),
            (InvalidMessage::Truncated.into(), PeerMisbehaved::Refused),
        ];
        for (ours, theirs) in meanings {
            let answer = refusal_answer(ours);
            assert_eq!(Answer::decode(&answer), Ok(Answer::Refuse(answer[1])));
            assert_eq!(refusal_error(answer[1]), theirs);
        }
        assert_eq!(refusal_error(99), PeerMisbehaved::Refused);
    }

    #[test]
    fn answers_are_read_strictly() {
        assert_eq!(Answer::decode(b"\x01noise"), Ok(Answer::Accept(b"noise")));
        assert_eq!(Answer::decode(&retry_answer(Suite::ALL[1])), Ok(Answer::Retry(0x0102)));
        for bad in [&b""[..], b"\x00", b"\x02\x01", b"\x02\x01\x01\x00", b"\x03", b"\x03\x01\x01", b"\x04", b"SCHT"] {
            assert!(Answer::decode(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_retry_changes_the_index_only_and_never_to_itself() {
        assert_eq!(offer().retry(0x0301), Some(Offer { chosen: 0, ..offer() }));
        assert_eq!(offer().retry(0x0101), None, "the one it chose");
        assert_eq!(offer().retry(0x0102), None, "not offered");
    }

    #[test]
    fn the_prologue_holds_all_that_was_negotiated() {
        assert_eq!(prologue(None, b"offer"), b"securechat1 link\0offer");
        let retried = Retried { offer_frame: b"first".to_vec(), answer: [2, 1, 1] };
        assert_eq!(
            prologue(Some(&retried), b"offer"),
            b"securechat1 link\0\x00\x00\x00\x05first\x00\x00\x00\x03\x02\x01\x01offer"
        );
    }
}
