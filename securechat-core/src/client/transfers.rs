//! What files of both directions have in common: the list of them, pauses, and their tags as records (F3).

use super::Client;
use crate::codec::{decode, encode};
use crate::content::Conversation;
use crate::crypto::secret::SecretVec;
use crate::error::{ApiMisuse, Error};
use crate::event::{Event, FileId};
use crate::file::{Manifest, Page, safe_name};
use crate::limits::CHUNKS_PER_RECORD;
use crate::record::{Changes, Records};

/// A file on its way.
#[derive(Clone, derive_more::Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Its id.
    pub file: FileId,
    /// To whom it goes, or from whom it comes.
    pub with: Conversation,
    /// Its name: as it was given, or of one that comes a safe base name (F4).
    #[debug("{} bytes", name.len())]
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// How many of them are where they belong, as far as is known.
    pub done: u64,
    /// Whether it is being sent.
    pub outgoing: bool,
    /// What it does just now.
    pub state: TransferState,
}

/// What a transfer does just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferState {
    /// Chunks are on their way.
    Moving,
    /// There is no connection, or nothing to be had yet: it goes on by itself.
    Waiting,
    /// The host paused it.
    Paused,
}

impl Client {
    /// The files that are being sent and fetched.
    pub fn transfers(&self) -> Vec<Transfer> {
        let relay = self.relay().is_ok() && self.is_listed();
        let state = |paused, moving| match (paused, moving) {
            (true, _) => TransferState::Paused,
            (false, true) => TransferState::Moving,
            (false, false) => TransferState::Waiting,
        };
        let sent = self.uploads.active.iter().map(|(file, upload)| Transfer {
            file: *file,
            with: upload.kept.to.clone(),
            name: upload.kept.offer.name.clone(),
            size: upload.kept.offer.size,
            done: upload.done(),
            outgoing: true,
            state: state(
                upload.paused,
                upload.is_waited_for() || relay && !upload.is_direct() && !upload.rests(self.now),
            ),
        });
        let fetched = self.downloads.active.iter().filter_map(|(file, download)| {
            let offered = self.downloads.offers.get(file)?;
            Some(Transfer {
                file: *file,
                with: Conversation::User(offered.user.clone()),
                name: safe_name(&offered.offer.name),
                size: offered.offer.size,
                done: download.done(),
                outgoing: false,
                state: state(download.paused, download.is_waited_for() && !download.rests(self.now)),
            })
        });
        sent.chain(fetched).collect()
    }

    /// Holds a transfer up that the host cannot read or write for just now, until [`Client::resume_file`] or a restart.
    ///
    /// Call it in place of [`Client::supply_file`], or when what `FileChunk` gave could not be written or synced: chunks
    /// that the host took and that it has not saved since come again.
    pub fn pause_file(&mut self, file: &FileId, now: u64) {
        self.advance(now);
        self.forget_file(file);
        self.pause_upload(file);
        self.pause_download(file);
        self.settle();
    }

    /// Goes on with a transfer that was paused.
    pub fn resume_file(&mut self, file: &FileId, now: u64) {
        self.advance(now);
        if let Some(upload) = self.uploads.active.get_mut(file) {
            upload.paused = false;
        }
        if let Some(download) = self.downloads.active.get_mut(file) {
            download.paused = false;
        }
        self.finish_download(file);
        self.settle();
    }

    /// Ends a transfer, in either direction. What is at the relay of it is deleted.
    pub fn cancel_file(&mut self, file: &FileId, now: u64) {
        self.advance(now);
        self.end_upload(file, None);
        self.end_download(file);
        self.settle();
    }

    /// Whether everything that has to be saved before anything leaves was given to the host.
    pub(super) fn is_saved(&self) -> bool {
        self.changes.is_empty() && self.uploads.is_saved() && self.downloads.is_saved()
    }

    /// Notes the tags that were not noted yet, each page once however many of its chunks moved.
    pub(super) fn save_transfers(&mut self) {
        self.uploads.save_pages(&mut self.changes);
        let complete = self.downloads.save_pages(&mut self.changes);
        complete.iter().for_each(|file| self.finish_download(file));
    }

    /// What the taking of an event has to do with a transfer.
    pub(super) fn transfer_event_taken(&mut self, event: &Event) {
        match event {
            Event::FileChunk { file, offset, .. } => self.chunk_taken(file, *offset),
            Event::FileReceived { file } => self.file_received_taken(file),
            Event::FileSent { file } => self.file_sent_taken(file),
            _ => {}
        }
    }

    /// What waits to be told of a file's bytes is not told any more.
    pub(super) fn forget_file(&mut self, file: &FileId) {
        self.events.retain(|queued| match &queued.event {
            Event::FileNeed { file: of, .. }
            | Event::FileChunk { file: of, .. }
            | Event::FileProgress { file: of, .. }
            | Event::FileReceived { file: of } => of != file,
            _ => true,
        });
    }

    /// After a restore: a transfer goes on.
    pub(super) fn tell_resumed(&mut self, file: &FileId) {
        let found = self.transfers().into_iter().find(|transfer| transfer.file == *file);
        if let Some(Transfer { file, with, name, size, done, outgoing, .. }) = found {
            self.tell(Event::FileResumed { file, with, name, size, done, outgoing });
        }
    }
}

/// How many of `most` each of several transfers may have, so that none holds the others up.
pub(super) fn share(count: usize, most: usize) -> usize {
    most.checked_div(count).unwrap_or(most).max(1)
}

/// The record of a file under a prefix.
pub(super) fn key(prefix: &str, file: &FileId) -> String {
    format!("{prefix}{:032x}", u128::from_be_bytes(*file))
}

/// The pages of manifests as records: `<prefix><file id, 32 hex digits>/<page, 8 hex digits>`.
pub(super) struct Pages(pub(super) &'static str);

impl Pages {
    /// The page that a chunk is on.
    pub(super) fn of(chunk: u64) -> u64 {
        chunk / CHUNKS_PER_RECORD as u64
    }

    fn key(&self, file: &FileId, page: u64) -> String {
        format!("{}/{page:08x}", key(self.0, file))
    }

    pub(super) fn save(&self, file: &FileId, page: u64, manifest: &Manifest, changes: &mut Changes) {
        if let Some((_, content)) = manifest.page_of(page.saturating_mul(CHUNKS_PER_RECORD as u64)) {
            changes.put(self.key(file, page), SecretVec::new(encode(content)));
        }
    }

    pub(super) fn remove(&self, file: &FileId, manifest: &Manifest, changes: &mut Changes) {
        manifest.pages().for_each(|(page, _)| changes.remove(self.key(file, page)));
    }

    pub(super) fn restore(&self, file: &FileId, count: u64, records: &Records) -> Result<Manifest, Error> {
        let prefix = format!("{}/", key(self.0, file));
        let mut pages: Vec<(u64, Page)> = Vec::new();
        for (number, value) in records.with_prefix(&prefix) {
            let number = u64::from_str_radix(number, 16).map_err(|_| ApiMisuse::Record)?;
            pages.push((number, decode(value).map_err(|_| ApiMisuse::Record)?));
        }
        Ok(Manifest::restore(count, pages)?)
    }
}
