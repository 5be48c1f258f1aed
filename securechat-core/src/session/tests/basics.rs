//! Conversations in order.

use super::*;

#[test]
fn a_conversation_in_every_suite_and_with_both_kinds_of_prekeys() {
    for suite in Suite::ALL {
        for with_one_time in [false, true] {
            let (mut alice, mut bob) = pair(suite);
            let one_time = bob.one_time(PrekeyKind::for_suite(suite));
            assert!(!alice.sessions.can_send(&bob.identity()));
            alice.try_open_to(&bob, one_time.first().filter(|_| with_one_time), false).unwrap();
            assert!(alice.sessions.can_send(&bob.identity()) && !bob.sessions.can_send(&alice.identity()));
            for turn in 0..10 {
                let hello = alice.seal(&bob, format!("hello {turn}").as_bytes());
                let opened = bob.open(&hello).unwrap();
                assert_eq!(opened.content.as_slice(), format!("hello {turn}").as_bytes());
                assert_eq!((opened.sender, opened.suite), (alice.identity(), suite));
                assert_eq!(opened.new_session, turn == 0);
                assert_eq!(opened.bundle.as_ref(), Some(&alice.local.bundle).filter(|_| turn == 0));
                assert_eq!(hello[0], if turn == 0 { 1 } else { 2 }, "the opening goes along till an answer came");
                let answer = bob.seal(&alice, b"answer");
                assert_eq!(answer[0], 2);
                let opened = alice.open(&answer).unwrap();
                assert_eq!((opened.content.as_slice(), opened.suite), (&b"answer"[..], suite));
                assert!(!opened.new_session && opened.bundle.is_none());
            }
        }
    }
}

#[test]
fn an_initiator_repeats_the_opening_until_an_answer_came() {
    let (mut alice, mut bob) = pair(Suite::ALL[0]);
    alice.open_to(&bob);
    let first: Vec<_> = (0..5).map(|number| alice.seal(&bob, &[number])).collect();
    assert!(first.iter().all(|envelope| envelope[0] == 1));
    for number in [3, 0, 4, 1, 2] {
        let opened = bob.open(&first[usize::from(number)]).unwrap();
        assert_eq!((opened.content.as_slice(), opened.new_session), (&[number][..], number == 3));
    }
    let answer = bob.seal(&alice, b"answer");
    alice.reads(&answer);
    assert_eq!(alice.seal(&bob, b"more")[0], 2);
}

#[test]
fn turns_go_on() {
    let (mut alice, mut bob) = established();
    for turn in 0..50_u8 {
        let sent: Vec<_> = (0..turn % 4).map(|number| alice.seal(&bob, &[number])).collect();
        for (number, envelope) in (0..).zip(&sent) {
            assert_eq!(bob.reads(envelope), [number]);
        }
        let answer = bob.seal(&alice, &[turn]);
        assert_eq!(alice.reads(&answer), [turn]);
    }
}

#[test]
fn debug_shows_neither_keys_nor_content() {
    let (mut alice, mut bob) = established();
    let envelope = alice.seal(&bob, b"a secret text");
    let opened = bob.open(&envelope).unwrap();
    let (sender, id, suite) = (alice.identity(), opened.session, Suite::ALL[0]);
    assert_eq!(
        format!("{opened:?}"),
        format!(
            "Opened {{ sender: {sender:?}, session: {id:?}, suite: {suite:?}, new_session: false, \
             replacement_advised: false, .. }}"
        )
    );
    let policy = &bob.sessions.policy;
    assert_eq!(format!("{:?}", bob.sessions), format!("Sessions {{ policy: {policy:?}, sessions: [{id:?}], .. }}"));
}
