//! On envelopes: messages between two, as the relay carries them.

use super::Attack;
use crate::fault::{Fault, claim};
use crate::person::Person;
use crate::relay::{now, random};
use crate::stage::Stage;
use securechat_core::event::Event;
use securechat_core::identity::UserName;
use securechat_core::relay::StoreJob;
use securechat_core::wire::{Deliver, EnvelopeId, Push};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

pub(super) static ALL: &[Attack] = &[
    Attack {
        name: "dropped",
        does: "takes a message, says so, and delivers nothing",
        sees: "denial: it does not arrive, and stays marked as sent and never as received; the next one is marked",
        rule: "L1, B2",
        logs_in: true,
        run: dropped,
    },
    Attack {
        name: "delayed",
        does: "holds a message back, and says of it that it was sent long ago",
        sees: "the message with the time that its sender wrote into it; until then it is not marked as received",
        rule: "7",
        logs_in: true,
        run: delayed,
    },
    Attack {
        name: "reordered",
        does: "delivers the second message before the first",
        sees: "both, once, with their senders' times, which tell the order",
        rule: "S3, B2",
        logs_in: true,
        run: reordered,
    },
    Attack {
        name: "replayed",
        does: "delivers an envelope twice",
        sees: "the message once",
        rule: "S4, L1, B1",
        logs_in: true,
        run: replayed,
    },
    Attack {
        name: "replayed-under-another-id",
        does: "delivers an envelope again, later, as if it were a new one from somebody else",
        sees: "the message once",
        rule: "S4, B1",
        logs_in: true,
        run: replayed_under_another_id,
    },
    Attack {
        name: "mailbox-replayed",
        does: "forgets every acknowledgement, restarts, and brings the whole mailbox again",
        sees: "each message once, also after the program was started anew",
        rule: "L1, S10, B1",
        logs_in: true,
        run: mailbox_replayed,
    },
    Attack {
        name: "bits-flipped",
        does: "changes one bit of an envelope",
        sees: "that a message did not open; its sender is asked, and it comes after all",
        rule: "S8, S9, B9",
        logs_in: true,
        run: bits_flipped,
    },
    Attack {
        name: "cut-short",
        does: "delivers the first half of an envelope",
        sees: "that a message did not open; its sender is asked, and it comes after all",
        rule: "S8, S9, B9",
        logs_in: true,
        run: cut_short,
    },
    Attack {
        name: "forged",
        does: "makes up an envelope in Alice's name",
        sees: "that a message did not open, and what Alice really writes",
        rule: "S2, B3",
        logs_in: true,
        run: forged,
    },
    Attack {
        name: "sender-made-up",
        does: "says that Carol's message is Alice's",
        sees: "Carol's message, as Carol's",
        rule: "L9, D2",
        logs_in: true,
        run: sender_made_up,
    },
    Attack {
        name: "misdelivered",
        does: "brings Bob's message to Carol instead",
        sees: "Carol: that a message did not open; Bob nothing, and Alice no receipt",
        rule: "S2, B7",
        logs_in: true,
        run: misdelivered,
    },
    Attack {
        name: "reflected",
        does: "brings Alice's own message back to her as Bob's",
        sees: "that a message did not open, and never her own words in Bob's mouth",
        rule: "6, A4",
        logs_in: true,
        run: reflected,
    },
    Attack {
        name: "receipts-dropped",
        does: "keeps back what Bob's device answers",
        sees: "denial: Bob reads the message; for Alice it stays marked as sent and not as received",
        rule: "7",
        logs_in: true,
        run: receipts_dropped,
    },
];

/// Alice and Bob in a session that both have written in.
fn talking(stage: &Stage) -> Result<[Person; 2], Fault> {
    let [mut alice, mut bob] = stage.people(["alice", "bob"])?;
    let id = alice.say(&bob, "shall we begin?")?;
    bob.reads("shall we begin?")?;
    bob.say(&alice, "please do")?;
    alice.reads("please do")?;
    alice.delivered(id)?;
    stage.relay.settle();
    alice.forget();
    bob.forget();
    Ok([alice, bob])
}

/// What the relay does with envelopes to one user; nothing else is touched.
fn deliveries(stage: &Stage, to: &'static str, mut change: impl FnMut(Deliver) -> Vec<Deliver> + Send + 'static) {
    stage.relay.on_push(move |user, push| match push {
        Push::Deliver(deliver) if user == to => change(deliver).into_iter().map(Push::Deliver).collect(),
        push => vec![push],
    });
}

/// The same for the first envelope alone.
fn first_delivery(stage: &Stage, to: &'static str, change: impl FnOnce(Deliver) -> Vec<Deliver> + Send + 'static) {
    let mut change = Some(change);
    deliveries(stage, to, move |deliver| match change.take() {
        Some(change) => change(deliver),
        None => vec![deliver],
    });
}

fn another_id() -> Result<EnvelopeId, Fault> {
    let mut id = [0; 16];
    random()?.fill_bytes(&mut id);
    Ok(EnvelopeId(id))
}

fn unopened(claimed: &UserName) -> impl Fn(&Event) -> bool + use<> {
    let claimed = claimed.clone();
    move |event| *event == Event::Unopened { claimed: claimed.clone() }
}

fn dropped(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob] = talking(stage)?;
    first_delivery(stage, "bob", |_| vec![]);
    let lost = alice.say(&bob, "this one is swallowed")?;
    alice.sent(lost)?;
    let next = alice.say(&bob, "this one is not")?;
    bob.reads("this one is not")?;
    alice.delivered(next)?;
    stage.relay.settle();
    alice.not_delivered(lost)?;
    bob.has_read(&["this one is not"])
}

fn delayed(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob] = talking(stage)?;
    let held = Arc::new(Mutex::new(None));
    let hold = Arc::clone(&held);
    first_delivery(stage, "bob", move |deliver| {
        *hold.lock().unwrap_or_else(PoisonError::into_inner) = Some(deliver);
        vec![]
    });
    let written = now();
    let id = alice.say(&bob, "read me at once")?;
    let written = written..=now();
    alice.sent(id)?;
    thread::sleep(Duration::from_millis(500));
    alice.not_delivered(id)?;
    let held = held.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mut deliver = held.ok_or_else(|| Fault::Claim("the relay holds the message".into()))?;
    deliver.sent_at = 1_000;
    stage.relay.honest();
    stage.relay.push("bob", &Push::Deliver(deliver))?;
    let read = bob.reads("read me at once")?;
    claim(written.contains(&read.sent_at), "the time shown is the sender's")?;
    alice.delivered(id)
}

fn reordered(stage: &Stage) -> Result<(), Fault> {
    let [alice, mut bob] = talking(stage)?;
    let mut first = None;
    deliveries(stage, "bob", move |deliver| match first.take() {
        None => {
            first = Some(deliver);
            vec![]
        }
        Some(held) => vec![deliver, held],
    });
    alice.say(&bob, "this is the first")?;
    thread::sleep(Duration::from_millis(20));
    alice.say(&bob, "this is the second")?;
    let [first, second] = [bob.reads("this is the first")?, bob.reads("this is the second")?];
    bob.has_read(&["this is the second", "this is the first"])?;
    claim(first.sent_at < second.sent_at, "the senders' times tell the order")
}

fn replayed(stage: &Stage) -> Result<(), Fault> {
    let [alice, mut bob] = talking(stage)?;
    first_delivery(stage, "bob", |deliver| vec![deliver.clone(), deliver]);
    alice.say(&bob, "pay carol ten")?;
    alice.say(&bob, "and that is all")?;
    bob.reads("and that is all")?;
    stage.relay.settle();
    bob.has_read(&["pay carol ten", "and that is all"])
}

fn replayed_under_another_id(stage: &Stage) -> Result<(), Fault> {
    let [alice, mut bob] = talking(stage)?;
    let carol = stage.person("carol")?;
    let (id, user, sender) = (another_id()?, carol.name.clone(), carol.identity()?);
    let mut kept: Option<Deliver> = None;
    deliveries(stage, "bob", move |deliver| match kept.take() {
        None => {
            kept = Some(deliver.clone());
            vec![deliver]
        }
        Some(again) => vec![deliver, Deliver { id, user: user.clone(), sender, ..again }],
    });
    alice.say(&bob, "pay carol ten")?;
    bob.reads("pay carol ten")?;
    alice.say(&bob, "and that is all")?;
    bob.reads("and that is all")?;
    stage.relay.settle();
    bob.has_read(&["pay carol ten", "and that is all"])
}

fn mailbox_replayed(stage: &Stage) -> Result<(), Fault> {
    let [alice, mut bob] = talking(stage)?;
    stage.relay.on_job(|job| {
        if let StoreJob::Acknowledge { envelopes, .. } = job {
            envelopes.clear();
        }
    });
    let texts = ["number one", "number two", "number three"];
    for text in texts {
        alice.say(&bob, text)?;
        bob.reads(text)?;
    }
    stage.relay.restart(None)?;
    bob.event("a new login", |event| matches!(event, Event::LoggedIn { .. }))?;
    stage.relay.settle();
    bob.has_read(&texts)?;
    bob.restart()?;
    stage.relay.settle();
    bob.has_read(&[])
}

/// The first envelope to Bob is changed; he says so, and it comes after all.
fn damaged(stage: &Stage, change: impl FnOnce(&mut Vec<u8>) + Send + 'static) -> Result<(), Fault> {
    let [mut alice, mut bob] = talking(stage)?;
    first_delivery(stage, "bob", move |deliver| {
        let mut envelope = deliver.envelope.to_vec();
        change(&mut envelope);
        vec![Deliver { envelope: envelope.into(), ..deliver }]
    });
    let id = alice.say(&bob, "every bit counts")?;
    bob.event("what did not open", unopened(&alice.name))?;
    bob.reads("every bit counts")?;
    alice.delivered(id)?;
    bob.has_read(&["every bit counts"])
}

fn bits_flipped(stage: &Stage) -> Result<(), Fault> {
    damaged(stage, |envelope| envelope.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1))
}

fn cut_short(stage: &Stage) -> Result<(), Fault> {
    damaged(stage, |envelope| envelope.truncate(envelope.len() / 2))
}

fn forged(stage: &Stage) -> Result<(), Fault> {
    let [alice, mut bob] = talking(stage)?;
    let mut envelope = vec![2; 400];
    random()?.fill_bytes(envelope.get_mut(1..).unwrap_or_default());
    let deliver = Deliver {
        id: another_id()?,
        sender: alice.identity()?,
        user: alice.name.clone(),
        sent_at: now(),
        transient: false,
        envelope: envelope.into(),
    };
    stage.relay.push("bob", &Push::Deliver(deliver))?;
    bob.event("what did not open", unopened(&alice.name))?;
    alice.say(&bob, "this is me")?;
    bob.reads("this is me")?;
    bob.has_read(&["this is me"])
}

fn sender_made_up(stage: &Stage) -> Result<(), Fault> {
    let [alice, mut bob] = talking(stage)?;
    let carol = stage.person("carol")?;
    let (user, sender) = (alice.name.clone(), alice.identity()?);
    deliveries(stage, "bob", move |deliver| vec![Deliver { user: user.clone(), sender, ..deliver }]);
    carol.say(&bob, "believe me, I am alice")?;
    let read = bob.reads("believe me, I am alice")?;
    claim(read.from == "carol", "the sender shown is the one whose key it is")
}

fn misdelivered(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob] = talking(stage)?;
    let mut carol = stage.person("carol")?;
    let stolen = Arc::new(Mutex::new(None));
    let steal = Arc::clone(&stolen);
    first_delivery(stage, "bob", move |deliver| {
        *steal.lock().unwrap_or_else(PoisonError::into_inner) = Some(deliver);
        vec![]
    });
    let id = alice.say(&bob, "a word for bob")?;
    alice.sent(id)?;
    stage.relay.settle();
    let stolen = stolen.lock().unwrap_or_else(PoisonError::into_inner).take();
    let deliver = stolen.ok_or_else(|| Fault::Claim("the relay has the message".into()))?;
    stage.relay.push("carol", &Push::Deliver(deliver))?;
    carol.event("what did not open", unopened(&alice.name))?;
    stage.relay.settle();
    carol.has_read(&[])?;
    bob.has_read(&[])?;
    alice.not_delivered(id)
}

fn reflected(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob] = talking(stage)?;
    let (user, sender, id) = (bob.name.clone(), bob.identity()?, another_id()?);
    let copied = Arc::new(Mutex::new(None));
    let copy = Arc::clone(&copied);
    first_delivery(stage, "bob", move |deliver| {
        *copy.lock().unwrap_or_else(PoisonError::into_inner) = Some(deliver.clone());
        vec![deliver]
    });
    alice.say(&bob, "I will do it")?;
    bob.reads("I will do it")?;
    let copied = copied.lock().unwrap_or_else(PoisonError::into_inner).take();
    let deliver = copied.ok_or_else(|| Fault::Claim("the relay has the message".into()))?;
    stage.relay.push("alice", &Push::Deliver(Deliver { id, user, sender, ..deliver }))?;
    alice.event("what did not open", unopened(&bob.name))?;
    stage.relay.settle();
    alice.has_read(&[])
}

fn receipts_dropped(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob] = talking(stage)?;
    deliveries(stage, "alice", |_| vec![]);
    let id = alice.say(&bob, "did you get this?")?;
    alice.sent(id)?;
    bob.reads("did you get this?")?;
    stage.relay.settle();
    alice.not_delivered(id)
}
