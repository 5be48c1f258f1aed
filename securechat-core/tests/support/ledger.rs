//! What a relay sees of keys: every place of a message key that was ever used, and what was sealed there.
//!
//! A message key is derived for a session, a ratchet key and a number, or for a sender key and a number; a chunk's for a
//! file, a place in it and a salt. All of these stand in what is sent. The same bytes may come again; other bytes in the
//! same place mean that a key has sealed twice.

use securechat_core::relay::StoreJob;
use securechat_core::session::EnvelopeKind;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::net::Net;

/// Places, and the bytes there.
#[derive(Clone, Default)]
pub struct Ledger(Rc<RefCell<Book>>);

#[derive(Default)]
struct Book {
    used: BTreeMap<Vec<u8>, Vec<u8>>,
    repeated: Vec<String>,
}

impl Ledger {
    /// Notes from now on what a relay is given.
    pub fn keep(net: &mut Net) -> Self {
        let ledger = Self::default();
        let book = ledger.0.clone();
        net.relay.on_job = Some(Box::new(move |job| book.borrow_mut().note(job)));
        ledger
    }

    /// How many keys were used.
    pub fn used(&self) -> usize {
        self.0.borrow().used.len()
    }

    /// Keys that sealed more than one thing.
    pub fn repeated(&self) -> Vec<String> {
        self.0.borrow().repeated.clone()
    }
}

impl Book {
    fn note(&mut self, job: &StoreJob) {
        match job {
            StoreJob::Send { items, .. } => {
                for envelope in items.iter().filter_map(|item| item.envelope.as_ref()) {
                    self.envelope(envelope);
                }
            }
            StoreJob::PutChunk { id, index, chunk, .. } => {
                let place = [b"chunk", &id.0[..], &index.to_be_bytes(), &chunk[..16]].concat();
                self.seal(place, chunk);
            }
            _ => {}
        }
    }

    fn envelope(&mut self, envelope: &[u8]) {
        let place = match EnvelopeKind::of(envelope).unwrap() {
            // Session id, ratchet key and number; behind the handshake in a first message.
            EnvelopeKind::Session => [&envelope[1..49], &envelope[53..57]].concat(),
            EnvelopeKind::First => {
                let length = usize::from(u16::from_be_bytes([envelope[11], envelope[12]]));
                let message = &envelope[13 + length..];
                [&message[..48], &message[52..56]].concat()
            }
            // Group, key and number.
            EnvelopeKind::Group => envelope[1..37].to_vec(),
        };
        self.seal(place, envelope);
    }

    fn seal(&mut self, place: Vec<u8>, sealed: &[u8]) {
        let tail = sealed[sealed.len().saturating_sub(256)..].to_vec();
        match self.used.get(&place) {
            Some(before) if *before != tail => self.repeated.push(format!("{:?}", &place[..8])),
            Some(_) => {}
            None => _ = self.used.insert(place, tail),
        }
    }
}
