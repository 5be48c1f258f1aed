//! Links of both purposes open in all six suites and carry data of every length in both directions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::{ApiMisuse, Error};
use securechat_core::link::{LinkEvent, Purpose};
use securechat_core::suite::Suite;
use support::*;

#[test]
fn every_suite_and_purpose() {
    for purpose in PURPOSES {
        for suite in Suite::ALL {
            let mut pair = Pair::new(purpose, &[suite]);
            pair.run().unwrap();
            let [one, other] = [INITIATOR, RESPONDER].map(|end| match pair.events[end].pop_front() {
                Some(LinkEvent::Open { suite, channel_binding, remote }) => {
                    assert_eq!(pair.ends[end].channel_binding(), Some(channel_binding));
                    assert_eq!(pair.ends[end].suite(), Some(suite));
                    (suite, channel_binding, remote.map(|bundle| bundle.fingerprint()))
                }
                other => panic!("{other:?}"),
            });
            assert_eq!((one.0, one.1), (suite, other.1));
            assert_eq!(one.2, Some(fingerprint(2)));
            assert_eq!(other.2, (purpose == Purpose::Peer).then(|| fingerprint(1)));
            for end in [INITIATOR, RESPONDER] {
                pair.ends[end].raise_frame_limit();
            }
            for end in [INITIATOR, RESPONDER] {
                let longest = pair.ends[end].max_data();
                assert_eq!(longest, if suite.id() % 2 == 1 { 65_518 } else { 65_486 });
                for length in [0, 1, 15, 16, 17, 1_000, longest] {
                    let data = vec![length as u8; length];
                    pair.send(end, &data);
                    pair.run().unwrap();
                    assert_eq!(pair.data(1 - end), [data]);
                }
                assert_eq!(pair.ends[end].send(&vec![0; longest + 1]), Err(Error::from(ApiMisuse::TooLarge)));
            }
        }
    }
}

#[test]
fn before_login_a_client_sends_short_frames_only() {
    let mut pair = Pair::open(Purpose::Relay, X25519_GCM);
    assert_eq!(pair.ends[INITIATOR].max_data(), 8_192 - 16 - 1);
    assert_eq!(pair.ends[RESPONDER].max_data(), 65_518, "the client reads long frames from the start");
    pair.send(INITIATOR, &[1; 8_175]);
    pair.send(RESPONDER, &[2; 65_518]);
    pair.run().unwrap();
    assert_eq!((pair.data(RESPONDER).len(), pair.data(INITIATOR).len()), (1, 1));
    // A client that does not keep to it is ended.
    pair.ends[INITIATOR].raise_frame_limit();
    pair.send(INITIATOR, &[1; 8_176]);
    assert!(pair.run().is_err());
}

#[test]
fn a_run_replays_from_its_seed() {
    for suite in replaying_suites() {
        let [one, other] = [(); 2].map(|()| {
            let mut pair = Pair::new(Purpose::Peer, &[suite]);
            let mut seen = Vec::new();
            while pair.deliver(RESPONDER, |bytes| seen.push(bytes.clone())).unwrap()
                || pair.deliver(INITIATOR, |bytes| seen.push(bytes.clone())).unwrap()
            {}
            seen
        });
        assert_eq!(one, other);
    }
}

#[test]
fn c5_debug_shows_no_plaintext() {
    let mut pair = Pair::open(Purpose::Peer, X25519_GCM);
    pair.ends[INITIATOR].send(b"AAAA").unwrap();
    let mut bytes = Vec::new();
    pair.ends[INITIATOR].poll_transmit(&mut bytes);
    pair.ends[RESPONDER].handle_input(&bytes, NOW).unwrap();
    let link = &mut pair.ends[RESPONDER];
    let shown = format!("{link:?} {:?}", link.poll_event());
    assert!(shown.contains("Data(4 bytes)") && !shown.contains("65, 65, 65, 65"), "{shown}");
}

/// What is sealed where it is written from comes behind what was queued, and counts like any other record.
#[test]
fn records_written_at_once_keep_their_order() {
    let mut pair = Pair::open(Purpose::Peer, X25519_GCM);
    let mut out = b"written before".to_vec();
    let link = &mut pair.ends[INITIATOR];
    link.send(b"queued").unwrap();
    link.send_into(b"at once", &mut out).unwrap();
    assert_eq!(link.send_into(&vec![0; link.max_data() + 1], &mut out), Err(ApiMisuse::TooLarge.into()));
    link.send(b"queued again").unwrap();
    assert!(link.poll_transmit(&mut out));
    let records = out.strip_prefix(b"written before").unwrap().to_vec();
    pair.feed(RESPONDER, &records).unwrap();
    assert_eq!(pair.data(RESPONDER), [&b"queued"[..], b"at once", b"queued again"]);
    pair.ends[INITIATOR].close(0).unwrap();
    assert_eq!(pair.ends[INITIATOR].send_into(b"more", &mut out), Err(ApiMisuse::Closed.into()));
}
