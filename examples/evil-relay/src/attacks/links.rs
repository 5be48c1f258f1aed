//! On connections and logins.

use super::Attack;
use crate::fault::{Fault, claim};
use crate::relay::EvilRelay;
use crate::stage::{PASSWORD, Stage};
use securechat_core::error::{ApiMisuse, Error, PeerMisbehaved};
use securechat_core::event::Event;
use securechat_core::identity::RelayAddress;
use securechat_core::wire::{Presence, Received, RefusalCode, Reply, Request};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) static ALL: &[Attack] = &[
    Attack {
        name: "password-phishing",
        does: "answers in place of a relay whose fingerprint the user knows, and waits for the password",
        sees: "a warning with both fingerprints; registering is refused, and no password leaves",
        rule: "4.2, A10",
        logs_in: false,
        run: password_phishing,
    },
    Attack {
        name: "login-replayed",
        does: "keeps a device's login and uses it on a connection of its own",
        sees: "nothing of it: the login counts on no other connection, and no second device appears",
        rule: "L11",
        logs_in: true,
        run: login_replayed,
    },
    Attack {
        name: "connection-cut",
        does: "breaks a connection in the middle, without a close",
        sees: "that it broke off; it comes back by itself, and what was written meanwhile arrives",
        rule: "R5, B9",
        logs_in: true,
        run: connection_cut,
    },
    Attack {
        name: "requests-ignored",
        does: "takes what a user sends and answers nothing",
        sees: "denial: the message stays marked as unsent",
        rule: "L10",
        logs_in: true,
        run: requests_ignored,
    },
    Attack {
        name: "presence-made-up",
        does: "says that a user is online who is not",
        sees: "\"online\": who is there is the relay's word, and nothing hangs on it; no receipt comes",
        rule: "10",
        logs_in: true,
        run: presence_made_up,
    },
];

fn password_phishing(stage: &Stage) -> Result<(), Fault> {
    let phisher = EvilRelay::start()?;
    let known = stage.relay.address().fingerprint;
    let address = RelayAddress { fingerprint: known, ..phisher.address().clone() };
    let mut alice = stage.stranger("alice")?;
    alice.begin_to_connect(&address)?;
    let shown = phisher.address().fingerprint;
    alice.event("a warning", |event| {
        matches!(event, Event::Verify { fingerprint, expected, .. } if Some(*fingerprint) == shown && *expected == known)
    })?;
    let refused = alice.refused(|client, now| client.register(PASSWORD, now))?;
    let reasons = [ApiMisuse::UntrustedRelay, ApiMisuse::NotConnected].map(Error::from);
    claim(reasons.contains(&refused), "a password is refused for a relay that nobody trusts")?;
    phisher.settle();
    claim(!phisher.saw(PASSWORD.as_bytes()), "the password does not leave")
}

fn login_replayed(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob] = stage.people(["alice", "bob"])?;
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    stage.relay.on_ask(move |_, request| {
        if let Request::LogInDevice(_) = request {
            *keep.lock().unwrap_or_else(PoisonError::into_inner) = request.encode(1).ok();
        }
        true
    });
    bob.restart()?;
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
    let login = kept.ok_or_else(|| Fault::Claim("a device logs in with its key".into()))?;
    let answer = stage.relay.knock(&login)?;
    let refused = matches!(&answer, Received::Refused(1, refusal) if refusal.code == RefusalCode::Credentials);
    claim(refused, &format!("a login counts once and not {answer:?}"))?;
    let text = "are you still the only one there?";
    alice.say(&bob, text)?;
    bob.reads(text)?;
    claim(!alice.saw(|event| matches!(event, Event::DevicesChanged { .. })), "no device is added")
}

fn connection_cut(stage: &Stage) -> Result<(), Fault> {
    let [alice, mut bob] = stage.people(["alice", "bob"])?;
    stage.relay.cut("bob");
    let truncation = Some(Error::from(PeerMisbehaved::Truncation));
    bob.event("a break", |event| matches!(event, Event::LinkClosed { error, .. } if *error == truncation))?;
    let text = "written while bob was cut off";
    alice.say(&bob, text)?;
    bob.reads(text)?;
    bob.has_read(&[text])
}

fn requests_ignored(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob] = stage.people(["alice", "bob"])?;
    stage.relay.on_ask(|user, request| user != "alice" || !matches!(request, Request::Send(_)));
    let id = alice.say(&bob, "into the void")?;
    stage.relay.settle();
    claim(alice.call(|client, _| Ok(client.unsent()))? == 1, "the message is unsent")?;
    claim(!alice.saw(|event| *event == Event::Sent { id }), "nobody says that it was sent")?;
    bob.has_read(&[])?;
    // Whoever is heard again says it again.
    stage.relay.honest();
    stage.relay.cut("alice");
    bob.reads("into the void")?;
    bob.has_read(&["into the void"])
}

fn presence_made_up(stage: &Stage) -> Result<(), Fault> {
    let [mut alice, mut bob] = stage.people(["alice", "bob"])?;
    bob.stop();
    stage.relay.settle();
    stage.relay.on_reply(|_, reply| {
        if let Reply::Users(page) = reply {
            page.users.iter_mut().for_each(|user| user.presence = Presence::Online);
        }
    });
    alice.call(|client, now| client.request_users(now))?;
    let name = bob.name.clone();
    alice.event(
        "who is there",
        move |event| matches!(event, Event::Users { users, .. } if users.contains(&(name.clone(), Presence::Online))),
    )?;
    let id = alice.say(&bob, "are you there?")?;
    alice.sent(id)?;
    stage.relay.settle();
    alice.not_delivered(id)
}
