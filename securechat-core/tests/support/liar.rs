//! A relay that speaks by hand, and so can say anything to a client.

use super::net::{Net, PLACE};
use super::rng;
use securechat_core::event::LinkId;
use securechat_core::identity::{Identity, UserName};
use securechat_core::link::{Link, LinkConfig, Purpose};
use securechat_core::wire::{
    Bytes, Deliver, EnvelopeId, LoggedIn, Push, Received, Refusal, RefusalCode, Reply, Request, Stock,
};

/// One connection of a client of the net to it. It has the identity of the net's relay.
pub struct Liar {
    link: Link,
    pub host: usize,
    at: LinkId,
    /// What the client asked and nobody answered yet.
    pub asked: Vec<(u32, Request)>,
    /// How many requests came in all.
    pub requests: usize,
    /// Whether the client ended the link.
    pub over: bool,
    next_envelope: u64,
}

impl Liar {
    /// Lets a client connect to it.
    pub fn meet(net: &mut Net, host: usize) -> Self {
        let mut config = LinkConfig::new(Purpose::Relay);
        (config.policy, config.local) = (net.relay.policy.clone(), Some(net.relay.local.clone()));
        let link = Link::responder(config, rng(99), net.now).unwrap();
        let address = format!("{PLACE}#{}", net.relay.local.bundle.fingerprint()).parse().unwrap();
        let at = net.hosts[host].client.connect_relay(&address, net.now).unwrap();
        let mut liar = Self { link, host, at, asked: Vec::new(), requests: 0, over: false, next_envelope: 0 };
        liar.pump(net);
        assert!(liar.link.is_open());
        liar
    }

    /// Moves bytes until nothing moves.
    pub fn pump(&mut self, net: &mut Net) {
        while let Some(received) = net.exchange(&mut self.link, self.host, self.at, &mut self.over) {
            for message in received {
                match message {
                    Received::Request(id, request) => {
                        self.asked.push((id, request));
                        self.requests += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    /// Says anything at all.
    pub fn say(&mut self, net: &mut Net, message: &[u8]) {
        if self.link.send(message).is_ok() {
            self.pump(net);
        }
    }

    pub fn push(&mut self, net: &mut Net, push: &Push) {
        self.say(net, &push.encode().unwrap());
    }

    pub fn reply(&mut self, net: &mut Net, id: u32, reply: &Reply) {
        self.say(net, &reply.encode(id).unwrap());
    }

    pub fn refuse(&mut self, net: &mut Net, id: u32, code: RefusalCode) {
        self.say(net, &Refusal::new(code).encode(id).unwrap());
    }

    /// Takes the open requests that `wanted` picks.
    pub fn take(&mut self, wanted: impl Fn(&Request) -> bool) -> Vec<(u32, Request)> {
        let (taken, left) = self.asked.drain(..).partition(|(_, request)| wanted(request));
        self.asked = left;
        taken
    }

    /// Answers a registration or login.
    pub fn admit(&mut self, net: &mut Net, listed: bool) {
        let state = LoggedIn { listed, epoch: Some(0), serial: 1 << 40, stock: Stock::default() };
        let is_login =
            |request: &Request| matches!(request, Request::Register(_) | Request::LogIn(_) | Request::LogInDevice(_));
        let (id, request) = self.take(is_login).pop().expect("a login was asked for");
        let reply = match request {
            Request::Register(_) => Reply::Register(state),
            Request::LogIn(_) => Reply::LogIn(state),
            _ => Reply::LogInDevice(state),
        };
        self.link.raise_frame_limit();
        self.reply(net, id, &reply);
    }

    /// An envelope under a new id, with the relay's word on its sender.
    pub fn deliver(&mut self, net: &mut Net, sender: Identity, user: &UserName, envelope: Bytes) {
        self.next_envelope += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.next_envelope.to_be_bytes());
        let (id, user, sent_at) = (EnvelopeId(id), user.clone(), net.now);
        self.push(net, &Push::Deliver(Deliver { id, sender, user, sent_at, transient: false, envelope }));
    }
}
