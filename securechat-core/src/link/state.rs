//! What a link expects next, and what all of its states share.

use super::handshake::{ExpectAnswer, ExpectDecision, ExpectMessage, ExpectOffer};
use super::records::{ExpectReady, Open};
use super::{Data, LinkEvent};
use crate::error::{Error, PeerMisbehaved};
use crate::frame::Deframer;
use core::fmt;
use std::collections::VecDeque;

/// The outside of a link: bytes in, bytes out, events, and the time.
#[derive(Default)]
pub(super) struct Io {
    pub(super) deframer: Deframer,
    pub(super) out: Vec<u8>,
    pub(super) events: Events,
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
        formatter
            .debug_struct("Io")
            .field("out", &self.out.len())
            .field("events", &self.events.0)
            .finish_non_exhaustive()
    }
}

/// What happened and was not taken, oldest first.
#[derive(Default)]
pub(super) struct Events(VecDeque<Happened>);

/// An event as it waits: data comes with every record, so it takes little room and nothing besides.
#[derive(Debug)]
enum Happened {
    Data(Data),
    Other(Box<LinkEvent>),
}

impl Events {
    /// Events for which an idle link keeps room: as many as a queue has from the first on.
    const KEPT: usize = 4;

    pub(super) fn push_back(&mut self, event: LinkEvent) {
        self.0.push_back(match event {
            LinkEvent::Data(data) => Happened::Data(data),
            other => Happened::Other(Box::new(other)),
        });
    }

    /// The oldest. Asked in vain, it gives back the room of many.
    pub(super) fn pop_front(&mut self) -> Option<LinkEvent> {
        let event = self.0.pop_front();
        if event.is_none() && self.0.capacity() > Self::KEPT {
            self.0 = VecDeque::new();
        }
        event.map(|event| match event {
            Happened::Data(data) => LinkEvent::Data(data),
            Happened::Other(event) => *event,
        })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_and_an_idle_link_keeps_room_for_few() {
        let mut events = Events::default();
        for count in [1, 100] {
            (0..count).for_each(|n| events.push_back(LinkEvent::Data([n].as_slice().into())));
            events.push_back(LinkEvent::Closed { code: 5 });
            assert_eq!(events.len(), usize::from(count) + 1);
            for n in 0..count {
                assert!(matches!(events.pop_front(), Some(LinkEvent::Data(data)) if data == [n]));
            }
            assert!(matches!(events.pop_front(), Some(LinkEvent::Closed { code: 5 })));
            assert!(events.pop_front().is_none());
            assert!(events.0.capacity() * size_of::<Happened>() <= 96, "{}", events.0.capacity());
        }
    }
}
