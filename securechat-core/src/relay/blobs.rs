//! Blobs: the sealed chunks of files, kept for whoever names their id (L8).

use super::accounts::require_listed;
use super::answer::{ChunkState, StoreRefusal, StoreResult};
use super::connection::{ConnId, Who};
use super::job::JobResult;
use super::store::StoreJob;
use super::{Outcome, Relay, Step, Ticket, Timer, UNAVAILABLE};
use crate::crypto::aead::Cipher;
use crate::limits::{CHUNK_HEADER, CHUNK_SIZE, CHUNK_WAIT};
use crate::wire::{
    BlobId, Chunk, CreateBlob, DeleteBlob, Done, GetChunk, Missing, MissingChunks, PutChunk, RANGES_PER_PAGE,
    RefusalCode, Reply,
};
use core::ops::RangeInclusive;
use std::collections::{BTreeMap, BTreeSet};

/// What a request about a blob waits for.
pub(super) enum Expect {
    /// That a blob of this size was made.
    Created(BlobId, u64),
    /// What is known of the blob that a chunk is for.
    Blob(Who, PutChunk),
    /// That a chunk is stored.
    Put(PutChunk),
    /// The ranges that are missing.
    Missing,
    /// The chunk, or that it is not there yet.
    Chunk(GetChunk),
    /// That the blob is gone.
    Deleted(BlobId),
}

/// Requests for chunks that are not there yet.
#[derive(Debug, Default)]
pub(super) struct Waits {
    last: u64,
    by_connection: BTreeMap<(ConnId, u64), Wait>,
    by_chunk: BTreeSet<(BlobId, u32, ConnId, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    ticket: Ticket,
    id: BlobId,
    index: u32,
    until: u64,
}

impl Relay {
    pub(super) fn create_blob(&mut self, ticket: Ticket, who: Who, request: &CreateBlob, now: u64) -> Outcome {
        require_listed(&who)?;
        let limits = &self.config.limits;
        let chunks = chunk_count(request.size).filter(|_| request.size <= limits.file_size);
        let job = StoreJob::CreateBlob {
            id: request.id,
            owner: who.user,
            size: request.size,
            chunks: chunks.ok_or(RefusalCode::TooLarge)?,
            room: limits.blobs_per_account,
            room_bytes: limits.blob_bytes_per_account,
            now,
        };
        self.store(ticket, job, Step::Blob(Expect::Created(request.id, request.size)))
    }

    pub(super) fn put_chunk(&mut self, ticket: Ticket, who: Who, request: PutChunk) -> Outcome {
        require_listed(&who)?;
        let admitted = self.connections.get(&ticket.conn).and_then(|connection| connection.admitted());
        match admitted.and_then(|admitted| admitted.upload) {
            Some((id, size)) if id == request.id => self.store_chunk(ticket, who, request, size),
            _ => {
                let job = StoreJob::Blob { id: request.id };
                self.store(ticket, job, Step::Blob(Expect::Blob(who, request)))
            }
        }
    }

    pub(super) fn missing_chunks(&mut self, ticket: Ticket, who: &Who, request: &MissingChunks) -> Outcome {
        require_listed(who)?;
        let job = StoreJob::MissingChunks { id: request.id, from: request.from, count: RANGES_PER_PAGE };
        self.store(ticket, job, Step::Blob(Expect::Missing))
    }

    pub(super) fn get_chunk(&mut self, ticket: Ticket, who: &Who, request: &GetChunk) -> Outcome {
        require_listed(who)?;
        let job = StoreJob::Chunk { id: request.id, index: request.index };
        self.store(ticket, job, Step::Blob(Expect::Chunk(request.clone())))
    }

    pub(super) fn delete_blob(&mut self, ticket: Ticket, who: Who, request: &DeleteBlob) -> Outcome {
        require_listed(&who)?;
        let job = StoreJob::DeleteBlob { id: request.id, owner: who.user };
        self.store(ticket, job, Step::Blob(Expect::Deleted(request.id)))
    }

    pub(super) fn resume_blob(
        &mut self,
        ticket: Option<Ticket>,
        expect: Expect,
        result: JobResult,
        now: u64,
    ) -> Outcome {
        let (Some(ticket), JobResult::Store(result)) = (ticket, result) else { return Err(UNAVAILABLE) };
        let reply = match (expect, result) {
            (_, StoreResult::Refused(refusal)) => return Err(refused(refusal).into()),
            (Expect::Created(id, size), StoreResult::Done) => {
                self.remember_upload(ticket.conn, id, size);
                Reply::CreateBlob(Done)
            }
            (Expect::Blob(who, request), StoreResult::Blob(blob)) => {
                let blob = blob.ok_or(RefusalCode::NotFound)?;
                if blob.owner != who.user {
                    return Err(RefusalCode::NotAllowed.into());
                }
                self.remember_upload(ticket.conn, request.id, blob.size);
                return self.store_chunk(ticket, who, request, blob.size);
            }
            (Expect::Put(request), StoreResult::Done) => {
                self.chunk_came(&request, now);
                Reply::PutChunk(Done)
            }
            (Expect::Missing, StoreResult::Missing(page)) => {
                let page = page.ok_or(RefusalCode::NotFound)?;
                Reply::MissingChunks(Missing { ranges: page.ranges, next: page.next.unwrap_or_default() })
            }
            (Expect::Chunk(_), StoreResult::Chunk(ChunkState::There(chunk))) => Reply::GetChunk(Chunk { chunk }),
            (Expect::Chunk(_), StoreResult::Chunk(ChunkState::NotFound)) => {
                return Err(RefusalCode::NotFound.into());
            }
            (Expect::Chunk(request), StoreResult::Chunk(ChunkState::NotYet)) => {
                self.wait(ticket, &request, now);
                return Ok(());
            }
            (Expect::Deleted(id), StoreResult::Done) => {
                self.blob_went(id, now);
                Reply::DeleteBlob(Done)
            }
            _ => return Err(UNAVAILABLE),
        };
        self.reply(ticket, &reply, now);
        Ok(())
    }

    /// Ends a wait that has lasted long enough.
    pub(super) fn end_wait(&mut self, conn: ConnId, wait: u64, now: u64) {
        if let Some(ticket) = self.take_wait(conn, wait) {
            self.refuse(ticket, RefusalCode::NotYet.into(), now);
        }
    }

    /// The waits of a connection that is over.
    pub(super) fn drop_waits(&mut self, conn: ConnId) {
        let waits = self.waits.by_connection.range((conn, 0)..=(conn, u64::MAX));
        let waits: Vec<u64> = waits.map(|((_, wait), _)| *wait).collect();
        waits.into_iter().for_each(|wait| _ = self.take_wait(conn, wait));
    }

    fn remember_upload(&mut self, conn: ConnId, id: BlobId, size: u64) {
        let connection = self.connections.get_mut(&conn);
        if let Some(admitted) = connection.and_then(|connection| connection.admitted_mut()) {
            admitted.upload = Some((id, size));
        }
    }

    fn store_chunk(&mut self, ticket: Ticket, who: Who, request: PutChunk, size: u64) -> Outcome {
        let plain = plain_len(size, request.index).ok_or(RefusalCode::NotFound)?;
        let fits = [Cipher::AesGcm, Cipher::AesCbcHmac]
            .iter()
            .any(|cipher| request.chunk.len() == CHUNK_HEADER + cipher.ciphertext_len(plain));
        if !fits {
            return Err(RefusalCode::Malformed.into());
        }
        let chunk = request.chunk.clone();
        let job = StoreJob::PutChunk { id: request.id, owner: who.user, index: request.index, chunk };
        self.store(ticket, job, Step::Blob(Expect::Put(request)))
    }

    fn wait(&mut self, ticket: Ticket, request: &GetChunk, now: u64) {
        // A connection that went while the chunk was looked for waits for nothing.
        if self.connections.get(&ticket.conn).is_none_or(|connection| connection.is_ending()) {
            return;
        }
        self.waits.last += 1;
        let (conn, number) = (ticket.conn, self.waits.last);
        let until = now.saturating_add(CHUNK_WAIT);
        let wait = Wait { ticket, id: request.id, index: request.index, until };
        self.waits.by_connection.insert((conn, number), wait);
        self.waits.by_chunk.insert((request.id, request.index, conn, number));
        self.timers.insert((until, Timer::Chunk(conn, number)));
    }

    fn take_wait(&mut self, conn: ConnId, number: u64) -> Option<Ticket> {
        let wait = self.waits.by_connection.remove(&(conn, number))?;
        self.waits.by_chunk.remove(&(wait.id, wait.index, conn, number));
        self.timers.remove(&(wait.until, Timer::Chunk(conn, number)));
        Some(wait.ticket)
    }

    /// Who waited for this chunk gets it. As long as anyone waits, no other was stored in its place.
    fn chunk_came(&mut self, request: &PutChunk, now: u64) {
        for ticket in self.take_waits(request.id, request.index..=request.index) {
            self.reply(ticket, &Reply::GetChunk(Chunk { chunk: request.chunk.clone() }), now);
        }
    }

    fn blob_went(&mut self, id: BlobId, now: u64) {
        for ticket in self.take_waits(id, 0..=u32::MAX) {
            self.refuse(ticket, RefusalCode::NotFound.into(), now);
        }
    }

    fn take_waits(&mut self, id: BlobId, places: RangeInclusive<u32>) -> Vec<Ticket> {
        let first = (id, *places.start(), ConnId(0), 0);
        let last = (id, *places.end(), ConnId(u64::MAX), u64::MAX);
        let waits: Vec<_> = self.waits.by_chunk.range(first..=last).map(|(_, _, conn, wait)| (*conn, *wait)).collect();
        waits.into_iter().filter_map(|(conn, wait)| self.take_wait(conn, wait)).collect()
    }
}

/// How many chunks a file of this size has; none when they cannot be counted.
fn chunk_count(size: u64) -> Option<u32> {
    u32::try_from(size.div_ceil(CHUNK_SIZE as u64).max(1)).ok()
}

/// How many bytes of the file are in this chunk.
fn plain_len(size: u64, index: u32) -> Option<usize> {
    let count = chunk_count(size)?;
    let before = u64::from(index) * CHUNK_SIZE as u64;
    if index >= count { None } else { usize::try_from((size - before).min(CHUNK_SIZE as u64)).ok() }
}

fn refused(refusal: StoreRefusal) -> RefusalCode {
    match refusal {
        StoreRefusal::NotFound => RefusalCode::NotFound,
        StoreRefusal::Taken => RefusalCode::Taken,
        StoreRefusal::Full => RefusalCode::Full,
        _ => RefusalCode::NotAllowed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_counted_from_the_size() {
        let chunk = CHUNK_SIZE as u64;
        assert_eq!([0, 1, chunk, chunk + 1].map(chunk_count), [Some(1), Some(1), Some(1), Some(2)]);
        assert_eq!(chunk_count(u64::MAX), None);
        assert_eq!(plain_len(0, 0), Some(0));
        assert_eq!(plain_len(chunk, 0), Some(CHUNK_SIZE));
        assert_eq!((plain_len(chunk + 5, 0), plain_len(chunk + 5, 1)), (Some(CHUNK_SIZE), Some(5)));
        assert_eq!((plain_len(chunk, 1), plain_len(0, 1)), (None, None));
    }
}
