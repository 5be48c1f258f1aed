//! Files in: offers kept, chunks fetched from the relay or the peer, opened and checked (section 9).

use super::Client;
use super::links::Asked;
use super::uploads::WINDOW;
use crate::codec::{decode, encode_secret};
use crate::error::{ApiMisuse, Error};
use crate::event::{Event, FileId};
use crate::file::{FileOffer, FileOpener};
use crate::identity::{Identity, UserName};
use crate::limits::TRANSFERS;
use crate::record::{Changes, Records};
use crate::wire::{self, BlobId, Refusal, RefusalCode, Request};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Prefix of the records: `offer/<file id, 32 hex digits>`.
const RECORD: &str = "offer/";
/// How long to wait before a chunk that is not there is asked for again, in milliseconds.
const RETRY_AFTER: u64 = 1_000;
/// How often a file that the relay does not know is asked for: its sender may not have begun.
const TRIES: u32 = 120;

/// All offers, and those that were accepted.
#[derive(Default)]
pub(super) struct Downloads {
    offers: BTreeMap<FileId, Offered>,
    active: BTreeMap<FileId, Download>,
}

/// An offer as it is kept: it costs nothing else until it is accepted.
#[derive(Serialize, Deserialize)]
struct Offered {
    user: UserName,
    device: Identity,
    offer: FileOffer,
    /// The root, once its sender said that the file is complete.
    root: Option<[u8; 32]>,
    at: u64,
}

/// A file that is being fetched.
struct Download {
    opener: FileOpener,
    size: u64,
    /// Chunks that were asked for.
    asked: BTreeSet<u64>,
    /// Chunks to be asked for again.
    again: BTreeSet<u64>,
    next: u64,
    rest: u64,
    tries: u32,
}

impl Download {
    fn new(opener: FileOpener, size: u64) -> Self {
        Self { opener, size, asked: BTreeSet::new(), again: BTreeSet::new(), next: 0, rest: 0, tries: 0 }
    }

    /// The next chunk to ask for, within the window.
    fn next_chunk(&mut self) -> Option<u64> {
        if self.asked.len() >= WINDOW {
            return None;
        }
        let chunk = self.again.pop_first().unwrap_or(self.next);
        if chunk >= self.opener.count() {
            return None;
        }
        self.next = self.next.max(chunk.saturating_add(1));
        self.asked.insert(chunk);
        Some(chunk)
    }

    /// A chunk was not given.
    fn ask_again(&mut self, chunk: u64) {
        if self.asked.remove(&chunk) {
            self.again.insert(chunk);
        }
    }
}

impl Downloads {
    pub(super) fn restore(records: &Records) -> Result<Self, Error> {
        let mut downloads = Self::default();
        for (_, value) in records.with_prefix(RECORD) {
            let offered: Offered = decode(value).map_err(|_| ApiMisuse::Record)?;
            downloads.offers.insert(offered.offer.id, offered);
        }
        Ok(downloads)
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
            Some(offered) => changes.put(key(file), encode_secret(offered)),
            None => changes.remove(key(file)),
        }
    }
}

impl Client {
    /// Fetches a file that was offered. Its bytes come as `FileChunk`, in any order, each verified.
    ///
    /// Fails with `NotFound` for no such offer, `TooLarge` for a file above this client's limit, and `Busy`.
    pub fn accept_file(&mut self, file: &FileId, now: u64) -> Result<(), Error> {
        self.advance(now);
        let offered = self.downloads.offers.get(file).ok_or(ApiMisuse::NotFound)?;
        if self.downloads.active.len() >= TRANSFERS {
            return Err(ApiMisuse::Busy.into());
        }
        if !self.downloads.active.contains_key(file) {
            let opener = FileOpener::new(&offered.offer, &self.config.limits)?;
            self.downloads.active.insert(*file, Download::new(opener, offered.offer.size));
        }
        self.settle();
        Ok(())
    }

    /// An offer came. False when it does not count: its id is that of another offer, which a relay knows and could pass
    /// on, and what is accepted must be what was shown.
    pub(super) fn file_offered(&mut self, user: &UserName, device: &Identity, offer: &FileOffer) -> bool {
        if self.downloads.offers.contains_key(&offer.id) || self.uploads.contains_key(&offer.id) {
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
        self.finish_download(file);
    }

    /// Asks for the next chunks of every file that is being fetched.
    pub(super) fn move_downloads(&mut self) {
        for file in self.downloads.active.keys().copied().collect::<Vec<_>>() {
            let Some(offered) = self.downloads.offers.get(&file) else { continue };
            let Some(link) = self.peer_link(&offered.device).or_else(|| self.relay().ok()) else { continue };
            let Some(download) = self.downloads.active.get_mut(&file) else { continue };
            if self.now < download.rest {
                continue;
            }
            // A file has at most 2^31 chunks.
            let next = core::iter::from_fn(|| download.next_chunk()).filter_map(|chunk| u32::try_from(chunk).ok());
            for index in next.collect::<Vec<_>>() {
                let get = wire::GetChunk { id: BlobId(file), index };
                self.ask(link, Request::GetChunk(get), Asked::GetChunk(file, index));
            }
        }
    }

    pub(super) fn chunk_came(&mut self, file: &FileId, index: u32, sealed: &[u8]) {
        let chunk = u64::from(index);
        let Some(download) = self.downloads.active.get_mut(file) else { return };
        download.asked.remove(&chunk);
        download.tries = 0;
        match download.opener.open_chunk(chunk, sealed) {
            Ok(mut bytes) => {
                let (offset, _) = download.opener.chunk_range(chunk).unwrap_or_default();
                let (total, length) = (download.size, download.opener.chunk_range(0).map_or(0, |(_, length)| length));
                let done = download.opener.manifest().present().saturating_mul(length as u64).min(total);
                self.tell(Event::FileChunk { file: *file, offset, data: core::mem::take(&mut *bytes) });
                self.tell(Event::FileProgress { file: *file, done, total });
                self.finish_download(file);
            }
            Err(error) => self.fail_download(file, error),
        }
    }

    /// A file is whole only when count, size and root agree (F2).
    fn finish_download(&mut self, file: &FileId) {
        let (Some(offered), Some(download)) = (self.downloads.offers.get(file), self.downloads.active.get(file)) else {
            return;
        };
        let Some(root) = offered.root.filter(|_| download.opener.manifest().is_complete()) else { return };
        match download.opener.finish(&root) {
            Ok(()) => {
                self.end_download(file);
                self.tell(Event::FileReceived { file: *file });
            }
            Err(error) => self.fail_download(file, error),
        }
    }

    /// A chunk is not there yet, or never will be.
    pub(super) fn chunk_refused(&mut self, file: &FileId, index: u32, refusal: Refusal) {
        let Some(download) = self.downloads.active.get_mut(file) else { return };
        download.ask_again(index.into());
        let wait = u64::from(refusal.retry_after).saturating_mul(1_000).max(RETRY_AFTER);
        match refusal.code {
            RefusalCode::NotYet => {}
            RefusalCode::NotFound if download.tries < TRIES => download.tries += 1,
            RefusalCode::RateLimited | RefusalCode::Unavailable => {}
            _ => return self.fail_download(file, ApiMisuse::Refused.into()),
        }
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
        self.downloads.active.remove(file);
        if self.downloads.offers.remove(file).is_some() {
            self.downloads.save(file, &mut self.changes);
        }
    }

    /// When a transfer that had to wait goes on.
    pub(super) fn next_download(&self) -> Option<u64> {
        self.downloads.active.values().map(|download| download.rest).filter(|rest| *rest > self.now).min()
    }
}

fn key(file: &FileId) -> String {
    format!("{RECORD}{:032x}", u128::from_be_bytes(*file))
}
