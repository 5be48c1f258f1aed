//! Files out: chunks pulled from the host, sealed, and put to the relay or handed to the peer who asks (section 9).

use super::Client;
use super::links::Asked;
use crate::content::{Body, MessageId};
use crate::crypto::aead::Cipher;
use crate::error::{ApiMisuse, Error};
use crate::event::{Event, FileId, LinkId};
use crate::file::{FileOffer, FileProof, FileSealer};
use crate::identity::{Pin, UserName};
use crate::limits::TRANSFERS;
use crate::wire::{self, BlobId, Bytes, Refusal, RefusalCode, Reply, Request};
use std::collections::{BTreeMap, BTreeSet};

/// Chunks that are asked of the host or on their way at once: what one transfer keeps in memory.
pub(super) const WINDOW: usize = 16;
/// Chunks that peers wait for at once: each costs a sealed one.
const ASKED: usize = 16;
/// How long to wait after the relay refused a chunk for now, in milliseconds.
const RETRY_AFTER: u64 = 1_000;

/// One file that is being sent.
pub(super) struct Upload {
    to: UserName,
    size: u64,
    sealer: FileSealer,
    way: Way,
    /// Chunks that the host was asked for, for the blob or for peers.
    needed: BTreeSet<u64>,
    /// Those of them that are for the blob, into which each chunk is put once.
    to_put: BTreeSet<u64>,
    /// Chunks that are on their way.
    in_flight: BTreeSet<u64>,
    /// Chunks to be asked for again.
    again: BTreeSet<u64>,
    next: u64,
    put: u64,
    rest: u64,
    /// Who waits for which chunk: peers' open requests.
    asked: BTreeMap<u64, Vec<(LinkId, u32)>>,
}

/// How a file leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To a blob at the relay; whether the blob is not made, being made, or there.
    Blob(Blob),
    /// Chunk by chunk, to the peer who asks.
    Direct,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Blob {
    Absent,
    Asked,
    Present,
}

impl Upload {
    /// The next chunk to ask the host for, within the window.
    fn next_chunk(&mut self) -> Option<u64> {
        if self.to_put.len() + self.in_flight.len() >= WINDOW {
            return None;
        }
        if let Some(chunk) = self.again.pop_first() {
            return Some(chunk);
        }
        let chunk = self.next;
        if chunk >= self.sealer.count() {
            return None;
        }
        self.next += 1;
        Some(chunk)
    }

    fn progress(&self, file: FileId) -> Event {
        let (offset, length) = self.sealer.chunk_range(0).unwrap_or_default();
        let done = self.put.saturating_mul(length as u64).saturating_add(offset).min(self.size);
        Event::FileProgress { file, done, total: self.size }
    }
}

impl Client {
    /// Offers a file of `size` bytes, at most 64 GiB, and begins to send it: through the relay, or when there is none,
    /// to the user's device on its own link. Its bytes are asked for with `FileNeed`.
    ///
    /// Fails as [`Client::send_text`] does.
    pub fn send_file(
        &mut self,
        to: &UserName,
        name: &str,
        size: u64,
        media_type: &str,
        now: u64,
    ) -> Result<(FileId, MessageId), Error> {
        self.advance(now);
        if self.uploads.len() >= TRANSFERS {
            return Err(ApiMisuse::Busy.into());
        }
        let cipher = self.config.policy.suites().first().map_or(Cipher::AesGcm, |suite| suite.cipher);
        let theirs = self.contacts.pin(to).map(|pin| pin.identities().len());
        let (proof, limits) = (proof_between(self.devices().len(), theirs), &self.config.limits);
        let offer = FileOffer::new(cipher, proof, size, name, media_type, limits, &mut *self.rng)?;
        let (file, sealer) = (offer.id, FileSealer::new(&offer));
        let reachable = |pin: &Pin| pin.identities().iter().any(|device| self.peer_link(device).is_some());
        let direct = self.contacts.pin(to).is_some_and(reachable);
        let way = if direct { Way::Direct } else { Way::Blob(Blob::Absent) };
        let id = self.send(to, &Body::FileOffer(offer), now)?;
        let upload = Upload {
            to: to.clone(),
            size,
            sealer,
            way,
            needed: BTreeSet::new(),
            to_put: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            again: BTreeSet::new(),
            next: 0,
            put: 0,
            rest: 0,
            asked: BTreeMap::new(),
        };
        self.uploads.insert(file, upload);
        self.settle();
        Ok((file, id))
    }

    /// Hands in the bytes of a chunk that `FileNeed` asked for.
    ///
    /// Fails with `FileChanged` when they are not those that were sealed before, or not as many as were asked for: the
    /// transfer ends, and the file has to be offered anew.
    pub fn supply_file(&mut self, file: &FileId, chunk: u64, bytes: &[u8], now: u64) -> Result<(), Error> {
        self.advance(now);
        let upload = self.uploads.get_mut(file).ok_or(ApiMisuse::NotFound)?;
        if !upload.needed.remove(&chunk) {
            return Err(ApiMisuse::NotFound.into());
        }
        let sealed = match upload.sealer.seal_chunk(chunk, bytes, &mut *self.rng) {
            Ok(sealed) => Bytes::from(sealed),
            Err(error) => {
                self.end_upload(file, Some(error));
                return Err(error);
            }
        };
        // A file has at most 2^31 chunks.
        let index = u32::try_from(chunk).map_err(|_| ApiMisuse::TooLarge)?;
        let askers = upload.asked.remove(&chunk).unwrap_or_default();
        if upload.to_put.remove(&chunk) {
            upload.in_flight.insert(chunk);
            match self.relay() {
                Ok(link) => {
                    let put = wire::PutChunk { id: BlobId(*file), index, chunk: sealed.clone() };
                    self.ask(link, Request::PutChunk(put), Asked::PutChunk(*file, index));
                }
                Err(_) => self.chunk_unsettled(file, index),
            }
        }
        for (link, id) in askers {
            // A peer who is gone asks again on its next link.
            let _ = self.answer(link, id, &Reply::GetChunk(wire::Chunk { chunk: sealed.clone() }));
        }
        self.direct_progress(file);
        self.settle();
        Ok(())
    }

    /// Ends a transfer, in either direction. What is at the relay of it is deleted.
    pub fn cancel_file(&mut self, file: &FileId, now: u64) {
        self.advance(now);
        self.end_upload(file, None);
        self.end_download(file);
        self.settle();
    }

    /// Asks for chunks and for room, as far as the window goes.
    pub(super) fn move_uploads(&mut self) {
        let relay = self.relay().ok().filter(|_| self.is_listed());
        let (mut requests, mut events) = (Vec::new(), Vec::new());
        for (file, upload) in &mut self.uploads {
            match upload.way {
                Way::Blob(Blob::Absent) if relay.is_some() && self.now >= upload.rest => {
                    upload.way = Way::Blob(Blob::Asked);
                    requests.push((*file, upload.size));
                }
                Way::Blob(Blob::Present) if relay.is_some() && self.now >= upload.rest => {
                    while let Some(chunk) = upload.next_chunk() {
                        let Some((offset, length)) = upload.sealer.chunk_range(chunk) else { break };
                        upload.to_put.insert(chunk);
                        if upload.needed.insert(chunk) {
                            events.push(Event::FileNeed { file: *file, chunk, offset, length });
                        }
                    }
                }
                _ => {}
            }
        }
        if let Some(link) = relay {
            for (file, size) in requests {
                let request = Request::CreateBlob(wire::CreateBlob { id: BlobId(file), size });
                self.ask(link, request, Asked::CreateBlob(file));
            }
        }
        events.into_iter().for_each(|event| self.tell(event));
    }

    pub(super) fn blob_created(&mut self, file: &FileId) {
        if let Some(upload) = self.uploads.get_mut(file) {
            upload.way = Way::Blob(Blob::Present);
        }
    }

    pub(super) fn chunk_put(&mut self, file: &FileId, index: u32) {
        let Some(upload) = self.uploads.get_mut(file) else { return };
        if upload.in_flight.remove(&index.into()) {
            upload.put += 1;
        }
        let event = upload.progress(*file);
        let whole = upload.put == upload.sealer.count();
        self.tell(event);
        if whole {
            self.complete_upload(file);
        }
    }

    /// All chunks were sealed and are where they belong: the receiver is told the root (F2).
    fn complete_upload(&mut self, file: &FileId) {
        let Some(upload) = self.uploads.get(file) else { return };
        let (to, Some(root)) = (upload.to.clone(), upload.sealer.root()) else { return };
        let now = self.now;
        self.uploads.remove(file);
        match self.send(&to, &Body::FileComplete { file: *file, root }, now) {
            Ok(_) => self.tell(Event::FileSent { file: *file }),
            Err(error) => self.tell(Event::FileFailed { file: *file, error }),
        }
    }

    /// A chunk, or room for a file, has to be asked for again on the next connection.
    pub(super) fn chunk_unsettled(&mut self, file: &FileId, index: u32) {
        if let Some(upload) = self.uploads.get_mut(file)
            && upload.in_flight.remove(&index.into())
        {
            upload.again.insert(index.into());
        }
    }

    pub(super) fn blob_unsettled(&mut self, file: &FileId) {
        if let Some(upload) = self.uploads.get_mut(file) {
            upload.way = Way::Blob(Blob::Absent);
        }
    }

    pub(super) fn upload_refused(&mut self, file: &FileId, index: Option<u32>, refusal: Refusal) {
        let for_now = matches!(refusal.code, RefusalCode::RateLimited | RefusalCode::Unavailable);
        if !for_now {
            self.tell_refused(crate::event::RequestKind::File, refusal);
            self.end_upload(file, Some(ApiMisuse::Refused.into()));
            return;
        }
        let wait = u64::from(refusal.retry_after).saturating_mul(1_000).max(RETRY_AFTER);
        if let Some(upload) = self.uploads.get_mut(file) {
            upload.rest = self.now.saturating_add(wait);
        }
        match index {
            Some(index) => self.chunk_unsettled(file, index),
            None => self.blob_unsettled(file),
        }
    }

    pub(super) fn end_upload(&mut self, file: &FileId, error: Option<Error>) {
        let Some(upload) = self.uploads.remove(file) else { return };
        if upload.way == Way::Blob(Blob::Present)
            && let Ok(link) = self.relay()
        {
            let request = Request::DeleteBlob(wire::DeleteBlob { id: BlobId(*file) });
            self.ask(link, request, Asked::DeleteBlob);
        }
        if let Some(error) = error {
            self.tell(Event::FileFailed { file: *file, error });
        }
    }

    /// When a transfer that was refused for now goes on.
    pub(super) fn next_upload(&self) -> Option<u64> {
        self.uploads.values().map(|upload| upload.rest).filter(|rest| *rest > self.now).min()
    }

    /// A peer asks for a chunk of a file that was offered to its user, and to no other (L6).
    pub(super) fn serve_chunk(&mut self, link: LinkId, id: u32, get: wire::GetChunk) -> Result<(), Error> {
        let (file, chunk) = (get.id.0, u64::from(get.index));
        let asker = self.peer_device(link).filter(|(user, device)| {
            let pin = self.contacts.pin(user).filter(|pin| pin.check_send().is_ok());
            pin.is_some_and(|pin| pin.contains(device)) && self.peer_link(device) == Some(link)
        });
        let upload = self.uploads.get_mut(&file).filter(|upload| asker.is_some_and(|(user, _)| upload.to == user));
        let Some((offset, length, upload)) = upload.and_then(|upload| {
            let (offset, length) = upload.sealer.chunk_range(chunk)?;
            Some((offset, length, upload))
        }) else {
            return self.refuse(link, id, RefusalCode::NotFound);
        };
        // However small the question.
        if upload.asked.values().map(Vec::len).sum::<usize>() >= ASKED {
            return self.refuse(link, id, RefusalCode::NotYet);
        }
        upload.asked.entry(chunk).or_default().push((link, id));
        if upload.needed.insert(chunk) {
            self.tell(Event::FileNeed { file, chunk, offset, length });
        }
        Ok(())
    }

    /// What was sealed of a file that a peer pulls; with its last chunk the root goes out.
    fn direct_progress(&mut self, file: &FileId) {
        let Some(upload) = self.uploads.get_mut(file).filter(|upload| upload.way == Way::Direct) else { return };
        upload.put = upload.sealer.manifest().present();
        let event = upload.progress(*file);
        let whole = upload.sealer.manifest().is_complete();
        self.tell(event);
        if whole {
            self.complete_upload(file);
        }
    }
}

/// How a file between two users is held together (F5): by tags where one device on each side will hold its key, as far as is
/// known; otherwise by contents, since each of several could make chunks for the others.
fn proof_between(own_devices: usize, their_devices: Option<usize>) -> FileProof {
    match (own_devices, their_devices) {
        (1, Some(1)) => FileProof::Tags,
        _ => FileProof::Contents,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device of either side that holds the key, now or after it was revoked, cannot change a file for another one.
    #[test]
    fn by_tags_only_between_two_devices() {
        assert_eq!(proof_between(1, Some(1)), FileProof::Tags);
        for (own, theirs) in [(2, Some(1)), (1, Some(2)), (1, None), (0, Some(1)), (1, Some(0))] {
            assert_eq!(proof_between(own, theirs), FileProof::Contents, "{own} {theirs:?}");
        }
    }
}
