//! The same seed and the same calls give the same bytes.

use crate::support::*;
use securechat_core::relay::{ConnId, RelayEvent};
use securechat_core::wire::{FetchUsers, Presence, PublishPrekeys, Request, SetPresence, SetUpCode};

type Transcript = Vec<(ConnId, Vec<u8>)>;

fn scenario() -> (Transcript, Vec<RelayEvent>, Vec<&'static str>) {
    let mut net = Net::new();
    let mut devices: Vec<Device> = (0..12).map(|seed| net.registered(&format!("user{seed}"), seed)).collect();
    for device in &mut devices {
        let prekeys = device.prekeys(3);
        let watch = Request::SetPresence(SetPresence { presence: Presence::Away, watch: true });
        net.ask(device.conn(), &Request::PublishPrekeys(PublishPrekeys { replace: false, prekeys }));
        net.ask(device.conn(), &watch);
        net.ask(device.conn(), &Request::Users(FetchUsers { from: String::new() }));
    }
    for id in 0..20 {
        for device in &devices {
            net.sends(device, &devices[usize::from(id) % 12], id, &[id; 300]);
        }
        net.pass(300);
    }
    let code = Request::SetUpCode(SetUpCode { password: password("password"), code: None });
    net.request(devices[3].conn(), &code).unwrap();
    for device in &mut devices {
        net.disconnect(device);
        net.log_in(device);
        net.pass(500);
    }
    (net.transcript, net.events, net.jobs)
}

#[test]
fn two_runs_are_equal() {
    let (one, other) = (scenario(), scenario());
    assert!(one.0.len() > 500);
    assert_eq!(one, other);
}
