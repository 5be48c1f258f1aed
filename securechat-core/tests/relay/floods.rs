//! ATTACKS.md C3 and D8: floods of connections and requests are bounded, and honest clients still get through.

use crate::support::*;
use securechat_core::codec::Writer;
use securechat_core::limits::{ENVELOPES_PER_SEND, Limits, OPEN_REQUESTS, Rate};
use securechat_core::relay::ConnId;
use securechat_core::wire::{
    BlobId, CloseCode, CreateBlob, FetchUsers, GetChunk, Ping, PublishBundle, RefusalCode, Reply, Request, Send,
};

fn users() -> Request {
    Request::Users(FetchUsers { from: String::new() })
}

#[test]
fn d8_strangers_make_room_for_newcomers() {
    let mut limits = Limits::default();
    (limits.connections, limits.connections_per_address) = (2_000, 1_500);
    let mut net = Net::with(limits, |_| {});
    let mut alice = net.registered("alice", 1);
    for _ in 0..1_500 {
        net.relay.connect(net.now, [66; 16], [0; 32]).unwrap();
    }
    assert_eq!(net.relay.connect(net.now, [66; 16], [0; 32]), Err(CloseCode::Busy), "one address has its bound");
    for address in 0..200 {
        for _ in 0..20 {
            net.relay.connect(net.now, [address; 16], [0; 32]).unwrap();
            net.run();
        }
    }
    assert!(net.relay.connections() <= 2_000);
    assert!(!net.closed.contains_key(&alice.conn()), "who is logged in stays");
    net.log_in(&mut alice);
    assert!(matches!(net.request(alice.conn(), &users()), Ok(Reply::Users(_))));
    net.pass(60_000);
    assert_eq!(net.relay.connections(), 1, "strangers go in time");
}

#[test]
fn when_all_are_logged_in_there_is_no_room() {
    let mut limits = Limits::default();
    limits.connections = 2;
    let mut net = Net::with(limits, |_| {});
    net.registered("alice", 1);
    net.registered("bob", 2);
    assert_eq!(net.relay.connect(net.now, [9; 16], [0; 32]), Err(CloseCode::Busy));
}

/// Logins tried in a flood from one address slow that address only.
#[test]
fn d8_a_flood_of_logins_harms_its_address_alone() {
    let mut net = Net::new();
    let mut alice = net.registered("alice", 1);
    net.disconnect(&mut alice);
    net.checked.clear();
    let mut codes = Vec::new();
    for n in 0..200 {
        let conn = net.connect_from(66);
        let request = Device::new(&format!("user{n}"), 5).log_in("guess", &net.bindings[&conn]);
        codes.push(net.refused(conn, &request));
    }
    assert_eq!(net.checked.len(), 30, "so many hashes one address gets at once");
    assert!(codes[30..].iter().all(|code| *code == RefusalCode::RateLimited));
    assert!(net.log_in(&mut alice).listed);
    net.disconnect(&mut alice);
    net.log_in_by_password(&mut alice);
    net.disconnect(&mut alice);
    // From that very address after a while.
    net.pass(1_000);
    let conn = net.connect_from(66);
    assert!(net.request(conn, &alice.log_in_device(&net.bindings[&conn].clone())).is_ok());
}

#[test]
fn registrations_are_limited_by_address() {
    let mut net = Net::new();
    let mut codes = Vec::new();
    for n in 0..35 {
        let conn = net.connect_from(66);
        let request = Device::new(&format!("user{n}"), 100 + n).register("x", &net.bindings[&conn]);
        codes.push(net.request(conn, &request).map_err(|refusal| refusal.code).err());
    }
    assert!(codes[..30].iter().all(Option::is_none));
    assert!(codes[30..].iter().all(|code| *code == Some(RefusalCode::RateLimited)));
    net.registered("honest", 1);
}

/// Only so many hashes are under way; the others are told to come back, and are not held against anyone.
#[test]
fn password_hashes_are_bounded() {
    let mut limits = Limits::default();
    limits.password_jobs = 2;
    let mut net = Net::with(limits, |_| {});
    for n in 0..4 {
        net.registered(&format!("user{n}"), n);
    }
    net.hold_jobs = true;
    let asked: Vec<_> = (0..4)
        .map(|n| {
            let conn = net.connect();
            let request = Device::new(&format!("user{n}"), n).log_in("password", &net.bindings[&conn]);
            (conn, net.ask(conn, &request))
        })
        .collect();
    net.run();
    // The accounts are looked up; now the hashes are asked for.
    for _ in 0..4 {
        let (id, job) = net.take_held().unwrap();
        net.finish(id, &job);
    }
    net.hold_jobs = false;
    net.run();
    let outcomes: Vec<_> =
        asked.into_iter().map(|(conn, id)| net.answer(conn, id).unwrap().map_err(|r| r.code).err()).collect();
    assert_eq!(outcomes, [None, None, Some(RefusalCode::Unavailable), Some(RefusalCode::Unavailable)]);
}

/// L5: a flood of requests is refused, then ended, and nobody else notices.
#[test]
fn a_flood_of_requests_harms_its_connection_alone() {
    let mut limits = Limits::default();
    limits.connection_rate = Rate::new(50, 10_000);
    let mut net = Net::with(limits, |_| {});
    let (flooder, honest) = (net.registered("flooder", 1), net.registered("honest", 2));
    net.pass(1_000);
    let mut limited = 0;
    for _ in 0..1_000 {
        if net.closed.contains_key(&flooder.conn()) {
            break;
        }
        let id = net.ask(flooder.conn(), &users());
        net.run();
        limited +=
            usize::from(matches!(net.answer(flooder.conn(), id), Some(Err(r)) if r.code == RefusalCode::RateLimited));
        if limited == 10 {
            assert!(matches!(net.request(honest.conn(), &users()), Ok(Reply::Users(_))));
        }
    }
    assert_eq!(limited, 50);
    assert_eq!(net.closed[&flooder.conn()], CloseCode::Misbehaved as u8);
    assert!(matches!(net.request(honest.conn(), &users()), Ok(Reply::Users(_))));
}

/// The devices of one account share its bucket.
#[test]
fn an_account_is_limited_over_its_connections() {
    let mut limits = Limits::default();
    limits.account_rate = Rate::new(20, 1_000_000);
    let mut net = Net::with(limits, |_| {});
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let mut second = Device::new("alice", 3);
    net.log_in_by_password(&mut second);
    for round in 0..20 {
        let conn = if round % 2 == 0 { alice.conn() } else { second.conn() };
        assert!(net.request(conn, &Request::Ping(Ping)).is_ok());
    }
    assert_eq!(net.refused(second.conn(), &Request::Ping(Ping)), RefusalCode::RateLimited);
    assert!(net.request(bob.conn(), &Request::Ping(Ping)).is_ok());
    net.pass(1_000);
    assert!(net.request(second.conn(), &Request::Ping(Ping)).is_ok());
}

/// A send of 128 envelopes costs as much as four of 32.
#[test]
fn a_long_send_counts_as_several_requests() {
    let mut limits = Limits::default();
    limits.account_rate = Rate::new(5, 1_000_000);
    let mut net = Net::with(limits, |_| {});
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let items = (0..ENVELOPES_PER_SEND).map(|id| item(&bob, id as u8, b"x")).collect();
    assert_eq!(net.send(&alice, items).len(), 128);
    assert!(net.request(alice.conn(), &Request::Ping(Ping)).is_ok());
    assert_eq!(net.refused(alice.conn(), &Request::Ping(Ping)), RefusalCode::RateLimited);
    assert!(net.request(bob.conn(), &Request::Ping(Ping)).is_ok());
}

#[test]
fn publishing_is_limited() {
    let mut limits = Limits::default();
    limits.publish_rate = Rate::new(2, 1_000_000);
    let mut net = Net::with(limits, |_| {});
    let alice = net.registered("alice", 1);
    let publish = Request::PublishBundle(PublishBundle { bundle: alice.bundle() });
    assert!(net.request(alice.conn(), &publish).is_ok() && net.request(alice.conn(), &publish).is_ok());
    assert_eq!(net.refused(alice.conn(), &publish), RefusalCode::RateLimited);
}

#[test]
fn more_open_requests_than_allowed_end_a_connection() {
    let mut net = Net::new();
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    net.hold_jobs = true;
    for _ in 0..OPEN_REQUESTS {
        net.ask(alice.conn(), &users());
    }
    net.run();
    assert!(net.closed.is_empty());
    net.ask(alice.conn(), &users());
    net.run();
    assert_eq!(net.closed[&alice.conn()], CloseCode::Misbehaved as u8);
    // A request is open until its answer was taken, so who does not read cannot have more of them answered.
    net.hold_jobs = false;
    net.run();
    net.relay.pause_output(bob.conn(), net.now);
    for _ in 0..=OPEN_REQUESTS {
        net.ask(bob.conn(), &Request::Ping(Ping));
        net.run();
    }
    assert_eq!(net.closed[&bob.conn()], CloseCode::Misbehaved as u8);
}

/// What waits for the store is bounded; a little always gets through.
#[test]
fn c3_what_waits_for_the_store_is_bounded() {
    let mut limits = Limits::default();
    limits.input_total = 4 << 20;
    let mut net = Net::with(limits, |_| {});
    let devices: Vec<Device> = (0..20).map(|seed| net.registered(&format!("user{seed}"), seed)).collect();
    net.hold_jobs = true;
    let mut asked: Vec<(ConnId, u32)> = Vec::new();
    for device in &devices {
        for id in 0..30 {
            let items = vec![item(&devices[0], id, &[0; 60_000])];
            asked.push((device.conn(), net.ask(device.conn(), &Request::Send(Send { items }))));
        }
        net.run();
    }
    assert!(!net.relay.has_room());
    let refused = asked.iter().filter(|(conn, id)| net.answer(*conn, *id).is_some()).count();
    let held = asked.len() - refused;
    assert!(held * 60_000 < (4 << 20) + 20 * 300_000, "{held}");
    assert!(held >= 20 * 4, "each gets its share: {held}");
    net.hold_jobs = false;
    net.run();
    assert!(net.relay.has_room());
    assert!(format!("{:?}", net.relay).contains("held: 0"), "{:?}", net.relay);
}

#[test]
fn c3_waits_for_chunks_are_bounded_by_open_requests() {
    let mut net = Net::new();
    let alice = net.registered("alice", 1);
    let id = BlobId([1; 16]);
    assert!(net.request(alice.conn(), &Request::CreateBlob(CreateBlob { id, size: 1 })).is_ok());
    for _ in 0..=OPEN_REQUESTS {
        net.ask(alice.conn(), &Request::GetChunk(GetChunk { id, index: 0 }));
        net.run();
    }
    assert_eq!(net.closed[&alice.conn()], CloseCode::Misbehaved as u8);
}

#[test]
fn bytes_that_are_no_request_end_a_connection() {
    let mut net = Net::new();
    let alice = net.registered("alice", 1);
    let ping = Request::Ping(Ping).encode(5).unwrap();
    let mut too_long = ping.to_vec();
    too_long.push(0);
    let mut push = Vec::new();
    push.put_u32(0);
    push.put_u16(0x4001);
    push.put_u16(0);
    let reply = Reply::Ping(securechat_core::wire::Done).encode(5).unwrap().to_vec();
    for bytes in [vec![], vec![0; 3], too_long, push, reply, Request::Ping(Ping).encode(0).unwrap().to_vec()] {
        let conn = net.connect();
        net.relay.handle_data(conn, &bytes, net.now);
        net.run();
        assert_eq!(net.closed.get(&conn), Some(&(CloseCode::Misbehaved as u8)), "{bytes:?}");
    }
    // A body that does not decode, or a kind that is not known, is refused and no more.
    let mut unknown = Vec::new();
    unknown.put_u32(77);
    unknown.put_u16(0x0043);
    unknown.put_prefixed(b"unknown").unwrap();
    net.relay.handle_data(alice.conn(), &unknown, net.now);
    let mut malformed = Vec::new();
    malformed.put_u32(78);
    malformed.put_u16(0x0051);
    malformed.put_prefixed(b"no chunk").unwrap();
    net.relay.handle_data(alice.conn(), &malformed, net.now);
    net.run();
    assert_eq!(net.answer(alice.conn(), 77).unwrap().unwrap_err().code, RefusalCode::UnknownRequest);
    assert_eq!(net.answer(alice.conn(), 78).unwrap().unwrap_err().code, RefusalCode::Malformed);
    assert!(net.request(alice.conn(), &users()).is_ok());
}
