//! The relay: sockets around the engine that every relay runs, and hooks where an operator who means ill stands: before the
//! store, behind it, and before what leaves.
//!
//! One lock for all of it, so that a lie and what it lies about stay together.

use crate::fault::{Fault, claim};
use rand::TryRng;
use rand::rngs::SysRng;
use securechat_core::crypto::secret::Secret;
use securechat_core::crypto::{self, Random};
use securechat_core::error::ApiMisuse;
use securechat_core::identity::{DeviceKeys, LocalIdentity, RelayAddress, UserName};
use securechat_core::link::{Link, LinkConfig, LinkEvent, Purpose};
use securechat_core::relay::{
    Address, ChunkState, ConnId, Job, JobResult, MemoryStore, Output, PasswordHash, Relay, RelayConfig, Store,
    StoreJob, StoreResult,
};
use securechat_core::session::Sessions;
use securechat_core::suite::Policy;
use securechat_core::wire::{Bytes, Push, Received, Reply, Request};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the relay's timers are looked at.
const TICK: Duration = Duration::from_millis(20);
/// After how long without anything nothing more is expected, at least.
const QUIET: Duration = Duration::from_millis(250);
/// Bytes that are read at once.
const BUFFER: usize = 64 * 1024;

/// Looks at what a client asks before the relay does, and may change it; false when it is not to be heard.
type AskHook = Box<dyn FnMut(&str, &Request) -> bool + Send>;
/// Looks at a store job before it runs, and may change it.
type JobHook = Box<dyn FnMut(&mut StoreJob) + Send>;
/// Looks at what the store answered, and may change it.
type ResultHook = Box<dyn FnMut(&StoreJob, &mut StoreResult) + Send>;
/// What leaves in place of a push to this user.
type PushHook = Box<dyn FnMut(&str, Push) -> Vec<Push> + Send>;
/// Looks at a reply to this user before it leaves, and may change it.
type ReplyHook = Box<dyn FnMut(&str, &mut Reply) + Send>;

/// What the relay lies about.
#[derive(Default)]
struct Lies {
    ask: Option<AskHook>,
    job: Option<JobHook>,
    result: Option<ResultHook>,
    push: Option<PushHook>,
    reply: Option<ReplyHook>,
}

/// A running relay.
pub(crate) struct EvilRelay {
    inner: Arc<Mutex<Inner>>,
    address: RelayAddress,
    stopped: Arc<AtomicBool>,
}

struct Inner {
    engine: Relay,
    store: MemoryStore,
    local: Arc<LocalIdentity>,
    wires: BTreeMap<u64, Wire>,
    conns: BTreeMap<ConnId, u64>,
    last_wire: u64,
    lies: Lies,
    /// Everything that it was ever told, links taken off: whatever it holds is made of this.
    heard: Vec<u8>,
    /// Everything that crossed its sockets.
    crossed: Vec<u8>,
    /// How often it did what no honest relay does.
    lied: usize,
    /// When something last happened.
    busy: Instant,
    /// After how long without anything nothing more is expected.
    quiet: Duration,
}

/// One client's connection.
struct Wire {
    link: Link,
    conn: Option<ConnId>,
    /// Who logged in on it, or wants to.
    user: String,
    stream: TcpStream,
    out: Sender<Vec<u8>>,
}

/// Unix milliseconds.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A generator seeded by the operating system.
pub(crate) fn random() -> Result<Random, Fault> {
    let mut seed = Secret::zero();
    SysRng.try_fill_bytes(seed.as_mut_bytes()).map_err(|_| Fault::Claim("this system gives random bytes".into()))?;
    Ok(crypto::from_seed(&seed))
}

/// Keys that the relay makes itself: its own, or those of a device in a user's name.
pub(crate) fn keys(user: Option<UserName>) -> Result<LocalIdentity, Fault> {
    let mut rng = random()?;
    let keys = DeviceKeys::generate(&mut *rng, None)?;
    let prekeys = match user {
        Some(_) => Sessions::new(Policy::default(), Arc::default()).last_resort_prekeys(now(), &mut *rng)?,
        None => Vec::new(),
    };
    Ok(LocalIdentity::new(keys, user, 0, &Policy::default(), prekeys, now())?)
}

impl EvilRelay {
    /// A relay with an identity of its own, and no users.
    pub(crate) fn start() -> Result<Self, Fault> {
        Self::with_keys(Arc::new(keys(None)?))
    }

    /// Another relay with the identity of this one: its second face.
    pub(crate) fn second_face(&self) -> Result<Self, Fault> {
        let mut inner = self.inner();
        inner.lied += 1;
        Self::with_keys(Arc::clone(&inner.local))
    }

    fn with_keys(local: Arc<LocalIdentity>) -> Result<Self, Fault> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let place = listener.local_addr()?;
        let address = format!("{place}#{}", local.bundle.fingerprint()).parse()?;
        let inner = Inner {
            engine: engine(&local)?,
            store: MemoryStore::new(),
            local,
            wires: BTreeMap::new(),
            conns: BTreeMap::new(),
            last_wire: 0,
            lies: Lies::default(),
            heard: Vec::new(),
            crossed: Vec::new(),
            lied: 0,
            busy: Instant::now(),
            quiet: QUIET,
        };
        let (inner, stopped) = (Arc::new(Mutex::new(inner)), Arc::new(AtomicBool::new(false)));
        let (accepts, stop) = (Arc::clone(&inner), Arc::clone(&stopped));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                // Who cannot be served tries again.
                _ = accept(&accepts, stream);
            }
        });
        let (ticks, stop) = (Arc::clone(&inner), Arc::clone(&stopped));
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(TICK);
                lock(&ticks).tick();
            }
        });
        Ok(Self { inner, address, stopped })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// The address to hand out, with the fingerprint of this relay.
    pub(crate) fn address(&self) -> &RelayAddress {
        &self.address
    }

    pub(crate) fn on_ask(&self, hook: impl FnMut(&str, &Request) -> bool + Send + 'static) {
        self.inner().lies.ask = Some(Box::new(hook));
    }

    pub(crate) fn on_job(&self, hook: impl FnMut(&mut StoreJob) + Send + 'static) {
        self.inner().lies.job = Some(Box::new(hook));
    }

    pub(crate) fn on_result(&self, hook: impl FnMut(&StoreJob, &mut StoreResult) + Send + 'static) {
        self.inner().lies.result = Some(Box::new(hook));
    }

    pub(crate) fn on_push(&self, hook: impl FnMut(&str, Push) -> Vec<Push> + Send + 'static) {
        self.inner().lies.push = Some(Box::new(hook));
    }

    pub(crate) fn on_reply(&self, hook: impl FnMut(&str, &mut Reply) + Send + 'static) {
        self.inner().lies.reply = Some(Box::new(hook));
    }

    /// It lies no more.
    pub(crate) fn honest(&self) {
        self.inner().lies = Lies::default();
    }

    /// Asks the store behind the relay's back.
    pub(crate) fn ask_store(&self, job: StoreJob) -> StoreResult {
        self.inner().store.run(&[job]).pop().unwrap_or(StoreResult::Failed)
    }

    /// A copy of everything that it keeps.
    pub(crate) fn backup(&self) -> MemoryStore {
        self.inner().store.clone()
    }

    /// Stops the engine in the middle of everything and starts it again, over what it kept or over a backup.
    pub(crate) fn restart(&self, backup: Option<MemoryStore>) -> Result<(), Fault> {
        let mut inner = self.inner();
        inner.lied += 1;
        inner.wires.values().for_each(Wire::cut);
        inner.wires.clear();
        inner.conns.clear();
        inner.engine = engine(&inner.local)?;
        if let Some(backup) = backup {
            inner.store = backup;
        }
        Ok(())
    }

    /// Breaks a user's connections, without a close.
    pub(crate) fn cut(&self, user: &str) {
        let mut inner = self.inner();
        inner.lied += 1;
        inner.wires.values().filter(|wire| wire.user == user).for_each(Wire::cut);
    }

    /// Sends a push of its own to a user.
    pub(crate) fn push(&self, user: &str, push: &Push) -> Result<(), Fault> {
        let data = push.encode()?;
        let mut inner = self.inner();
        inner.lied += 1;
        for wire in inner.wires.values_mut().filter(|wire| wire.user == user) {
            wire.link.send(&data)?;
        }
        inner.flush();
        Ok(())
    }

    /// Waits until nothing has happened here for a while.
    pub(crate) fn settle(&self) {
        let is_quiet = |inner: &Inner| inner.busy.elapsed() >= inner.quiet;
        while !is_quiet(&self.inner()) {
            thread::sleep(TICK);
        }
    }

    /// Waits longer from now on: a client took this long for more than it does at once.
    pub(crate) fn slow_down(&self, took: Duration) {
        let mut inner = self.inner();
        inner.quiet = inner.quiet.max(took);
    }

    /// Connects to itself as a client does, by hand, sends one request and gives what comes back.
    pub(crate) fn knock(&self, request: &[u8]) -> Result<Received, Fault> {
        self.inner().lied += 1;
        let mut stream = TcpStream::connect((self.address.host.as_str(), self.address.port))?;
        let mut config = LinkConfig::new(Purpose::Relay);
        config.pin = self.address.fingerprint;
        let mut link = Link::initiator(config, random()?, now())?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let mut bytes = Vec::new();
            while link.poll_transmit(&mut bytes) {}
            stream.write_all(&bytes)?;
            let length = stream.read(&mut buffer)?;
            claim(length > 0, "the relay answers")?;
            link.handle_input(buffer.get(..length).unwrap_or_default(), now())?;
            while let Some(event) = link.poll_event() {
                match event {
                    LinkEvent::Open { .. } => link.send(request)?,
                    LinkEvent::Data(data) => return Ok(Received::decode(&data)?),
                    _ => {}
                }
            }
        }
    }

    /// Whether it did anything that no honest relay does.
    pub(crate) fn lied(&self) -> bool {
        self.inner().lied > 0
    }

    /// Whether these bytes stand anywhere in what it was told or in what crossed its sockets.
    pub(crate) fn saw(&self, bytes: &[u8]) -> bool {
        let inner = self.inner();
        [&inner.heard, &inner.crossed].iter().any(|seen| seen.windows(bytes.len()).any(|window| window == bytes))
    }
}

impl Drop for EvilRelay {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.inner().wires.values().for_each(Wire::cut);
        // Wakes the thread that accepts; when that fails it ends with the program.
        _ = TcpStream::connect((self.address.host.as_str(), self.address.port));
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

fn engine(local: &LocalIdentity) -> Result<Relay, Fault> {
    let config = RelayConfig {
        identity: local.bundle.identity(),
        server_password: None,
        registration_open: true,
        lobby: true,
        dummy_password: PasswordHash::new("nobody's"),
        limits: Arc::default(),
    };
    Ok(Relay::new(config, random()?, now()))
}

/// Serves a connection on threads of its own: one reads, one writes.
fn accept(inner: &Arc<Mutex<Inner>>, mut stream: TcpStream) -> Result<(), Fault> {
    stream.set_nodelay(true)?;
    let (mut writer, (out, queue)) = (stream.try_clone()?, mpsc::channel::<Vec<u8>>());
    let wire = lock(inner).connected(stream.try_clone()?, out)?;
    thread::spawn(move || {
        for bytes in queue {
            if writer.write_all(&bytes).is_err() {
                break;
            }
        }
        _ = writer.shutdown(Shutdown::Both);
    });
    let inner = Arc::clone(inner);
    thread::spawn(move || {
        let mut buffer = vec![0; BUFFER];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            lock(&inner).input(wire, buffer.get(..length).unwrap_or_default());
        }
        lock(&inner).end(wire);
    });
    Ok(())
}

impl Wire {
    fn cut(&self) {
        // It may be gone already.
        _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Inner {
    fn connected(&mut self, stream: TcpStream, out: Sender<Vec<u8>>) -> Result<u64, Fault> {
        let mut config = LinkConfig::new(Purpose::Relay);
        config.local = Some(Arc::clone(&self.local));
        let link = Link::responder(config, random()?, now())?;
        self.last_wire += 1;
        self.wires.insert(self.last_wire, Wire { link, conn: None, user: String::new(), stream, out });
        Ok(self.last_wire)
    }

    fn input(&mut self, id: u64, bytes: &[u8]) {
        self.busy = Instant::now();
        self.crossed.extend_from_slice(bytes);
        let Some(wire) = self.wires.get_mut(&id) else { return };
        let outcome = wire.link.handle_input(bytes, now());
        while let Some(event) = self.wires.get_mut(&id).and_then(|wire| wire.link.poll_event()) {
            self.link_event(id, event);
        }
        self.drain();
        if outcome.is_err() {
            self.end(id);
        }
    }

    fn end(&mut self, id: u64) {
        let Some(wire) = self.wires.remove(&id) else { return };
        wire.cut();
        if let Some(conn) = wire.conn {
            self.conns.remove(&conn);
            self.engine.disconnect(conn, now());
        }
        self.drain();
    }

    fn tick(&mut self) {
        let now = now();
        if self.engine.poll_timeout().is_some_and(|at| at <= now) {
            self.engine.handle_timeout(now);
            self.drain();
        }
    }

    fn link_event(&mut self, id: u64, event: LinkEvent) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        match event {
            LinkEvent::Open { channel_binding, .. } => {
                // Each connection has an address of its own: nobody is slowed down here.
                let address = Address::from(u128::from(id).to_be_bytes());
                match self.engine.connect(now(), address, channel_binding) {
                    Ok(conn) => {
                        wire.conn = Some(conn);
                        self.conns.insert(conn, id);
                    }
                    Err(code) => _ = wire.link.close(code as u8),
                }
            }
            LinkEvent::Data(data) => {
                self.heard.extend_from_slice(&data);
                let asked = Received::decode(&data);
                if let Ok(Received::Request(_, request)) = &asked {
                    if let Some(user) = names_itself(request) {
                        wire.user = user.to_string();
                    }
                    if self.lies.ask.as_mut().is_some_and(|hook| !hook(&wire.user, request)) {
                        self.lied += 1;
                        return;
                    }
                }
                if let Some(conn) = wire.conn {
                    self.engine.handle_data(conn, &data, now());
                }
            }
            LinkEvent::Closed { .. } => {
                if let Some(conn) = wire.conn.take() {
                    self.conns.remove(&conn);
                    self.engine.disconnect(conn, now());
                }
            }
            _ => {}
        }
    }

    /// Runs the relay's jobs, takes what it wants to send, and writes it.
    fn drain(&mut self) {
        loop {
            if let Some((id, job)) = self.engine.poll_job() {
                let result = self.run(job);
                self.engine.complete(id, result, now());
                continue;
            }
            let Some((conn, output)) = self.engine.poll_output() else { break };
            let Some(wire) = self.conns.get(&conn).and_then(|id| self.wires.get_mut(id)) else { continue };
            // A link that is over takes nothing, and its client comes again.
            match output {
                Output::Data(data) => {
                    let twisted = twist(&mut self.lies, &wire.user, &data);
                    self.lied += usize::from(twisted != [data.to_vec()]);
                    for data in twisted {
                        _ = wire.link.send(&data);
                    }
                }
                Output::Admitted => wire.link.raise_frame_limit(),
                Output::Close(code) => _ = wire.link.close(code),
            }
        }
        while self.engine.poll_event().is_some() {}
        self.flush();
    }

    fn flush(&mut self) {
        for wire in self.wires.values_mut() {
            let mut bytes = Vec::new();
            while wire.link.poll_transmit(&mut bytes) {}
            if !bytes.is_empty() {
                self.busy = Instant::now();
                self.crossed.extend_from_slice(&bytes);
                // A writer that is gone went with its connection.
                _ = wire.out.send(bytes);
            }
        }
    }

    /// Does a job at once. It hashes no password: whoever runs a relay is told the passwords of its users.
    fn run(&mut self, job: Job) -> JobResult {
        match job {
            Job::Hash { password } => JobResult::Hash(PasswordHash::new(password.as_str())),
            Job::Verify { password, hash } => {
                JobResult::Verify { ok: hash.as_str() == password.as_str(), rehash: false }
            }
            Job::Store(mut job) => {
                if let Some(hook) = &mut self.lies.job {
                    let before = format!("{job:?}");
                    hook(&mut job);
                    self.lied += usize::from(format!("{job:?}") != before);
                }
                let mut result = self.store.run(core::slice::from_ref(&job)).pop().unwrap_or(StoreResult::Failed);
                if let Some(hook) = &mut self.lies.result {
                    let before = picture(&result);
                    hook(&job, &mut result);
                    self.lied += usize::from(picture(&result) != before);
                }
                JobResult::Store(result)
            }
        }
    }
}

/// What shows whether an answer was changed. `Debug` shows of bytes how many there are.
fn picture(result: &StoreResult) -> (String, Option<Bytes>) {
    let chunk = match result {
        StoreResult::Chunk(ChunkState::There(bytes)) => Some(bytes.clone()),
        _ => None,
    };
    (format!("{result:?}"), chunk)
}

/// Who a request says its sender is.
fn names_itself(request: &Request) -> Option<&UserName> {
    match request {
        Request::Register(register) => Some(&register.user),
        Request::LogIn(log_in) => Some(&log_in.user),
        Request::LogInDevice(log_in) => Some(&log_in.user),
        _ => None,
    }
}

/// What leaves in place of what the engine said.
fn twist(lies: &mut Lies, user: &str, data: &[u8]) -> Vec<Vec<u8>> {
    let encoded = match (Received::decode(data), &mut lies.push, &mut lies.reply) {
        (Ok(Received::Push(push)), Some(hook), _) => {
            hook(user, push).iter().map(|push| push.encode().map(|data| data.to_vec())).collect()
        }
        (Ok(Received::Reply(id, mut reply)), _, Some(hook)) => {
            hook(user, &mut reply);
            reply.encode(id).map(|data| vec![data.to_vec()])
        }
        _ => Ok(vec![data.to_vec()]),
    };
    encoded.unwrap_or_else(|_: ApiMisuse| vec![data.to_vec()])
}
