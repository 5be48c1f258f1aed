//! A year on a virtual clock: keys renew on schedule, nothing breaks, nothing grows.

use super::support::net::{Host, Net};
use super::{name, shown, write};
use securechat_core::codec::{decode, encode_secret};
use securechat_core::event::Event;
use securechat_core::identity::LocalIdentity;
use securechat_core::limits::DAY;
use securechat_core::suite::{Policy, Suite};
use std::sync::Arc;

const USERS: [&str; 3] = ["alice", "bob", "carol"];

#[test]
fn a_year_passes_and_nothing_breaks_or_grows() {
    let policy = Policy::new(vec![Suite::ALL[0]]).unwrap();
    let mut net = Net::new(365, &policy);
    for user in USERS {
        net.register(user, &policy);
    }
    let group = net.hosts[0].client.create_group("friends", false, net.now).unwrap();
    net.drain(0);
    net.run();
    net.hosts[0].client.add_to_group(&group, &[name("bob"), name("carol")], net.now).unwrap();
    net.drain(0);
    net.run();
    let mut sizes = Vec::new();
    for day in 0..365_u64 {
        // They come once a day, except for two months in which nobody leaves: then nothing is told at a login.
        if !(90..150).contains(&day) {
            (0..3).for_each(|host| net.cut(host));
        }
        net.advance(DAY);
        renew(&mut net);
        for host in 0..3 {
            if !net.is_connected(host) {
                net.connect(host);
                net.run();
            }
        }
        // Everybody writes to somebody every day, and somebody to the group.
        for from in 0..3 {
            let to = (from + 1 + day as usize % 2) % 3;
            let text = format!("day {day} from {from}");
            write(&mut net, from, name(USERS[to]), &text);
            assert!(shown(&net, to).contains(&text), "{text}: {:?}", net.hosts[to].events);
        }
        let from = day as usize % 3;
        let text = format!("all of you, day {day}");
        write(&mut net, from, group, &text);
        for other in (0..3).filter(|other| *other != from) {
            assert!(shown(&net, other).contains(&text), "{other} on day {day}: {:?}", net.hosts[other].events);
        }
        let failed = |event: &Event| {
            matches!(
                event,
                Event::Failed { .. } | Event::Unopened { .. } | Event::BundleExpired { .. } | Event::Fork { .. }
            )
        };
        assert!((0..3).all(|host| !net.saw(host, failed)), "day {day}");
        net.forget_events();
        if day % 30 == 29 {
            let bytes = |host: &Host| host.records.values().map(Vec::len).sum::<usize>();
            sizes.push(net.hosts.iter().map(|host| (host.records.len(), bytes(host))).collect::<Vec<_>>());
        }
    }
    // A stranger of the first day is still found, with keys that open a session at once.
    let dave = net.register("dave", &policy);
    write(&mut net, dave, name("alice"), "a year later");
    assert_eq!(shown(&net, 0), ["a year later"]);
    // From the fourth month on everything that is kept for a time has been kept for that time.
    for host in 0..3 {
        let most = |months: core::ops::Range<usize>| months.map(|month| sizes[month][host]).max().unwrap();
        let (early, late) = (most(3..8), most(8..12));
        assert!(late.0 <= early.0 + early.0 / 5 && late.1 <= early.1 + early.1 / 5, "{host}: {sizes:?}");
    }
}

/// What a relay's host does for its relay: the bundle is renewed at half its life.
fn renew(net: &mut Net) {
    if net.now >= net.relay.local.renew_at() {
        let mut local: LocalIdentity = decode(&encode_secret(&*net.relay.local)).unwrap();
        local.renew(&net.relay.policy.clone(), vec![], 0, net.now).unwrap();
        net.relay.local = Arc::new(local);
    }
}
