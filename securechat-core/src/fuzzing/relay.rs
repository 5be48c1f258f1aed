//! The relay, with its store, fed with what clients say.

use super::devices::keys;
use super::links::NOW;
use super::stream::Stream;
use crate::codec::Reader;
use crate::identity::Identity;
use crate::relay::{ConnId, Job, JobResult, MemoryStore, Output, PasswordHash, Relay, RelayConfig, Store, StoreResult};
use crate::wire::{BODY_MAX, HEADER_LEN, Received};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// Requests on four connections: `u8 | u16 length | request`, as often as there is.
///
/// The byte has the connection in its lowest two bits; 0x40 ends it first, and 0x80 lets a second pass.
pub fn relay(data: &[u8]) {
    let mut host = Host::new();
    let mut reader = Reader::new(data);
    while let (Ok(choice), Ok(request)) = (reader.u8(), reader.prefixed()) {
        host.take(choice, request);
    }
    host.end();
}

/// The binding of the links of a connection; equal in every run, so that logins can be signed beforehand.
pub const fn binding(connection: u8) -> [u8; 32] {
    [connection; 32]
}

/// The identity of the relay.
pub fn relay_identity() -> Identity {
    static MADE: LazyLock<Identity> = LazyLock::new(|| keys(9).identity());
    *MADE
}

/// A relay that is open to everybody, with nobody connected.
pub(super) fn fresh_relay() -> Relay {
    let config = RelayConfig {
        identity: relay_identity(),
        server_password: None,
        registration_open: true,
        lobby: true,
        dummy_password: PasswordHash::new("dummy"),
        limits: Arc::default(),
    };
    Relay::new(config, Box::new(Stream::new(9)), NOW)
}

/// A relay with four places for connections, and what a host does for it.
pub struct Host {
    relay: Relay,
    store: MemoryStore,
    now: u64,
    connections: BTreeMap<u8, ConnId>,
    /// Requests less answers.
    open: BTreeMap<ConnId, usize>,
}

impl Host {
    /// A relay in its first second.
    #[allow(clippy::new_without_default)] // it is a beginning, not a default
    pub fn new() -> Self {
        let (connections, open) = Default::default();
        Self { relay: fresh_relay(), store: MemoryStore::default(), now: NOW, connections, open }
    }

    /// One step of [`relay`]; gives what is said on that connection.
    pub fn take(&mut self, choice: u8, request: &[u8]) -> Vec<Vec<u8>> {
        if choice & 0x80 != 0 {
            self.now += 1_000;
            self.relay.handle_timeout(self.now);
        }
        let place = choice & 3;
        if choice & 0x40 != 0
            && let Some(conn) = self.connections.remove(&place)
        {
            self.open.remove(&conn);
            self.relay.disconnect(conn, self.now);
        }
        let (relay, now) = (&mut self.relay, self.now);
        let connect = || relay.connect(now, [place; 16], binding(place)).unwrap();
        let conn = *self.connections.entry(place).or_insert_with(connect);
        *self.open.entry(conn).or_default() += 1;
        self.relay.handle_data(conn, request, self.now);
        self.drain(conn)
    }

    /// Everybody goes, and time passes.
    pub fn end(mut self) {
        self.relay.shutdown(self.now);
        self.drain(ConnId::from_number(0));
        assert_eq!(self.relay.connections(), 0);
        while self.relay.poll_timeout().is_some_and(|at| at < NOW + crate::limits::DAY) {
            self.now = self.relay.poll_timeout().unwrap_or(self.now).max(self.now);
            self.relay.handle_timeout(self.now);
            self.drain(ConnId::from_number(0));
        }
    }

    fn drain(&mut self, wanted: ConnId) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        loop {
            while let Some((id, job)) = self.relay.poll_job() {
                let result = self.run(&job);
                self.relay.complete(id, result, self.now);
            }
            let Some((conn, output)) = self.relay.poll_output() else { break };
            match output {
                Output::Data(bytes) => {
                    assert!(bytes.len() <= HEADER_LEN + BODY_MAX);
                    let received = Received::decode(&bytes);
                    if matches!(received, Ok(Received::Reply(..) | Received::Refused(..))) {
                        let open = self.open.entry(conn).or_default();
                        assert!(*open > 0, "an answer to nothing");
                        *open -= 1;
                    } else {
                        assert!(matches!(received, Ok(Received::Push(_))), "neither answer nor push");
                    }
                    if conn == wanted {
                        said.push(bytes.to_vec());
                    }
                }
                Output::Admitted => {}
                Output::Close(_) => {
                    self.connections.retain(|_, other| *other != conn);
                    self.open.remove(&conn);
                }
            }
        }
        while self.relay.poll_event().is_some() {}
        said
    }

    fn run(&mut self, job: &Job) -> JobResult {
        match job {
            Job::Hash { password } => JobResult::Hash(PasswordHash::new(password.as_str())),
            Job::Verify { password, hash } => {
                JobResult::Verify { ok: password.as_str() == hash.as_str(), rehash: false }
            }
            Job::Store(job) => {
                let mut results = self.store.run(core::slice::from_ref(job));
                JobResult::Store(results.pop().unwrap_or(StoreResult::Failed))
            }
        }
    }
}
