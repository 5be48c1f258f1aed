//! Logs of groups, and the messages under one sender key.

use super::Saved;
use super::devices::{keys, user};
use super::links::NOW;
use super::parsers::KEY;
use super::stream::Stream;
use crate::codec::{self, Reader, encode_secret};
use crate::crypto::aead::Cipher;
use crate::crypto::ed25519::SigningKey;
use crate::crypto::label::Label;
use crate::crypto::secret::SecretVec;
use crate::error::PeerMisbehaved;
use crate::group::{GroupLog, GroupMessage, ReceiverKey, SenderKey, Standing};
use crate::identity::Identity;
use crate::limits::{GROUP_GRACE, GROUP_MEMBERS, ROSTER_ENTRIES};
use crate::record::{Changes, Records};
use crate::roster::{Action, Entry, GroupId, Roster, SignedEntry};
use std::collections::BTreeSet;

/// Signs what an entry says with the key of [`KEY`], whoever it names.
fn signed(entry: Entry) -> Option<SignedEntry> {
    let key = SigningKey::from_bytes(&KEY);
    SignedEntry::sign(Entry { identity: key.verifying_key().into(), ..entry }, &key).ok()
}

/// The first entry of the group of the user with number 0.
fn first(open: bool) -> SignedEntry {
    let action = Action::Create { name: "friends".into(), open, nonce: [7; 16] };
    signed(entry(0, 0, GroupId::NONE, [0; 32], 0, action)).unwrap()
}

fn entry(actor: u8, epoch: u64, group: GroupId, previous: [u8; 32], sequence: u32, action: Action) -> Entry {
    let identity = Identity::from_bytes(KEY);
    Entry { identity, group, previous, sequence, time: NOW, epoch, actor: user(actor), action }
}

/// Entries as they travel; and whatever is done to a group, in its place and signed: an actor, an epoch, an action each.
pub fn roster(data: &[u8]) {
    if let Ok(signed) = SignedEntry::decode(data) {
        assert_eq!(signed.bytes(), data);
        if let Ok(roster) = Roster::create(&signed) {
            assert_eq!((roster.id(), roster.hash(), roster.members().count()), (signed.group(), signed.hash(), 1));
        }
    }
    let body = data.get(2..).and_then(|rest| rest.split_last_chunk::<64>()).map_or(data, |(body, _)| body);
    if let Ok(entry) = codec::decode::<Entry>(body) {
        assert_eq!(codec::encode(&entry), body);
        if let Some(signed) = signed(entry) {
            assert_eq!(SignedEntry::decode(signed.bytes()).as_ref(), Ok(&signed));
        }
    }
    let mut roster = Roster::create(&first(data.len().is_multiple_of(2))).unwrap();
    let mut rest = data;
    while let Ok(((actor, epoch, action), left)) = codec::decode_prefix::<(u8, u64, Action)>(rest) {
        rest = left;
        let (before, sequence) = (roster.clone(), roster.sequence() + 1);
        let Some(next) = signed(entry(actor % 4, epoch, roster.id(), roster.hash(), sequence, action)) else {
            continue;
        };
        if roster.apply(&next).is_err() {
            assert_eq!(roster, before);
        } else {
            check(&before, &roster, &next);
        }
    }
}

/// What an entry did, its actor was allowed to do.
fn check(before: &Roster, after: &Roster, entry: &SignedEntry) {
    let actor = &entry.entry().actor;
    let members = |roster: &Roster| roster.members().cloned().collect::<BTreeSet<_>>();
    let (old, new) = (members(before), members(after));
    assert!(before.is_admin(actor) || old.symmetric_difference(&new).all(|user| user == actor));
    assert!(before.is_admin(actor) || before.name() == after.name());
    assert!(new.iter().all(|user| before.is_admin(actor) || !after.is_admin(user) || before.is_admin(user)));
    assert!(new.is_empty() || new.iter().any(|user| after.is_admin(user)), "nobody is an admin");
    assert!(new.len() <= GROUP_MEMBERS && after.sequence() < ROSTER_ENTRIES);
    assert!(old.union(&new).all(|user| !after.is_admin(user) || new.contains(user)), "an admin is a member");
    assert!(old.union(&new).all(|user| after.was_member_at(user, after.sequence()) == new.contains(user)));
    assert!(old.iter().all(|user| after.was_member_at(user, before.sequence())), "what was does not change");
    assert_eq!(after.removal_after(before.sequence()).is_some(), !old.is_subset(&new));
    assert_eq!((after.hash(), after.sequence()), (entry.hash(), before.sequence() + 1));
}

/// The log that [`group`] judges messages by: user 2 is removed by the third entry.
fn log() -> GroupLog {
    let mut log = GroupLog::begin(first(false)).unwrap();
    for action in [Action::Add { users: vec![user(1), user(2)] }, Action::Remove { users: vec![user(2)] }] {
        let (id, hash, sequence) = (log.roster().id(), log.roster().hash(), log.roster().sequence() + 1);
        log.push(signed(entry(0, 0, id, hash, sequence, action)).unwrap(), NOW).unwrap();
    }
    log
}

fn sender_key(choice: u8) -> SenderKey {
    let cipher = if choice & 1 == 0 { Cipher::AesGcm } else { Cipher::AesCbcHmac };
    SenderKey::generate(&keys(1).identity(), log().roster(), cipher, NOW, &mut Stream::new(choice & 1))
}

/// What the device of [`group`] is sent, in order: messages with these contents.
pub fn group_messages(choice: u8, contents: &[&[u8]]) -> Vec<Vec<u8>> {
    let (mut key, mut rng, log) = (sender_key(choice), Stream::new(7), log());
    let mut seal = |content: &&[u8]| key.seal(&keys(1).identity(), log.roster(), content, &mut rng).unwrap();
    contents.iter().map(&mut seal).collect()
}

/// Messages under one sender key: a byte for the cipher and where it was handed over, then each with its length as a u16
/// before it. Each comes as it is, and then under the right ids and signed by its sender, whatever else stands in it.
pub fn group(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let (log, mut own) = (log(), sender_key(*choice));
    for _ in 0..choice >> 1 & 3 {
        own.seal(&keys(1).identity(), log.roster(), b"", &mut Stream::new(8)).unwrap();
    }
    let signing = SigningKey::generate(&mut Stream::new(choice & 1));
    let mut reader = Receiver {
        from: own.number(),
        key: ReceiverKey::new(&keys(1).identity(), log.roster().id(), own.handed(u32::MAX), NOW),
        log,
        opened: BTreeSet::new(),
        saved: Saved::new(),
    };
    let mut rest = Reader::new(rest);
    while let Ok(envelope) = rest.prefixed() {
        let signed = sign(envelope, &own, &signing, reader.log.roster().id());
        for envelope in [Some(envelope), signed.as_deref()].into_iter().flatten() {
            reader.read(envelope);
        }
    }
}

/// An envelope under these ids, signed by the device of number 1.
fn sign(envelope: &[u8], own: &SenderKey, signing: &SigningKey, group: GroupId) -> Option<Vec<u8>> {
    let mut envelope = envelope.to_vec();
    envelope.get_mut(1..17)?.copy_from_slice(group.as_bytes());
    envelope.get_mut(17..33)?.copy_from_slice(own.id().as_bytes());
    let (message, signature) = envelope.split_last_chunk_mut::<64>()?;
    *signature = signing.sign(Label::GROUP_MESSAGE, &[keys(1).identity().as_bytes(), message.get(1..)?]);
    Some(envelope)
}

/// Who was handed the key.
struct Receiver {
    key: ReceiverKey,
    from: u32,
    log: GroupLog,
    opened: BTreeSet<u32>,
    saved: Saved,
}

impl Receiver {
    fn read(&mut self, envelope: &[u8]) {
        let Ok(message) = GroupMessage::decode(envelope) else { return };
        judge(&self.log, &message);
        if self.key.verify(&message).is_err() {
            return;
        }
        let before = encode_secret(&self.key);
        if self.key.open(&message, NOW).is_ok() {
            assert!(self.opened.insert(message.number), "it opened before");
            assert!(message.number >= self.from, "from before the key was handed over");
        } else {
            assert_eq!(encode_secret(&self.key), before, "a message that did not open changed the state");
        }
        self.restart();
    }

    /// The key is read back from what was saved.
    fn restart(&mut self) {
        let mut changes = Changes::default();
        self.key.save(&mut changes);
        for (name, value) in changes.drain() {
            match value {
                Some(value) => _ = self.saved.insert(name, value),
                None => _ = self.saved.remove(&name),
            }
        }
        let mut records = Records::default();
        self.saved.iter().for_each(|(name, value)| records.insert(name.clone(), SecretVec::new(value.to_vec())));
        self.key = ReceiverKey::restore_all(&records).unwrap().remove(0);
    }
}

/// What a log says of a message follows from what it says of the one entry that the message names.
fn judge(log: &GroupLog, message: &GroupMessage<'_>) {
    for number in 0..4 {
        let standing = log.standing(&user(number), message, NOW);
        let entry = log.entry(message.sequence);
        let same = entry.is_some_and(|entry| entry.hash() == message.hash);
        let member = log.roster().was_member_at(&user(number), message.sequence);
        match standing {
            Standing::Counts => assert!(same && member && log.roster().is_member(&user(number))),
            Standing::BeforeRemoval => {
                assert!(same && member && log.roster().removal_after(message.sequence).is_some());
                let later = log.standing(&user(number), message, NOW + GROUP_GRACE);
                assert_eq!(later, Standing::Refused(PeerMisbehaved::RosterState));
            }
            Standing::Ahead => assert!(entry.is_none()),
            Standing::Elsewhere => assert!(entry.is_some() && !same),
            Standing::Refused(_) => assert!(same && !member),
        }
    }
}
