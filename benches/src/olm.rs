//! Olm as vodozemac has it.

use vodozemac::olm::{Account, OlmMessage, Session, SessionConfig};

/// Two accounts, each with one-time keys.
pub struct Ends {
    alice: Account,
    bob: Account,
}

impl Ends {
    /// Accounts before any session.
    #[allow(clippy::new_without_default)] // accounts are no default
    pub fn new() -> Self {
        Self { alice: Account::new(), bob: Account::new() }
    }

    /// Alice's session with Bob and the first message in it, which Bob has not opened. Uses up one of his one-time keys.
    pub fn first_message(&mut self, text: &[u8]) -> (Session, OlmMessage) {
        self.bob.generate_one_time_keys(1);
        let key = *self.bob.one_time_keys().values().next().unwrap();
        self.bob.mark_keys_as_published();
        let config = SessionConfig::version_1();
        let mut session = self.alice.create_outbound_session(config, self.bob.curve25519_key(), key).unwrap();
        let message = session.encrypt(text).unwrap();
        (session, message)
    }

    /// Bob opens the first message, and a session with it.
    pub fn open(&mut self, message: &OlmMessage) -> (Session, Vec<u8>) {
        let OlmMessage::PreKey(message) = message else { panic!("not a first message") };
        let sender = self.alice.curve25519_key();
        let result = self.bob.create_inbound_session(SessionConfig::version_1(), sender, message).unwrap();
        (result.session, result.plaintext)
    }

    /// The account of one who has made so many one-time keys.
    pub fn account(keys: usize) -> Account {
        let mut account = Account::new();
        account.generate_one_time_keys(keys);
        account.mark_keys_as_published();
        account
    }

    /// A session that both have used, Alice last.
    pub fn session(&mut self) -> (Session, Session) {
        let (mut alice, first) = self.first_message(b"first");
        let (mut bob, _) = self.open(&first);
        let answer = bob.encrypt(b"answer").unwrap();
        alice.decrypt(&answer).unwrap();
        let next = alice.encrypt(b"next").unwrap();
        bob.decrypt(&next).unwrap();
        (alice, bob)
    }
}

/// One writes, and the other answers.
pub fn turn(alice: &mut Session, bob: &mut Session) {
    let message = alice.encrypt(b"to").unwrap();
    bob.decrypt(&message).unwrap();
    let message = bob.encrypt(b"fro").unwrap();
    alice.decrypt(&message).unwrap();
}
