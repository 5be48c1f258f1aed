//! Users: names, password hashes, one-time codes.

use super::sql::{all, execute, first, int, uint, user};
use super::{Answer, devices, lists, require};
use rusqlite::{Transaction, params};
use securechat_core::crypto::secret::Secret;
use securechat_core::identity::UserName;
use securechat_core::relay::{Account, NewAccount, PasswordHash, StoreRefusal, StoreResult};
use zeroize::Zeroizing;

pub(super) fn account(sql: &Transaction<'_>, name: &UserName) -> Answer {
    let statement = "SELECT password, code_secret, code_step FROM users WHERE name = ?";
    let account = first(sql, statement, [name.as_str()], |row| {
        let secret = row.get::<_, Option<[u8; 20]>>(1)?.map(Zeroizing::new);
        let code = secret.map(|secret| Ok::<_, rusqlite::Error>((Secret::from_bytes(&secret), uint(row, 2)?)));
        Ok(Account { password: PasswordHash::new(row.get::<_, String>(0)?), code: code.transpose()? })
    })?;
    Ok(StoreResult::Account(account))
}

pub(super) fn exists(sql: &Transaction<'_>, name: &UserName) -> rusqlite::Result<bool> {
    Ok(first(sql, "SELECT 1 FROM users WHERE name = ?", [name.as_str()], |_| Ok(()))?.is_some())
}

pub(super) fn create(sql: &Transaction<'_>, account: &NewAccount) -> Answer {
    require(!exists(sql, &account.user)?, StoreRefusal::NameTaken)?;
    require(devices::owner(sql, &account.identity)?.is_none(), StoreRefusal::IdentityTaken)?;
    insert(sql, &account.user, &account.password)?;
    lists::insert(sql, &account.user, &account.list)?;
    execute(
        sql,
        "INSERT INTO devices (identity, user, listed, since, serial, bundle) VALUES (?, ?, 1, ?, ?, ?)",
        params![
            account.identity.as_bytes(),
            account.user.as_str(),
            int(account.now),
            account.serial.to_be_bytes(),
            &account.bundle[..],
        ],
    )?;
    Ok(StoreResult::Done)
}

pub(super) fn import(sql: &Transaction<'_>, name: &UserName, password: &PasswordHash) -> Answer {
    require(!exists(sql, name)?, StoreRefusal::NameTaken)?;
    insert(sql, name, password)?;
    Ok(StoreResult::Done)
}

fn insert(sql: &Transaction<'_>, name: &UserName, password: &PasswordHash) -> rusqlite::Result<usize> {
    execute(sql, "INSERT INTO users (name, password) VALUES (?, ?)", [name.as_str(), password.as_str()])
}

pub(super) fn set_password(
    sql: &Transaction<'_>,
    name: &UserName,
    expected: &PasswordHash,
    password: &PasswordHash,
) -> Answer {
    let changed = execute(
        sql,
        "UPDATE users SET password = ?3 WHERE name = ?1 AND password = ?2",
        [name.as_str(), expected.as_str(), password.as_str()],
    )?;
    require(changed == 1, StoreRefusal::Changed)?;
    Ok(StoreResult::Done)
}

pub(super) fn set_code(sql: &Transaction<'_>, name: &UserName, secret: &Secret<20>, step: u64) -> Answer {
    let statement = "UPDATE users SET code_secret = ?2, code_step = ?3 WHERE name = ?1";
    let changed = execute(sql, statement, params![name.as_str(), secret.as_bytes(), int(step)])?;
    require(changed == 1, StoreRefusal::NotFound)?;
    Ok(StoreResult::Done)
}

pub(super) fn use_code(sql: &Transaction<'_>, name: &UserName, step: u64) -> Answer {
    let statement = "UPDATE users SET code_step = ?2 WHERE name = ?1 AND code_secret IS NOT NULL AND code_step < ?2";
    let changed = execute(sql, statement, params![name.as_str(), int(step)])?;
    require(changed == 1, StoreRefusal::Changed)?;
    Ok(StoreResult::Done)
}

pub(super) fn page(sql: &Transaction<'_>, after: &str, count: usize) -> Answer {
    let statement = "SELECT name FROM users WHERE name > ? ORDER BY name LIMIT ?";
    Ok(StoreResult::Users(all(sql, statement, params![after, int(count)], |row| user(row, 0))?))
}
