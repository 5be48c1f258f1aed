//! ATTACKS.md A13: nobody is shown as connected, and nothing is accepted from them, before their `Ready` opened.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use securechat_core::error::{Error, PeerMisbehaved};
use securechat_core::link::{LinkEvent, Purpose};
use securechat_core::suite::Suite;
use support::*;

#[test]
fn a13_frame_by_frame() {
    for purpose in PURPOSES {
        for suite in Suite::ALL {
            let mut pair = Pair::new(purpose, &[suite]);
            let mut frames_in = [0; 2];
            let mut opened_at = [0; 2];
            while let Some(end) = [RESPONDER, INITIATOR].into_iter().find(|end| !pair.wires[*end].is_empty()) {
                for frame in frames(&pair.wires[end].pop_front().unwrap()) {
                    assert!(!pair.saw_anything(end) && !pair.ends[end].is_open());
                    pair.feed(end, &frame).unwrap();
                    frames_in[end] += 1;
                    if pair.saw_anything(end) {
                        opened_at[end] = frames_in[end];
                    }
                }
            }
            assert_eq!(opened_at, frames_in, "{purpose:?} {suite}: with the last frame, which is `Ready`");
        }
    }
}

#[test]
fn a13_data_before_ready_is_refused() {
    let mut client = ByHand::new();
    let unexpected = Error::from(PeerMisbehaved::UnexpectedRecord);
    assert_eq!(client.record(b"\x01text"), Err(unexpected));
    assert!(client.relay.poll_event().is_none());
    assert_eq!(client.record(b"\x00"), Err(unexpected), "too late");
}

#[test]
fn a13_what_a_first_record_may_be() {
    for bad in [&b""[..], b"\x00\x00", b"\x01", b"\x02\x00", b"\x02", b"\x03", b"\xff"] {
        let mut client = ByHand::new();
        assert_eq!(client.record(bad), Err(PeerMisbehaved::UnexpectedRecord.into()), "{bad:?}");
        assert!(client.relay.poll_event().is_none());
    }
    let mut client = ByHand::new();
    client.record(b"\x00").unwrap();
    assert!(matches!(client.relay.poll_event(), Some(LinkEvent::Open { remote: None, .. })));
    client.record(b"\x01text").unwrap();
    assert!(matches!(client.relay.poll_event(), Some(LinkEvent::Data(data)) if data == b"text"));
    for bad in [&b""[..], b"\x00", b"\x02", b"\x02\x00\x00", b"\x03"] {
        let mut client = ByHand::new();
        client.record(b"\x00").unwrap();
        assert_eq!(client.record(bad), Err(PeerMisbehaved::UnexpectedRecord.into()), "{bad:?}");
    }
}

/// While the host has not decided, nothing goes out, and of what comes in only `Ready` and `Close` count.
#[test]
fn a13_nothing_goes_out_during_the_stop() {
    for purpose in PURPOSES {
        for suite in Suite::ALL {
            for end in [INITIATOR, RESPONDER] {
                let mut configs = configs(purpose, &[suite]);
                if purpose == Purpose::Relay && end == RESPONDER {
                    continue; // a relay has nobody to decide about
                }
                configs[end].pin = None;
                let mut pair = Pair::with(configs);
                pair.run().unwrap();
                let Some(LinkEvent::Verify { bundle, changed: false, expired: false }) = pair.events[end].pop_front()
                else {
                    panic!("{:?}", pair.events[end]);
                };
                assert_eq!(bundle.fingerprint(), fingerprint(2 - end as u64));
                assert!(pair.events[end].is_empty() && !pair.ends[end].is_open());
                assert!(!pair.ends[1 - end].is_open() && !pair.saw_anything(1 - end));
                assert!(pair.ends[end].send(b"text").is_err() && pair.ends[1 - end].send(b"text").is_err());

                pair.ends[end].accept(&bundle.fingerprint(), pair.now).unwrap();
                pair.collect(end);
                pair.run().unwrap();
                assert!(pair.ends.iter().all(|link| link.is_open()), "{purpose:?} {suite}");
            }
        }
    }
}
