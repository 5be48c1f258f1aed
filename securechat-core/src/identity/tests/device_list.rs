//! Device lists and their chains.

use crate::error::PeerMisbehaved;
use crate::identity::samples::*;
use crate::identity::{ListChain, SignedDeviceList};

#[test]
fn a_chain_grows_by_proposal_and_countersignature() {
    let lists = lists("alice", &[1, 2, 3]);
    let mut chain = ListChain::start(lists[0].clone()).unwrap();
    for list in &lists[1..] {
        assert_eq!(SignedDeviceList::decode(list.bytes()).as_ref(), Ok(list));
        chain.extend(list.clone()).unwrap();
    }
    assert_eq!(chain.head(), &lists[2]);
    assert_eq!(chain.root(), lists[0].hash());
    assert_eq!(lists[2].identities(), [1, 2, 3].map(|seed| keys(seed).identity()));
    assert_eq!(lists[0].verify_follows(&lists[1]), Err(PeerMisbehaved::DeviceList));
}
