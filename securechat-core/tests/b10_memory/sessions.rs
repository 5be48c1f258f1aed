//! Sessions and what they are opened with: handshakes, root, chain and message keys, prekeys, identities.

use crate::links::NOW;
use crate::model::{self, agree, public};
use crate::recorder::Recorder;
use crate::scan::Secrets;
use rand_core::{TryCryptoRng, TryRng};
use securechat_core::codec;
use securechat_core::crypto::aead::Cipher;
use securechat_core::crypto::ed25519::SigningKey;
use securechat_core::crypto::label::Label;
use securechat_core::crypto::x25519::PublicKey;
use securechat_core::identity::{DeviceKeys, Identity, LocalIdentity, PrekeyKind, SignedPrekey, UserName};
use securechat_core::limits::{Limits, SKIPPED_LIFE, SUPERSEDED_KEPT};
use securechat_core::noise::{Handshake, Keys, Pattern, RemoteStatic, Role, StaticKey};
use securechat_core::record::{Changes, Records};
use securechat_core::session::{SenderCheck, Sessions};
use securechat_core::suite::{KeyExchange, Policy, Suite};
use securechat_core::wire::PrekeyStock;
use std::convert::Infallible;
use std::sync::Arc;

struct Device {
    local: LocalIdentity,
    sessions: Sessions,
    randomness: Recorder,
}

impl Device {
    fn new(seed: u64, suite: Suite) -> Self {
        let randomness = Recorder::new(seed);
        let policy = Policy::new(vec![suite]).unwrap();
        let mut sessions = Sessions::new(policy.clone(), Arc::new(Limits::default()));
        let rng = &mut *randomness.boxed();
        let prekeys = sessions.last_resort_prekeys(NOW, rng).unwrap();
        let keys = DeviceKeys::generate(rng, None).unwrap();
        let user = UserName::new(&format!("user{seed}")).unwrap();
        let local = LocalIdentity::new(keys, Some(user), 1, &policy, prekeys, NOW).unwrap();
        Self { local, sessions, randomness }
    }

    fn identity(&self) -> Identity {
        self.local.bundle.identity()
    }

    /// One one-time prekey, and its private key.
    fn one_time(&mut self, kind: PrekeyKind) -> (SignedPrekey, [u8; 32]) {
        let first = self.randomness.keys();
        let stock = [PrekeyStock { kind: kind.id(), left: 99, highest: 0 }];
        let rng = &mut *self.randomness.boxed();
        let mut publication = self.sessions.prekeys_to_publish(&self.local, &stock, NOW, rng).unwrap().unwrap();
        (publication.prekeys.swap_remove(0), self.randomness.key(first))
    }

    fn seal(&mut self, to: Identity) -> Vec<u8> {
        let envelope = self.sessions.seal(&to, b"content", false, &mut *self.randomness.boxed()).unwrap();
        self.save();
        envelope
    }

    fn open(&mut self, envelope: &[u8]) {
        let rng = &mut *self.randomness.boxed();
        let opened = self.sessions.open(&self.local, envelope, &|_| SenderCheck::Listed, NOW, rng).unwrap();
        assert_eq!(opened.content.as_slice(), b"content");
        drop(opened);
        self.save();
    }

    /// Records are made and thrown away, as if they had been sealed and written.
    fn save(&mut self) {
        let mut changes = Changes::default();
        self.sessions.save(&mut changes);
        changes.drain().for_each(drop);
    }
}

/// A message's place in an envelope: what the model needs of it.
struct Message {
    prekey: u32,
    order: u32,
    salt: [u8; 16],
}

impl Message {
    fn of(envelope: &[u8]) -> Self {
        let mut reader = codec::Reader::new(envelope);
        let (mut prekey, mut order) = (0, 0);
        if reader.u8().unwrap() == 1 {
            reader.u16().unwrap();
            (prekey, order) = (reader.u32().unwrap(), reader.u32().unwrap());
            reader.prefixed().unwrap();
        }
        reader.take(16 + 32 + 4 + 4).unwrap();
        Self { prekey, order, salt: reader.array().unwrap() }
    }
}

/// A generator that gives one thing.
struct Replay([u8; 32]);

impl TryRng for Replay {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("keys are made of bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("keys are made of bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.copy_from_slice(&self.0);
        Ok(())
    }
}

impl TryCryptoRng for Replay {}

/// Two people, and what their session's keys must be.
struct Talk {
    alice: Device,
    bob: Device,
    cipher: Cipher,
    /// The ratchet keys that count: Alice's, and Bob's once he answered.
    alices: [u8; 32],
    bobs: [u8; 32],
    root: [u8; 32],
    /// The present chain of each.
    chains: [[u8; 32]; 2],
    /// What must not be there any more.
    over: Secrets,
}

impl Talk {
    /// Alice opens a session to Bob, and he reads her first message.
    fn open(suite: Suite) -> Self {
        let (mut alice, mut bob) = (Device::new(1, suite), Device::new(2, suite));
        let (prekey, private) = bob.one_time(PrekeyKind::X25519);
        let mut talk = Self {
            cipher: suite.cipher,
            alices: [0; 32],
            bobs: [0; 32],
            root: [0; 32],
            chains: [[0; 32]; 2],
            over: Secrets::default(),
            alice: {
                alice.save();
                alice
            },
            bob: {
                bob.save();
                bob
            },
        };
        Secrets::one("a one-time prekey", &private).must_be_found();
        talk.begin(suite, &prekey, &private, false);
        talk.over.note("a one-time prekey", &private);
        talk.check();
        talk
    }

    fn begin(&mut self, suite: Suite, prekey: &SignedPrekey, private: &[u8; 32], replacement: bool) {
        let next = self.alice.randomness.keys();
        let (alice, bob) = (&mut self.alice, &mut self.bob);
        let rng = &mut *alice.randomness.boxed();
        alice.sessions.open_to(&alice.local, &bob.local.bundle, Some(prekey), replacement, NOW, rng).unwrap();
        let ephemeral = alice.randomness.key(next);
        self.alices = alice.randomness.key(next + 1);
        let envelope = alice.seal(bob.identity());
        let message = Message::of(&envelope);

        // The handshake once more, for its transcript hash; its chaining key is computed apart.
        let bundle = &bob.local.bundle;
        let keys = Keys {
            local_static: Some(StaticKey::X25519(alice.local.keys.x25519.duplicate())),
            local_identity: Some(SigningKey::from_bytes(alice.local.keys.identity.as_bytes())),
            remote_static: Some(RemoteStatic::X25519(*bundle.static_x25519())),
            remote_prekey: Some(*prekey.prekey().x25519()),
            ..Keys::default()
        };
        let mut prologue = Label::SESSION.bytes().to_vec();
        prologue.extend_from_slice(&suite.id().to_be_bytes());
        prologue.extend_from_slice(bundle.identity().as_bytes());
        prologue.extend_from_slice(&message.prekey.to_be_bytes());
        prologue.extend_from_slice(&message.order.to_be_bytes());
        let pattern = Pattern::session(KeyExchange::X25519);
        let mut again = Handshake::new(pattern, suite, Role::Initiator, &prologue, keys).unwrap();
        again.write(alice.local.bundle.bytes(), &mut Replay(ephemeral), &mut Vec::new()).unwrap();
        let (chaining_key, hash) = again.into_session().unwrap();

        let statics = [&alice.local, &bob.local].map(|local| *local.keys.x25519.as_bytes());
        let prekey = public(private);
        let mixed = [agree(&ephemeral, &prekey), agree(&ephemeral, &public(&statics[1])), agree(&statics[0], &prekey)];
        let name = if suite == Suite::ALL[0] { "AESGCM" } else { "AESCBCHMAC" };
        let handshake = model::handshake(&format!("Noise_PK_25519_{name}_SHA256"), suite.cipher, &mixed);
        let identities = [alice.identity(), bob.identity()];
        let (root, chain) =
            model::session_root(chaining_key.as_bytes(), &hash, [identities[0].as_bytes(), identities[1].as_bytes()]);
        Secrets::one("the chaining key, computed apart", chaining_key.as_bytes()).must_be_found();
        drop(chaining_key);
        self.over.add(&handshake.passed);
        self.over.note("the initiator's ephemeral key", &ephemeral);
        (self.root, self.chains[0]) = (root, chain);
        self.sent(0, &message);
        self.bob.open(&envelope);
    }

    /// A message of one side moved its chain on.
    fn sent(&mut self, from: usize, message: &Message) {
        let (message_key, next) = model::step(&self.chains[from]);
        let key = model::salted(&message_key, Label::MESSAGE_KEY, &message.salt);
        self.over.note("a chain key", &self.chains[from]);
        self.over.note("a message key", &message_key);
        self.over.add(&model::aead("the key of one sealing", self.cipher, &key));
        self.over.add(&model::aead_origin(self.cipher, &key));
        self.chains[from] = next;
    }

    /// One side answers, and so makes a turn. Gives what the other side goes on to wait with until it has read that.
    fn answer(&mut self, from: usize) -> Vec<u8> {
        let (sender, reader) = if from == 0 { (&mut self.alice, &self.bob) } else { (&mut self.bob, &self.alice) };
        let next = sender.randomness.keys();
        let envelope = sender.seal(reader.identity());
        let own = sender.randomness.key(next);
        let theirs: PublicKey = public(if from == 0 { &self.bobs } else { &self.alices });
        let agreed = agree(&own, &theirs);
        let (root, chain) = model::turn(&self.root, &agreed);
        self.over.note("a ratchet agreement", &agreed);
        self.over.note("a root key", &self.root);
        let used = [("the last chain key of the chain before", self.chains[from]), ("a ratchet key", self.own(from))];
        // Bob has none before his first answer.
        used.iter().filter(|(_, key)| *key != [0; 32]).for_each(|(name, key)| self.over.note(name, key));
        if from == 0 {
            self.alices = own
        } else {
            self.bobs = own
        }
        (self.root, self.chains[from]) = (root, chain);
        self.sent(from, &Message::of(&envelope));
        envelope
    }

    fn own(&self, side: usize) -> [u8; 32] {
        if side == 0 { self.alices } else { self.bobs }
    }

    /// What counts is there, and what is over is gone.
    #[track_caller]
    fn check(&self) {
        self.present().must_be_found();
        self.over.must_be_gone();
    }

    fn present(&self) -> Secrets {
        let mut present = Secrets::one("the root key", &self.root);
        present.note("a chain key in use", &self.chains[0]);
        present.note("a ratchet key in use", &self.alices);
        present
    }

    fn read(&mut self, by: usize, envelope: &[u8]) {
        if by == 0 { self.alice.open(envelope) } else { self.bob.open(envelope) }
    }
}

pub fn b10_session_keys_end_with_message_and_turn() {
    for suite in [Suite::ALL[0], Suite::ALL[1]] {
        let mut talk = Talk::open(suite);
        for _ in 0..3 {
            let envelope = talk.answer(1);
            talk.read(0, &envelope);
            // Alice's old ratchet key is gone, and she makes the next when she sends.
            let envelope = talk.answer(0);
            talk.read(1, &envelope);
            talk.check();
            let more = talk.alice.seal(talk.bob.identity());
            talk.sent(0, &Message::of(&more));
            talk.read(1, &more);
            talk.check();
        }
        // Through records and back.
        let mut changes = Changes::default();
        talk.bob.sessions.mark_restored(NOW);
        talk.bob.sessions.save(&mut changes);
        let mut records = Records::default();
        changes.drain().for_each(|(key, value)| value.into_iter().for_each(|value| records.insert(key.clone(), value)));
        let policy = Policy::new(vec![suite]).unwrap();
        drop(Sessions::restore(policy, Arc::new(Limits::default()), &records).unwrap());
        drop(records);
        talk.check();

        let mut all = talk.present();
        all.add(&talk.over);
        all.note("a static key", talk.alice.local.keys.x25519.as_bytes());
        drop(talk);
        all.must_be_gone();
    }
}

pub fn b10_skipped_keys_end_with_use_and_with_age() {
    for suite in [Suite::ALL[0], Suite::ALL[1]] {
        let mut talk = Talk::open(suite);
        let mut envelopes = Vec::new();
        let mut keys = [[0; 32]; 3];
        for key in &mut keys {
            (*key, _) = model::step(&talk.chains[0]);
            let envelope = talk.alice.seal(talk.bob.identity());
            talk.chains[0] = model::step(&talk.chains[0]).1;
            envelopes.push(envelope);
        }
        let secrets = keys.map(|key| Secrets::one("a skipped key", &key));
        secrets.iter().for_each(Secrets::must_be_gone);
        talk.read(1, &envelopes[2]);
        secrets[0].must_be_found();
        secrets[1].must_be_found();
        secrets[2].must_be_gone();
        talk.read(1, &envelopes[0]);
        secrets[0].must_be_gone();
        secrets[1].must_be_found();
        talk.bob.sessions.handle_timeout(NOW + SKIPPED_LIFE - 1);
        talk.bob.save();
        secrets[1].must_be_found();
        talk.bob.sessions.handle_timeout(NOW + SKIPPED_LIFE);
        talk.bob.save();
        secrets.iter().for_each(Secrets::must_be_gone);
        talk.check();
    }
}

/// A session that a newer one took the place of is erased after its time, and that of a revoked device at once.
pub fn b10_superseded_sessions_end() {
    let suite = Suite::ALL[0];
    let mut talk = Talk::open(suite);
    for from in [1, 0] {
        let envelope = talk.answer(from);
        talk.read(1 - from, &envelope);
    }
    let older = talk.present();
    let last_resort = talk.bob.local.bundle.last_resort(PrekeyKind::X25519).unwrap().clone();
    assert_eq!(public(&talk.bob.randomness.key(0)), *last_resort.x25519());
    let (prekey, private) = talk.bob.one_time(PrekeyKind::X25519);
    talk.begin(suite, &prekey, &private, true);
    for from in [1, 0] {
        let envelope = talk.answer(from);
        talk.read(1 - from, &envelope);
    }
    talk.present().must_be_found();
    older.must_be_found();
    for device in [&mut talk.alice, &mut talk.bob] {
        device.sessions.handle_timeout(NOW + SUPERSEDED_KEPT);
        device.save();
    }
    older.must_be_gone();
    talk.check();
    let identities = [talk.alice.identity(), talk.bob.identity()];
    talk.alice.sessions.end_device(&identities[1], NOW);
    talk.bob.sessions.end_device(&identities[0], NOW);
    talk.present().must_be_gone();
}

/// Also after it was written to a record and read back.
pub fn b10_identity_keys_end_with_the_device() {
    for suite in [Suite::ALL[0], Suite::ALL[4]] {
        let device = Device::new(7, suite);
        let secrets = device.randomness.secrets(device.local.bundle.bytes());
        let keys = [device.local.keys.identity.as_bytes(), device.local.keys.x25519.as_bytes()];
        let mut own = Secrets::one("the identity key", keys[0]);
        own.note("the static key", keys[1]);
        let record = codec::encode_secret(&device.local);
        let again: LocalIdentity = codec::decode(&record).unwrap();
        assert_eq!(again.bundle, device.local.bundle);
        drop(record);
        own.must_be_found();
        secrets.must_be_found();
        drop((device, again));
        own.must_be_gone();
        secrets.must_be_gone();
    }
}
