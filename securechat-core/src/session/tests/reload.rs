//! State as records.

use super::*;
use crate::limits::DAY;

#[test]
fn a_conversation_survives_a_save_and_restore_between_every_step() {
    let (mut alice, mut bob) = pair(Suite::ALL[4]);
    let one_time = bob.one_time(PrekeyKind::Hybrid);
    bob.reload();
    alice.try_open_to(&bob, Some(&one_time[3]), false).unwrap();
    alice.reload();
    let mut lost = Vec::new();
    for turn in 0..60_u8 {
        lost.push(alice.seal(&bob, &[turn, 0]));
        alice.reload();
        let envelope = alice.seal(&bob, &[turn, 1]);
        alice.reload();
        assert_eq!(bob.reads(&envelope), [turn, 1]);
        bob.reload();
        assert_eq!(bob.refuses(&envelope), REPLAY);
        if turn % 3 == 0 {
            let answer = bob.seal(&alice, &[turn, 2]);
            bob.reload();
            assert_eq!(alice.reads(&answer), [turn, 2]);
            alice.reload();
        }
    }
    for (turn, envelope) in (0..).zip(&lost) {
        assert_eq!(bob.reads(envelope), [turn, 0]);
        bob.reload();
    }
    assert!(!bob.records.keys().any(|key| key.contains("skipped")), "{:?}", bob.records.keys());
    assert!(!bob.records.contains_key(&format!("prekey/2/{}", one_time[3].prekey().id())));
    bob.now += 8 * DAY;
    bob.sessions.handle_timeout(bob.now);
    bob.reload();
}
