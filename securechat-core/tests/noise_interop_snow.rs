//! Handshakes with snow, another implementation of Noise, in both roles, and a hundred records each way.
//!
//! snow runs over this crate's X25519, AES-256-GCM and SHA-256: it has its own token loop, transcript, HMAC, key
//! schedule and counters, and those are what is compared. The primitives have vectors of their own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use securechat_core::crypto::aead::{self, AeadKey};
use securechat_core::crypto::hash::sha256;
use securechat_core::crypto::secret::Secret;
use securechat_core::crypto::{ed25519, x25519};
use securechat_core::noise::{Handshake, Keys, Pattern, RemoteKeys, RemoteStatic, Role, StaticKey, Token};
use securechat_core::suite::{KeyExchange, Suite};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};

const SUITE: Suite = Suite::ALL[0];
const PSK: [u8; 32] = [7; 32];

/// This crate's primitives as snow takes them.
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
        self.public = *x25519::PrivateKey::from_bytes(&self.private).public().as_bytes();
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
        let public = x25519::PublicKey::from_bytes(public[..32].try_into().unwrap());
        let secret = x25519::PrivateKey::from_bytes(&self.private).agree(&public).map_err(|_| snow::Error::Dh)?;
        out[..32].copy_from_slice(secret.as_bytes());
        Ok(())
    }
}

#[derive(Default)]
struct AesGcm(Option<AeadKey>);

impl Cipher for AesGcm {
    fn name(&self) -> &'static str {
        "AESGCM"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0 = Some(AeadKey::new(aead::Cipher::AesGcm, key));
    }

    fn encrypt(&self, nonce: u64, ad: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let sealed = self.0.as_ref().unwrap().seal(nonce, ad, plaintext);
        out[..sealed.len()].copy_from_slice(&sealed);
        sealed.len()
    }

    fn decrypt(&self, nonce: u64, ad: &[u8], ciphertext: &[u8], out: &mut [u8]) -> Result<usize, snow::Error> {
        let opened = self.0.as_ref().unwrap().open(nonce, ad, ciphertext).map_err(|_| snow::Error::Decrypt)?;
        out[..opened.len()].copy_from_slice(&opened);
        Ok(opened.len())
    }
}

#[derive(Default)]
struct Sha256(Vec<u8>);

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
        self.0.clear();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.extend_from_slice(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        out[..32].copy_from_slice(&sha256(&[&self.0]));
    }
}

fn private(seed: u8) -> x25519::PrivateKey {
    x25519::PrivateKey::from_bytes(&[seed; 32])
}

/// The static keys of both roles.
const STATIC: [u8; 2] = [1, 2];

fn ours(pattern: &'static Pattern, role: Role) -> Handshake {
    let (own, remote) = if role == Role::Initiator { (0, 1) } else { (1, 0) };
    let known = if role == Role::Initiator { pattern.responder_known } else { pattern.initiator_known };
    let keys = Keys {
        local_static: Some(StaticKey::X25519(private(STATIC[own]))),
        remote_static: (!known.is_empty()).then(|| RemoteStatic::X25519(private(STATIC[remote]).public())),
        psks: vec![Secret::from_bytes(&PSK)],
        ..Keys::default()
    };
    Handshake::new(pattern, SUITE, role, b"prologue", keys).unwrap()
}

fn theirs(pattern: &'static Pattern, role: Role) -> snow::HandshakeState {
    let (own, remote) = if role == Role::Initiator { (0, 1) } else { (1, 0) };
    let known = if role == Role::Initiator { pattern.responder_known } else { pattern.initiator_known };
    let name = format!("Noise_{}_25519_AESGCM_SHA256", pattern.name);
    let own = private(STATIC[own]);
    let remote = private(STATIC[remote]).public();
    let mut builder = snow::Builder::with_resolver(name.parse().unwrap(), Box::new(Primitives))
        .prologue(b"prologue")
        .unwrap()
        .local_private_key(own.as_bytes())
        .unwrap();
    if !known.is_empty() {
        builder = builder.remote_public_key(remote.as_bytes()).unwrap();
    }
    if let Some(place) = pattern.name.split("psk").nth(1) {
        builder = builder.psk(place.parse().unwrap(), &PSK).unwrap();
    }
    match role {
        Role::Initiator => builder.build_initiator().unwrap(),
        Role::Responder => builder.build_responder().unwrap(),
    }
}

fn run(pattern: &'static Pattern, role: Role) {
    let rng = &mut ChaCha20Rng::seed_from_u64(5);
    let remote = private(STATIC[if role == Role::Initiator { 1 } else { 0 }]).public();
    let identity = ed25519::SigningKey::from_bytes(&[3; 32]).verifying_key();
    let mut ours = ours(pattern, role);
    let other = if role == Role::Initiator { Role::Responder } else { Role::Initiator };
    let mut theirs = theirs(pattern, other);
    let mut buffer = vec![0; 65_535];
    for index in 0..pattern.messages.len() {
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
    assert!(ours.is_finished() && theirs.is_handshake_finished());
    let hash = theirs.get_handshake_hash().to_vec();
    let mut ours = ours.into_transport().unwrap();
    assert_eq!(hash, ours.hash);

    let mut theirs = theirs.into_transport_mode().unwrap();
    for number in 0..100_usize {
        let text = vec![number as u8; 37 * number];
        let mut record = text.clone();
        ours.sealer.seal(&mut record, 0).unwrap();
        let length = theirs.read_message(&record, &mut buffer).unwrap();
        assert_eq!(buffer[..length], text);
        let length = theirs.write_message(&text, &mut buffer).unwrap();
        assert_eq!(ours.opener.open(&mut buffer[..length]).unwrap(), text);
    }
}

fn both_ways(pattern: &'static Pattern) {
    run(pattern, Role::Initiator);
    run(pattern, Role::Responder);
}

#[test]
fn the_patterns_of_links() {
    both_ways(Pattern::relay_link(KeyExchange::X25519));
    both_ways(Pattern::peer_link(KeyExchange::X25519));
}

/// Rows that only this test has: keys known beforehand, both static keys at once, a shared secret.
#[test]
fn other_patterns_from_data() {
    use Token::{E, Ee, Es, Psk, S, Se, Ss};
    const KK: Pattern =
        Pattern { name: "KK", initiator_known: &[S], responder_known: &[S], messages: &[&[E, Es, Ss], &[E, Ee, Se]] };
    const IK: Pattern =
        Pattern { name: "IK", initiator_known: &[], responder_known: &[S], messages: &[&[E, Es, S, Ss], &[E, Ee, Se]] };
    const XX_PSK: Pattern = Pattern {
        name: "XXpsk3",
        initiator_known: &[],
        responder_known: &[],
        messages: &[&[E], &[E, Ee, S, Es], &[S, Se, Psk]],
    };
    const NN_PSK: Pattern =
        Pattern { name: "NNpsk0", initiator_known: &[], responder_known: &[], messages: &[&[Psk, E], &[E, Ee]] };
    for pattern in [&KK, &IK, &XX_PSK, &NN_PSK] {
        both_ways(pattern);
    }
}
