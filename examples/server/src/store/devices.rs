//! Devices: whose they are, whether they are listed, their newest bundle.

use super::sql::{bytes, execute, first, int, optional_bytes, user};
use super::{Answer, Stop, lists, prekeys, require};
use rusqlite::{Transaction, params};
use securechat_core::identity::{Identity, UserName};
use securechat_core::relay::{DeviceState, StoreRefusal, StoreResult};
use securechat_core::wire::Bytes;

pub(super) fn device(sql: &Transaction<'_>, name: &UserName, identity: &Identity) -> Answer {
    let statement = "SELECT user, listed, bundle FROM devices WHERE identity = ?";
    let found = first(sql, statement, [identity.as_bytes()], |row| {
        Ok((user(row, 0)?, row.get::<_, bool>(1)?, optional_bytes(row, 2)?))
    })?;
    let statement = "SELECT proposal FROM users WHERE name = ?";
    let proposal = first(sql, statement, [name.as_str()], |row| optional_bytes(row, 0))?.flatten();
    let mut state = DeviceState { epoch: lists::epoch(sql, name)?, proposal, ..DeviceState::default() };
    if let Some((owner, listed, bundle)) = found {
        state.listed = listed && owner == *name;
        state.owner = Some(owner);
        state.bundle = bundle;
        state.stock = prekeys::stock(sql, identity)?;
    }
    Ok(StoreResult::Device(state))
}

/// Whose device it is, if anyone's.
pub(super) fn owner(sql: &Transaction<'_>, identity: &Identity) -> rusqlite::Result<Option<UserName>> {
    first(sql, "SELECT user FROM devices WHERE identity = ?", [identity.as_bytes()], |row| user(row, 0))
}

/// Makes the device known as one of the user, not listed, unless it is known.
pub(super) fn add(sql: &Transaction<'_>, name: &UserName, identity: &Identity, now: u64) -> rusqlite::Result<usize> {
    let statement = "INSERT OR IGNORE INTO devices (identity, user, listed, since) VALUES (?, ?, 0, ?)";
    execute(sql, statement, params![identity.as_bytes(), name.as_str(), int(now)])
}

pub(super) fn put_bundle(
    sql: &Transaction<'_>,
    name: &UserName,
    identity: &Identity,
    (serial, bundle): (u64, &Bytes),
    unlisted: usize,
    now: u64,
) -> Answer {
    require(owner(sql, identity)?.is_none_or(|owner| owner == *name), StoreRefusal::IdentityTaken)?;
    let statement = "SELECT serial, bundle FROM devices WHERE identity = ? AND bundle IS NOT NULL";
    let present =
        first(sql, statement, [identity.as_bytes()], |row| Ok((u64::from_be_bytes(row.get(0)?), bytes(row, 1)?)))?;
    if let Some((last, present)) = present {
        require(serial > last || *bundle == present, StoreRefusal::Changed)?;
    }
    add(sql, name, identity, now)?;
    let statement = "UPDATE devices SET serial = ?2, bundle = ?3 WHERE identity = ?1";
    execute(sql, statement, params![identity.as_bytes(), serial.to_be_bytes(), &bundle[..]])?;
    execute(
        sql,
        "DELETE FROM devices WHERE identity IN (SELECT identity FROM devices WHERE user = ? AND NOT listed
         ORDER BY since DESC, identity DESC LIMIT -1 OFFSET ?)",
        params![name.as_str(), int(unlisted)],
    )?;
    Ok(StoreResult::Done)
}

/// Takes a device off its user's list: it keeps nothing but the ids that it may not use again.
pub(super) fn unlist(sql: &Transaction<'_>, identity: &[u8; 32], now: u64) -> rusqlite::Result<()> {
    let statement = "UPDATE devices SET listed = 0, since = ?2, serial = NULL, bundle = NULL WHERE identity = ?1";
    execute(sql, statement, params![identity, int(now)])?;
    execute(sql, "DELETE FROM prekeys WHERE identity = ?", [identity])?;
    let statement = "UPDATE envelopes SET envelope = NULL WHERE recipient = ? AND envelope IS NOT NULL";
    execute(sql, statement, [identity])?;
    Ok(())
}

pub(super) fn expire(sql: &Transaction<'_>, before: u64) -> Result<(), Stop> {
    execute(sql, "DELETE FROM devices WHERE NOT listed AND since < ?", [int(before)])?;
    Ok(())
}
