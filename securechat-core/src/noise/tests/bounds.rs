//! How long a message may be, and rows that are no patterns.

use super::*;
use crate::limits::FRAME_MAX;

#[test]
fn c1_a_message_is_at_most_a_frame() {
    let suite = Suite::ALL[0];
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    for (length, written) in [(FRAME_MAX - 32, Ok(())), (FRAME_MAX - 31, Err(ApiMisuse::TooLarge.into()))] {
        let mut run = Run::new(Pattern::relay_link(suite.key_exchange), suite);
        let mut out = b"kept".to_vec();
        assert_eq!(run.ends[0].write(&vec![7; length], rng, &mut out), written);
        assert_eq!(out.len(), if written.is_ok() { 4 + FRAME_MAX } else { 4 });
    }
    for (length, read) in [(FRAME_MAX, Ok(())), (FRAME_MAX + 1, Err(InvalidMessage::OutOfBounds.into()))] {
        let mut run = Run::new(Pattern::relay_link(suite.key_exchange), suite);
        assert_eq!(run.ends[1].read(&vec![7; length], rng).map(drop), read);
    }
}

#[test]
fn a_row_that_is_no_pattern_fails_where_it_stops_being_one() {
    use Token::{E, Ee, Es};
    const SECRET_BEFOREHAND: Pattern =
        Pattern { name: "none", initiator_known: &[Ee], responder_known: &[], messages: &[&[E]] };
    const STATIC_KEY_NEVER_SENT: Pattern =
        Pattern { name: "none", initiator_known: &[], responder_known: &[], messages: &[&[E], &[E, Es]] };
    let suite = Suite::ALL[0];
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let new = |pattern, role| Handshake::new(pattern, suite, role, b"", Keys::default());
    assert_eq!(new(&SECRET_BEFOREHAND, Role::Initiator).map(drop), Err(ApiMisuse::WrongState.into()));

    let [mut initiator, mut responder] =
        [Role::Initiator, Role::Responder].map(|role| new(&STATIC_KEY_NEVER_SENT, role).unwrap());
    let mut message = Vec::new();
    initiator.write(b"", rng, &mut message).unwrap();
    responder.read(&message, rng).unwrap();
    let missing = Err(ApiMisuse::MissingKey.into());
    assert_eq!(responder.write(b"", rng, &mut Vec::new()), missing);
    assert_eq!(format!("{responder:?}"), "Handshake(ApiMisuse(MissingKey))");
    assert_eq!(initiator.read(&[9; 48], rng).map(drop), missing);
}
