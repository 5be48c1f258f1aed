//! Old states are put back at random into running conversations.

use super::support::ledger::Ledger;
use super::support::net::Net;
use super::{name, setting, shown, write};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use securechat_core::client::History;
use securechat_core::event::Event;
use securechat_core::suite::{Policy, Suite};
use std::collections::{BTreeMap, BTreeSet};

type Records = BTreeMap<String, Vec<u8>>;

/// ATTACKS.md B4, B8: no key seals twice, the conversation goes on with the next message of each side, and both are told.
#[test]
fn b4_old_states_put_back_at_random() {
    let restores = setting("SECURECHAT_RESTORES", 150);
    // A network lives for some restores only: what it has seen, and the devices' lists of sessions, are to stay real.
    let (mut done, mut used, mut seed) = (0, 0, setting("SECURECHAT_SEED", 0) as u64);
    while done < restores {
        seed += 1;
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let policy = Policy::new(vec![Suite::ALL[seed as usize % 2]]).unwrap();
        let mut net = Net::new(seed, &policy);
        let users = ["alice", "bob", "carol"];
        users.iter().for_each(|user| _ = net.register(user, &policy));
        let ledger = Ledger::keep(&mut net);
        let group = net.hosts[0].client.create_group("friends", false, net.now).unwrap();
        net.drain(0);
        net.run();
        net.hosts[0].client.add_to_group(&group, &[name("bob"), name("carol")], net.now).unwrap();
        net.drain(0);
        net.run();
        let mut backups: Vec<(usize, Records, BTreeSet<usize>, u64)> = Vec::new();
        // Whose keys each has seen: who sees them for the first time has nothing to compare them with.
        let mut met: [BTreeSet<usize>; 3] = Default::default();
        let mut highest = [0; 3];
        for round in 0..20 {
            if done >= restores {
                break;
            }
            for turn in 0..random.next_u32() % 6 {
                let (from, to) = (random.next_u32() as usize % 3, random.next_u32() as usize % 4);
                let text = format!("{seed} {round} {turn}");
                match users.get(to) {
                    Some(user) if to != from => {
                        write(&mut net, from, name(user), &text);
                        met[from].insert(to);
                        met[to].insert(from);
                    }
                    Some(_) => backups.push((
                        from,
                        net.hosts[from].records.clone(),
                        met[from].clone(),
                        net.hosts[from].client.generation(),
                    )),
                    None => _ = write(&mut net, from, group, &text),
                }
            }
            net.advance(120_000);
            let Some((host, records, known, saved)) =
                backups.get(random.next_u32() as usize % backups.len().max(1)).cloned()
            else {
                continue;
            };
            highest[host] = highest[host].max(net.hosts[host].client.generation());
            let generation = highest[host];
            net.forget_events();
            // The host knows that it is a backup, or knows a newer generation than it holds.
            let history = if random.next_u32() % 2 == 0 { History::Restored } else { History::AtLeast(generation) };
            // A state that is the newest of all goes on, whichever came after it.
            let fresh = saved >= generation;
            net.restart_from(host, records, history).unwrap();
            net.connect(host);
            net.run();
            done += 1;
            met[host] = known;
            if history == History::Restored || !fresh {
                assert!(net.saw(host, |event| *event == Event::Restored));
            }
            // A message of the restored side and an answer, with each other user and in the group.
            for other in (0..3).filter(|other| *other != host) {
                let what = format!("seed {seed}, round {round}, host {host}, other {other}");
                let there = format!("there {seed} {round}");
                let back = format!("back {seed} {round}");
                write(&mut net, host, name(users[other]), &there);
                assert!(shown(&net, other).contains(&there), "{what}: {:?}", net.hosts[other].events);
                write(&mut net, other, name(users[host]), &back);
                assert!(shown(&net, host).contains(&back), "{what}: {:?}", net.hosts[host].events);
                if history == History::Restored || !fresh {
                    let device = net.hosts[host].client.identity();
                    let told = Event::PeerRestored { user: name(users[host]), device };
                    let knew = met[other].contains(&host);
                    assert!(!knew || net.saw(other, |event| *event == told), "{what}: {:?}", net.hosts[other].events);
                }
            }
            for other in (0..3).filter(|other| *other != host) {
                met[host].insert(other);
                met[other].insert(host);
            }
            let text = format!("to all {seed} {round}");
            write(&mut net, host, group, &text);
            let member = net.hosts[host].client.group(&group).is_some_and(|info| info.member);
            for other in (0..3).filter(|other| *other != host && member) {
                assert!(
                    shown(&net, other).contains(&text),
                    "seed {seed}, round {round}, host {host}, other {other}: {:?} {:?}",
                    net.hosts[other].events,
                    net.hosts[host].events
                );
            }
            assert_eq!(ledger.repeated(), [""; 0], "seed {seed}, round {round}");
        }
        used += ledger.used();
    }
    println!("{done} restores, {used} keys, none of them twice");
}
