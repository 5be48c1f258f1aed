//! Session messages of 200 bytes, and sessions opened.

use super::{Run, Work, target, timed, timed_on};
use crate::sessions::{Device, pair};
use crate::{noise_bytes, olm};
use securechat_core::suite::Suite;
use std::hint::black_box;
use vodozemac::olm::{OlmMessage, Session};

const TEXT: usize = 200;
const SKIPPED: usize = 1_000;

pub(super) fn works() -> Vec<Work> {
    let suite = Suite::ALL[0];
    vec![
        Work::new("session message, in order", 0, in_order(suite)).beside("vodozemac", 1.0, olm_in_order()),
        Work::new("session message, each a turn", 0, turns(suite)).beside("vodozemac", target(1.0, 0.95), olm_turns()),
        Work::new("session message, 1,000 skipped", 0, skipped(suite)).beside("vodozemac", 1.0, olm_skipped()),
        Work::new("session opened from a first message", 0, first(suite)).beside(
            "vodozemac",
            target(1.0, 1.0 / 1.3),
            olm_first(),
        ),
    ]
}

fn in_order(suite: Suite) -> Run {
    let ((mut alice, mut bob), text) = (pair(suite, None), noise_bytes(TEXT));
    timed(move || {
        let envelope = alice.seal(&bob, black_box(&text));
        black_box(bob.open(&envelope));
    })
}

/// A message, and the answer to it.
fn turns(suite: Suite) -> Run {
    let ((mut alice, mut bob), text) = (pair(suite, None), noise_bytes(TEXT));
    timed(move || {
        let envelope = bob.seal(&alice, black_box(&text));
        black_box(alice.open(&envelope));
        let envelope = alice.seal(&bob, black_box(&text));
        black_box(bob.open(&envelope));
    })
}

/// The last of a thousand and one, of which no other has arrived.
fn skipped(suite: Suite) -> Run {
    let text = noise_bytes(TEXT);
    timed_on(
        move || {
            let (mut alice, bob) = pair(suite, None);
            let last = (0..=SKIPPED).map(|_| alice.seal(&bob, &text)).last().unwrap();
            (bob, last)
        },
        |(mut bob, last): (Device, Vec<u8>)| {
            black_box(bob.open(&last));
        },
    )
}

fn first(suite: Suite) -> Run {
    let text = noise_bytes(TEXT);
    timed_on(
        move || {
            let (mut alice, bob) = (Device::new(1, "alice", suite, None), Device::new(2, "bob", suite, None));
            alice.open_to(&bob);
            (alice.seal(&bob, &text), bob)
        },
        |(envelope, mut bob): (Vec<u8>, Device)| {
            black_box(bob.open(&envelope));
        },
    )
}

/// A message as the bytes that travel.
fn sent(session: &mut Session, text: &[u8]) -> (usize, Vec<u8>) {
    session.encrypt(text).unwrap().to_parts()
}

fn received(session: &mut Session, (kind, bytes): &(usize, Vec<u8>)) -> Vec<u8> {
    session.decrypt(&OlmMessage::from_parts(*kind, bytes).unwrap()).unwrap()
}

fn olm_in_order() -> Run {
    let ((mut alice, mut bob), text) = (olm::Ends::new().session(), noise_bytes(TEXT));
    timed(move || {
        let message = sent(&mut alice, black_box(&text));
        black_box(received(&mut bob, &message));
    })
}

fn olm_turns() -> Run {
    let ((mut alice, mut bob), text) = (olm::Ends::new().session(), noise_bytes(TEXT));
    timed(move || {
        let message = sent(&mut bob, black_box(&text));
        black_box(received(&mut alice, &message));
        let message = sent(&mut alice, black_box(&text));
        black_box(received(&mut bob, &message));
    })
}

fn olm_skipped() -> Run {
    let text = noise_bytes(TEXT);
    timed_on(
        move || {
            let (mut alice, bob) = olm::Ends::new().session();
            let last = (0..=SKIPPED).map(|_| sent(&mut alice, &text)).last().unwrap();
            (bob, last)
        },
        |(mut bob, last)| {
            black_box(received(&mut bob, &last));
        },
    )
}

fn olm_first() -> Run {
    let text = noise_bytes(TEXT);
    timed_on(
        move || {
            let mut ends = olm::Ends::new();
            let (_, message) = ends.first_message(&text);
            (ends, message.to_parts())
        },
        |(mut ends, (kind, bytes))| {
            black_box(ends.open(&OlmMessage::from_parts(kind, &bytes).unwrap()));
        },
    )
}
