//! One-time prekeys: each is handed out once, and no id counts twice.

use super::sql::{all, bytes, execute, first, int};
use super::{Answer, Stop, accounts, devices, lists, require};
use rusqlite::{Transaction, params};
use securechat_core::identity::{Identity, UserName};
use securechat_core::relay::{StoreRefusal, StoreResult, StoredPrekey, TakenDevice, TakenKeys};
use securechat_core::wire::{Bytes, PrekeyStock};

/// What is left of each kind.
pub(super) fn stock(sql: &Transaction<'_>, identity: &Identity) -> rusqlite::Result<Vec<PrekeyStock>> {
    let statement = "SELECT kind, highest, (SELECT count(*) FROM prekeys WHERE identity = ?1 AND kind = k.kind)
         FROM prekey_kinds AS k WHERE identity = ?1 ORDER BY kind";
    all(sql, statement, [identity.as_bytes()], |row| {
        Ok(PrekeyStock { kind: row.get(0)?, highest: row.get(1)?, left: row.get(2)? })
    })
}

pub(super) fn put(
    sql: &Transaction<'_>,
    identity: &Identity,
    replace: bool,
    prekeys: &[StoredPrekey],
    room: usize,
    now: u64,
) -> Answer {
    require(devices::owner(sql, identity)?.is_some(), StoreRefusal::NotFound)?;
    if replace {
        execute(sql, "DELETE FROM prekeys WHERE identity = ?", [identity.as_bytes()])?;
    }
    for prekey in prekeys {
        let statement = "INSERT OR IGNORE INTO prekey_kinds (identity, kind, highest) VALUES (?, ?, 0)";
        execute(sql, statement, params![identity.as_bytes(), prekey.kind])?;
        if int(left(sql, identity, prekey.kind)?) >= int(room) {
            continue;
        }
        let statement = "UPDATE prekey_kinds SET highest = ?3 WHERE identity = ?1 AND kind = ?2 AND highest < ?3";
        if execute(sql, statement, params![identity.as_bytes(), prekey.kind, prekey.id])? == 1 {
            let statement = "INSERT INTO prekeys (identity, kind, id, published, prekey) VALUES (?, ?, ?, ?, ?)";
            let values = params![identity.as_bytes(), prekey.kind, prekey.id, int(now), &prekey.bytes[..]];
            execute(sql, statement, values)?;
        }
    }
    Ok(StoreResult::Stock(stock(sql, identity)?))
}

pub(super) fn take_keys(
    sql: &Transaction<'_>,
    name: &UserName,
    identities: &[Identity],
    kind: Option<u8>,
    fresh: u64,
) -> Answer {
    if !accounts::exists(sql, name)? {
        return Ok(StoreResult::Keys(None));
    }
    let mut devices = Vec::new();
    for identity in identities {
        let statement = "SELECT bundle FROM devices WHERE identity = ? AND user = ? AND listed AND bundle IS NOT NULL";
        let values = params![identity.as_bytes(), name.as_str()];
        let Some(bundle) = first(sql, statement, values, |row| bytes(row, 0))? else { continue };
        let (prekey, left) = match kind {
            Some(kind) => (take(sql, identity, kind, fresh)?, left(sql, identity, kind)?),
            None => (None, 0),
        };
        devices.push(TakenDevice { identity: *identity, bundle, prekey, left });
    }
    Ok(StoreResult::Keys(Some(TakenKeys { epoch: lists::epoch(sql, name)?, devices })))
}

fn take(sql: &Transaction<'_>, identity: &Identity, kind: u8, fresh: u64) -> rusqlite::Result<Option<Bytes>> {
    let statement = "DELETE FROM prekeys WHERE rowid = (SELECT rowid FROM prekeys
         WHERE identity = ? AND kind = ? AND published >= ? ORDER BY id LIMIT 1) RETURNING prekey";
    first(sql, statement, params![identity.as_bytes(), kind, int(fresh)], |row| bytes(row, 0))
}

fn left(sql: &Transaction<'_>, identity: &Identity, kind: u8) -> rusqlite::Result<u32> {
    let statement = "SELECT count(*) FROM prekeys WHERE identity = ? AND kind = ?";
    Ok(first(sql, statement, params![identity.as_bytes(), kind], |row| row.get(0))?.unwrap_or_default())
}

pub(super) fn expire(sql: &Transaction<'_>, before: u64) -> Result<(), Stop> {
    execute(sql, "DELETE FROM prekeys WHERE published < ?", [int(before)])?;
    Ok(())
}
