//! The records of a state in SQLite: one transaction per batch, durable before it returns.

use crate::error::Error;
use crate::folder::{Folder, private_file};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use securechat_core::client::Save;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The layout of the database; a higher number is a newer program's.
const VERSION: i64 = 2;

/// A row of the history.
pub(crate) struct Row {
    pub(crate) sealed: Vec<u8>,
    /// Whether it is to be forgotten one day; when, only the sealed part says.
    pub(crate) expires: bool,
}

/// Rows to write, or to take out, by their places.
pub(crate) type Rows = BTreeMap<String, Option<Row>>;

/// The database of one state. Its folder is locked as long as this lives.
pub(crate) struct Store {
    database: Connection,
    folder: Folder,
}

impl Store {
    /// Opens the state in `folder`, or creates an empty one.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::Damaged`], [`Error::NewerVersion`], or what the file system says.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let folder = Folder::open(folder)?;
        let path = folder.database();
        // SQLite gives its -wal and -shm the permissions of the database.
        private_file(&path).map_err(Error::at(&path))?;
        let database = prepare(&path).map_err(|error| explain(error, path.clone()))?;
        let version: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version != VERSION {
            return Err(Error::NewerVersion(path));
        }
        Ok(Self { database, folder })
    }

    /// Every record.
    pub(crate) fn records(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut query = self.database.prepare("SELECT key, value FROM record ORDER BY key")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Writes records of the client and rows of the history, all of them or nothing. When this returns they are on the disk.
    ///
    /// # Errors
    /// [`Error::DiskFull`], after which the same can be tried again; or what the database says.
    pub(crate) fn commit(&mut self, records: &[Save], rows: &Rows) -> Result<(), Error> {
        self.write(records, rows).map_err(|error| full(error, self.folder.path()))
    }

    fn write(&mut self, records: &[Save], rows: &Rows) -> rusqlite::Result<()> {
        let transaction = self.database.transaction()?;
        {
            let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO record (key, value) VALUES (?, ?)")?;
            let mut remove = transaction.prepare_cached("DELETE FROM record WHERE key = ?")?;
            for Save { key, value } in records {
                match value {
                    Some(value) => put.execute(params![key, value])?,
                    None => remove.execute(params![key])?,
                };
            }
            let mut put = transaction
                .prepare_cached("INSERT OR REPLACE INTO history (place, expires, value) VALUES (?, ?, ?)")?;
            let mut remove = transaction.prepare_cached("DELETE FROM history WHERE place = ?")?;
            for (place, row) in rows {
                match row {
                    Some(row) => put.execute(params![place, row.expires, row.sealed])?,
                    None => remove.execute(params![place])?,
                };
            }
        }
        transaction.commit()
    }

    /// The row of the history at a place.
    pub(crate) fn row(&self, place: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut query = self.database.prepare_cached("SELECT value FROM history WHERE place = ?")?;
        Ok(query.query_row([place], |row| row.get(0)).optional()?)
    }

    /// Every row of the history, or every one that is to be forgotten.
    pub(crate) fn each_row(
        &self,
        expiring: bool,
        mut each: impl FnMut(String, Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut query = self.database.prepare_cached(match expiring {
            true => "SELECT place, value FROM history WHERE expires > 0",
            false => "SELECT place, value FROM history",
        })?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            each(row.get(0)?, row.get(1)?)?;
        }
        Ok(())
    }

    /// Moves what is in the write-ahead log into the database, and empties it.
    pub(crate) fn empty_log(&self) -> Result<(), Error> {
        Ok(self.database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    /// What the program itself keeps under `name`.
    pub(crate) fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut query = self.database.prepare_cached("SELECT value FROM setting WHERE name = ?")?;
        Ok(query.query_row([name], |row| row.get(0)).optional()?)
    }

    /// Keeps settings, all of them or none.
    pub(crate) fn set(&mut self, settings: &[(&str, &[u8])]) -> Result<(), Error> {
        self.write_settings(settings).map_err(|error| full(error, self.folder.path()))
    }

    fn write_settings(&mut self, settings: &[(&str, &[u8])]) -> rusqlite::Result<()> {
        let transaction = self.database.transaction()?;
        for (name, value) in settings {
            transaction.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", params![name, value])?;
        }
        transaction.commit()
    }

    /// The highest generation noted beside the folder.
    pub(crate) fn generation(&self) -> Option<u64> {
        self.folder.generation()
    }

    /// Notes the generation of what was just written.
    pub(crate) fn note_generation(&mut self, generation: u64) -> Result<(), Error> {
        self.folder.note_generation(generation)
    }

    /// The folder of the state.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// WAL with synchronous FULL: a commit is on the disk when it returns, and a reader never sees half of one.
fn prepare(path: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open(path)?;
    database.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    database.execute_batch("PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;")?;
    // What SQLite needs for a while it keeps in memory.
    database.execute_batch("PRAGMA temp_store = MEMORY;")?;
    let sound: String = database.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), None));
    }
    let version: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        database.execute_batch(
            "BEGIN IMMEDIATE;
             CREATE TABLE record (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
             CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
             PRAGMA user_version = 1;
             COMMIT;",
        )?;
    }
    if version <= 1 {
        database.execute_batch(&format!(
            "BEGIN IMMEDIATE;
             CREATE TABLE history (place TEXT PRIMARY KEY, expires INTEGER NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;
             CREATE INDEX expiring ON history (place) WHERE expires > 0;
             PRAGMA user_version = {VERSION};
             COMMIT;"
        ))?;
    }
    Ok(database)
}

/// A full disk is told apart: there may be room again.
fn full(error: rusqlite::Error, folder: &Path) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::DiskFull(folder.to_owned()),
        _ => Error::Database(error),
    }
}

fn explain(error: rusqlite::Error, path: PathBuf) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Error::Damaged(path),
        Some(ErrorCode::DiskFull) => Error::DiskFull(path),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::InUse(path),
        _ => Error::Database(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn apply(store: &mut Store, batch: &[(&str, Option<&[u8]>)]) -> Result<(), Error> {
        let save = |(key, value): &(&str, Option<&[u8]>)| Save { key: (*key).into(), value: value.map(<[u8]>::to_vec) };
        store.commit(&batch.iter().map(save).collect::<Vec<_>>(), &BTreeMap::new())
    }

    fn keys(store: &Store) -> Vec<String> {
        store.records().unwrap().into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn a_batch_is_kept_and_replaced_and_removed() {
        let place = tempfile::tempdir().unwrap();
        let mut store = Store::open(place.path()).unwrap();
        apply(&mut store, &[("a", Some(&b"1"[..])), ("b", Some(b"2"))]).unwrap();
        apply(&mut store, &[("a", Some(&b"3"[..])), ("b", None), ("c", Some(b""))]).unwrap();
        store.set(&[("one", b"x"), ("two", b"y")]).unwrap();
        drop(store);
        let store = Store::open(place.path()).unwrap();
        assert_eq!(store.records().unwrap(), [("a".to_owned(), b"3".to_vec()), ("c".to_owned(), vec![])]);
        assert_eq!(store.setting("two").unwrap(), Some(b"y".to_vec()));
        assert_eq!(store.setting("three").unwrap(), None);
    }

    #[test]
    fn a_batch_that_fails_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let mut store = Store::open(place.path()).unwrap();
        apply(&mut store, &[("a", Some(&b"1"[..]))]).unwrap();
        store
            .database
            .execute_batch("CREATE TRIGGER t BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'no'); END")
            .unwrap();
        assert!(apply(&mut store, &[("b", Some(&b"2"[..])), ("a", None)]).is_err());
        assert_eq!(keys(&store), ["a"]);
    }

    #[test]
    fn records_and_rows_are_written_together_or_not_at_all() {
        let place = tempfile::tempdir().unwrap();
        let mut store = Store::open(place.path()).unwrap();
        let record = [Save { key: "a".into(), value: Some(vec![1]) }];
        let row = |expires| Some(Row { sealed: vec![2], expires });
        store.commit(&record, &BTreeMap::from([("x".into(), row(false)), ("y".into(), row(true))])).unwrap();
        let places = |store: &Store, expiring| {
            let mut places = Vec::new();
            let push = |place, _| {
                places.push(place);
                Ok(())
            };
            store.each_row(expiring, push).unwrap();
            places
        };
        assert_eq!((places(&store, false).concat(), places(&store, true).concat()), ("xy".into(), "y".into()));
        let refuse = "CREATE TRIGGER t BEFORE DELETE ON history BEGIN SELECT RAISE(ABORT, 'no'); END";
        store.database.execute_batch(refuse).unwrap();
        let record = [Save { key: "b".into(), value: Some(vec![1]) }];
        assert!(store.commit(&record, &BTreeMap::from([("y".into(), None)])).is_err());
        assert_eq!((keys(&store), places(&store, false).concat()), (vec!["a".to_owned()], "xy".into()));
        assert_eq!((store.row("x").unwrap(), store.row("z").unwrap()), (Some(vec![2]), None));
    }

    #[test]
    fn a_database_of_before_there_was_a_history_gets_one() {
        let place = tempfile::tempdir().unwrap();
        let mut store = Store::open(place.path()).unwrap();
        apply(&mut store, &[("a", Some(b"1"))]).unwrap();
        store.database.execute_batch("DROP TABLE history; PRAGMA user_version = 1").unwrap();
        drop(store);
        let store = Store::open(place.path()).unwrap();
        assert_eq!((keys(&store), store.row("x").unwrap()), (vec!["a".to_owned()], None));
    }

    #[test]
    fn damage_and_the_future_are_sentences() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("state.db"), [b"not a database".as_slice(); 100].concat()).unwrap();
        assert!(matches!(Store::open(place.path()), Err(Error::Damaged(_))));

        let place = tempfile::tempdir().unwrap();
        let store = Store::open(place.path()).unwrap();
        store.database.pragma_update(None, "user_version", VERSION + 1).unwrap();
        drop(store);
        assert!(matches!(Store::open(place.path()), Err(Error::NewerVersion(_))));
    }

    /// ATTACKS.md E5.
    #[cfg(unix)]
    #[test]
    fn e5_the_database_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let mut store = Store::open(place.path()).unwrap();
        apply(&mut store, &[("a", Some(&b"1"[..]))]).unwrap();
        for name in ["state.db", "state.db-wal", "state.db-shm"] {
            let mode = fs::metadata(place.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
