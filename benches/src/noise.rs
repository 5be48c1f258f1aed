//! Noise as snow has it, with either of its resolvers.

use snow::resolvers::{CryptoResolver, DefaultResolver, FallbackResolver, RingResolver};
use snow::{Builder, HandshakeState, TransportState};

/// Where snow takes its primitives from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// RustCrypto and dalek.
    Default,
    /// ring where it has something.
    Ring,
}

impl Source {
    fn resolver(self) -> Box<dyn CryptoResolver + Send> {
        match self {
            Self::Default => Box::new(DefaultResolver),
            Self::Ring => Box::new(FallbackResolver::new(Box::new(RingResolver), Box::new(DefaultResolver))),
        }
    }
}

/// Both ends' long-term keys.
pub struct Ends {
    source: Source,
    pattern: &'static str,
    keys: [Vec<u8>; 2],
}

impl Ends {
    /// Ends of `NX` or `XX`.
    pub fn new(pattern: &'static str, source: Source) -> Self {
        let key = || Self::builder(pattern, source).generate_keypair().unwrap().private;
        Self { source, pattern, keys: [key(), key()] }
    }

    fn builder(pattern: &str, source: Source) -> Builder<'static> {
        let name = format!("Noise_{pattern}_25519_AESGCM_SHA256");
        Builder::with_resolver(name.parse().unwrap(), source.resolver())
    }

    /// A handshake from the first byte to the last.
    pub fn open(&self) -> (TransportState, TransportState) {
        let [first, second] = &self.keys;
        let builder = Self::builder(self.pattern, self.source);
        let mut initiator = if self.pattern == "XX" {
            builder.local_private_key(first).unwrap().build_initiator().unwrap()
        } else {
            builder.build_initiator().unwrap()
        };
        let builder = Self::builder(self.pattern, self.source).local_private_key(second).unwrap();
        let mut responder = builder.build_responder().unwrap();
        let mut buffers = (vec![0; 65_535], vec![0; 65_535]);
        loop {
            step(&mut initiator, &mut responder, &mut buffers);
            if initiator.is_handshake_finished() {
                break;
            }
            step(&mut responder, &mut initiator, &mut buffers);
            if responder.is_handshake_finished() {
                break;
            }
        }
        (initiator.into_transport_mode().unwrap(), responder.into_transport_mode().unwrap())
    }
}

fn step(from: &mut HandshakeState, to: &mut HandshakeState, (message, payload): &mut (Vec<u8>, Vec<u8>)) {
    let length = from.write_message(&[], message).unwrap();
    to.read_message(&message[..length], payload).unwrap();
}
