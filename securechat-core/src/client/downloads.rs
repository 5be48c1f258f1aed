//! Files in: offers kept, chunks fetched from the relay or the peer, opened and checked (section 9).
//!
//! A chunk is in when the host has it: its tag is noted when the host took the chunk, and saved with what comes after.
//! A crash before that fetches it again.

use super::Client;
use super::links::Asked;
use super::transfers::{Pages, key, share};
use crate::codec::{decode, encode_secret};
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::{Event, FileId, LinkId};
use crate::file::{Chunks, FileOffer, FileOpener, Manifest};
use crate::identity::{Identity, UserName};
use crate::limits::{BLOB_LIFE, CHUNK_SIZE, TRANSFERS};
use crate::record::{Changes, Records};
use crate::wire::{self, BlobId, Refusal, RefusalCode, Request};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Prefix of the records: `offer/<file id, 32 hex digits>`.
const RECORD: &str = "offer/";
/// Prefix of the records of offers that were accepted: whether chunks are asked of the sender itself.
const ACCEPTED: &str = "accepted/";
/// Prefix of the records of files that are whole here and whose sender, a device, is to be told.
const WHOLE: &str = "whole/";
/// The tags of what the host has.
const OPENED: Pages = Pages("opened/");
/// Chunks that a crash can make come again: those asked for, and those that are not saved yet.
const WINDOW: usize = 32;
/// Requests for chunks that are open on a link at once, half of what may be: some wait long.
const REQUESTS: usize = 16;
/// Chunks that the host has when they are saved. The relay and the disk are asked less often for more.
const SAVED_AT_ONCE: usize = 8;
/// How long to wait before a chunk that is not there is asked for again, in milliseconds.
const RETRY_AFTER: u64 = 1_000;
/// The longest such wait.
const RETRY_MAX: u64 = 15_000;
/// How often a file that was there and that the relay does not know any more is asked for.
const TRIES: u32 = 120;

/// All offers, and those that were accepted.
#[derive(Default)]
pub(super) struct Downloads {
    pub(super) offers: BTreeMap<FileId, Offered>,
    pub(super) active: BTreeMap<FileId, Download>,
    /// Files that came from a peer and are whole here, until that was told (L6).
    whole: BTreeMap<FileId, Identity>,
    /// The file that was served last: the others come first.
    turn: FileId,
}

/// An offer as it is kept: it costs nothing else until it is accepted.
#[derive(Serialize, Deserialize)]
pub(super) struct Offered {
    pub(super) user: UserName,
    pub(super) device: Identity,
    pub(super) offer: FileOffer,
    /// The root, once its sender said that the file is complete.
    root: Option<[u8; 32]>,
    at: u64,
}

/// A file that is being fetched.
pub(super) struct Download {
    chunks: Chunks,
    size: u64,
    /// What the host has, as far as that is saved.
    kept: Manifest,
    /// What the host took since.
    taken: BTreeMap<u64, [u8; 32]>,
    /// What waits to be taken.
    told: BTreeMap<u64, [u8; 32]>,
    /// Chunks that were asked for.
    asked: BTreeSet<u64>,
    /// Chunks to be asked for again.
    again: BTreeSet<u64>,
    next: u64,
    /// One, while there was nothing to be had.
    window: usize,
    rest: u64,
    tries: u32,
    pub(super) paused: bool,
    /// Chunks were asked of its sender itself.
    direct: bool,
    /// The host was told that it is whole.
    whole: bool,
}

impl Download {
    fn new(chunks: Chunks, size: u64, kept: Manifest, direct: bool) -> Self {
        Self {
            chunks,
            size,
            kept,
            taken: BTreeMap::new(),
            told: BTreeMap::new(),
            asked: BTreeSet::new(),
            again: BTreeSet::new(),
            next: 0,
            window: REQUESTS,
            rest: 0,
            tries: 0,
            paused: false,
            direct,
            whole: false,
        }
    }

    /// The next chunk to ask for, while no more than `most` are asked for.
    fn next_chunk(&mut self, most: usize) -> Option<u64> {
        let waits = self.told.len() + self.taken.len();
        if self.asked.len() >= most.min(self.window) || self.asked.len() + waits >= WINDOW {
            return None;
        }
        let chunk = match self.again.pop_first() {
            Some(chunk) => chunk,
            None => {
                let chunk = self.kept.next_missing(self.next)?;
                self.next = chunk.saturating_add(1);
                chunk
            }
        };
        self.asked.insert(chunk);
        Some(chunk)
    }

    /// A chunk was not given.
    fn ask_again(&mut self, chunk: u64) {
        if self.asked.remove(&chunk) {
            self.again.insert(chunk);
        }
    }

    /// Whether what the host took is to be saved now.
    fn is_due(&self) -> bool {
        let last = || self.asked.is_empty() && self.told.is_empty();
        self.taken.len() >= SAVED_AT_ONCE || (!self.taken.is_empty() && last())
    }

    fn has_come(&self) -> u64 {
        self.kept.present().saturating_add((self.taken.len() + self.told.len()) as u64)
    }

    /// Bytes that have come.
    pub(super) fn done(&self) -> u64 {
        let (_, length) = self.chunks.range(0).unwrap_or_default();
        self.has_come().saturating_mul(length as u64).min(self.size)
    }

    pub(super) fn is_waited_for(&self) -> bool {
        !self.asked.is_empty()
    }

    pub(super) fn rests(&self, now: u64) -> bool {
        self.rest > now
    }
}

impl Downloads {
    pub(super) fn restore(records: &Records) -> Result<Self, Error> {
        let mut downloads = Self::default();
        for (_, value) in records.with_prefix(RECORD) {
            let offered: Offered = decode(value).map_err(|_| ApiMisuse::Record)?;
            let (file, chunks) = (offered.offer.id, Chunks::new(&offered.offer));
            if let Some(value) = records.get(&key(ACCEPTED, &file)) {
                let direct = decode(value).map_err(|_| ApiMisuse::Record)?;
                let kept = OPENED.restore(&file, chunks.count(), records)?;
                downloads.active.insert(file, Download::new(chunks, offered.offer.size, kept, direct));
            }
            downloads.offers.insert(file, offered);
        }
        for (name, value) in records.with_prefix(WHOLE) {
            let file = u128::from_str_radix(name, 16).map_err(|_| ApiMisuse::Record)?;
            downloads.whole.insert(file.to_be_bytes(), decode(value).map_err(|_| ApiMisuse::Record)?);
        }
        Ok(downloads)
    }

    pub(super) fn is_saved(&self) -> bool {
        !self.active.values().any(Download::is_due)
    }

    /// Notes the pages that are due. Gives the files of which all chunks are with the host.
    pub(super) fn save_pages(&mut self, changes: &mut Changes) -> Vec<FileId> {
        let mut complete = Vec::new();
        for (file, download) in self.active.iter_mut().filter(|(_, download)| download.is_due()) {
            let mut pages = BTreeSet::new();
            for (chunk, tag) in core::mem::take(&mut download.taken) {
                download.kept.note(chunk, tag);
                pages.insert(Pages::of(chunk));
            }
            pages.into_iter().for_each(|page| OPENED.save(file, page, &download.kept, changes));
            complete.extend(download.kept.is_complete().then_some(*file));
        }
        complete
    }

    /// The offer that makes room for another: the oldest of the user who has made the most, so that nobody drives out
    /// the offers of others.
    fn first_to_go(&self) -> Option<FileId> {
        let idle = || self.offers.iter().filter(|(file, _)| !self.active.contains_key(*file));
        let mut counts: BTreeMap<&UserName, usize> = BTreeMap::new();
        idle().for_each(|(_, offered)| *counts.entry(&offered.user).or_default() += 1);
        let (most, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        idle().filter(|(_, offered)| offered.user == *most).min_by_key(|(_, offered)| offered.at).map(|(file, _)| *file)
    }

    fn save(&self, file: &FileId, changes: &mut Changes) {
        match self.offers.get(file) {
            Some(offered) => changes.put(key(RECORD, file), encode_secret(offered)),
            None => changes.remove(key(RECORD, file)),
        }
    }
}

impl Client {
    /// Fetches a file that was offered. Its bytes come as `FileChunk`, in any order, each verified; after a restart
    /// those that are missing.
    ///
    /// A chunk counts as in once the host took it and the records that [`Client::poll_save`] gives after that are
    /// saved. So what chunks brought has to be on the disk before those are: write what `FileChunk` gives, and sync the
    /// file before a save is committed. What cannot be written is not lost either: [`Client::pause_file`].
    ///
    /// Fails with `NotFound` for no such offer, `TooLarge` for a file above this client's limit, and `Busy`.
    pub fn accept_file(&mut self, file: &FileId, now: u64) -> Result<(), Error> {
        self.advance(now);
        let offered = self.downloads.offers.get(file).ok_or(ApiMisuse::NotFound)?;
        if self.downloads.active.len() >= TRANSFERS {
            return Err(ApiMisuse::Busy.into());
        }
        if !self.downloads.active.contains_key(file) {
            // It may be larger than allowed.
            FileOpener::new(&offered.offer, &self.config.limits)?;
            let chunks = Chunks::new(&offered.offer);
            let kept = Manifest::new(chunks.count());
            self.downloads.active.insert(*file, Download::new(chunks, offered.offer.size, kept, false));
            self.changes.put(key(ACCEPTED, file), encode_secret(&false));
        }
        self.settle();
        Ok(())
    }

    /// An offer came. False when it does not count: its id is that of another offer, which a relay knows and could pass
    /// on, and what is accepted must be what was shown.
    pub(super) fn file_offered(&mut self, user: &UserName, device: &Identity, offer: &FileOffer) -> bool {
        if self.downloads.offers.contains_key(&offer.id) || self.uploads.active.contains_key(&offer.id) {
            return false;
        }
        let at = self.now;
        let offered = Offered { user: user.clone(), device: *device, offer: offer.duplicate(), root: None, at };
        while self.downloads.offers.len() >= self.config.limits.file_offers {
            let Some(file) = self.downloads.first_to_go() else { return false };
            self.downloads.offers.remove(&file);
            self.downloads.save(&file, &mut self.changes);
        }
        self.downloads.offers.insert(offer.id, offered);
        self.downloads.save(&offer.id, &mut self.changes);
        true
    }

    /// The sender of an offer says that the file is complete. It counts only from the same identity, and once (F2).
    pub(super) fn file_complete(&mut self, device: &Identity, file: &FileId, root: &[u8; 32]) {
        let offered = self.downloads.offers.get_mut(file);
        let Some(offered) = offered.filter(|offered| offered.device == *device && offered.root.is_none()) else {
            return;
        };
        offered.root = Some(*root);
        self.downloads.save(file, &mut self.changes);
        if let Some(download) = self.downloads.active.get_mut(file) {
            // All of it is there now.
            (download.rest, download.window) = (0, REQUESTS);
        }
        self.finish_download(file);
    }

    /// Asks for the next chunks of the files that are being fetched, of each as many as of the others.
    pub(super) fn move_downloads(&mut self) {
        let now = self.now;
        let movable = |download: &Download| !download.paused && !download.whole && now >= download.rest;
        let active = &self.downloads.active;
        let (first, then): (Vec<FileId>, Vec<FileId>) = active
            .iter()
            .filter(|(_, download)| movable(download))
            .map(|(file, _)| *file)
            .partition(|file| *file > self.downloads.turn);
        let share = share(first.len() + then.len(), REQUESTS);
        for file in first.into_iter().chain(then) {
            let Some(offered) = self.downloads.offers.get(&file) else { continue };
            let peer = self.peer_link(&offered.device);
            let Some(link) = peer.or_else(|| self.relay().ok()) else { continue };
            let open = self.open_on(link, |asked| matches!(asked, Asked::GetChunk(..)));
            let Some(download) = self.downloads.active.get_mut(&file) else { continue };
            let room = REQUESTS.saturating_sub(open);
            // A file has at most 2^31 chunks.
            let next = core::iter::from_fn(|| download.next_chunk(share)).filter_map(|chunk| u32::try_from(chunk).ok());
            let next: Vec<u32> = next.take(room).collect();
            if next.is_empty() {
                continue;
            }
            if peer.is_some() && !core::mem::replace(&mut download.direct, true) {
                self.changes.put(key(ACCEPTED, &file), encode_secret(&true));
            }
            self.downloads.turn = file;
            for index in next {
                let get = wire::GetChunk { id: BlobId(file), index };
                self.ask(link, Request::GetChunk(get), Asked::GetChunk(file, index));
            }
        }
    }

    pub(super) fn chunk_came(&mut self, file: &FileId, index: u32, sealed: &[u8]) {
        let chunk = u64::from(index);
        let Some(download) = self.downloads.active.get_mut(file) else { return };
        // What was asked for before a pause was dropped with it.
        if !download.asked.remove(&chunk) {
            return;
        }
        (download.tries, download.window) = (0, REQUESTS);
        match download.chunks.open(chunk, sealed) {
            Ok((mut bytes, tag)) => {
                download.told.insert(chunk, tag);
                let (offset, _) = download.chunks.range(chunk).unwrap_or_default();
                let (done, total) = (download.done(), download.size);
                self.tell(Event::FileChunk { file: *file, offset, data: core::mem::take(&mut *bytes) });
                self.tell(Event::FileProgress { file: *file, done, total });
            }
            Err(error) => self.fail_download(file, error),
        }
    }

    /// The host took a chunk: it is in with the next save.
    pub(super) fn chunk_taken(&mut self, file: &FileId, offset: u64) {
        let chunk = offset / CHUNK_SIZE as u64;
        if let Some(download) = self.downloads.active.get_mut(file)
            && let Some(tag) = download.told.remove(&chunk)
        {
            download.taken.insert(chunk, tag);
        }
    }

    /// The host cannot write just now: what it took since the last save comes again later.
    pub(super) fn pause_download(&mut self, file: &FileId) {
        let Some(download) = self.downloads.active.get_mut(file) else { return };
        download.paused = true;
        download.whole = false;
        download.again.append(&mut download.asked);
        for lost in [&mut download.taken, &mut download.told] {
            download.again.extend(core::mem::take(lost).into_keys());
        }
    }

    /// A file is whole only when count, size and root agree (F2). The host is told once it has all chunks and that is
    /// about to be saved, and after a crash again until it has taken that.
    pub(super) fn finish_download(&mut self, file: &FileId) {
        let (Some(offered), Some(download)) = (self.downloads.offers.get(file), self.downloads.active.get_mut(file))
        else {
            return;
        };
        let Some(root) = offered.root.filter(|_| download.kept.is_complete() && !download.whole && !download.paused)
        else {
            return;
        };
        if download.chunks.root(&download.kept) == Some(root) {
            download.whole = true;
            self.tell(Event::FileReceived { file: *file });
        } else {
            self.fail_download(file, PeerMisbehaved::FileMismatch.into());
        }
    }

    /// The host took `FileReceived`: the transfer is over, and a peer who gave it is told (L6).
    pub(super) fn file_received_taken(&mut self, file: &FileId) {
        let device = self.downloads.offers.get(file).map(|offered| offered.device);
        let direct = self.downloads.active.get(file).is_some_and(|download| download.direct);
        self.end_download(file);
        if let Some(device) = device.filter(|_| direct) {
            while self.downloads.whole.len() >= self.config.limits.file_offers
                && let Some((file, _)) = self.downloads.whole.pop_first()
            {
                self.changes.remove(key(WHOLE, &file));
            }
            self.downloads.whole.insert(*file, device);
            self.changes.put(key(WHOLE, file), encode_secret(&device));
            if let Some(link) = self.peer_link(&device) {
                self.tell_whole(link, &device);
            }
        }
        self.settle();
    }

    /// Tells a peer which of its files are whole here.
    pub(super) fn tell_whole(&mut self, link: LinkId, device: &Identity) {
        let theirs = self.downloads.whole.iter().filter(|(_, of)| *of == device).map(|(file, _)| *file);
        for file in theirs.collect::<Vec<_>>() {
            self.ask(link, Request::DeleteBlob(wire::DeleteBlob { id: BlobId(file) }), Asked::Whole(file));
        }
    }

    /// A peer knows that its file is whole here, or does not know the file any more.
    pub(super) fn whole_told(&mut self, file: &FileId) {
        if self.downloads.whole.remove(file).is_some() {
            self.changes.remove(key(WHOLE, file));
        }
    }

    /// A chunk is not there yet, or never will be.
    pub(super) fn chunk_refused(&mut self, file: &FileId, index: u32, refusal: Refusal) {
        let Some(download) = self.downloads.active.get_mut(file) else { return };
        download.ask_again(index.into());
        download.window = 1;
        let offered = self.downloads.offers.get(file);
        // A file that was never there may come still: its sender is away, or has not begun.
        let may_come = download.has_come() == 0
            && offered.is_some_and(|offered| offered.root.is_none() && offered.at.saturating_add(BLOB_LIFE) > self.now);
        let mut wait = RETRY_AFTER;
        match refusal.code {
            RefusalCode::NotYet | RefusalCode::RateLimited | RefusalCode::Unavailable => {}
            RefusalCode::NotFound if may_come || download.tries < TRIES => {
                if may_come {
                    wait = RETRY_AFTER.checked_shl(download.tries.min(8)).unwrap_or(RETRY_MAX).min(RETRY_MAX);
                }
                download.tries = download.tries.saturating_add(1);
            }
            _ => return self.fail_download(file, ApiMisuse::Refused.into()),
        }
        let wait = refusal.wait(wait);
        download.rest = self.now.saturating_add(wait);
    }

    /// The connection ended before the answer: the chunk is asked for on the next one.
    pub(super) fn chunk_unanswered(&mut self, file: &FileId, index: u32) {
        if let Some(download) = self.downloads.active.get_mut(file) {
            download.ask_again(index.into());
        }
    }

    fn fail_download(&mut self, file: &FileId, error: Error) {
        self.end_download(file);
        self.tell(Event::FileFailed { file: *file, error });
    }

    pub(super) fn end_download(&mut self, file: &FileId) {
        if let Some(download) = self.downloads.active.remove(file) {
            self.forget_file(file);
            self.changes.remove(key(ACCEPTED, file));
            OPENED.remove(file, &download.kept, &mut self.changes);
        }
        if self.downloads.offers.remove(file).is_some() {
            self.downloads.save(file, &mut self.changes);
        }
    }

    /// After a restore: the host opens what it has of the files, or is told once more that one is whole.
    pub(super) fn present_downloads(&mut self) {
        for file in self.downloads.active.keys().copied().collect::<Vec<_>>() {
            self.tell_resumed(&file);
            self.finish_download(&file);
        }
    }

    /// When a transfer that had to wait goes on.
    pub(super) fn next_download(&self) -> Option<u64> {
        self.downloads.active.values().map(|download| download.rest).filter(|rest| *rest > self.now).min()
    }
}
