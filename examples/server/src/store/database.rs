//! Opening the database: durable settings, schema version, and a check that it is whole.

use crate::error::ServerError;
use crate::files;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

/// "SCHT": marks the file as ours, also for `file(1)`.
const APPLICATION_ID: i32 = 0x5343_4854;
/// What made each version of the tables out of the one before. Their number is kept as `user_version`.
const SCHEMA: [&str; 2] = [include_str!("schema.sql"), include_str!("groups.sql")];
const SCHEMA_VERSION: u32 = SCHEMA.len() as u32;

/// Opens the database at `path`, made if it is not there, brought to the present schema, and found whole.
pub(crate) fn open(path: &Path) -> Result<Connection, ServerError> {
    // SQLite gives its log files the permissions of the database.
    files::open_private(path).map_err(|error| ServerError::folder(path, &error))?;
    let mut connection = Connection::open(path).map_err(|error| refusal(path, &error))?;
    let version = configure(&connection).map_err(|error| refusal(path, &error))?;
    if version > SCHEMA_VERSION {
        return Err(ServerError::DatabaseNewer(path.to_owned()));
    }
    check(&connection).map_err(|error| refusal(path, &error)).and_then(|findings| match findings {
        None => Ok(()),
        Some(reason) => Err(ServerError::DatabaseDamaged { path: path.to_owned(), reason }),
    })?;
    migrate(&mut connection, version).map_err(|error| refusal(path, &error))?;
    Ok(connection)
}

/// Settings of a connection; gives the version of the schema in the file, 0 in a new one.
fn configure(connection: &Connection) -> rusqlite::Result<u32> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(128);
    // A statement keeps its plan. Otherwise one that looks for a range is planned anew whenever other values are bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // Readers do not wait for the writer, and one sync makes a whole batch durable.
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    // Where a plain sync leaves data in the drive's cache (macOS), this does not.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A replaced password hash or a handed-out prekey is overwritten, not just unlinked.
    connection.pragma_update_and_check(None, "secure_delete", "fast", |_| Ok(()))?;
    // Damage is found where it is read, not where it is followed.
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(version)
}

/// What is wrong with the file, if anything: its structure, not the agreement of every index, which takes long.
fn check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let finding: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(Some(finding).filter(|finding| finding != "ok"))
}

fn migrate(connection: &mut Connection, version: u32) -> rusqlite::Result<()> {
    if version == SCHEMA_VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in SCHEMA.iter().skip(version as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

/// The sentence for an error on opening.
pub(super) fn refusal(path: &Path, error: &rusqlite::Error) -> ServerError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            ServerError::DatabaseDamaged { path: path.to_owned(), reason: error.to_string() }
        }
        _ => ServerError::Database { path: path.to_owned(), reason: error.to_string() },
    }
}
