//! The relay of securechat, and its users.

use super::load::{Connection, Messenger};
use super::process::Process;
use super::{TEXT, now};
use crate::random;
use crate::sessions::Device;
use securechat_core::identity::{Identity, RelayAddress, SignedDeviceList};
use securechat_core::limits::{ENVELOPES_PER_SEND, Limits, Rate};
use securechat_core::link::{Link, LinkConfig, LinkEvent, Purpose};
use securechat_core::relay::{NewAccount, PasswordHash, Store, StoreJob, StoreResult, StoredList};
use securechat_core::suite::{Policy, Suite};
use securechat_core::wire::{
    Acknowledge, Bytes, Deliver, ENVELOPES_PER_ACKNOWLEDGE, EnvelopeId, EnvelopeRef, LogIn, LogInDevice, LoginClaim,
    Password, Push, Received, Recipient, Reply, Request, Send, SendItem,
};
use securechat_server::{Config, Server as RelayServer, SqliteStore};
use std::collections::{HashSet, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The suite of everybody here.
pub const SUITE: Suite = Suite::ALL[0];

/// Requests with envelopes that a client has open at once.
const SENDS_AT_ONCE: usize = 4;

/// A running relay.
pub struct Server {
    /// Its process.
    pub process: Process,
    /// Where it is.
    pub address: RelayAddress,
}

impl Server {
    /// Starts this program again as a relay ([`serve`]) whose state is in `folder`.
    pub fn start(folder: &Path, memory: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("serve").arg(folder).args(memory.then_some("memory"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(&mut command).unwrap();
        let mut line = String::new();
        BufReader::new(process.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, address: line.trim().parse().unwrap() }
    }

    /// A device that is logged in with its key.
    pub fn connect(&self, device: &Device) -> User {
        let mut user = User::connect(&self.address);
        let claim = user.claim(device);
        let (name, identity) = (device.user().clone(), device.identity());
        user.request(&Request::LogInDevice(LogInDevice { user: name, identity, signature: claim }));
        user.link.raise_frame_limit();
        user
    }

    /// A link, on which nobody is logged in yet.
    pub fn arrive(&self) -> User {
        User::connect(&self.address)
    }
}

/// Runs a relay in this process until its input ends. Nothing that the benches do reaches its limits.
pub fn serve(folder: &Path, memory: bool) {
    let mut config = config(folder);
    config.memory_mailboxes = memory;
    let server = RelayServer::start(config).unwrap();
    println!("{}", server.address());
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    server.shutdown().unwrap();
}

fn config(folder: &Path) -> Config {
    let mut limits = Limits::default();
    let unlimited = Rate::new(1 << 30, 1);
    limits.connections = 20_000;
    limits.connections_per_address = 20_000;
    limits.password_jobs = 10_000;
    limits.login_timeout = Duration::from_secs(3_000);
    for rate in [
        &mut limits.connection_rate,
        &mut limits.account_rate,
        &mut limits.login_rate,
        &mut limits.register_rate,
        &mut limits.publish_rate,
    ] {
        *rate = unlimited;
    }
    Config {
        listen: "127.0.0.1:0".into(),
        data: folder.to_owned(),
        suites: Policy::new(vec![SUITE]).unwrap(),
        rsa_bits: 2048,
        limits,
        ..Config::default()
    }
}

/// Devices of users of their own, which a relay that starts in `folder` will know.
pub fn enrol(folder: &Path, count: usize, password: &str) -> Vec<Device> {
    let devices: Vec<_> =
        (0..count).map(|index| Device::new(index as u64, &format!("u{index}"), SUITE, None)).collect();
    let mut store = SqliteStore::open(folder).unwrap();
    let jobs: Vec<_> = devices.iter().map(|device| StoreJob::CreateAccount(account(device, password))).collect();
    assert!(store.run(&jobs).iter().all(|result| matches!(result, StoreResult::Done)));
    devices
}

fn account(device: &Device, password: &str) -> NewAccount {
    let bundle = &device.local.bundle;
    let list = SignedDeviceList::create(device.user().clone(), &device.local.keys.identity).unwrap();
    NewAccount {
        user: device.user().clone(),
        password: PasswordHash::new(password),
        identity: device.identity(),
        serial: bundle.bundle().serial,
        bundle: bundle.bytes().into(),
        list: StoredList { epoch: 0, hash: list.hash(), bytes: list.bytes().into() },
        now: now(),
    }
}

/// A link to a relay, on a socket that blocks.
pub struct User {
    /// The socket.
    pub socket: TcpStream,
    /// The link.
    pub link: Link,
    relay: Identity,
    channel_binding: [u8; 32],
    last_request: u32,
}

impl User {
    fn connect(address: &RelayAddress) -> Self {
        let mut socket = TcpStream::connect((address.host.as_str(), address.port)).unwrap();
        socket.set_nodelay(true).unwrap();
        let mut config = LinkConfig::new(Purpose::Relay);
        config.policy = Policy::new(vec![SUITE]).unwrap();
        config.pin = address.fingerprint;
        let mut link = Link::initiator(config, random(now()), now()).unwrap();
        let mut bytes = vec![0; 1 << 14];
        loop {
            let mut wire = Vec::new();
            while link.poll_transmit(&mut wire) {}
            socket.write_all(&wire).unwrap();
            if let Some(LinkEvent::Open { remote, channel_binding, .. }) = link.poll_event() {
                let relay = remote.unwrap().identity();
                return Self { socket, link, relay, channel_binding, last_request: 0 };
            }
            let count = socket.read(&mut bytes).unwrap();
            assert!(count > 0, "the relay ended the connection");
            link.handle_input(&bytes[..count], now()).unwrap();
        }
    }

    fn claim(&self, device: &Device) -> [u8; 64] {
        let (relay, identity, channel_binding) = (&self.relay, &device.identity(), &self.channel_binding);
        LoginClaim { relay, user: device.user(), identity, channel_binding }.sign(&device.local.keys.identity)
    }

    /// Writes the request that logs a device in with a password.
    pub fn ask_with_password(&mut self, device: &Device, password: &str) {
        let (user, identity, signature) = (device.user().clone(), device.identity(), self.claim(device));
        let password = Password::new(password.into()).unwrap();
        self.ask(&Request::LogIn(LogIn { user, password, code: None, identity, signature }));
    }

    /// Writes a request.
    pub fn ask(&mut self, request: &Request) {
        self.last_request += 1;
        let mut wire = Vec::new();
        self.link.send_into(&request.encode(self.last_request).unwrap(), &mut wire).unwrap();
        self.socket.write_all(&wire).unwrap();
    }

    /// Waits for the answer to what was asked last.
    pub fn answer(&mut self) -> Reply {
        loop {
            match self.receive() {
                Received::Reply(_, reply) => return reply,
                Received::Push(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Asks and waits for the answer.
    pub fn request(&mut self, request: &Request) -> Reply {
        self.ask(request);
        self.answer()
    }

    /// Writes an envelope.
    pub fn send(&mut self, id: u64, to: Identity, envelope: Vec<u8>) {
        self.ask(&Request::Send(Send { items: vec![item(id, to, envelope.into())] }));
    }

    /// Waits for an envelope.
    pub fn next_delivery(&mut self) -> Deliver {
        loop {
            if let Received::Push(Push::Deliver(deliver)) = self.receive() {
                return deliver;
            }
        }
    }

    /// Acknowledges an envelope and waits for the answer.
    pub fn acknowledge(&mut self, delivered: &Deliver) {
        let envelopes = vec![EnvelopeRef { sender: delivered.sender, id: delivered.id }];
        self.request(&Request::Acknowledge(Acknowledge { envelopes }));
    }

    /// The next that comes.
    pub fn receive(&mut self) -> Received {
        let mut bytes = [0; 4096];
        loop {
            match self.link.poll_event() {
                Some(LinkEvent::Data(data)) => return Received::decode(&data).unwrap(),
                Some(other) => panic!("{other:?}"),
                None => {}
            }
            let count = self.socket.read(&mut bytes).unwrap();
            assert!(count > 0, "the relay ended the connection");
            self.link.handle_input(&bytes[..count], now()).unwrap();
        }
    }

    /// Goes on as one of a load, which sends to these.
    pub fn into_connection(self, to: Vec<To>, device: Option<Device>) -> Connection {
        let Self { socket, link, last_request, .. } = self;
        let client = Client {
            link,
            last_request,
            to,
            device,
            items: VecDeque::new(),
            sending: HashSet::new(),
            waiting: Vec::new(),
            acknowledging: None,
            output: Vec::new(),
        };
        Connection::new(socket, client)
    }
}

fn item(number: u64, to: Identity, envelope: Bytes) -> SendItem {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    SendItem { id: EnvelopeId(id), recipient: Recipient::Device(to), transient: false, envelope }
}

/// Somebody to send to.
pub struct To {
    /// Whom.
    pub identity: Identity,
    /// Texts sealed ahead, sent in turns; without any each is sealed when it is sent.
    pub sealed: Vec<Bytes>,
}

struct Client {
    link: Link,
    last_request: u32,
    to: Vec<To>,
    /// Seals and opens what is not sealed ahead.
    device: Option<Device>,
    /// What waits to be sent: as the client engine does, up to 32 envelopes in a request and 4 requests at once.
    items: VecDeque<SendItem>,
    sending: HashSet<u32>,
    waiting: Vec<EnvelopeRef>,
    /// The request whose answer is awaited before the next is acknowledged: so that what comes meanwhile goes in one.
    acknowledging: Option<u32>,
    output: Vec<u8>,
}

impl Client {
    fn ask(&mut self, request: &Request) -> u32 {
        self.last_request += 1;
        self.link.send_into(&request.encode(self.last_request).unwrap(), &mut self.output).unwrap();
        self.last_request
    }

    fn seal(&mut self, to: usize, number: u64) -> Bytes {
        let To { identity, sealed } = &self.to[to];
        if sealed.is_empty() {
            return self.device.as_mut().unwrap().seal_to(identity, &[b'x'; TEXT]).into();
        }
        sealed[number as usize % sealed.len()].clone()
    }
}

impl Messenger for Client {
    fn publish(&mut self, number: u64) {
        for to in 0..self.to.len() {
            let item = item(number, self.to[to].identity, self.seal(to, number));
            self.items.push_back(item);
        }
    }

    fn receive(&mut self, bytes: &[u8], delivered: &mut Vec<u64>) {
        self.link.handle_input(bytes, now()).unwrap();
        while let Some(event) = self.link.poll_event() {
            let LinkEvent::Data(data) = event else { panic!("{event:?}") };
            match Received::decode(&data).unwrap() {
                Received::Push(Push::Deliver(deliver)) => {
                    if let Some(device) = self.device.as_mut() {
                        device.open(&deliver.envelope);
                    }
                    delivered.push(u64::from_be_bytes(deliver.id.0[..8].try_into().unwrap()));
                    self.waiting.push(EnvelopeRef { sender: deliver.sender, id: deliver.id });
                }
                Received::Reply(id, _) => {
                    self.acknowledging.take_if(|acknowledging| *acknowledging == id);
                    self.sending.remove(&id);
                }
                other => panic!("{other:?}"),
            }
        }
        if self.acknowledging.is_none() && !self.waiting.is_empty() {
            let envelopes = self.waiting.drain(..self.waiting.len().min(ENVELOPES_PER_ACKNOWLEDGE)).collect();
            self.acknowledging = Some(self.ask(&Request::Acknowledge(Acknowledge { envelopes })));
        }
    }

    fn flush(&mut self, wire: &mut Vec<u8>) {
        while !self.items.is_empty() && self.sending.len() < SENDS_AT_ONCE {
            let items = self.items.drain(..self.items.len().min(ENVELOPES_PER_SEND)).collect();
            let id = self.ask(&Request::Send(Send { items }));
            self.sending.insert(id);
        }
        while self.link.poll_transmit(&mut self.output) {}
        wire.append(&mut self.output);
    }
}
