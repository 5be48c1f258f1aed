//! The relay of the tour, with a look over its shoulder: its database, its files and its wire.

use crate::evidence;
use crate::fault::Fault;
use crate::stage::brief;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use securechat_core::identity::RelayAddress;
use securechat_core::suite::{Policy, Suite};
use securechat_server::{Config, Direction, RunningServer, Server, Tap};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// Bits of the RSA keys here: the smallest allowed, so that nobody has to wait for them.
pub(crate) const RSA_BITS: usize = 2048;

/// Every byte that went over the relay's wire, by connection, in the order of their beginning.
#[derive(Clone, Default)]
pub(crate) struct Wire(Arc<Mutex<Vec<(SocketAddr, Stream)>>>);

/// One connection as the wire shows it.
#[derive(Clone, Default)]
pub(crate) struct Stream {
    pub(crate) to_relay: Vec<u8>,
    pub(crate) from_relay: Vec<u8>,
}

impl Wire {
    fn tap(&self) -> Tap {
        let wire = self.clone();
        Tap::new(move |client, direction, bytes| wire.record(client, direction, bytes))
    }

    fn record(&self, client: SocketAddr, direction: Direction, bytes: &[u8]) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !streams.iter().any(|(address, _)| *address == client) {
            streams.push((client, Stream::default()));
        }
        if let Some((_, stream)) = streams.iter_mut().find(|(address, _)| *address == client) {
            match direction {
                Direction::In => stream.to_relay.extend_from_slice(bytes),
                Direction::Out => stream.from_relay.extend_from_slice(bytes),
            }
        }
    }

    /// The connections so far.
    pub(crate) fn streams(&self) -> Vec<Stream> {
        let streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streams.iter().map(|(_, stream)| stream.clone()).collect()
    }
}

/// The running relay.
pub(crate) struct Relay {
    server: RunningServer,
    data: PathBuf,
    database: PathBuf,
    wire: Wire,
}

impl Relay {
    pub(crate) fn start(folder: &Path, suite: Suite, password: &str) -> Result<Self, Fault> {
        let wire = Wire::default();
        let config = Config {
            listen: "127.0.0.1:0".into(),
            data: folder.join("relay"),
            server_password: Some(Zeroizing::new(password.to_owned())),
            suites: Policy::new(vec![suite])
                .map_err(securechat_core::error::Error::from)
                .map_err(securechat_client::Error::from)?,
            rsa_bits: RSA_BITS,
            tap: Some(wire.tap()),
            ..Config::default()
        };
        let (data, database) = (config.data.clone(), config.database());
        Ok(Self { server: Server::start(config)?, data, database, wire })
    }

    /// The address to hand out.
    pub(crate) fn address(&self) -> &RelayAddress {
        self.server.address()
    }

    pub(crate) fn wire(&self) -> Vec<Stream> {
        self.wire.streams()
    }

    /// Everything that lies in its folder.
    pub(crate) fn disk(&self) -> (Vec<u8>, usize) {
        evidence::disk(&self.data)
    }

    /// Rows per table, of those that have any.
    pub(crate) fn counts(&self) -> Result<BTreeMap<String, u64>, Fault> {
        let database = self.open()?;
        let mut query =
            database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")?;
        let tables = query.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        let mut counts = BTreeMap::new();
        for table in tables {
            let count =
                database.query_row(&format!("SELECT count(*) FROM \"{table}\""), [], |row| row.get::<_, i64>(0))?;
            if let Some(count) = u64::try_from(count).ok().filter(|count| *count > 0) {
                counts.insert(table, count);
            }
        }
        Ok(counts)
    }

    /// Rows as they are, shortened: `name=alice password=$argon2id$…`.
    pub(crate) fn rows(&self, query: &str) -> Result<Vec<String>, Fault> {
        let database = self.open()?;
        let mut query = database.prepare(query)?;
        let names: Vec<String> = query.column_names().map(str::to_owned).collect();
        let row = |row: &rusqlite::Row<'_>| {
            let value = |(index, name): (usize, &String)| Ok(format!("{name}={}", show(row.get_ref(index)?)));
            Ok(names.iter().enumerate().map(value).collect::<rusqlite::Result<Vec<_>>>()?.join("  "))
        };
        Ok(query.query_map([], row)?.collect::<Result<_, _>>()?)
    }

    /// The envelopes that wait, as they lie there.
    pub(crate) fn waiting(&self) -> Result<Vec<Vec<u8>>, Fault> {
        let database = self.open()?;
        let mut query =
            database.prepare("SELECT envelope FROM envelopes WHERE envelope IS NOT NULL ORDER BY number")?;
        Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    pub(crate) fn stop(self) -> Result<(), Fault> {
        Ok(self.server.shutdown()?)
    }

    fn open(&self) -> Result<Connection, Fault> {
        Ok(Connection::open_with_flags(&self.database, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
    }
}

fn show(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "-".into(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => shorten(&String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => brief(&bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(48) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_is_kept_by_connection_and_direction() {
        let wire = Wire::default();
        let client = |port| SocketAddr::from(([127, 0, 0, 1], port));
        wire.record(client(2), Direction::In, b"one ");
        wire.record(client(1), Direction::In, b"other");
        wire.record(client(2), Direction::In, b"two");
        wire.record(client(2), Direction::Out, b"three");
        let streams = wire.streams();
        assert_eq!(streams.len(), 2);
        assert_eq!(streams[0].to_relay, b"one two");
        assert_eq!(streams[0].from_relay, b"three");
        assert_eq!(streams[1].to_relay, b"other");
    }
}
