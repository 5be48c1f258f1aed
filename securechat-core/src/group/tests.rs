//! Sealing and opening, and what a log says about messages.

use super::message::{GroupMessage, associated_data, halves, keys as keys_of};
use super::{Fork, GroupLog, KeyId, ReceiverKey, SenderKey, Standing};
use crate::codec::{decode, encode_secret};
use crate::crypto::aead::{AeadKey, Cipher};
use crate::crypto::ed25519::SigningKey;
use crate::crypto::label::Label;
use crate::error::{ApiMisuse, Decrypt, Error, InvalidMessage, PeerMisbehaved};
use crate::identity::samples::{keys, name, rng};
use crate::limits::{
    CONTENT_MAX, DAY, GROUP_GRACE, GROUP_HEADER, REPLACED_KEY_LIFE, SENDER_KEY_LIFE, SENDER_KEY_MESSAGES,
    SKIPPED_PER_MESSAGE,
};
use crate::padding::pad;
use crate::record::{Changes, Records};
use crate::roster::samples::{add, create, entry, remove, roster};
use crate::roster::{Action, Roster};
use crate::session::EnvelopeKind;
use crate::session::chain::Chain;

const NOW: u64 = 40_000 * DAY;

fn sender(group: &Roster, cipher: Cipher) -> SenderKey {
    SenderKey::generate(&keys(1).identity(), group, cipher, NOW, &mut rng(9))
}

fn receiver(group: &Roster, key: &SenderKey) -> ReceiverKey {
    ReceiverKey::new(&keys(1).identity(), group.id(), key.handed(u32::MAX), NOW)
}

fn seal(group: &Roster, key: &mut SenderKey, content: &[u8]) -> Vec<u8> {
    key.seal(&keys(1).identity(), group, content, &mut rng(content.len() as u8)).unwrap()
}

/// Signature, then content, as a receiver does it.
fn open(key: &mut ReceiverKey, envelope: &[u8]) -> Result<Vec<u8>, Error> {
    let message = GroupMessage::decode(envelope)?;
    key.verify(&message)?;
    key.open(&message, NOW).map(|content| content.to_vec())
}

#[test]
fn what_is_sealed_opens_at_everyone_who_has_the_key() {
    for cipher in [Cipher::AesGcm, Cipher::AesCbcHmac] {
        let group = roster(&["bob", "carol"], false);
        let mut key = sender(&group, cipher);
        let (mut bob, mut carol) = (receiver(&group, &key), receiver(&group, &key));
        for content in [&b"one"[..], b"two", &[7; CONTENT_MAX]] {
            let envelope = seal(&group, &mut key, content);
            assert_eq!(EnvelopeKind::of(&envelope), Ok(EnvelopeKind::Group));
            assert_eq!(open(&mut bob, &envelope).unwrap(), content);
            assert_eq!(open(&mut carol, &envelope).unwrap(), content);
        }
        let refused = key.seal(&keys(1).identity(), &group, &[0; CONTENT_MAX + 1], &mut rng(1));
        assert_eq!(refused, Err(ApiMisuse::TooLarge.into()));
    }
}

#[test]
fn b1_a_message_opens_once_in_any_order() {
    let group = roster(&["bob"], false);
    let mut key = sender(&group, Cipher::AesGcm);
    let mut bob = receiver(&group, &key);
    let sent: Vec<_> = (0..5_u8).map(|number| seal(&group, &mut key, &[number])).collect();
    for number in [3, 0, 4, 1, 2] {
        assert_eq!(open(&mut bob, &sent[number]).unwrap(), [number as u8]);
        for seen in [3, number] {
            assert_eq!(open(&mut bob, &sent[seen]), Err(PeerMisbehaved::Replay.into()));
        }
    }
}

#[test]
fn d3_nobody_reads_what_was_sent_before_they_came() {
    let group = roster(&["bob"], false);
    let mut key = sender(&group, Cipher::AesGcm);
    let before = seal(&group, &mut key, b"before");
    let mut late = receiver(&group, &key);
    let after = seal(&group, &mut key, b"after");
    assert_eq!(open(&mut late, &before), Err(PeerMisbehaved::Replay.into()));
    assert_eq!(open(&mut late, &after).unwrap(), b"after");
    // Another device of a member who was there from the first message on gets what that member got.
    let mut phone = ReceiverKey::new(&keys(1).identity(), group.id(), key.handed(0), NOW);
    assert_eq!(open(&mut phone, &before).unwrap(), b"before");
    assert_eq!(open(&mut phone, &after).unwrap(), b"after");
}

#[test]
fn b2_every_change_of_a_message_is_refused_and_changes_nothing() {
    let group = roster(&["bob"], false);
    let mut key = sender(&group, Cipher::AesCbcHmac);
    let mut bob = receiver(&group, &key);
    let mut envelope = seal(&group, &mut key, b"text");
    let state = encode_secret(&bob);
    for place in 0..envelope.len() {
        envelope[place] ^= 1;
        assert!(open(&mut bob, &envelope).is_err(), "byte {place}");
        envelope[place] ^= 1;
        assert!(open(&mut bob, &envelope[..place]).is_err());
    }
    assert_eq!(encode_secret(&bob), state);
    assert_eq!(open(&mut bob, &envelope).unwrap(), b"text");
}

/// Who has the key can make neither its messages nor, with the signing key, another content under the commitment.
#[test]
fn d4_a_message_is_its_senders() {
    let group = roster(&["bob"], false);
    let mut key = sender(&group, Cipher::AesGcm);
    let envelope = seal(&group, &mut key, b"text");
    let message = GroupMessage::decode(&envelope).unwrap();
    let handed = sender(&group, Cipher::AesGcm).handed(u32::MAX);
    let foreign = ReceiverKey::new(&keys(2).identity(), group.id(), handed, NOW);
    assert_eq!(foreign.verify(&message), Err(PeerMisbehaved::SenderKey), "its id is another in another's hands");
    // Under another message key the commitment is another, whatever the signature says.
    let mut ahead = sender(&group, Cipher::AesGcm);
    seal(&group, &mut ahead, b"another");
    let mut bob = receiver(&group, &ahead);
    bob.verify(&message).unwrap();
    let shifted = seal(&group, &mut ahead, b"second");
    let mut forged = shifted.clone();
    forged[1 + 16 + 16 + 3] = 5;
    assert!(matches!(open(&mut bob, &forged), Err(Error::PeerMisbehaved(PeerMisbehaved::BadSignature))));
    assert_eq!(open(&mut bob, &shifted).unwrap(), b"second");
}

/// The tag alone would let one ciphertext be two messages under two keys: a right one under another commitment is refused.
#[test]
fn b8_a_message_commits_to_its_key() {
    let group = roster(&["bob"], false);
    let mut key = sender(&group, Cipher::AesGcm);
    let sealed = seal(&group, &mut key, b"text");
    let message_key = Chain::new(key.handed(0).chain, 0).next().unwrap();
    let made = |commit: u8| {
        let (header, mut envelope) = (1 + GROUP_HEADER, sealed[..1 + GROUP_HEADER].to_vec());
        envelope[header - 1] ^= commit;
        let derived = keys_of(message_key.as_bytes(), &sealed[header - 48..header - 32].try_into().unwrap());
        let ad = associated_data(&keys(1).identity(), &envelope[1..]);
        envelope.extend(AeadKey::new(Cipher::AesGcm, halves(&derived).0).seal(0, &ad, &pad(b"text")));
        let (sender, signing) = (keys(1).identity(), SigningKey::generate(&mut rng(9)));
        let signature = signing.sign(Label::GROUP_MESSAGE, &[sender.as_bytes(), &envelope[1..]]);
        envelope.extend(signature);
        envelope
    };
    assert_eq!(made(0), sealed);
    let mut bob = ReceiverKey::new(&keys(1).identity(), group.id(), key.handed(0), NOW);
    assert_eq!(open(&mut bob, &made(1)), Err(Decrypt.into()));
    assert_eq!(open(&mut bob, &sealed).unwrap(), b"text");
}

#[test]
fn b2_skipped_messages_are_bounded() {
    let group = roster(&["bob"], false);
    let mut key = sender(&group, Cipher::AesGcm);
    let (mut bob, mut carol) = (receiver(&group, &key), receiver(&group, &key));
    let first = seal(&group, &mut key, b"first");
    for _ in 1..SKIPPED_PER_MESSAGE {
        seal(&group, &mut key, b"lost");
    }
    let last = seal(&group, &mut key, b"last");
    let beyond = seal(&group, &mut key, b"beyond");
    assert_eq!(open(&mut carol, &beyond), Err(PeerMisbehaved::TooManySkipped.into()));
    assert_eq!(open(&mut bob, &last).unwrap(), b"last");
    assert_eq!(open(&mut bob, &first).unwrap(), b"first");
}

#[test]
fn g8_a_key_is_spent_after_a_removal_a_thousand_messages_or_a_week() {
    let mut group = roster(&["bob", "carol"], false);
    let mut key = sender(&group, Cipher::AesGcm);
    assert!(!key.is_spent(&group, NOW + SENDER_KEY_LIFE - 1));
    assert!(key.is_spent(&group, NOW + SENDER_KEY_LIFE));
    for _ in 0..SENDER_KEY_MESSAGES {
        assert!(!key.is_spent(&group, NOW));
        seal(&group, &mut key, b"text");
    }
    assert!(key.is_spent(&group, NOW));
    let key = sender(&group, Cipher::AesGcm);
    let came = entry(&group, "alice", 1, add(&["dave"]));
    group.apply(&came).unwrap();
    assert!(!key.is_spent(&group, NOW), "who comes ends no key");
    let went = entry(&group, "alice", 1, remove(&["carol"]));
    group.apply(&went).unwrap();
    assert!(key.is_spent(&group, NOW));
    assert!(!sender(&group, Cipher::AesGcm).is_spent(&group, NOW));
}

#[test]
fn keys_survive_a_restart_with_what_was_skipped() {
    let group = roster(&["bob"], false);
    let mut key = sender(&group, Cipher::AesGcm);
    let mut bob = receiver(&group, &key);
    let sent: Vec<_> = (0..70_u8).map(|number| seal(&group, &mut key, &[number])).collect();
    open(&mut bob, &sent[65]).unwrap();
    let mut changes = Changes::default();
    bob.save(&mut changes);
    let mut other =
        ReceiverKey::new(&keys(3).identity(), group.id(), sender(&group, Cipher::AesGcm).handed(u32::MAX), NOW);
    other.save(&mut changes);
    let mut records = Records::default();
    for (name, value) in changes.drain() {
        records.insert(name, value.unwrap());
    }
    let mut again = ReceiverKey::restore_all(&records).unwrap();
    assert_eq!(again.len(), 2);
    let again = again.iter_mut().find(|key| key.id() == bob.id()).unwrap();
    assert_eq!(open(again, &sent[65]), Err(PeerMisbehaved::Replay.into()));
    for number in [0, 40, 64, 69] {
        assert_eq!(open(again, &sent[number]).unwrap(), [number as u8]);
    }
    let mut own: SenderKey = decode(&encode_secret(&key)).unwrap();
    assert_eq!(own.id(), key.id());
    assert_eq!(seal(&group, &mut own, b"x"), seal(&group, &mut key, b"x"));
    bob.forget(&mut changes);
    assert_eq!(changes.drain().filter(|(_, value)| value.is_none()).count(), 1 + 3);
}

#[test]
fn a_replaced_key_goes_after_thirty_days() {
    let group = roster(&["bob"], false);
    let mut bob = receiver(&group, &sender(&group, Cipher::AesGcm));
    assert_eq!(bob.expires(), None);
    bob.replace(NOW);
    bob.replace(NOW + DAY);
    assert_eq!(bob.expires(), Some(NOW + REPLACED_KEY_LIFE));
    assert!(!bob.expire(NOW + REPLACED_KEY_LIFE - 1));
    assert!(bob.expire(NOW + REPLACED_KEY_LIFE));
}

fn rename(to: &str) -> Action {
    Action::Rename { name: to.into() }
}

/// A log of alice's group with bob and carol, in which carol was removed, at NOW, by the third entry of four.
fn log() -> GroupLog {
    let mut log = GroupLog::begin(create("alice", 1, false)).unwrap();
    for action in [add(&["bob", "carol"]), remove(&["carol"]), rename("others")] {
        let next = entry(log.roster(), "alice", 1, action);
        log.push(next, NOW).unwrap();
    }
    log
}

/// What `log` says of a message of this user that was sealed when the log was `at`.
fn standing(log: &GroupLog, at: &GroupLog, user: &str, now: u64) -> Standing {
    let mut key = SenderKey::generate(&keys(2).identity(), at.roster(), Cipher::AesGcm, NOW, &mut rng(1));
    let envelope = key.seal(&keys(2).identity(), at.roster(), b"text", &mut rng(2)).unwrap();
    log.standing(&name(user), &GroupMessage::decode(&envelope).unwrap(), now)
}

#[test]
fn g5_only_members_at_the_entry_named_count() {
    let log = log();
    let at = |sequence| log.cut(sequence).unwrap();
    assert_eq!(standing(&log, &log, "bob", NOW), Standing::Counts);
    assert_eq!(standing(&log, &at(2), "bob", NOW), Standing::Counts, "an older entry, and nobody removed since");
    for (sequence, user) in [(3, "carol"), (2, "carol"), (0, "bob"), (3, "mallory")] {
        assert_eq!(standing(&log, &at(sequence), user, NOW), Standing::Refused(PeerMisbehaved::NotMember));
    }
}

#[test]
fn g7_from_before_a_removal_for_a_day() {
    let log = log();
    let before = log.cut(1).unwrap();
    for user in ["bob", "carol"] {
        assert_eq!(standing(&log, &before, user, NOW), Standing::BeforeRemoval);
        assert_eq!(standing(&log, &before, user, NOW + GROUP_GRACE - 1), Standing::BeforeRemoval);
        let refused = Standing::Refused(PeerMisbehaved::RosterState);
        assert_eq!(standing(&log, &before, user, NOW + GROUP_GRACE), refused);
    }
}

#[test]
fn g6_ahead_and_elsewhere() {
    let log = log();
    let before = log.cut(2).unwrap();
    assert_eq!(standing(&before, &log, "bob", NOW), Standing::Ahead);
    let mut other = before.clone();
    other.push(entry(before.roster(), "alice", 1, rename("another")), NOW).unwrap();
    assert_eq!(standing(&log, &other, "bob", NOW), Standing::Elsewhere);
    assert_eq!(log.compare(other.entries_from(0)), Fork::At(3));
    assert_eq!(log.compare(other.entries_from(3)), Fork::At(3));
    assert_eq!(log.compare(before.entries_from(0)), Fork::None);
    assert_eq!(before.compare(log.entries_from(3)), Fork::None, "what follows is no fork");
    other.push(entry(other.roster(), "alice", 1, rename("further")), NOW).unwrap();
    let mut longer = log.clone();
    longer.push(entry(log.roster(), "alice", 1, rename("last")), NOW).unwrap();
    assert_eq!(longer.compare(other.entries_from(4)), Fork::Before(4));
    // An entry that nobody was entitled to is no fork, but a lie.
    let stranger = entry(before.roster(), "mallory", 9, rename("mine"));
    assert_eq!(log.compare(&[stranger]), Fork::Invalid);
    let elsewhere = GroupLog::begin(create("alice", 2, false)).unwrap();
    assert_eq!(log.compare(elsewhere.entries_from(0)), Fork::Invalid);
}

#[test]
fn other_envelopes_are_none_of_a_group() {
    let group = roster(&["bob"], false);
    let envelope = seal(&group, &mut sender(&group, Cipher::AesGcm), b"text");
    for kind in [0, 1, 2, 4] {
        let mut other = envelope.clone();
        other[0] = kind;
        assert_eq!(GroupMessage::decode(&other).err(), Some(InvalidMessage::UnknownValue));
    }
    assert_eq!(GroupMessage::decode(&[]).err(), Some(InvalidMessage::Truncated));
    assert_eq!(GroupMessage::decode(&[3; 100]).err(), Some(InvalidMessage::Truncated));
    assert_eq!(GroupMessage::decode(&[3; 61_441]).err(), Some(InvalidMessage::OutOfBounds));
}

#[test]
fn c5_debug_shows_no_key() {
    let group = roster(&["bob"], false);
    let key = sender(&group, Cipher::AesGcm);
    let shown = format!("{key:?} {:?} {:?}", receiver(&group, &key), key.handed(u32::MAX));
    let secret: String = key.handed(u32::MAX).chain.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!shown.contains(&secret[..8]));
    let id = KeyId::new(&keys(1).identity(), group.id(), &key.handed(u32::MAX).signing, Cipher::AesGcm);
    assert_eq!(shown.split(", ").next().unwrap(), format!("SenderKey({id}"));
}
