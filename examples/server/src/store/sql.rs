//! Statements and values between SQLite and the relay's types.

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OptionalExtension, Params, Result, Row};
use securechat_core::identity::{Identity, UserName};
use securechat_core::wire::Bytes;

/// Runs a statement that gives no rows; gives how many it changed.
pub(super) fn execute(sql: &Connection, statement: &str, values: impl Params) -> Result<usize> {
    sql.prepare_cached(statement)?.execute(values)
}

/// The first row, if there is one.
pub(super) fn first<T>(
    sql: &Connection,
    statement: &str,
    values: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    sql.prepare_cached(statement)?.query_row(values, read).optional()
}

/// Every row.
pub(super) fn all<T>(
    sql: &Connection,
    statement: &str,
    values: impl Params,
    read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    sql.prepare_cached(statement)?.query_map(values, read)?.collect()
}

/// A number for the database, which has 63 bits for it. Times, epochs and counts stay far below.
pub(super) fn int(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

/// A number from the database that was stored by [`int`].
pub(super) fn uint(row: &Row<'_>, column: usize) -> Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

pub(super) fn bytes(row: &Row<'_>, column: usize) -> Result<Bytes> {
    optional_bytes(row, column)?.ok_or_else(|| unfit(column, Type::Null))
}

pub(super) fn optional_bytes(row: &Row<'_>, column: usize) -> Result<Option<Bytes>> {
    let value = row.get_ref(column)?;
    let blob = value.as_blob_or_null().map_err(|_| unfit(column, value.data_type()))?;
    Ok(blob.map(Bytes::from))
}

pub(super) fn user(row: &Row<'_>, column: usize) -> Result<UserName> {
    let value = row.get_ref(column)?;
    let name = value.as_str().ok().and_then(|name| UserName::new(name).ok());
    name.ok_or_else(|| unfit(column, value.data_type()))
}

pub(super) fn identity(row: &Row<'_>, column: usize) -> Result<Identity> {
    row.get(column).map(Identity::from_bytes)
}

fn unfit(column: usize, kind: Type) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, FromSqlError::InvalidType.into())
}
