//! Starting a relay, and stopping it.

use crate::address;
use crate::census::Census;
use crate::clock;
use crate::config::Config;
use crate::error::{Reason, ServerError};
use crate::files;
use crate::net::{Links, Net, Parts};
use crate::open_files;
use crate::password;
use crate::stats::{Counters, Stats};
use crate::store::SqliteStore;
use crate::workers::Workers;
use polling::Poller;
use rand::RngExt;
use securechat_core::identity::{Fingerprint, Identity, RelayAddress};
use securechat_core::relay::{PasswordHash, Relay, RelayConfig};
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Starts relays.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Starts a relay on a thread of its own. When this returns it accepts connections.
    ///
    /// Everything that is missing in the data folder is made: the identity, the database.
    pub fn start(config: Config) -> Result<RunningServer, ServerError> {
        config.check()?;
        let now = clock::now();
        let lock = lock_folder(&config.data)?;
        let listener = listen(&config.listen)?;
        let listening = listener.local_addr().map_err(ServerError::system("to name an address"))?;
        let mut store = SqliteStore::open(&config.data)?;
        if config.memory_mailboxes {
            store = store.with_memory_mailboxes();
        }
        let (mut links, local) = Links::open(&config, now)?;
        let identity = local.keys.identity();
        let mut limits = config.limits.clone();
        if let Some(room) = open_files::raise_for(limits.connections) {
            if room < limits.connections {
                tracing::warn!(room, "the system's limit of open files leaves room for fewer connections");
            }
            limits.connections = limits.connections.min(room);
        }
        let census = Census::new(limits.connections, limits.connections_per_address);
        let relay_config = RelayConfig {
            identity,
            server_password: hash_server_password(&config)?,
            registration_open: config.registration_open,
            lobby: config.lobby,
            dummy_password: PasswordHash::new(password::hash(&rand::rng().random::<[u8; 32]>())?),
            limits: Arc::new(limits),
        };
        let relay = Relay::new(relay_config, links.fork_random(), now);
        let poller = Arc::new(Poller::new().map_err(ServerError::system("a poller of sockets"))?);
        let wake = StopHandle { stop: Arc::default(), poller: Arc::clone(&poller) };
        let workers = Workers::start(store, config.hash_threads, {
            let wake = wake.clone();
            move || wake.notify()
        })
        .map_err(ServerError::system("another thread"))?;
        let counters = Arc::new(Counters::default());
        let net = Net::new(Parts {
            poller,
            listener,
            census,
            links,
            relay,
            workers,
            tap: config.tap.clone(),
            counters: Arc::clone(&counters),
        })?;
        let stop = Arc::clone(&wake.stop);
        let thread = std::thread::Builder::new().name("sockets".into()).spawn(move || {
            let ended = net.run(&stop);
            // Held until everything that uses the folder is gone.
            drop(lock);
            ended
        });
        let thread = thread.map_err(ServerError::system("another thread"))?;
        tracing::info!(%listening, "the relay is running");
        Ok(RunningServer {
            address: address::reachable(listening, config.host.as_deref(), identity.fingerprint()),
            listening,
            identity,
            counters,
            stop: wake,
            thread: Some(thread),
        })
    }
}

/// A relay that runs. It stops when this is dropped.
#[derive(Debug)]
pub struct RunningServer {
    address: RelayAddress,
    listening: SocketAddr,
    identity: Identity,
    counters: Arc<Counters>,
    stop: StopHandle,
    thread: Option<JoinHandle<Result<(), ServerError>>>,
}

impl RunningServer {
    /// The address to hand out to users, with the fingerprint.
    pub fn address(&self) -> &RelayAddress {
        &self.address
    }

    /// The socket address that it listens on.
    pub fn listening(&self) -> SocketAddr {
        self.listening
    }

    /// Who it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The fingerprint of its identity.
    pub fn fingerprint(&self) -> Fingerprint {
        self.identity.fingerprint()
    }

    /// What it has counted.
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// Stops it from elsewhere: a handler of signals, another thread.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Closes all links in order, waits until everything is on the disk, and ends.
    pub fn shutdown(self) -> Result<(), ServerError> {
        self.stop.stop();
        self.wait()
    }

    /// Waits until it ends.
    pub fn wait(mut self) -> Result<(), ServerError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), ServerError> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended,
            Some(Err(_)) => Err(ServerError::Fault),
            None => Ok(()),
        }
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.stop.stop();
        // Whoever wants to know calls `shutdown`.
        let _ = self.join();
    }
}

/// Stops a server, from any thread.
#[derive(Clone, Debug)]
pub struct StopHandle {
    stop: Arc<AtomicBool>,
    poller: Arc<Poller>,
}

impl StopHandle {
    /// Has the server close all links in order and end. Returns at once.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.notify();
    }

    fn notify(&self) {
        if let Err(error) = self.poller.notify() {
            tracing::error!(%error, "the thread that serves the sockets cannot be woken");
        }
    }
}

/// Creates the data folder if need be, and takes it for this process.
pub(crate) fn lock_folder(folder: &Path) -> Result<File, ServerError> {
    let path = folder.join("lock");
    let file = files::create_private_folder(folder).and_then(|()| files::open_private(&path));
    let file = file.map_err(|error| ServerError::folder(folder, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ServerError::FolderInUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(ServerError::folder(&path, &error)),
    }
}

fn listen(address: &str) -> Result<TcpListener, ServerError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        lengthen_queue(&listener)?;
        Ok(listener)
    });
    bound.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => ServerError::AddressInUse(address.to_owned()),
        _ => ServerError::Address { address: address.to_owned(), reason: Reason::from(&error) },
    })
}

/// Room for more connections that wait to be accepted than the 128 of the standard library, so that a crowd does not
/// make others wait a second for their next try.
fn lengthen_queue(listener: &TcpListener) -> io::Result<()> {
    #[cfg(unix)]
    rustix::net::listen(listener, 4_096)?;
    #[cfg(not(unix))]
    let _ = listener;
    Ok(())
}

/// The password is hashed like all others: it is asked for rarely, and so it does not stay in memory.
fn hash_server_password(config: &Config) -> Result<Option<PasswordHash>, ServerError> {
    let hash = |text: &str| password::hash(text.as_bytes()).map(PasswordHash::new);
    Ok(config.server_password.as_ref().map(|text| hash(text)).transpose()?)
}
