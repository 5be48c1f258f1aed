//! A device that writes to a group, and one that reads there.

use crate::{NOW, random};
use securechat_core::crypto::Random;
use securechat_core::crypto::aead::Cipher;
use securechat_core::crypto::secret::SecretVec;
use securechat_core::group::{GroupMessage, ReceiverKey, SenderKey};
use securechat_core::identity::{DeviceKeys, Identity, UserName};
use securechat_core::roster::{Action, Entry, GroupId, Roster, SignedEntry};

/// Who writes.
pub struct Sender {
    /// What the device is known by.
    pub identity: Identity,
    roster: Roster,
    key: SenderKey,
    rng: Random,
}

/// Who reads.
pub struct Receiver(ReceiverKey);

/// A device with a key for a group, and one to which it was handed.
pub fn ends(cipher: Cipher) -> (Sender, Receiver) {
    let mut rng = random(1);
    let keys = DeviceKeys::generate(&mut *rng, None).unwrap();
    let entry = Entry {
        identity: keys.identity(),
        group: GroupId::NONE,
        previous: [0; 32],
        sequence: 0,
        time: NOW,
        epoch: 0,
        actor: UserName::new("alice").unwrap(),
        action: Action::Create { name: "group".to_owned(), open: false, nonce: [7; 16] },
    };
    let roster = Roster::create(&SignedEntry::sign(entry, &keys.identity).unwrap()).unwrap();
    let identity = keys.identity();
    let key = SenderKey::generate(&identity, &roster, cipher, NOW, &mut *rng);
    let receiver = ReceiverKey::new(&identity, roster.id(), key.handed(0), NOW);
    (Sender { identity, roster, key, rng }, Receiver(receiver))
}

impl Sender {
    /// Seals a text for everybody.
    pub fn seal(&mut self, text: &[u8]) -> Vec<u8> {
        self.key.seal(&self.identity, &self.roster, text, &mut *self.rng).unwrap()
    }
}

impl Receiver {
    /// Opens an envelope: the signature first.
    pub fn open(&mut self, envelope: &[u8]) -> SecretVec {
        let message = GroupMessage::decode(envelope).unwrap();
        self.0.verify(&message).unwrap();
        self.0.open(&message, NOW).unwrap()
    }
}
