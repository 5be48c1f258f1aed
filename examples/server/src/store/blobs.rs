//! Blobs: whose they are, and which of their chunks are there. The chunks lie in files ([`Chunks`]).

use super::chunks::Chunks;
use super::sql::{all, execute, first, int, uint, user};
use super::{Answer, Stop, require};
use rusqlite::{Connection, Transaction, params};
use securechat_core::identity::UserName;
use securechat_core::relay::{BlobState, ChunkState, MissingPage, StoreRefusal, StoreResult};
use securechat_core::wire::{BlobId, Bytes, ChunkRange};
use std::collections::BTreeSet;

struct Row {
    number: i64,
    chunks: u32,
    state: BlobState,
}

fn find(sql: &Transaction<'_>, id: &BlobId) -> rusqlite::Result<Option<Row>> {
    first(sql, "SELECT number, chunks, owner, size FROM blobs WHERE id = ?", [id.0], |row| {
        let state = BlobState { owner: user(row, 2)?, size: uint(row, 3)? };
        Ok(Row { number: row.get(0)?, chunks: row.get(1)?, state })
    })
}

fn find_owned(sql: &Transaction<'_>, id: &BlobId, owner: &UserName) -> Result<Row, Stop> {
    let blob = find(sql, id)?.ok_or(Stop::Refused(StoreRefusal::NotFound))?;
    require(blob.state.owner == *owner, StoreRefusal::NotOwner)?;
    Ok(blob)
}

/// The numbers of all blobs.
pub(super) fn numbers(sql: &Connection) -> rusqlite::Result<BTreeSet<i64>> {
    sql.prepare("SELECT number FROM blobs")?.query_map([], |row| row.get(0))?.collect()
}

pub(super) fn create(
    sql: &Transaction<'_>,
    id: &BlobId,
    owner: &UserName,
    (size, chunks): (u64, u32),
    (room, room_bytes): (usize, u64),
    now: u64,
) -> Answer {
    if let Some(blob) = find(sql, id)? {
        require(blob.state == BlobState { owner: owner.clone(), size }, StoreRefusal::Taken)?;
        return Ok(StoreResult::Done);
    }
    let statement = "SELECT count(*), coalesce(sum(size), 0) FROM blobs WHERE owner = ?";
    let own = first(sql, statement, [owner.as_str()], |row| Ok((uint(row, 0)?, uint(row, 1)?)))?;
    let (count, bytes) = own.unwrap_or_default();
    // Sums stay within what the database counts in.
    let room_bytes = room_bytes.min(i64::MAX as u64);
    require(count < room as u64 && bytes.saturating_add(size) <= room_bytes, StoreRefusal::Full)?;
    let statement = "INSERT INTO blobs (id, owner, size, chunks, created) VALUES (?, ?, ?, ?, ?)";
    execute(sql, statement, params![id.0, owner.as_str(), int(size), chunks, int(now)])?;
    Ok(StoreResult::Done)
}

pub(super) fn blob(sql: &Transaction<'_>, id: &BlobId) -> Answer {
    Ok(StoreResult::Blob(find(sql, id)?.map(|blob| blob.state)))
}

pub(super) fn put_chunk(
    sql: &Transaction<'_>,
    chunks: &mut Chunks,
    (id, owner): (&BlobId, &UserName),
    index: u32,
    chunk: &Bytes,
) -> Answer {
    let blob = find_owned(sql, id, owner)?;
    if index >= blob.chunks {
        return Ok(StoreResult::Refused(StoreRefusal::NotFound));
    }
    if !is_there(sql, blob.number, index)? {
        chunks.write(blob.number, index, chunk)?;
        add_to_runs(sql, blob.number, index)?;
    }
    Ok(StoreResult::Done)
}

pub(super) fn chunk(sql: &Transaction<'_>, chunks: &mut Chunks, id: &BlobId, index: u32) -> Answer {
    let state = match find(sql, id)? {
        Some(blob) if index < blob.chunks && is_there(sql, blob.number, index)? => {
            ChunkState::There(chunks.read(blob.number, index)?)
        }
        Some(blob) if index < blob.chunks => ChunkState::NotYet,
        _ => ChunkState::NotFound,
    };
    Ok(StoreResult::Chunk(state))
}

fn is_there(sql: &Transaction<'_>, number: i64, index: u32) -> rusqlite::Result<bool> {
    let statement = "SELECT last FROM runs WHERE blob = ? AND first <= ? ORDER BY first DESC LIMIT 1";
    let last = first(sql, statement, params![number, index], |row| row.get::<_, i64>(0))?;
    Ok(last.is_some_and(|last| last > i64::from(index)))
}

/// Notes that a chunk which was not there is there now: runs on both sides of it become one with it.
fn add_to_runs(sql: &Transaction<'_>, number: i64, index: u32) -> rusqlite::Result<()> {
    let index = i64::from(index);
    let next = index.saturating_add(1);
    let statement = "DELETE FROM runs WHERE blob = ? AND first = ? RETURNING last";
    let last = first(sql, statement, [number, next], |row| row.get::<_, i64>(0))?.unwrap_or(next);
    let statement = "UPDATE runs SET last = ?3 WHERE blob = ?1 AND last = ?2
         AND first = (SELECT max(first) FROM runs WHERE blob = ?1 AND first < ?2)";
    if execute(sql, statement, [number, index, last])? == 0 {
        execute(sql, "INSERT INTO runs (blob, first, last) VALUES (?, ?, ?)", [number, index, last])?;
    }
    Ok(())
}

pub(super) fn missing(sql: &Transaction<'_>, id: &BlobId, from: u32, count: usize) -> Answer {
    let Some(blob) = find(sql, id)? else { return Ok(StoreResult::Missing(None)) };
    let mut statement =
        sql.prepare_cached("SELECT first, last FROM runs WHERE blob = ? AND last > ? ORDER BY first")?;
    let mut rows = statement.query(params![blob.number, from])?;
    let mut page = MissingPage { ranges: Vec::new(), next: None };
    let mut place = from;
    loop {
        // The end of the blob closes the last gap, as a run would.
        let run = rows.next()?.map(|row| Ok::<_, rusqlite::Error>((row.get(0)?, row.get(1)?))).transpose()?;
        let (start, end) = run.unwrap_or((blob.chunks, blob.chunks));
        if let Some(gap) = start.checked_sub(place).filter(|gap| *gap > 0) {
            if page.ranges.len() == count {
                page.next = Some(place);
                break;
            }
            page.ranges.push(ChunkRange { start: place, count: gap });
        }
        if run.is_none() {
            break;
        }
        place = end;
    }
    Ok(StoreResult::Missing(Some(page)))
}

pub(super) fn delete(sql: &Transaction<'_>, chunks: &mut Chunks, id: &BlobId, owner: &UserName) -> Answer {
    let blob = find_owned(sql, id, owner)?;
    execute(sql, "DELETE FROM blobs WHERE number = ?", [blob.number])?;
    chunks.drop(blob.number);
    Ok(StoreResult::Done)
}

pub(super) fn expire(sql: &Transaction<'_>, chunks: &mut Chunks, before: u64) -> Answer {
    let gone = all(sql, "DELETE FROM blobs WHERE created < ? RETURNING number", [int(before)], |row| row.get(0))?;
    gone.into_iter().for_each(|number| chunks.drop(number));
    Ok(StoreResult::Done)
}
