//! A relay over the store in memory, with a hasher that does not hash and a clock that stands still unless told.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use securechat_core::crypto::mlkem::DecapsulationKey;
use securechat_core::crypto::{Random, x25519};
use securechat_core::identity::{
    DeviceKeys, Identity, LocalIdentity, PrekeyPublic, SignedDeviceList, SignedPrekey, UserName,
};
use securechat_core::limits::{DAY, Limits};
use securechat_core::relay::{
    ConnId, Job, JobId, JobResult, MemoryStore, Output, PasswordHash, Relay, RelayConfig, RelayEvent, Store, StoreJob,
    StoreResult,
};
use securechat_core::suite::Policy;
use securechat_core::wire::{
    Acknowledge, Bytes, Deliver, EnvelopeId, EnvelopeRef, LogIn, LogInDevice, LoggedIn, LoginClaim, Password, Push,
    Received, Recipient, Refusal, RefusalCode, Register, Reply, Request, Send, SendItem, SendOutcome, SendResult,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The moment at which every scenario begins.
pub const NOW: u64 = 20_000 * DAY;

pub fn rng(seed: u64) -> Random {
    Box::new(ChaCha20Rng::seed_from_u64(seed))
}

pub fn name(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

pub fn password(password: &str) -> Password {
    Password::new(password.into()).unwrap()
}

pub fn relay_identity() -> Identity {
    Identity::from_bytes([0xAA; 32])
}

/// One device of one user, as far as the relay sees it.
pub struct Device {
    pub user: UserName,
    pub local: LocalIdentity,
    pub conn: Option<ConnId>,
    last_prekey: u32,
}

impl Device {
    pub fn new(user: &str, seed: u64) -> Self {
        let mut rng = rng(seed);
        let keys = DeviceKeys::generate(&mut *rng, None).unwrap();
        let user = name(user);
        let prekeys = prekeys(1, seed);
        let local =
            LocalIdentity::new(keys, Some(user.clone()), seed as u32, &Policy::default(), prekeys, NOW).unwrap();
        Self { user, local, conn: None, last_prekey: 1 }
    }

    pub fn identity(&self) -> Identity {
        self.local.keys.identity()
    }

    pub fn conn(&self) -> ConnId {
        self.conn.unwrap()
    }

    pub fn bundle(&self) -> Bytes {
        self.local.bundle.bytes().into()
    }

    pub fn first_list(&self) -> SignedDeviceList {
        SignedDeviceList::create(self.user.clone(), &self.local.keys.identity).unwrap()
    }

    /// As many new one-time prekeys of the X25519 kind.
    pub fn prekeys(&mut self, count: u32) -> Vec<Bytes> {
        (0..count)
            .map(|_| {
                self.last_prekey += 1;
                let key = x25519::PrivateKey::generate(&mut *rng(self.last_prekey.into())).public();
                let prekey = PrekeyPublic::new(self.last_prekey, key, None);
                let device = self.local.bundle.device();
                SignedPrekey::sign(&self.local.keys.identity, device, prekey).unwrap().bytes().into()
            })
            .collect()
    }

    pub fn signature(&self, channel_binding: &[u8; 32]) -> [u8; 64] {
        let (relay, identity) = (relay_identity(), self.identity());
        LoginClaim { relay: &relay, user: &self.user, identity: &identity, channel_binding }
            .sign(&self.local.keys.identity)
    }

    pub fn register(&self, password_: &str, channel_binding: &[u8; 32]) -> Request {
        Request::Register(Register {
            user: self.user.clone(),
            password: password(password_),
            bundle: self.bundle(),
            list: self.first_list().bytes().into(),
            signature: self.signature(channel_binding),
        })
    }

    pub fn log_in(&self, password_: &str, channel_binding: &[u8; 32]) -> Request {
        Request::LogIn(LogIn {
            user: self.user.clone(),
            password: password(password_),
            code: None,
            identity: self.identity(),
            signature: self.signature(channel_binding),
        })
    }

    pub fn log_in_device(&self, channel_binding: &[u8; 32]) -> Request {
        let (user, identity) = (self.user.clone(), self.identity());
        Request::LogInDevice(LogInDevice { user, identity, signature: self.signature(channel_binding) })
    }
}

/// Last-resort prekeys of both kinds.
pub fn prekeys(id: u32, seed: u64) -> Vec<PrekeyPublic> {
    let mut rng = rng(seed);
    let key = x25519::PrivateKey::generate(&mut *rng).public();
    let mlkem = DecapsulationKey::generate(&mut *rng).encapsulation_key();
    vec![PrekeyPublic::new(id, key, None), PrekeyPublic::new(id, key, Some(mlkem))]
}

/// The relay with everything around it.
pub struct Net {
    pub relay: Relay,
    pub store: MemoryStore,
    pub now: u64,
    /// What came to each connection and was not looked at yet.
    pub inbox: BTreeMap<ConnId, VecDeque<Received>>,
    pub bindings: BTreeMap<ConnId, [u8; 32]>,
    pub admitted: BTreeSet<ConnId>,
    pub closed: BTreeMap<ConnId, u8>,
    pub events: Vec<RelayEvent>,
    /// The names of all jobs, in order.
    pub jobs: Vec<&'static str>,
    /// Every password hash that was checked, in order.
    pub checked: Vec<String>,
    /// All bytes that went out, connection by connection.
    pub transcript: Vec<(ConnId, Vec<u8>)>,
    /// While set, jobs are kept and not done.
    pub hold_jobs: bool,
    held: VecDeque<(JobId, Job)>,
    /// While set, every store job fails.
    pub store_fails: bool,
    last_request: u32,
}

impl Net {
    pub fn new() -> Self {
        Self::with(Limits::default(), |_| {})
    }

    pub fn with(limits: Limits, change: impl FnOnce(&mut RelayConfig)) -> Self {
        let mut config = RelayConfig {
            identity: relay_identity(),
            server_password: None,
            registration_open: true,
            lobby: false,
            dummy_password: PasswordHash::new("fake$"),
            limits: Arc::new(limits),
        };
        change(&mut config);
        Self {
            relay: Relay::new(config, rng(99), NOW),
            store: MemoryStore::new(),
            now: NOW,
            inbox: BTreeMap::new(),
            bindings: BTreeMap::new(),
            admitted: BTreeSet::new(),
            closed: BTreeMap::new(),
            events: Vec::new(),
            jobs: Vec::new(),
            checked: Vec::new(),
            transcript: Vec::new(),
            hold_jobs: false,
            held: VecDeque::new(),
            store_fails: false,
            last_request: 0,
        }
    }

    /// A new connection from an address, as its last byte.
    pub fn connect_from(&mut self, address: u8) -> ConnId {
        let channel_binding = [self.bindings.len() as u8; 32];
        let conn = self.relay.connect(self.now, [address; 16], channel_binding).unwrap();
        self.bindings.insert(conn, channel_binding);
        conn
    }

    pub fn connect(&mut self) -> ConnId {
        self.connect_from(1)
    }

    pub fn disconnect(&mut self, device: &mut Device) {
        self.relay.disconnect(device.conn.take().unwrap(), self.now);
        self.run();
    }

    /// Hands a request in and leaves its answer in the inbox; gives its id.
    pub fn ask(&mut self, conn: ConnId, request: &Request) -> u32 {
        self.last_request += 1;
        let bytes = request.encode(self.last_request).unwrap();
        self.relay.handle_data(conn, &bytes, self.now);
        self.last_request
    }

    /// Does a request and gives its answer.
    pub fn request(&mut self, conn: ConnId, request: &Request) -> Result<Reply, Refusal> {
        let id = self.ask(conn, request);
        self.run();
        self.answer(conn, id).unwrap_or_else(|| panic!("no answer to {request:?}"))
    }

    /// The code that a request is refused with.
    pub fn refused(&mut self, conn: ConnId, request: &Request) -> RefusalCode {
        self.request(conn, request).expect_err("it is refused").code
    }

    /// Takes the answer to a request out of the inbox.
    pub fn answer(&mut self, conn: ConnId, id: u32) -> Option<Result<Reply, Refusal>> {
        let inbox = self.inbox.entry(conn).or_default();
        let place = inbox.iter().position(|received| match received {
            Received::Reply(of, _) | Received::Refused(of, _) => *of == id,
            _ => false,
        })?;
        match inbox.remove(place).unwrap() {
            Received::Reply(_, reply) => Some(Ok(reply)),
            Received::Refused(_, refusal) => Some(Err(refusal)),
            _ => unreachable!(),
        }
    }

    /// Takes all pushes out of a connection's inbox.
    pub fn pushes(&mut self, conn: ConnId) -> Vec<Push> {
        let inbox = self.inbox.entry(conn).or_default();
        let (pushes, others) = core::mem::take(inbox).into_iter().partition(|r| matches!(r, Received::Push(_)));
        *inbox = others;
        let push = |received| if let Received::Push(push) = received { push } else { unreachable!() };
        let pushes: VecDeque<Received> = pushes;
        pushes.into_iter().map(push).collect()
    }

    /// Takes the envelopes that were delivered; other pushes are dropped.
    pub fn delivered(&mut self, conn: ConnId) -> Vec<Deliver> {
        let deliver = |push| if let Push::Deliver(deliver) = push { Some(deliver) } else { None };
        self.pushes(conn).into_iter().filter_map(deliver).collect()
    }

    /// Lets time pass.
    pub fn pass(&mut self, millis: u64) {
        self.now += millis;
        self.relay.handle_timeout(self.now);
        self.run();
    }

    /// Does jobs and takes output until nothing is left.
    pub fn run(&mut self) {
        loop {
            let mut idle = true;
            while let Some(job) = self.relay.poll_job() {
                self.held.push_back(job);
                idle = false;
            }
            while !self.hold_jobs
                && let Some((id, job)) = self.held.pop_front()
            {
                let result = self.run_job(&job);
                self.relay.complete(id, result, self.now);
                idle = false;
            }
            while let Some((conn, output)) = self.relay.poll_output() {
                idle = false;
                match output {
                    Output::Data(bytes) => {
                        self.transcript.push((conn, bytes.to_vec()));
                        self.inbox.entry(conn).or_default().push_back(Received::decode(&bytes).unwrap());
                    }
                    Output::Admitted => assert!(self.admitted.insert(conn)),
                    Output::Close(code) => assert!(self.closed.insert(conn, code).is_none()),
                }
            }
            while let Some(event) = self.relay.poll_event() {
                self.events.push(event);
            }
            if idle {
                return;
            }
        }
    }

    /// Takes the next job that is held back.
    pub fn take_held(&mut self) -> Option<(JobId, Job)> {
        self.held.pop_front()
    }

    /// Does a job that was held back.
    pub fn finish(&mut self, id: JobId, job: &Job) {
        let result = self.run_job(job);
        self.relay.complete(id, result, self.now);
        while let Some(job) = self.relay.poll_job() {
            self.held.push_back(job);
        }
    }

    fn run_job(&mut self, job: &Job) -> JobResult {
        match job {
            Job::Hash { password } => {
                self.jobs.push("hash");
                JobResult::Hash(PasswordHash::new(format!("fake${}", password.as_str())))
            }
            Job::Verify { password, hash } => {
                self.jobs.push("verify");
                self.checked.push(hash.as_str().into());
                let (kind, hashed) = hash.as_str().split_once('$').unwrap();
                JobResult::Verify { ok: hashed == password.as_str(), rehash: kind == "old" }
            }
            Job::Store(job) => {
                self.jobs.push(store_job_name(job));
                if self.store_fails {
                    return JobResult::Store(StoreResult::Failed);
                }
                JobResult::Store(self.store.run(core::slice::from_ref(job)).pop().unwrap())
            }
        }
    }

    /// A new user with this device, registered and logged in, with the password "password".
    pub fn registered(&mut self, user: &str, seed: u64) -> Device {
        let mut device = Device::new(user, seed);
        let conn = self.connect_from(seed as u8);
        let request = device.register("password", &self.bindings[&conn]);
        assert!(matches!(self.request(conn, &request), Ok(Reply::Register(_))));
        device.conn = Some(conn);
        device
    }

    /// Logs a device in with its key, on a new connection.
    pub fn log_in(&mut self, device: &mut Device) -> LoggedIn {
        let conn = self.connect();
        let request = device.log_in_device(&self.bindings[&conn]);
        device.conn = Some(conn);
        match self.request(conn, &request) {
            Ok(Reply::LogInDevice(logged_in)) => logged_in,
            other => panic!("{other:?}"),
        }
    }

    /// Logs a device in with the password "password", on a new connection.
    pub fn log_in_by_password(&mut self, device: &mut Device) -> LoggedIn {
        let conn = self.connect();
        let request = device.log_in("password", &self.bindings[&conn]);
        device.conn = Some(conn);
        match self.request(conn, &request) {
            Ok(Reply::LogIn(logged_in)) => logged_in,
            other => panic!("{other:?}"),
        }
    }

    /// Sends items and gives what became of them.
    pub fn send(&mut self, from: &Device, items: Vec<SendItem>) -> Vec<SendResult> {
        match self.request(from.conn(), &Request::Send(Send { items })) {
            Ok(Reply::Send(sent)) => sent.results,
            other => panic!("{other:?}"),
        }
    }

    /// Sends one envelope, which is taken.
    pub fn sends(&mut self, from: &Device, to: &Device, id: u8, envelope: &[u8]) {
        let results = self.send(from, vec![item(to, id, envelope)]);
        assert_eq!(results[0].outcome, SendOutcome::Taken);
    }

    pub fn acknowledge(&mut self, device: &Device, envelopes: &[Deliver]) {
        let envelopes = envelopes.iter().map(|e| EnvelopeRef { sender: e.sender, id: e.id }).collect();
        let request = Request::Acknowledge(Acknowledge { envelopes });
        assert!(matches!(self.request(device.conn(), &request), Ok(Reply::Acknowledge(_))));
    }
}

pub fn item(to: &Device, id: u8, envelope: &[u8]) -> SendItem {
    let recipient = Recipient::Device(to.identity());
    SendItem { id: EnvelopeId([id; 16]), recipient, transient: false, envelope: envelope.into() }
}

fn store_job_name(job: &StoreJob) -> &'static str {
    match job {
        StoreJob::Account { .. } => "account",
        StoreJob::CreateAccount(_) => "create account",
        StoreJob::SetPassword { .. } => "set password",
        StoreJob::UseCode { .. } => "use code",
        StoreJob::Device { .. } => "device",
        StoreJob::Send { .. } => "send",
        StoreJob::Waiting { .. } => "waiting",
        StoreJob::Expire { .. } => "expire",
        _ => "other",
    }
}
