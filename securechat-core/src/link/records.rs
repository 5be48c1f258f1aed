//! The records of a link once its handshake is over (PROTOCOL.md 4.3).
//!
//! ```text
//! 0              Ready, the first of each side
//! 1 | bytes      data of the layer above
//! 2 | code u8    Close, the last of each side
//! ```

#[cfg(test)]
mod tests;

use super::state::{Io, State};
use super::{Data, LinkEvent, Purpose};
use crate::crypto::aead::OVERHEAD_MAX;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::frame;
use crate::identity::SignedBundle;
use crate::limits;
use crate::noise::{Role, Transport};
use crate::suite::Suite;

const READY: u8 = 0;
pub(super) const DATA: u8 = 1;
const CLOSE: u8 = 2;
/// The code with which a `Close` is answered.
const CLOSE_ANSWER: u8 = 0;

/// A record that was opened.
pub(super) enum Record {
    Ready,
    Data(Data),
    Close(u8),
}

/// Seals and opens the records of one link.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) suite: Suite,
    transport: Transport,
    send_limit: usize,
}

impl Records {
    pub(super) fn new(suite: Suite, transport: Transport) -> Self {
        Self { suite, transport, send_limit: limits::FRAME_BEFORE_ADMISSION }
    }

    pub(super) fn channel_binding(&self) -> [u8; 32] {
        self.transport.hash
    }

    /// Opens a frame's content as the next record.
    pub(super) fn open(&mut self, mut frame: Vec<u8>) -> Result<Record, Error> {
        let length = self.transport.opener.open(&mut frame)?.len();
        frame.truncate(length);
        match frame.as_slice() {
            [READY] => Ok(Record::Ready),
            [DATA, ..] => Ok(Record::Data(Data::of_record(frame))),
            [CLOSE, code] => Ok(Record::Close(*code)),
            _ => Err(PeerMisbehaved::UnexpectedRecord.into()),
        }
    }

    fn seal(&mut self, kind: u8, data: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        // Reserved at once: a buffer that grew with the plaintext in it would leave a copy behind.
        out.reserve(frame::HEADER + 1 + data.len() + OVERHEAD_MAX);
        frame::write_frame(out, |out| {
            let start = out.len();
            out.push(kind);
            out.extend_from_slice(data);
            self.transport.sealer.seal(out, start)
        })
    }

    /// Most bytes of data in one record.
    fn max_data(&self) -> usize {
        self.suite.cipher.max_plaintext(self.send_limit).saturating_sub(1)
    }
}

/// Our `Ready` is out; the other side is not authenticated before its own came in (R1).
#[derive(Debug)]
pub(super) struct ExpectReady {
    pub(super) records: Records,
    pub(super) role: Role,
    pub(super) purpose: Purpose,
    pub(super) remote: Option<SignedBundle>,
}

impl ExpectReady {
    /// Our handshake is over and 4.2 satisfied: sends our `Ready`. `theirs` says whether the other side's is in already.
    pub(super) fn start(mut self, theirs: bool, io: &mut Io) -> Result<State, Error> {
        self.records.seal(READY, &[], &mut io.out)?;
        Ok(if theirs { self.open(io) } else { State::ExpectReady(Box::new(self)) })
    }

    pub(super) fn handle(mut self, frame: Vec<u8>, io: &mut Io) -> Result<State, Error> {
        match self.records.open(frame)? {
            Record::Ready => Ok(self.open(io)),
            Record::Data(_) | Record::Close(_) => Err(PeerMisbehaved::UnexpectedRecord.into()),
        }
    }

    /// The other side's `Ready` is in, and 4.2 satisfied: the link is open.
    fn open(mut self, io: &mut Io) -> State {
        // The relay waits for a login on its receiving side, and the client for the same on its sending side.
        if self.purpose == Purpose::Peer || self.role == Role::Initiator {
            io.deframer.raise_limit();
        }
        if self.purpose == Purpose::Peer || self.role == Role::Responder {
            self.records.send_limit = limits::FRAME_MAX;
        }
        io.events.push_back(LinkEvent::Open {
            suite: self.records.suite,
            channel_binding: self.records.channel_binding(),
            remote: self.remote,
        });
        State::Open(Box::new(Open { records: self.records, closing: false }))
    }
}

/// Both sides are ready.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) records: Records,
    /// Our `Close` is out; what the other side still sends is taken.
    pub(super) closing: bool,
}

impl Open {
    pub(super) fn handle(mut self: Box<Self>, frame: Vec<u8>, io: &mut Io) -> Result<State, Error> {
        match self.records.open(frame)? {
            Record::Data(data) => {
                io.events.push_back(LinkEvent::Data(data));
                Ok(State::Open(self))
            }
            Record::Close(code) => {
                if !self.closing {
                    self.records.seal(CLOSE, &[CLOSE_ANSWER], &mut io.out)?;
                }
                io.events.push_back(LinkEvent::Closed { code });
                Ok(State::Closed)
            }
            Record::Ready => Err(PeerMisbehaved::UnexpectedRecord.into()),
        }
    }

    /// Appends a record of data to `out`.
    pub(super) fn send(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        if self.closing {
            return Err(ApiMisuse::Closed.into());
        }
        if data.len() > self.max_data() {
            return Err(ApiMisuse::TooLarge.into());
        }
        self.records.seal(DATA, data, out)
    }

    pub(super) fn max_data(&self) -> usize {
        self.records.max_data()
    }

    pub(super) fn raise_send_limit(&mut self) {
        self.records.send_limit = limits::FRAME_MAX;
    }

    /// Sends our `Close`, once.
    pub(super) fn close(&mut self, code: u8, io: &mut Io) -> Result<(), Error> {
        if core::mem::replace(&mut self.closing, true) {
            return Err(ApiMisuse::Closed.into());
        }
        self.records.seal(CLOSE, &[code], &mut io.out)
    }
}
