//! `tests/vectors/group.json`: PROTOCOL.md 8, logs, keys and messages.

mod cases;
mod messages;

use super::{Fork, GroupLog, GroupMessage, HandedKey, KeyId, ReceiverKey, SenderKey, Standing};
use crate::codec::Writer;
use crate::crypto::ed25519::VerifyingKey;
use crate::crypto::secret::Secret;
use crate::crypto::vectors::cipher;
use crate::error::{Error, PeerMisbehaved};
use crate::identity::samples::name;
use crate::identity::{Identity, UserName};
use crate::limits::DAY;
use crate::roster::{Action, GroupId, Roster, SignedEntry};
use crate::session::EnvelopeKind;
use crate::vectors::{In, Outcome, Script, Vectors, hex};
use serde_json::{Value, json};

const NOW: u64 = 20_000 * DAY;

/// One entry, as far as it can be judged alone.
fn roster_entry(input: &In<'_>) -> Outcome {
    let signed = SignedEntry::decode(&input.bytes("entry"))?;
    let entry = signed.entry();
    let names = |users: &[UserName]| users.iter().map(ToString::to_string).collect::<Vec<_>>();
    let action = match &entry.action {
        Action::Create { name, open, nonce } => {
            json!({ "create": { "name": name, "open": open, "nonce": hex(nonce) } })
        }
        Action::Add { users } => json!({ "add": names(users) }),
        Action::Remove { users } => json!({ "remove": names(users) }),
        Action::Admin { user, admin } => json!({ "admin": { "user": user.as_str(), "is_one": admin } }),
        Action::Rename { name } => json!({ "rename": name }),
        Action::Epoch => json!({ "epoch": null }),
    };
    Ok(json!({
        "identity": hex(entry.identity.as_bytes()),
        "group": hex(entry.group.as_bytes()),
        "previous": hex(&entry.previous),
        "sequence": entry.sequence,
        "time": entry.time,
        "epoch": entry.epoch,
        "actor": entry.actor.as_str(),
        "action": action,
        "hash": hex(&signed.hash()),
        "of_group": hex(signed.group().as_bytes()),
    }))
}

fn what(error: PeerMisbehaved) -> &'static str {
    if error == PeerMisbehaved::RosterOrder { "order" } else { "rules" }
}

/// Entries as they are offered, the first one first. One that fails changes nothing, and the next one follows.
fn roster(input: &In<'_>) -> Outcome {
    let entries = input.list("entries");
    let (first, others) = entries.split_first().unwrap();
    let mut roster = Roster::create(&SignedEntry::decode(&first.as_bytes())?)?;
    let verdicts: Vec<_> = others
        .iter()
        .map(|entry| match SignedEntry::decode(&entry.as_bytes()) {
            Ok(entry) => roster.apply(&entry).map_or_else(what, |()| "taken"),
            Err(_) => "malformed",
        })
        .collect();
    let members = roster.members().map(|user| json!({ "user": user.as_str(), "is_admin": roster.is_admin(user) }));
    Ok(json!({
        "verdicts": verdicts,
        "group": hex(roster.id().as_bytes()),
        "called": roster.name(),
        "open": roster.is_open(),
        "sequence": roster.sequence(),
        "hash": hex(&roster.hash()),
        "members": members.collect::<Vec<_>>(),
    }))
}

fn identity(input: &In<'_>, name: &str) -> Identity {
    Identity::from_bytes(input.array(name))
}

fn group_of(input: &In<'_>) -> GroupId {
    GroupId::from_bytes(input.array("group"))
}

fn key_id(input: &In<'_>) -> Outcome {
    let signing = VerifyingKey::from_bytes(input.array("signing"));
    let id = KeyId::new(&identity(input, "identity"), group_of(input), &signing, cipher(input));
    Ok(json!({ "key": hex(id.as_bytes()) }))
}

/// The log of these entries, each of which counts, and when they were learned of.
fn log(input: &In<'_>, now: u64) -> GroupLog {
    let mut log: Option<GroupLog> = None;
    let times = if input.has("learned") { input.list("learned") } else { Vec::new() };
    let times = times.iter().map(|at| at.value().as_u64().unwrap()).chain(core::iter::repeat(now));
    for (entry, at) in input.list("log").iter().zip(times) {
        let entry = SignedEntry::decode(&entry.as_bytes()).unwrap();
        match &mut log {
            Some(log) => log.push(entry, at).unwrap(),
            None => log = Some(GroupLog::begin(entry).unwrap()),
        }
    }
    log.unwrap()
}

/// A sender key: what is drawn for it, what it seals, and how it is handed over afterwards.
fn seal(input: &In<'_>) -> Outcome {
    let (log, sender) = (log(input, NOW), identity(input, "identity"));
    let mut rng = Script::new([input.bytes("signing_private"), input.bytes("chain")]);
    let mut key = SenderKey::generate(&sender, log.roster(), cipher(input), NOW, &mut rng);
    let mut envelopes = Vec::new();
    for message in input.list("messages") {
        let mut rng = Script::new([message.bytes("salt")]);
        envelopes.push(hex(&key.seal(&sender, log.roster(), &message.bytes("content"), &mut rng)?));
    }
    let handed = |from: &In<'_>| {
        let handed = key.handed(from.value().as_u64().unwrap() as u32);
        json!({ "number": handed.number, "chain": hex(handed.chain.as_bytes()) })
    };
    Ok(json!({
        "key": hex(key.id().as_bytes()),
        "signing": hex(key.handed(0).signing.as_bytes()),
        "envelopes": envelopes,
        "handed": input.list("hand_from").iter().map(handed).collect::<Vec<_>>(),
    }))
}

fn message(input: &In<'_>) -> Outcome {
    let envelope = input.bytes("envelope");
    let message = GroupMessage::decode(&envelope)?;
    Ok(json!({
        "group": hex(message.group.as_bytes()),
        "key": hex(message.key.as_bytes()),
        "number": message.number,
        "sequence": message.sequence,
        "hash": hex(&message.hash),
        "salt": hex(&envelope[73..89]),
        "commit": hex(&envelope[89..121]),
        "ciphertext": hex(&envelope[121..envelope.len() - 64]),
        "signature": hex(&envelope[envelope.len() - 64..]),
    }))
}

/// A key that was handed over, and what comes under it. Whether a message counts by the log is another question.
fn receive(input: &In<'_>) -> Outcome {
    let handed = HandedKey {
        signing: VerifyingKey::from_bytes(input.array("signing")),
        cipher: cipher(input),
        number: input.number("number") as u32,
        chain: Secret::from_bytes(&input.array("chain")),
    };
    let mut now = NOW;
    let mut key = ReceiverKey::new(&identity(input, "identity"), group_of(input), handed, now);
    let mut open = |step: &In<'_>| -> Result<Value, Error> {
        if step.has("wait") {
            now += step.number("wait");
            key.expire(now);
            return Ok(json!({}));
        }
        let envelope = step.bytes("open");
        let message = GroupMessage::decode(&envelope)?;
        key.verify(&message)?;
        Ok(json!({ "content": hex(&key.open(&message, now)?) }))
    };
    let steps = input.list("steps").into_iter().map(|step| {
        open(&step).unwrap_or_else(|error| {
            json!({ "fails": match error {
                Error::PeerMisbehaved(PeerMisbehaved::SenderKey) => "another key",
                Error::PeerMisbehaved(PeerMisbehaved::BadSignature) => "signature",
                Error::PeerMisbehaved(PeerMisbehaved::Replay) => "replay",
                Error::PeerMisbehaved(PeerMisbehaved::TooManySkipped) => "too many skipped",
                _ => "not opened",
            } })
        })
    });
    Ok(json!({ "steps": steps.collect::<Vec<_>>() }))
}

/// What a log says of a message that names this entry (G5 to G7).
fn standing(input: &In<'_>) -> Outcome {
    let now = input.number("now");
    let log = log(input, now);
    let mut envelope = vec![EnvelopeKind::Group as u8];
    envelope.put(log.roster().id().as_bytes());
    envelope.put(&[0; 16 + 4]);
    envelope.put_u32(input.number("sequence") as u32);
    envelope.put(&input.bytes("hash"));
    envelope.put(&[0; 16 + 32 + 64]);
    let standing = log.standing(&name(input.text("user")), &GroupMessage::decode(&envelope)?, now);
    Ok(json!({ "standing": match standing {
        Standing::Counts => "counts",
        Standing::BeforeRemoval => "before removal",
        Standing::Ahead => "ahead",
        Standing::Elsewhere => "elsewhere",
        Standing::Refused(PeerMisbehaved::NotMember) => "not a member",
        Standing::Refused(_) => "too late",
    } }))
}

fn compare(input: &In<'_>) -> Outcome {
    let shown: Result<Vec<_>, _> =
        input.list("shown").iter().map(|entry| SignedEntry::decode(&entry.as_bytes())).collect();
    let (fork, sequence) = match log(input, NOW).compare(&shown?) {
        Fork::None => ("none", None),
        Fork::At(sequence) => ("at", Some(sequence)),
        Fork::Before(sequence) => ("before", Some(sequence)),
        Fork::Invalid => ("invalid", None),
    };
    Ok(json!({ "fork": fork, "sequence": sequence }))
}

#[test]
fn vectors() {
    let about = "Groups: the log of members, sender keys, messages. PROTOCOL.md 8.";
    Vectors::check(
        "group",
        about,
        &[
            ("roster entry", roster_entry),
            ("roster", roster),
            ("key id", key_id),
            ("seal group messages", seal),
            ("group message", message),
            ("receive group messages", receive),
            ("standing", standing),
            ("compare logs", compare),
        ],
        |vectors| {
            cases::entries(vectors);
            cases::rules(vectors);
            for cipher in ["AESGCM", "AESCBCHMAC"] {
                messages::all(vectors, cipher);
            }
            cases::standings(vectors);
            cases::forks(vectors);
        },
    );
}
