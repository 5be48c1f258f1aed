//! What no other end can bring about: what events show, and a link that is over.

use super::*;
use crate::identity::samples::{NOW, all_suites, keys_with_rsa};

#[test]
fn c5_events_show_whose_keys_and_no_data() {
    let local = LocalIdentity::new(keys_with_rsa(1), None, 0, &all_suites(), vec![], NOW).unwrap();
    let (bundle, fingerprint) = (local.bundle.clone(), local.bundle.fingerprint());
    let suite = Suite::ALL[0];
    for (event, shown) in [
        (
            LinkEvent::Verify { bundle: bundle.clone(), changed: true, expired: false },
            format!("Verify {{ fingerprint: {fingerprint:?}, changed: true, expired: false }}"),
        ),
        (
            LinkEvent::Open { suite, channel_binding: [0x41; 32], remote: Some(bundle) },
            format!("Open {{ suite: {suite:?}, remote: Some({fingerprint:?}), .. }}"),
        ),
        (LinkEvent::Data([0x41; 3].as_slice().into()), "Data(3 bytes)".to_owned()),
        (LinkEvent::Closed { code: 5 }, "Closed { code: 5 }".to_owned()),
    ] {
        assert_eq!(format!("{event:?}"), shown);
    }
}

#[test]
fn a8_a_state_that_is_over_takes_no_frame() {
    let mut io = Io::default();
    let closed = State::Closed.handle(vec![2, 0], &mut io);
    assert_eq!(closed.err(), Some(PeerMisbehaved::UnexpectedRecord.into()));
    let error = Error::from(PeerMisbehaved::HandshakeTimeout);
    assert_eq!(State::Failed(error).handle(vec![2, 0], &mut io).err(), Some(error));
    assert!(io.out.is_empty() && io.events.len() == 0);
}
