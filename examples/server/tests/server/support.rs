//! A server on a free port with its folder, and a plain client of its links: it blocks, and asserts what it expects.

use rand::SeedableRng;
use rand::rngs::StdRng;
use securechat_core::crypto::{Random, x25519};
use securechat_core::identity::{
    DeviceKeys, Identity, LocalIdentity, PrekeyPublic, RelayAddress, SignedDeviceList, UserName,
};
use securechat_core::link::{Link, LinkConfig, LinkEvent, Purpose};
use securechat_core::suite::{Policy, Suite};
use securechat_core::wire::{
    Acknowledge, Deliver, Enter, EnvelopeId, EnvelopeRef, LogIn, LogInDevice, LoginClaim, Password, Push, Received,
    Recipient, Refusal, RefusalCode, Register, Reply, Request, Send, SendItem, SendOutcome,
};
use securechat_server::{Config, RunningServer, Server};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// The suite that costs least, X25519 with GCM; RSA keys as small as allowed.
pub fn config(folder: &Path) -> Config {
    Config {
        listen: "127.0.0.1:0".into(),
        data: folder.join("data"),
        rsa_bits: 2048,
        hash_threads: 1,
        ..Config::default()
    }
}

pub fn start(folder: &Path) -> RunningServer {
    Server::start(config(folder)).unwrap()
}

fn rng(seed: u64) -> Random {
    Box::new(StdRng::seed_from_u64(seed))
}

/// One device of one user.
pub struct Device {
    pub user: UserName,
    pub local: LocalIdentity,
}

impl Device {
    pub fn new(user: &str, seed: u64) -> Self {
        let mut rng = rng(seed);
        let policy = Policy::new(vec![Suite::ALL[0]]).unwrap();
        let keys = DeviceKeys::generate(&mut *rng, None).unwrap();
        let prekey = PrekeyPublic::new(1, x25519::PrivateKey::generate(&mut *rng).public(), None);
        let user = UserName::new(user).unwrap();
        let local = LocalIdentity::new(keys, Some(user.clone()), 1, &policy, vec![prekey], now()).unwrap();
        Self { user, local }
    }

    pub fn identity(&self) -> Identity {
        self.local.keys.identity()
    }

    fn signature(&self, client: &Client) -> [u8; 64] {
        let (identity, relay, channel_binding) = (self.identity(), client.relay, client.channel_binding);
        LoginClaim { relay: &relay, user: &self.user, identity: &identity, channel_binding: &channel_binding }
            .sign(&self.local.keys.identity)
    }

    pub fn register(&self, password: &str, client: &Client) -> Request {
        let list = SignedDeviceList::create(self.user.clone(), &self.local.keys.identity).unwrap();
        Request::Register(Register {
            user: self.user.clone(),
            password: Password::new(password.into()).unwrap(),
            bundle: self.local.bundle.bytes().into(),
            list: list.bytes().into(),
            signature: self.signature(client),
        })
    }

    pub fn log_in(&self, password: &str, client: &Client) -> Request {
        Request::LogIn(LogIn {
            user: self.user.clone(),
            password: Password::new(password.into()).unwrap(),
            code: None,
            identity: self.identity(),
            signature: self.signature(client),
        })
    }

    pub fn log_in_device(&self, client: &Client) -> Request {
        let (user, identity, signature) = (self.user.clone(), self.identity(), self.signature(client));
        Request::LogInDevice(LogInDevice { user, identity, signature })
    }

    /// One envelope to this device.
    pub fn envelope(&self, id: u8, bytes: &[u8]) -> Request {
        let recipient = Recipient::Device(self.identity());
        let item = SendItem { id: EnvelopeId([id; 16]), recipient, transient: false, envelope: bytes.into() };
        Request::Send(Send { items: vec![item] })
    }
}

/// A connection to a server whose link is open.
pub struct Client {
    pub stream: TcpStream,
    pub link: Link,
    pub relay: Identity,
    channel_binding: [u8; 32],
    inbox: VecDeque<Received>,
    last_request: u32,
    /// The code of the server's `Close`, once it came.
    pub closed: Option<u8>,
    ended: bool,
}

impl Client {
    pub fn connect(address: &RelayAddress) -> Self {
        Self::connect_with(address, &[Suite::ALL[0]]).expect("the server takes the connection")
    }

    /// Connects with these suites; none if the server ends the connection instead.
    pub fn connect_with(address: &RelayAddress, suites: &[Suite]) -> Option<Self> {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut config = LinkConfig::new(Purpose::Relay);
        config.policy = Policy::new(suites.to_vec()).unwrap();
        config.pin = address.fingerprint;
        let link = Link::initiator(config, rng(now()), now()).unwrap();
        let mut client = Self {
            stream,
            link,
            relay: Identity::from_bytes([0; 32]),
            channel_binding: [0; 32],
            inbox: VecDeque::new(),
            last_request: 0,
            closed: None,
            ended: false,
        };
        while !client.link.is_open() {
            client.flush();
            if !client.receive() {
                return None;
            }
        }
        client.flush();
        Some(client)
    }

    /// A connection on which a new user registered with the password "password".
    pub fn registered(address: &RelayAddress, device: &Device) -> Self {
        let mut client = Self::connect(address);
        let request = device.register("password", &client);
        assert!(matches!(client.request(&request), Ok(Reply::Register(_))));
        client.link.raise_frame_limit();
        client
    }

    /// A connection on which a device logged in with its key.
    pub fn logged_in(address: &RelayAddress, device: &Device) -> Self {
        let mut client = Self::connect(address);
        let request = device.log_in_device(&client);
        assert!(matches!(client.request(&request), Ok(Reply::LogInDevice(_))));
        client.link.raise_frame_limit();
        client
    }

    pub fn enter(&mut self, password: &str) -> Result<Reply, Refusal> {
        self.request(&Request::Enter(Enter { password: Password::new(password.into()).unwrap() }))
    }

    pub fn ask(&mut self, request: &Request) -> u32 {
        self.last_request += 1;
        let bytes = request.encode(self.last_request).unwrap();
        self.link.send(&bytes).unwrap();
        self.flush();
        self.last_request
    }

    pub fn request(&mut self, request: &Request) -> Result<Reply, Refusal> {
        let id = self.ask(request);
        self.answer(id).unwrap_or_else(|| panic!("the connection ended before the answer to {request:?}"))
    }

    /// The answer to a request, or none if the connection ends before it.
    pub fn answer(&mut self, id: u32) -> Option<Result<Reply, Refusal>> {
        self.wait_for(|received| match received {
            Received::Reply(of, _) | Received::Refused(of, _) => *of == id,
            _ => false,
        })
        .map(|received| match received {
            Received::Reply(_, reply) => Ok(reply),
            Received::Refused(_, refusal) => Err(refusal),
            _ => unreachable!(),
        })
    }

    pub fn refused(&mut self, request: &Request) -> RefusalCode {
        self.request(request).expect_err("it is refused").code
    }

    /// Sends one envelope, which is taken.
    pub fn sends(&mut self, to: &Device, id: u8, bytes: &[u8]) {
        match self.request(&to.envelope(id, bytes)) {
            Ok(Reply::Send(sent)) => assert_eq!(sent.results[0].outcome, SendOutcome::Taken),
            other => panic!("{other:?}"),
        }
    }

    /// The next envelope that comes.
    pub fn delivered(&mut self) -> Deliver {
        match self.wait_for(|received| matches!(received, Received::Push(Push::Deliver(_)))) {
            Some(Received::Push(Push::Deliver(deliver))) => deliver,
            _ => panic!("the connection ended before an envelope came"),
        }
    }

    pub fn acknowledge(&mut self, delivered: &Deliver) {
        let envelopes = vec![EnvelopeRef { sender: delivered.sender, id: delivered.id }];
        assert!(matches!(self.request(&Request::Acknowledge(Acknowledge { envelopes })), Ok(Reply::Acknowledge(_))));
    }

    /// Reads until the server has closed and ended the connection; gives the code of its `Close`, if there was one.
    pub fn wait_for_end(&mut self) -> Option<u8> {
        while self.receive() {
            self.flush();
        }
        self.closed
    }

    fn wait_for(&mut self, wanted: impl Fn(&Received) -> bool) -> Option<Received> {
        loop {
            if let Some(place) = self.inbox.iter().position(&wanted) {
                return self.inbox.remove(place);
            }
            if !self.receive() {
                return None;
            }
        }
    }

    pub fn flush(&mut self) {
        let mut bytes = Vec::new();
        while self.link.poll_transmit(&mut bytes) {}
        // A server that ended the connection shows when reading.
        let _ = self.stream.write_all(&bytes);
    }

    /// Reads once; false when the connection is over.
    fn receive(&mut self) -> bool {
        let mut buffer = vec![0; 1 << 16];
        let count = match self.stream.read(&mut buffer) {
            Ok(count) if count > 0 && !self.ended => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("waited for too long"),
            _ => {
                self.ended = true;
                return false;
            }
        };
        if self.link.handle_input(&buffer[..count], now()).is_err() {
            self.ended = true;
            return false;
        }
        while let Some(event) = self.link.poll_event() {
            match event {
                LinkEvent::Open { channel_binding, remote, .. } => {
                    self.channel_binding = channel_binding;
                    self.relay = remote.unwrap().bundle().identity;
                }
                LinkEvent::Data(data) => self.inbox.push_back(Received::decode(&data).unwrap()),
                LinkEvent::Closed { code } => self.closed = Some(code),
                other => panic!("{other:?}"),
            }
        }
        true
    }
}
