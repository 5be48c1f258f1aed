//! Handshakes with snow, another implementation of Noise, in both roles: every pattern of Noise, psk ones too, and with the
//! links' patterns 10,000 records each way, over two rekeys that are done by hand on snow's side.
//!
//! snow runs over RustCrypto's crates as they are, not over this crate's wrappers; with the feature `aws-lc` the two sides
//! so have nothing in common. (snow's own resolvers are not used: they bring the generation of these crates before ours,
//! and the one over ring has no X25519.)
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "vectors_harness/noise_patterns.rs"]
#[allow(unreachable_pub)] // Of the published vectors, whose table of patterns this is.
mod noise_patterns;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use noise_patterns::{ROWS, pattern};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use securechat_core::crypto::secret::Secret;
use securechat_core::crypto::{ed25519, x25519};
use securechat_core::noise::{Handshake, Keys, Pattern, RemoteKeys, RemoteStatic, Role, StaticKey, Transport};
use securechat_core::suite::{KeyExchange, Suite};
use sha2::Digest;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};
use x25519_dalek::{PublicKey, StaticSecret};

const SUITE: Suite = Suite::ALL[0];
const PSK: [u8; 32] = [7; 32];

/// RustCrypto's primitives as snow takes them.
struct Primitives;

impl CryptoResolver for Primitives {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Seeded(ChaCha20Rng::seed_from_u64(99))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        (*choice == DHChoice::Curve25519).then(|| Box::new(X25519::default()) as _)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        (*choice == HashChoice::SHA256).then(|| Box::new(Sha256::default()) as _)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        (*choice == CipherChoice::AESGCM).then(|| Box::new(AesGcm::default()) as _)
    }
}

struct Seeded(ChaCha20Rng);

impl Random for Seeded {
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), snow::Error> {
        self.0.fill_bytes(out);
        Ok(())
    }
}

#[derive(Default)]
struct X25519 {
    private: [u8; 32],
    public: [u8; 32],
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, private: &[u8]) {
        self.private.copy_from_slice(private);
        self.public = PublicKey::from(&StaticSecret::from(self.private)).to_bytes();
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), snow::Error> {
        let mut private = [0; 32];
        rng.try_fill_bytes(&mut private)?;
        self.set(&private);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        &self.private
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        let public: [u8; 32] = public[..32].try_into().unwrap();
        let secret = StaticSecret::from(self.private).diffie_hellman(&PublicKey::from(public));
        out[..32].copy_from_slice(secret.as_bytes());
        Ok(())
    }
}

#[derive(Default)]
struct AesGcm(Option<Aes256Gcm>);

/// Noise section 12.4: 32 zero bits, then the counter big-endian.
fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

impl Cipher for AesGcm {
    fn name(&self) -> &'static str {
        "AESGCM"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0 = Some(Aes256Gcm::new(key.into()));
    }

    fn encrypt(&self, counter: u64, ad: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let (body, tag) = out[..plaintext.len() + 16].split_at_mut(plaintext.len());
        body.copy_from_slice(plaintext);
        let key = self.0.as_ref().unwrap();
        tag.copy_from_slice(&key.encrypt_inout_detached((&nonce(counter)).into(), ad, body.into()).unwrap());
        plaintext.len() + 16
    }

    fn decrypt(&self, counter: u64, ad: &[u8], ciphertext: &[u8], out: &mut [u8]) -> Result<usize, snow::Error> {
        let (body, tag) = ciphertext.split_last_chunk::<16>().ok_or(snow::Error::Decrypt)?;
        let out = &mut out[..body.len()];
        out.copy_from_slice(body);
        let key = self.0.as_ref().unwrap();
        key.decrypt_inout_detached((&nonce(counter)).into(), ad, out.into(), tag.into())
            .map(|()| body.len())
            .map_err(|_| snow::Error::Decrypt)
    }
}

#[derive(Default)]
struct Sha256(sha2::Sha256);

impl Hash for Sha256 {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        out[..32].copy_from_slice(&self.0.finalize_reset());
    }
}

fn private(seed: u8) -> x25519::PrivateKey {
    x25519::PrivateKey::from_bytes(&[seed; 32])
}

/// The static keys of both roles.
fn statics(role: Role) -> (x25519::PrivateKey, x25519::PublicKey) {
    let (own, remote) = if role == Role::Initiator { (1, 2) } else { (2, 1) };
    (private(own), private(remote).public())
}

/// Whether that role knows the other's static key beforehand.
fn knows(pattern: &Pattern, role: Role) -> bool {
    let base = pattern.name().split("psk").next().unwrap();
    let (_, initiator, responder, _) = ROWS.iter().find(|(name, ..)| *name == base).unwrap();
    !(if role == Role::Initiator { responder } else { initiator }).is_empty()
}

fn ours(pattern: &'static Pattern, role: Role) -> Handshake {
    let (own, remote) = statics(role);
    let keys = Keys {
        local_static: Some(StaticKey::X25519(own)),
        remote_static: knows(pattern, role).then_some(RemoteStatic::X25519(remote)),
        psks: vec![Secret::from_bytes(&PSK), Secret::from_bytes(&PSK)],
        ..Keys::default()
    };
    Handshake::new(pattern, SUITE, role, b"prologue", keys).unwrap()
}

fn theirs(pattern: &'static Pattern, role: Role) -> snow::HandshakeState {
    let (own, remote) = statics(role);
    let name = format!("Noise_{}_25519_AESGCM_SHA256", pattern.name());
    let mut builder = snow::Builder::with_resolver(name.parse().unwrap(), Box::new(Primitives))
        .prologue(b"prologue")
        .unwrap()
        .local_private_key(own.as_bytes())
        .unwrap();
    if knows(pattern, role) {
        builder = builder.remote_public_key(remote.as_bytes()).unwrap();
    }
    for place in pattern.name().split("psk").skip(1) {
        builder = builder.psk(place.trim_end_matches('+').parse().unwrap(), &PSK).unwrap();
    }
    match role {
        Role::Initiator => builder.build_initiator().unwrap(),
        Role::Responder => builder.build_responder().unwrap(),
    }
}

/// A whole handshake, with payloads.
fn handshake(pattern: &'static Pattern, role: Role) -> (Transport, snow::TransportState) {
    let rng = &mut ChaCha20Rng::seed_from_u64(5);
    let (_, remote) = statics(role);
    let identity = ed25519::SigningKey::from_bytes(&[3; 32]).verifying_key();
    let mut ours = ours(pattern, role);
    let mut theirs = theirs(pattern, if role == Role::Initiator { Role::Responder } else { Role::Initiator });
    let mut buffer = vec![0; 65_535];
    for index in 0.. {
        if ours.is_finished() {
            break;
        }
        let payload = vec![index as u8; 100 * index];
        if ours.is_my_turn() {
            let mut message = Vec::new();
            ours.write(&payload, rng, &mut message).unwrap();
            let length = theirs.read_message(&message, &mut buffer).unwrap();
            assert_eq!(buffer[..length], payload);
        } else {
            let carries_identity = ours.carries_identity();
            let length = theirs.write_message(&payload, &mut buffer).unwrap();
            assert_eq!(ours.read(&buffer[..length], rng).unwrap().as_slice(), payload);
            if carries_identity {
                ours.confirm(&RemoteKeys { identity: &identity, x25519: &remote, rsa: None }).unwrap();
            }
        }
    }
    assert!(theirs.is_handshake_finished());
    let ours = ours.into_transport().unwrap();
    assert_eq!(theirs.get_handshake_hash(), ours.hash);
    (ours, theirs.into_transport_mode().unwrap())
}

/// The directions in which records go: after a one-way pattern only from its initiator.
fn directions(pattern: &Pattern, role: Role) -> (bool, bool) {
    let one_way = ["N", "K", "X"].contains(&pattern.name().split("psk").next().unwrap());
    (!one_way || role == Role::Initiator, !one_way || role == Role::Responder)
}

fn run(pattern: &'static Pattern, role: Role, records: usize, rekey_after: Option<usize>) {
    let (mut ours, mut theirs) = handshake(pattern, role);
    if let Some(records) = rekey_after {
        ours = ours.rekey_after(records as u64);
    }
    let (to_snow, from_snow) = directions(pattern, role);
    let mut buffer = vec![0; 65_535];
    for number in 0..records {
        let rekeys = rekey_after.is_some_and(|after| number > 0 && number.is_multiple_of(after));
        let text = vec![number as u8; 37 * (number % 100)];
        if to_snow {
            let mut record = text.clone();
            ours.sealer.seal(&mut record, 0).unwrap();
            if rekeys {
                // Ours has done it by itself; so snow cannot go on before it has.
                assert!(theirs.read_message(&record, &mut buffer).is_err());
                theirs.rekey_incoming();
            }
            let length = theirs.read_message(&record, &mut buffer).unwrap();
            assert_eq!(buffer[..length], text);
        }
        if from_snow {
            if rekeys {
                theirs.rekey_outgoing();
            }
            let length = theirs.write_message(&text, &mut buffer).unwrap();
            assert_eq!(ours.opener.open(&mut buffer[..length]).unwrap(), text);
        }
    }
}

/// 10,000 records each way with a rekey every 4,096.
fn links(pattern: &'static Pattern) {
    for role in [Role::Initiator, Role::Responder] {
        run(pattern, role, 10_000, Some(4_096));
    }
}

#[test]
fn links_to_relays_over_rekeys() {
    links(Pattern::relay_link(KeyExchange::X25519));
}

#[test]
fn links_to_peers_over_rekeys() {
    links(Pattern::peer_link(KeyExchange::X25519));
}

/// Rows that only tests have: every other pattern of Noise, and shared secrets at each end of a message.
#[test]
fn every_other_pattern_from_data() {
    let psk = ["NNpsk0", "KKpsk2", "IKpsk1", "XXpsk3", "XXpsk0+psk3", "Xpsk1", "X1Kpsk0+psk4"];
    for name in ROWS.iter().map(|(name, ..)| *name).chain(psk) {
        for role in [Role::Initiator, Role::Responder] {
            run(pattern(name).unwrap(), role, 10, None);
        }
    }
}
