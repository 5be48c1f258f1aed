//! Files out: chunks pulled from the host, sealed, and put to the relay or handed to the peer who asks (section 9).
//!
//! What is needed to go on after a crash is in records: the offer, and before any chunk leaves the tags of what was
//! sealed (F3). What the relay has of a file is asked for on every connection, so that only what it lacks is put.

use super::Client;
use super::links::Asked;
use super::transfers::{Pages, key, share};
use crate::codec::{decode, encode_secret};
use crate::content::{Body, Conversation, MessageId};
use crate::crypto::aead::Cipher;
use crate::error::{ApiMisuse, Error, InvalidMessage};
use crate::event::{Event, FileId, LinkId};
use crate::file::{FileOffer, FileProof, FileSealer};
use crate::identity::Pin;
use crate::limits::{OUTGOING_LIFE, TRANSFERS};
use crate::record::{Changes, Records};
use crate::wire::{self, BlobId, Bytes, Refusal, RefusalCode, Reply, Request};
use core::ops::Range;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Prefix of the records of [`Kept`]: `upload/<file id, 32 hex digits>`.
const RECORD: &str = "upload/";
/// Prefix of the records of blobs to be deleted, which are empty: `delete/<file id, 32 hex digits>`.
const DELETE: &str = "delete/";
/// The tags of what was sealed.
const SEALED: Pages = Pages("sealed/");
/// Chunks that are asked of the host or on their way at once: what one transfer keeps in memory.
const WINDOW: usize = 16;
/// Chunks that peers wait for at once: each costs a sealed one.
const ASKED: usize = 16;
/// How long to wait after the relay refused a chunk for now, in milliseconds.
const RETRY_AFTER: u64 = 1_000;

/// All files that are being sent.
#[derive(Default)]
pub(super) struct Uploads {
    pub(super) active: BTreeMap<FileId, Upload>,
    /// Pages that changed since the last save.
    unsaved: BTreeSet<(FileId, u64)>,
    /// Blobs to be deleted; a request that gets no answer is made again on the next link.
    to_delete: BTreeSet<FileId>,
}

/// What is kept of a file that is being sent, beside its tags.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) to: Conversation,
    direct: bool,
    at: u64,
    /// It is where it belongs, and the host was not told yet, or had not saved that.
    sent: bool,
    pub(super) offer: FileOffer,
}

/// One file that is being sent.
pub(super) struct Upload {
    pub(super) kept: Kept,
    sealer: FileSealer,
    blob: Blob,
    /// What is to be done for the blob, in order.
    queue: VecDeque<Run>,
    /// Chunks of the queue that the relay lacks.
    lacking: u64,
    /// Chunks that the host was asked for, for the blob or for peers.
    needed: BTreeSet<u64>,
    /// Those of them that are for the blob, into which each chunk is put once.
    to_put: BTreeSet<u64>,
    /// Chunks that are on their way, there or back.
    in_flight: BTreeSet<u64>,
    /// Chunks to be asked for again.
    again: BTreeSet<u64>,
    rest: u64,
    pub(super) paused: bool,
    /// A peer was told the root: chunks are given until it has all of them.
    complete: bool,
    /// Who waits for which chunk: peers' open requests.
    asked: BTreeMap<u64, Vec<(LinkId, u32)>>,
}

/// What is known of the blob at the relay, on the present link.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blob {
    Absent,
    Asked,
    /// It is there, and what it lacks is being asked for.
    Listing,
    /// It is there, and what it lacks is in the queue, up to where the list goes on.
    Present(Option<u32>),
}

/// Chunks in a row that the relay has, or lacks.
struct Run {
    chunks: Range<u64>,
    present: bool,
}

/// What the next chunk for the blob is.
enum Next {
    /// To be put.
    Put(u64),
    /// To be fetched: the relay has it, and its tag was lost with a newer state.
    Learn(u64),
}

impl Upload {
    fn new(kept: Kept, sealer: FileSealer) -> Self {
        Self {
            kept,
            sealer,
            blob: Blob::Absent,
            queue: VecDeque::new(),
            lacking: 0,
            needed: BTreeSet::new(),
            to_put: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            again: BTreeSet::new(),
            rest: 0,
            paused: false,
            complete: false,
            asked: BTreeMap::new(),
        }
    }

    /// The next chunk that has to do with the blob.
    fn next_chunk(&mut self) -> Option<Next> {
        if let Some(chunk) = self.again.pop_first() {
            return Some(Next::Put(chunk));
        }
        self.skip_done();
        let run = self.queue.front_mut()?;
        let chunk = run.chunks.next()?;
        if run.present {
            return Some(Next::Learn(chunk));
        }
        self.lacking = self.lacking.saturating_sub(1);
        Some(Next::Put(chunk))
    }

    /// Brings the queue to its next chunk with which something is to be done: of those that the relay has, to one
    /// whose tag is not known.
    fn skip_done(&mut self) {
        while let Some(Run { chunks, present }) = self.queue.front_mut() {
            if *present {
                chunks.start = self.sealer.manifest().next_missing(chunks.start).unwrap_or(chunks.end);
            }
            if !chunks.is_empty() {
                return;
            }
            self.queue.pop_front();
        }
    }

    /// Whether nothing is to be done for the blob any more.
    fn is_put(&mut self) -> bool {
        self.skip_done();
        let idle = self.queue.is_empty() && self.again.is_empty() && self.to_put.is_empty();
        idle && self.in_flight.is_empty() && self.blob == Blob::Present(None)
    }

    /// What was on its way is unknown: the relay is asked on the next link.
    fn unsettle(&mut self) {
        self.blob = Blob::Absent;
        self.queue.clear();
        self.lacking = 0;
        self.to_put.clear();
        self.in_flight.clear();
        self.again.clear();
    }

    /// Bytes that are where they belong, as far as is known.
    pub(super) fn done(&self) -> u64 {
        let moving = (self.again.len() + self.to_put.len() + self.in_flight.len()) as u64;
        let done = match self.blob {
            Blob::Present(_) if !self.kept.direct => {
                self.sealer.count().saturating_sub(self.lacking).saturating_sub(moving)
            }
            _ => self.sealer.manifest().present(),
        };
        let (_, length) = self.sealer.chunk_range(0).unwrap_or_default();
        done.saturating_mul(length as u64).min(self.kept.offer.size)
    }

    pub(super) fn is_waited_for(&self) -> bool {
        !self.asked.is_empty()
    }

    pub(super) fn is_direct(&self) -> bool {
        self.kept.direct
    }

    pub(super) fn rests(&self, now: u64) -> bool {
        self.rest > now
    }

    fn progress(&self) -> Event {
        Event::FileProgress { file: self.kept.offer.id, done: self.done(), total: self.kept.offer.size }
    }
}

impl Uploads {
    pub(super) fn restore(records: &Records) -> Result<Self, Error> {
        let mut uploads = Self::default();
        for (_, value) in records.with_prefix(RECORD) {
            let kept: Kept = decode(value).map_err(|_| ApiMisuse::Record)?;
            let sealed = SEALED.restore(&kept.offer.id, FileSealer::new(&kept.offer).count(), records)?;
            let sealer = FileSealer::resume(&kept.offer, sealed)?;
            let complete = kept.direct && sealer.manifest().is_complete();
            uploads.active.insert(kept.offer.id, Upload { complete, ..Upload::new(kept, sealer) });
        }
        for (name, _) in records.with_prefix(DELETE) {
            let file = u128::from_str_radix(name, 16).map_err(|_| ApiMisuse::Record)?;
            uploads.to_delete.insert(file.to_be_bytes());
        }
        Ok(uploads)
    }

    pub(super) fn is_saved(&self) -> bool {
        self.unsaved.is_empty()
    }

    /// Notes the pages that changed.
    pub(super) fn save_pages(&mut self, changes: &mut Changes) {
        for (file, page) in core::mem::take(&mut self.unsaved) {
            if let Some(upload) = self.active.get(&file) {
                SEALED.save(&file, page, upload.sealer.manifest(), changes);
            }
        }
    }

    fn save(&self, file: &FileId, changes: &mut Changes) {
        if let Some(upload) = self.active.get(file) {
            changes.put(key(RECORD, file), encode_secret(&upload.kept));
        }
    }

    /// Takes a transfer out, with all that is kept of it.
    fn remove(&mut self, file: &FileId, changes: &mut Changes) -> Option<Upload> {
        let upload = self.active.remove(file)?;
        changes.remove(key(RECORD, file));
        SEALED.remove(file, upload.sealer.manifest(), changes);
        Some(upload)
    }
}

impl Client {
    /// Offers a file of `size` bytes, at most 64 GiB, and begins to send it: through the relay, or when there is none,
    /// to the user's device on its own link; to a group through the relay, once for all. Its bytes are asked for with `FileNeed`, after a restart too.
    ///
    /// Fails as [`Client::send_text`] does.
    pub fn send_file(
        &mut self,
        to: impl Into<Conversation>,
        name: &str,
        size: u64,
        media_type: &str,
        now: u64,
    ) -> Result<(FileId, MessageId), Error> {
        self.advance(now);
        if self.uploads.active.len() >= TRANSFERS {
            return Err(ApiMisuse::Busy.into());
        }
        let cipher = self.config.policy.suites().first().map_or(Cipher::AesGcm, |suite| suite.cipher);
        let to = to.into();
        let pin = match &to {
            Conversation::User(user) => self.contacts.pin(user),
            // In a group many hold the key (G9).
            Conversation::Group(_) => None,
        };
        let theirs = pin.map(|pin| pin.identities().len());
        let (proof, limits) = (proof_between(self.devices().len(), theirs), &self.config.limits);
        let offer = FileOffer::new(cipher, proof, size, name, media_type, limits, &mut *self.rng)?;
        let (file, sealer) = (offer.id, FileSealer::new(&offer));
        let reachable = |pin: &Pin| pin.identities().iter().any(|device| self.peer_link(device).is_some());
        let direct = pin.is_some_and(reachable);
        let kept = Kept { to: to.clone(), direct, at: self.now, sent: false, offer: offer.duplicate() };
        let id = self.send(&to, &Body::FileOffer(offer), now)?;
        self.uploads.active.insert(file, Upload::new(kept, sealer));
        self.uploads.save(&file, &mut self.changes);
        self.settle();
        Ok((file, id))
    }

    /// Hands in the bytes of a chunk that `FileNeed` asked for.
    ///
    /// Fails with `FileChanged` when they are not those that were sealed before, or not as many as were asked for: the
    /// transfer ends, and the file has to be offered anew.
    pub fn supply_file(&mut self, file: &FileId, chunk: u64, bytes: &[u8], now: u64) -> Result<(), Error> {
        self.advance(now);
        let upload = self.uploads.active.get_mut(file).ok_or(ApiMisuse::NotFound)?;
        if !upload.needed.remove(&chunk) {
            return Err(ApiMisuse::NotFound.into());
        }
        let sealed = match upload.sealer.seal_chunk(chunk, bytes, &mut *self.rng) {
            Ok(sealed) => Bytes::from(sealed),
            Err(error) => {
                self.end_upload(file, Some(error));
                self.settle();
                return Err(error);
            }
        };
        // Nothing leaves before the tag is saved (F3).
        self.uploads.unsaved.insert((*file, Pages::of(chunk)));
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

    /// Asks for chunks and for room, as far as the window goes.
    pub(super) fn move_uploads(&mut self) {
        let Ok(relay) = self.relay() else { return };
        if !self.is_listed() {
            return;
        }
        let (now, mut requests, mut events) = (self.now, Vec::new(), Vec::new());
        let movable =
            |upload: &Upload| !upload.kept.direct && !upload.kept.sent && !upload.paused && now >= upload.rest;
        let share = share(self.uploads.active.values().filter(|upload| movable(upload)).count(), WINDOW);
        for (file, upload) in self.uploads.active.iter_mut().filter(|(_, upload)| movable(upload)) {
            let id = BlobId(*file);
            match upload.blob {
                Blob::Absent => {
                    upload.blob = Blob::Asked;
                    let create = wire::CreateBlob { id, size: upload.kept.offer.size };
                    requests.push((Request::CreateBlob(create), Asked::CreateBlob(*file)));
                }
                Blob::Asked | Blob::Listing => {}
                Blob::Present(more) => {
                    while upload.to_put.len() + upload.in_flight.len() < share {
                        match upload.next_chunk() {
                            Some(Next::Put(chunk)) => {
                                let Some((offset, length)) = upload.sealer.chunk_range(chunk) else { break };
                                upload.to_put.insert(chunk);
                                if upload.needed.insert(chunk) {
                                    events.push(Event::FileNeed { file: *file, chunk, offset, length });
                                }
                            }
                            Some(Next::Learn(chunk)) => {
                                let Ok(index) = u32::try_from(chunk) else { break };
                                upload.in_flight.insert(chunk);
                                let get = wire::GetChunk { id, index };
                                requests.push((Request::GetChunk(get), Asked::LearnChunk(*file, index)));
                            }
                            None => break,
                        }
                    }
                    if let Some(from) = more.filter(|_| upload.queue.is_empty()) {
                        upload.blob = Blob::Listing;
                        let missing = wire::MissingChunks { id, from };
                        requests.push((Request::MissingChunks(missing), Asked::MissingChunks(*file, from)));
                    }
                }
            }
        }
        requests.into_iter().for_each(|(request, asked)| self.ask(relay, request, asked));
        events.into_iter().for_each(|event| self.tell(event));
    }

    /// The blob is there. Whether it is new or not: what it lacks is asked for.
    pub(super) fn blob_created(&mut self, file: &FileId) {
        if let Some(upload) = self.uploads.active.get_mut(file).filter(|upload| upload.blob == Blob::Asked) {
            upload.blob = Blob::Present(Some(0));
        }
    }

    /// A page of what a blob lacks from `from` on. What stands between is there, and is not put again.
    pub(super) fn missing_came(&mut self, file: &FileId, from: u32, missing: &wire::Missing) -> Result<(), Error> {
        let Some(upload) = self.uploads.active.get_mut(file).filter(|upload| upload.blob == Blob::Listing) else {
            return Ok(());
        };
        let last = if missing.next == 0 { upload.sealer.count() } else { missing.next.into() };
        let mut place = u64::from(from);
        for range in &missing.ranges {
            let start = u64::from(range.start);
            let end = start.saturating_add(range.count.into());
            if start < place || end <= start || end > last {
                return Err(InvalidMessage::OutOfBounds.into());
            }
            upload.queue.push_back(Run { chunks: place..start, present: true });
            upload.queue.push_back(Run { chunks: start..end, present: false });
            upload.lacking = upload.lacking.saturating_add(range.count.into());
            place = end;
        }
        // Each page has to go further.
        if place > last || last <= from.into() {
            return Err(InvalidMessage::OutOfBounds.into());
        }
        upload.queue.push_back(Run { chunks: place..last, present: true });
        upload.blob = Blob::Present(Some(missing.next).filter(|next| *next != 0));
        let event = upload.progress();
        self.tell(event);
        self.move_uploads();
        self.end_of_upload(file);
        Ok(())
    }

    pub(super) fn chunk_put(&mut self, file: &FileId, index: u32) {
        let Some(upload) = self.uploads.active.get_mut(file) else { return };
        upload.in_flight.remove(&index.into());
        let event = upload.progress();
        self.tell(event);
        self.end_of_upload(file);
    }

    /// A chunk that the relay has and whose tag is lost: it opens, so its tag is known again.
    pub(super) fn chunk_learnt(&mut self, file: &FileId, index: u32, sealed: &[u8]) {
        let Some(upload) = self.uploads.active.get_mut(file) else { return };
        upload.in_flight.remove(&index.into());
        match upload.sealer.learn_chunk(index.into(), sealed) {
            Ok(()) => {
                self.uploads.unsaved.insert((*file, Pages::of(index.into())));
                let event = upload.progress();
                self.tell(event);
                self.end_of_upload(file);
            }
            Err(error) => self.end_upload(file, Some(error)),
        }
    }

    /// Once everything is at the relay the file is complete.
    fn end_of_upload(&mut self, file: &FileId) {
        let whole = |upload: &mut Upload| upload.is_put() && upload.sealer.manifest().is_complete();
        if self.uploads.active.get_mut(file).is_some_and(whole) && self.complete_upload(file) {
            self.file_sent(file);
        }
    }

    /// All chunks were sealed and are where they belong: the receiver is told the root (F2). False when that failed.
    fn complete_upload(&mut self, file: &FileId) -> bool {
        let Some(upload) = self.uploads.active.get_mut(file) else { return false };
        let (to, Some(root)) = (upload.kept.to.clone(), upload.sealer.root()) else { return false };
        upload.complete = true;
        let sent = self.send(&to, &Body::FileComplete { file: *file, root }, self.now);
        sent.map_err(|error| self.end_upload(file, Some(error))).is_ok()
    }

    /// A file is where it belongs. The host hears of it until it has taken that.
    fn file_sent(&mut self, file: &FileId) {
        let Some(upload) = self.uploads.active.get_mut(file) else { return };
        upload.kept.sent = true;
        self.uploads.save(file, &mut self.changes);
        self.tell(Event::FileSent { file: *file });
    }

    /// The host took `FileSent`.
    pub(super) fn file_sent_taken(&mut self, file: &FileId) {
        self.uploads.remove(file, &mut self.changes);
    }

    /// After a restore: the host opens the files again, or is told once more what is sent.
    pub(super) fn present_uploads(&mut self) {
        let files: Vec<_> = self.uploads.active.iter().map(|(file, upload)| (*file, upload.kept.sent)).collect();
        for (file, sent) in files {
            match sent {
                true => self.tell(Event::FileSent { file }),
                false => self.tell_resumed(&file),
            }
        }
    }

    /// A chunk has to be asked for again.
    fn chunk_unsettled(&mut self, file: &FileId, index: u32) {
        if let Some(upload) = self.uploads.active.get_mut(file)
            && upload.in_flight.remove(&index.into())
        {
            upload.again.insert(index.into());
        }
    }

    /// The link to the relay is gone.
    pub(super) fn uploads_unsettled(&mut self) {
        self.uploads.active.values_mut().for_each(Upload::unsettle);
    }

    pub(super) fn upload_refused(&mut self, file: &FileId, index: Option<u32>, refusal: Refusal) {
        let for_now = matches!(refusal.code, RefusalCode::RateLimited | RefusalCode::Unavailable);
        // A chunk that the relay had listed, or a blob that went: what there is to do is found out anew.
        let gone = matches!(refusal.code, RefusalCode::NotFound | RefusalCode::NotYet);
        if !for_now && !gone {
            self.tell_refused(crate::event::RequestKind::File, refusal);
            self.end_upload(file, Some(ApiMisuse::Refused.into()));
            return;
        }
        let wait = refusal.wait(RETRY_AFTER);
        if let Some(upload) = self.uploads.active.get_mut(file) {
            upload.rest = self.now.saturating_add(wait);
        }
        match index {
            Some(index) if for_now => self.chunk_unsettled(file, index),
            _ => {
                if let Some(upload) = self.uploads.active.get_mut(file) {
                    upload.unsettle();
                }
            }
        }
    }

    pub(super) fn end_upload(&mut self, file: &FileId, error: Option<Error>) {
        let Some(upload) = self.uploads.remove(file, &mut self.changes) else { return };
        self.forget_file(file);
        if !upload.kept.direct && !upload.kept.sent {
            self.uploads.to_delete.insert(*file);
            self.changes.put(key(DELETE, file), encode_secret(&()));
            if let Ok(link) = self.relay() {
                self.delete_blob(link, *file);
            }
        }
        for (link, id) in upload.asked.into_values().flatten() {
            let _ = self.refuse(link, id, RefusalCode::NotFound);
        }
        if let Some(error) = error {
            self.tell(Event::FileFailed { file: *file, error });
        }
    }

    fn delete_blob(&mut self, link: LinkId, file: FileId) {
        self.ask(link, Request::DeleteBlob(wire::DeleteBlob { id: BlobId(file) }), Asked::DeleteBlob(file));
    }

    /// After a login: what could not be deleted before.
    pub(super) fn delete_blobs(&mut self, link: LinkId) {
        for file in self.uploads.to_delete.iter().copied().collect::<Vec<_>>() {
            self.delete_blob(link, file);
        }
    }

    /// A blob is deleted, or cannot be.
    pub(super) fn blob_deleted(&mut self, file: &FileId) {
        if self.uploads.to_delete.remove(file) {
            self.changes.remove(key(DELETE, file));
        }
    }

    /// When a transfer that was refused for now goes on.
    pub(super) fn next_upload(&self) -> Option<u64> {
        self.uploads.active.values().map(|upload| upload.rest).filter(|rest| *rest > self.now).min()
    }

    /// Files that nobody fetched for as long as a relay would keep them.
    pub(super) fn expire_uploads(&mut self) {
        let old = |upload: &Upload| upload.kept.at.saturating_add(OUTGOING_LIFE) <= self.now;
        let old: Vec<FileId> =
            self.uploads.active.iter().filter(|(_, upload)| old(upload)).map(|(file, _)| *file).collect();
        old.iter().for_each(|file| self.end_upload(file, Some(ApiMisuse::Expired.into())));
    }

    /// The host cannot read just now: what it was asked for is asked for again later.
    pub(super) fn pause_upload(&mut self, file: &FileId) {
        let Some(upload) = self.uploads.active.get_mut(file) else { return };
        upload.paused = true;
        upload.needed.clear();
        upload.again.append(&mut upload.to_put);
        for (link, id) in core::mem::take(&mut upload.asked).into_values().flatten() {
            let _ = self.refuse(link, id, RefusalCode::NotYet);
        }
    }

    /// A peer asks for a chunk of a file that was offered to its user, and to no other (L6).
    pub(super) fn serve_chunk(&mut self, link: LinkId, id: u32, get: wire::GetChunk) -> Result<(), Error> {
        let (file, chunk) = (get.id.0, u64::from(get.index));
        let Some(upload) = self.upload_for(link, &file) else { return self.refuse(link, id, RefusalCode::NotFound) };
        let Some((offset, length)) = upload.sealer.chunk_range(chunk) else {
            return self.refuse(link, id, RefusalCode::NotFound);
        };
        // However small the question.
        if upload.paused || upload.asked.values().map(Vec::len).sum::<usize>() >= ASKED {
            return self.refuse(link, id, RefusalCode::NotYet);
        }
        upload.asked.entry(chunk).or_default().push((link, id));
        if upload.needed.insert(chunk) {
            self.tell(Event::FileNeed { file, chunk, offset, length });
        }
        Ok(())
    }

    /// A peer has a file whole that it fetched here (L6).
    pub(super) fn peer_has_file(&mut self, link: LinkId, id: u32, file: &FileId) -> Result<(), Error> {
        let Some(upload) = self.upload_for(link, file).filter(|upload| upload.kept.direct && upload.complete) else {
            return self.refuse(link, id, RefusalCode::NotFound);
        };
        if !upload.kept.sent {
            self.file_sent(file);
        }
        self.answer(link, id, &Reply::DeleteBlob(wire::Done))
    }

    /// A file that is being sent to the user at the other end of a peer's link.
    fn upload_for(&mut self, link: LinkId, file: &FileId) -> Option<&mut Upload> {
        let (user, device) = self.peer_device(link)?;
        let pin = self.contacts.pin(&user).filter(|pin| pin.check_send().is_ok())?;
        if !pin.contains(&device) || self.peer_link(&device) != Some(link) {
            return None;
        }
        self.uploads.active.get_mut(file).filter(|upload| upload.kept.to == Conversation::User(user))
    }

    /// What was sealed of a file that a peer pulls; with its last chunk the root goes out.
    fn direct_progress(&mut self, file: &FileId) {
        let Some(upload) = self.uploads.active.get_mut(file).filter(|upload| upload.kept.direct) else { return };
        let event = upload.progress();
        let whole = upload.sealer.manifest().is_complete() && !upload.complete;
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
