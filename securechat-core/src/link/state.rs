//! What a link expects next, and what all of its states share.

use super::LinkEvent;
use super::handshake::{ExpectAnswer, ExpectDecision, ExpectMessage, ExpectOffer};
use super::records::{ExpectReady, Open};
use crate::error::{Error, PeerMisbehaved};
use crate::frame::Deframer;
use core::fmt;
use std::collections::VecDeque;

/// The outside of a link: bytes in, bytes out, events, and the time.
#[derive(Default)]
pub(super) struct Io {
    pub(super) deframer: Deframer,
    pub(super) out: Vec<u8>,
    pub(super) events: VecDeque<LinkEvent>,
    /// The time of the present call, Unix milliseconds.
    pub(super) now: u64,
}

impl Io {
    /// Queues a frame with this content.
    pub(super) fn send_frame(&mut self, content: &[u8]) {
        self.out.extend_from_slice(&(content.len() as u32).to_be_bytes());
        self.out.extend_from_slice(content);
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Io").field("out", &self.out.len()).field("events", &self.events).finish_non_exhaustive()
    }
}

/// What the next frame has to be. Each state is consumed by what it expects.
#[derive(Debug)]
pub(super) enum State {
    /// Responder: an offer, or the second one after a retry.
    ExpectOffer(Box<ExpectOffer>),
    /// Initiator: the answer to its offer.
    ExpectAnswer(Box<ExpectAnswer>),
    /// Both: the other side's next handshake message.
    ExpectMessage(Box<ExpectMessage>),
    /// Both: the host's word on the other side's identity.
    ExpectDecision(Box<ExpectDecision>),
    /// Both: the other side's `Ready`.
    ExpectReady(Box<ExpectReady>),
    /// Both: data or `Close`.
    Open(Box<Open>),
    /// The other side's `Close` came in, and ours is out.
    Closed,
    /// Over; the keys are gone and every call returns this error.
    Failed(Error),
}

impl State {
    /// Takes the content of one frame.
    pub(super) fn handle(self, frame: Vec<u8>, io: &mut Io) -> Result<Self, Error> {
        match self {
            Self::ExpectOffer(state) => state.handle(frame, io),
            Self::ExpectAnswer(state) => state.handle(&frame, io),
            Self::ExpectMessage(state) => state.handle(&frame, io),
            Self::ExpectDecision(state) => state.handle(frame, io),
            Self::ExpectReady(state) => state.handle(frame, io),
            Self::Open(state) => state.handle(frame, io),
            Self::Closed => Err(PeerMisbehaved::UnexpectedRecord.into()),
            Self::Failed(error) => Err(error),
        }
    }
}
