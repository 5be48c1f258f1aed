//! Records of both kinds of cipher, what a link makes of each, and the limits before and after admission.

use super::*;
use crate::crypto::aead::Cipher;
use crate::noise::both_ends;

/// One suite of each cipher.
fn suites() -> [Suite; 2] {
    [0x0101, 0x0102].map(|id| Suite::from_id(id).unwrap())
}

/// Both ends of a link whose handshake is over.
fn ends(suite: Suite) -> [Records; 2] {
    both_ends(suite.cipher).map(|transport| Records::new(suite, transport))
}

/// The ends with both `Ready`s behind them.
fn open_ends(suite: Suite) -> [Box<Open>; 2] {
    ends(suite).map(|records| Box::new(Open { records, closing: false }))
}

fn expect_ready(records: Records, role: Role, purpose: Purpose) -> ExpectReady {
    ExpectReady { records, role, purpose, remote: None }
}

/// The contents of the frames that were written.
fn written(io: &mut Io) -> Vec<Vec<u8>> {
    let mut deframer = frame::Deframer::new();
    deframer.raise_limit();
    let mut out = &core::mem::take(&mut io.out)[..];
    core::iter::from_fn(|| deframer.next_frame(&mut out).unwrap()).collect()
}

/// A record of any content.
fn sealed(records: &mut Records, plaintext: &[u8]) -> Vec<u8> {
    let mut record = plaintext.to_vec();
    records.transport.sealer.seal(&mut record, 0).unwrap();
    record
}

fn unexpected<T>(result: Result<T, Error>) -> bool {
    result.err() == Some(PeerMisbehaved::UnexpectedRecord.into())
}

#[test]
fn each_kind_of_record_and_no_other() {
    for suite in suites() {
        let [mut one, mut other] = ends(suite);
        let mut open = |plaintext: &[u8]| other.open(sealed(&mut one, plaintext));
        assert!(matches!(open(&[READY]), Ok(Record::Ready)));
        assert!(matches!(open(&[DATA]), Ok(Record::Data(data)) if data.is_empty()));
        assert!(matches!(open(&[DATA, 2, 0]), Ok(Record::Data(data)) if data == [2, 0]));
        assert!(matches!(open(&[CLOSE, 9]), Ok(Record::Close(9))));
        for wrong in [&[][..], &[READY, 0], &[CLOSE], &[CLOSE, 0, 0], &[3], &[3, 0], &[0xff]] {
            assert!(unexpected(open(wrong)), "{wrong:?}");
        }
    }
}

#[test]
fn room_for_a_record_is_made_at_once() {
    for suite in suites() {
        for length in [0, 1, 100, 5_000] {
            let (mut io, [mut one, _]) = (Io::default(), open_ends(suite));
            one.send(&vec![7; length], &mut io.out).unwrap();
            assert_eq!(io.out.capacity(), 4 + 1 + length + OVERHEAD_MAX);
        }
    }
}

#[test]
fn c1_the_most_that_a_record_takes_is_exact() {
    for suite in suites() {
        let (mut io, [mut one, mut other]) = (Io::default(), open_ends(suite));
        for (limit, most) in [(8_192, [8_175, 8_158]), (65_535, [65_518, 65_486])] {
            let most = most[usize::from(suite.cipher == Cipher::AesCbcHmac)];
            assert_eq!(one.max_data(), most);
            assert_eq!(one.send(&vec![7; most + 1], &mut io.out), Err(ApiMisuse::TooLarge.into()));
            assert!(io.out.is_empty());
            one.send(&vec![7; most], &mut io.out).unwrap();
            let frames = written(&mut io);
            assert!(matches!(frames.as_slice(), [frame] if frame.len() <= limit));
            // One byte more, and the frame of the other end's limit could not hold it.
            assert!(suite.cipher.ciphertext_len(most + 2) > limit);
            for frame in frames {
                assert!(matches!(other.records.open(frame), Ok(Record::Data(data)) if data == vec![7; most]));
            }
            one.raise_send_limit();
        }
    }
}

#[test]
fn a13_nothing_but_ready_comes_first() {
    for suite in suites() {
        for (first, is_ready) in [(&[READY][..], true), (&[DATA, 1], false), (&[CLOSE, 0], false)] {
            let (mut io, [mut one, other]) = (Io::default(), ends(suite));
            let state = expect_ready(other, Role::Responder, Purpose::Relay).start(false, &mut io).unwrap();
            let State::ExpectReady(state) = state else { panic!("open before the other side's Ready") };
            assert!(io.events.len() == 0);
            for ready in written(&mut io) {
                assert!(matches!(one.open(ready), Ok(Record::Ready)));
            }
            let next = state.handle(sealed(&mut one, first), &mut io);
            assert_eq!(matches!(next, Ok(State::Open(_))), is_ready);
            assert_eq!(unexpected(next), !is_ready);
            assert_eq!(io.events.len(), usize::from(is_ready));
        }
    }
}

/// Whether frames of full length may come in, and go out, once the link is open.
#[test]
fn c1_who_may_send_long_frames_before_admission() {
    let [suite, _] = suites();
    for (role, purpose, receives, sends) in [
        (Role::Initiator, Purpose::Relay, true, false),
        (Role::Responder, Purpose::Relay, false, true),
        (Role::Initiator, Purpose::Peer, true, true),
        (Role::Responder, Purpose::Peer, true, true),
    ] {
        let (mut io, [mut one, other]) = (Io::default(), ends(suite));
        let state = expect_ready(other, role, purpose).start(true, &mut io).unwrap();
        let State::Open(state) = state else { panic!("both Readys are in") };
        assert_eq!(state.records.send_limit == limits::FRAME_MAX, sends, "{role:?}, {purpose:?}");
        assert_eq!(
            io.deframer.next_frame(&mut &65_535_u32.to_be_bytes()[..]).is_ok(),
            receives,
            "{role:?}, {purpose:?}"
        );
        let event = io.events.pop_front();
        let Some(LinkEvent::Open { suite: agreed, channel_binding, remote: None }) = event else { panic!("{event:?}") };
        assert_eq!((agreed, channel_binding), (suite, [3; 32]));
        assert!(matches!(written(&mut io).as_slice(), [ready] if matches!(one.open(ready.clone()), Ok(Record::Ready))));
    }
}

#[test]
fn a13_a_second_ready_is_refused() {
    for suite in suites() {
        let [mut one, other] = open_ends(suite);
        assert!(unexpected(other.handle(sealed(&mut one.records, &[READY]), &mut Io::default())));
    }
}

#[test]
fn data_comes_as_it_was_sent_until_close() {
    for suite in suites() {
        let (mut io, [mut one, mut other]) = (Io::default(), open_ends(suite));
        for data in [&b"one"[..], b"", b"three"] {
            one.send(data, &mut io.out).unwrap();
            for frame in written(&mut io) {
                let Ok(State::Open(next)) = other.handle(frame, &mut io) else { panic!("it stays open") };
                other = next;
            }
            assert!(matches!(io.events.pop_front(), Some(LinkEvent::Data(came)) if came == data));
        }
        one.close(7, &mut io).unwrap();
        assert_eq!(one.close(7, &mut io), Err(ApiMisuse::Closed.into()));
        assert_eq!(one.send(b"", &mut io.out), Err(ApiMisuse::Closed.into()));
        let [close] = written(&mut io).try_into().unwrap();
        assert!(matches!(other.handle(close, &mut io), Ok(State::Closed)));
        assert!(matches!(io.events.pop_front(), Some(LinkEvent::Closed { code: 7 })));
        // The answer has code 0 and is itself not answered.
        let [answer] = written(&mut io).try_into().unwrap();
        assert!(matches!(one.handle(answer, &mut io), Ok(State::Closed)));
        assert!(matches!(io.events.pop_front(), Some(LinkEvent::Closed { code: CLOSE_ANSWER })));
        assert!(io.out.is_empty() && io.events.len() == 0);
    }
}
