//! Device lists: each user's current chain, and what is proposed.

use super::sql::{all, bytes, execute, first, int, uint};
use super::{Answer, accounts, devices, require};
use rusqlite::{Connection, Transaction, params};
use securechat_core::identity::{Identity, UserName};
use securechat_core::relay::{Chain, StoreRefusal, StoreResult, StoredList};
use securechat_core::wire::Bytes;

/// The epoch of the user's current list, if there is one.
pub(super) fn epoch(sql: &Connection, name: &UserName) -> rusqlite::Result<Option<u64>> {
    let statement = "SELECT epoch FROM lists WHERE user = ? ORDER BY epoch DESC LIMIT 1";
    first(sql, statement, [name.as_str()], |row| uint(row, 0))
}

fn newest(sql: &Transaction<'_>, name: &UserName) -> rusqlite::Result<Option<StoredList>> {
    let statement = "SELECT epoch, hash, list FROM lists WHERE user = ? ORDER BY epoch DESC LIMIT 1";
    first(sql, statement, [name.as_str()], |row| {
        Ok(StoredList { epoch: uint(row, 0)?, hash: row.get(1)?, bytes: bytes(row, 2)? })
    })
}

pub(super) fn current(sql: &Transaction<'_>, name: &UserName) -> Answer {
    Ok(StoreResult::List(newest(sql, name)?))
}

pub(super) fn insert(sql: &Transaction<'_>, name: &UserName, list: &StoredList) -> rusqlite::Result<usize> {
    let statement = "INSERT INTO lists (user, epoch, hash, list) VALUES (?, ?, ?, ?)";
    execute(sql, statement, params![name.as_str(), int(list.epoch), list.hash, &list.bytes[..]])
}

pub(super) fn put(
    sql: &Transaction<'_>,
    unlisted: &mut Vec<Identity>,
    name: &UserName,
    previous: Option<[u8; 32]>,
    list: &StoredList,
    identities: &[Identity],
    now: u64,
) -> Answer {
    require(accounts::exists(sql, name)?, StoreRefusal::Changed)?;
    require(newest(sql, name)?.map(|current| current.hash) == previous, StoreRefusal::Changed)?;
    for identity in identities {
        let owner = devices::owner(sql, identity)?;
        require(owner.is_none_or(|owner| owner == *name), StoreRefusal::IdentityTaken)?;
    }
    if list.epoch == 0 {
        execute(sql, "DELETE FROM lists WHERE user = ?", [name.as_str()])?;
    }
    insert(sql, name, list)?;
    execute(sql, "UPDATE users SET proposal = NULL WHERE name = ?", [name.as_str()])?;
    let statement = "SELECT identity FROM devices WHERE user = ? AND listed";
    let before: Vec<[u8; 32]> = all(sql, statement, [name.as_str()], |row| row.get(0))?;
    for gone in before.iter().filter(|before| !identities.iter().any(|identity| identity.as_bytes() == *before)) {
        devices::unlist(sql, gone, now)?;
        unlisted.push(Identity::from_bytes(*gone));
    }
    for identity in identities {
        devices::add(sql, name, identity, now)?;
        execute(sql, "UPDATE devices SET listed = 1 WHERE identity = ?", [identity.as_bytes()])?;
    }
    Ok(StoreResult::Done)
}

pub(super) fn propose(sql: &Transaction<'_>, name: &UserName, list: &Bytes) -> Answer {
    let statement = "UPDATE users SET proposal = ?2 WHERE name = ?1";
    let changed = execute(sql, statement, params![name.as_str(), &list[..]])?;
    require(changed == 1, StoreRefusal::NotFound)?;
    Ok(StoreResult::Done)
}

pub(super) fn chain(sql: &Transaction<'_>, name: &UserName, from: u64, count: usize) -> Answer {
    if !accounts::exists(sql, name)? {
        return Ok(StoreResult::Lists(None));
    }
    let statement = "SELECT list FROM lists WHERE user = ? AND epoch >= ? ORDER BY epoch LIMIT ?";
    let lists = all(sql, statement, params![name.as_str(), int(from), int(count)], |row| bytes(row, 0))?;
    Ok(StoreResult::Lists(Some(Chain { epoch: epoch(sql, name)?, lists })))
}
