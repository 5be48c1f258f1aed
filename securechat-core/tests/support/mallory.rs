//! Those who mean ill and speak by hand: a user of an honest relay whose client says anything, and a peer on a link of
//! its own.

use super::net::Net;
use super::{NOW, rng};
use securechat_core::content::{Body, Content, MessageId};
use securechat_core::crypto::Random;
use securechat_core::event::LinkId;
use securechat_core::identity::{
    DeviceKeys, Identity, LocalIdentity, SignedBundle, SignedDeviceList, SignedPrekey, UserName,
};
use securechat_core::link::{Link, LinkConfig, Purpose};
use securechat_core::relay::{NewAccount, PasswordHash, Store, StoreJob, StoreResult, StoredItem, StoredList};
use securechat_core::session::{OpenError, Opened, SenderCheck, Sessions};
use securechat_core::suite::Policy;
use securechat_core::wire::{EnvelopeId, Lists, Received, Recipient, Refusal, Reply, Request, Send, SendItem};
use std::sync::Arc;

/// A user with keys of their own and no client.
pub struct Mallory {
    pub user: UserName,
    pub local: Arc<LocalIdentity>,
    pub list: SignedDeviceList,
    pub sessions: Sessions,
    pub rng: Random,
}

impl Mallory {
    pub fn new(seed: u64, user: &str, policy: &Policy) -> Self {
        let mut rng = rng(seed ^ 0xE71);
        let user = UserName::new(user).unwrap();
        let keys = DeviceKeys::generate(&mut *rng, None).unwrap();
        let mut sessions = Sessions::new(policy.clone(), Arc::default());
        let prekeys = sessions.last_resort_prekeys(NOW, &mut *rng).unwrap();
        let list = SignedDeviceList::create(user.clone(), &keys.identity).unwrap();
        let local = Arc::new(LocalIdentity::new(keys, Some(user.clone()), 7, policy, prekeys, NOW).unwrap());
        Self { user, local, list, sessions, rng }
    }

    pub fn identity(&self) -> Identity {
        self.local.bundle.identity()
    }

    /// Registers at the relay, past its doors.
    pub fn enroll(&self, net: &mut Net) {
        let account = NewAccount {
            user: self.user.clone(),
            password: PasswordHash::new("hash of nothing"),
            identity: self.identity(),
            serial: self.local.bundle.serial(),
            bundle: self.local.bundle.bytes().into(),
            list: stored(&self.list),
            now: net.now,
        };
        let answer = net.relay.store.run(&[StoreJob::CreateAccount(account)]).remove(0);
        assert!(matches!(answer, StoreResult::Done), "{answer:?}");
    }

    /// Fetches a user's keys as anybody can, and opens a session to their first device.
    pub fn open_to(&mut self, net: &mut Net, user: &str) -> Identity {
        let user = UserName::new(user).unwrap();
        let job = StoreJob::CurrentList { user: user.clone() };
        let StoreResult::List(Some(list)) = net.relay.store.run(&[job]).remove(0) else { panic!("no list") };
        let devices = SignedDeviceList::decode(&list.bytes).unwrap().identities().to_vec();
        let job = StoreJob::TakeKeys { user, devices, kind: Some(1), fresh: 0 };
        let StoreResult::Keys(Some(mut keys)) = net.relay.store.run(&[job]).remove(0) else { panic!("no keys") };
        let taken = keys.devices.remove(0);
        let bundle = SignedBundle::decode(&taken.bundle).unwrap();
        let prekey = taken.prekey.map(|prekey| SignedPrekey::decode(&prekey).unwrap());
        let local = self.local.clone();
        self.sessions.open_to(&local, &bundle, prekey.as_ref(), false, net.now, &mut *self.rng).unwrap();
        taken.identity
    }

    /// A content, sealed for a device.
    pub fn seal(&mut self, to: &Identity, body: Body) -> Vec<u8> {
        let id = MessageId::random(&mut *self.rng);
        self.seal_as(to, id, body)
    }

    pub fn seal_as(&mut self, to: &Identity, id: MessageId, body: Body) -> Vec<u8> {
        let content = Content { id, sent_at: NOW, expiry: 0, body }.encode().unwrap();
        self.sessions.seal(to, &content, false, &mut *self.rng).unwrap()
    }

    /// Opens what came; every sender is believed.
    pub fn open(&mut self, envelope: &[u8], now: u64) -> Result<Opened, OpenError> {
        let local = self.local.clone();
        self.sessions.open(&local, envelope, &|_| SenderCheck::Listed, now, &mut *self.rng)
    }

    /// Puts envelopes into a device's mailbox, and lets its host fetch them on a new connection.
    pub fn deliver(&mut self, net: &mut Net, host: usize, envelopes: Vec<Vec<u8>>) {
        let recipient = Recipient::Device(net.hosts[host].client.identity());
        let mut items = Vec::new();
        for envelope in envelopes {
            let mut id = [0; 16];
            self.rng.fill_bytes(&mut id);
            items.push(StoredItem { id: EnvelopeId(id), recipient, envelope: Some(envelope.into()) });
        }
        let (sender, user, now) = (self.identity(), self.user.clone(), net.now);
        let job = StoreJob::Send { sender, user, items, room: 1_000_000, room_bytes: u64::MAX, now };
        assert!(matches!(net.relay.store.run(&[job]).remove(0), StoreResult::Sent(_)));
        net.cut(host);
        net.connect(host);
        net.run();
    }

    /// Writes one content to a host's device.
    pub fn write(&mut self, net: &mut Net, host: usize, body: Body) {
        let device = net.hosts[host].client.identity();
        if !self.sessions.can_send(&device) {
            let user = net.hosts[host].user.to_string();
            self.open_to(net, &user);
        }
        let envelope = self.seal(&device, body);
        self.deliver(net, host, vec![envelope]);
    }
}

/// A list as a store keeps it.
pub fn stored(list: &SignedDeviceList) -> StoredList {
    StoredList { epoch: list.epoch(), hash: list.hash(), bytes: list.bytes().into() }
}

/// Mallory on a link of its own with one of the net's clients, which accepted it. Requests go out by hand; what the
/// client asks is answered with what an honest peer would say, unless a test takes that over.
pub struct PeerByHand {
    pub link: Link,
    pub host: usize,
    pub at: LinkId,
    next_request: u32,
    /// What the client asked and nobody answered.
    pub asked: Vec<(u32, Request)>,
    pub answers: Vec<(u32, Reply)>,
    pub refusals: Vec<(u32, Refusal)>,
    /// Whether the client ended the link.
    pub over: bool,
}

impl PeerByHand {
    /// Dials a client. Its question whether to accept is answered by the net's trusting hosts.
    pub fn dial(net: &mut Net, host: usize, mallory: &Mallory, policy: &Policy) -> Self {
        let mut config = LinkConfig::new(Purpose::Peer);
        (config.policy, config.local) = (policy.clone(), Some(mallory.local.clone()));
        config.pin = Some(net.hosts[host].client.fingerprint());
        let link = Link::initiator(config, rng(77), net.now).unwrap();
        let at = net.hosts[host].client.accept_peer(net.now).unwrap();
        let mut peer = Self {
            link,
            host,
            at,
            next_request: 0,
            asked: Vec::new(),
            answers: Vec::new(),
            refusals: Vec::new(),
            over: false,
        };
        peer.pump(net);
        peer
    }

    /// Moves bytes until nothing moves.
    pub fn pump(&mut self, net: &mut Net) {
        while let Some(received) = net.exchange(&mut self.link, self.host, self.at, &mut self.over) {
            for message in received {
                match message {
                    Received::Request(id, request) => self.asked.push((id, request)),
                    Received::Reply(id, reply) => self.answers.push((id, reply)),
                    Received::Refused(id, refusal) => self.refusals.push((id, refusal)),
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    /// Answers what the client wants to know of Mallory's lists, as an honest peer does.
    pub fn show_lists(&mut self, net: &mut Net, mallory: &Mallory) {
        let is_lists = |(_, request): &(u32, Request)| matches!(request, Request::FetchLists(_));
        let place = self.asked.iter().position(is_lists).expect("lists are asked for first");
        let (id, _) = self.asked.remove(place);
        let lists = Lists { epoch: mallory.list.epoch(), lists: vec![mallory.list.bytes().into()], next: 0 };
        self.say(net, &Reply::FetchLists(lists).encode(id).unwrap());
    }

    pub fn say(&mut self, net: &mut Net, message: &[u8]) {
        self.link.send(message).unwrap();
        self.pump(net);
    }

    /// Asks something, and gives the id under which the answer comes.
    pub fn ask(&mut self, net: &mut Net, request: &Request) -> u32 {
        self.next_request += 1;
        let id = self.next_request;
        self.say(net, &request.encode(id).unwrap());
        id
    }

    /// Sends one envelope to the client's device.
    pub fn send(&mut self, net: &mut Net, envelope: Vec<u8>) -> u32 {
        let recipient = Recipient::Device(net.hosts[self.host].client.identity());
        let id = EnvelopeId([self.next_request as u8 ^ 0x5A; 16]);
        let item = SendItem { id, recipient, transient: false, envelope: envelope.into() };
        self.ask(net, &Request::Send(Send { items: vec![item] }))
    }
}
