//! A client is killed between any two of the calls with which its host takes what it has.

use super::support::ledger::Ledger;
use super::support::net::Net;
use super::{name, setting, shown, write};
use securechat_core::client::History;
use securechat_core::event::{Event, FileId};
use securechat_core::roster::GroupId;
use securechat_core::suite::{Policy, Suite};

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

/// One conversation: texts both ways, a group that changes, a file.
struct Script {
    net: Net,
    ledger: Ledger,
    victim: usize,
    group: GroupId,
    file: Option<FileId>,
    bytes: Vec<u8>,
    /// The step in which the victim died.
    died: Option<usize>,
}

const STEPS: usize = 12;

impl Script {
    fn new(victim: usize) -> Self {
        let policy = Policy::new(vec![Suite::ALL[0]]).unwrap();
        let mut net = Net::new(91, &policy);
        for user in ["alice", "bob", "carol", "dave"] {
            net.register(user, &policy);
        }
        let group = net.hosts[ALICE].client.create_group("friends", false, net.now).unwrap();
        net.drain(ALICE);
        net.run();
        net.hosts[ALICE].client.add_to_group(&group, &[name("bob"), name("carol")], net.now).unwrap();
        net.drain(ALICE);
        net.run();
        net.say(ALICE, "bob", "first");
        let bytes = (0..150_000_u32).map(|byte| (byte % 253) as u8).collect();
        net.forget_events();
        let ledger = Ledger::keep(&mut net);
        Self { net, ledger, victim, group, file: None, bytes, died: None }
    }

    /// Does a step; a victim without fuel is started again before the next.
    fn step(&mut self, step: usize) {
        let (now, group, net) = (self.net.now, self.group, &mut self.net);
        let text = format!("text {step}");
        match step {
            0 => _ = write(net, ALICE, name("bob"), &text),
            1 => _ = write(net, BOB, name("alice"), &text),
            2 => _ = write(net, ALICE, group, &text),
            3 => _ = write(net, BOB, group, &text),
            4 => _ = write(net, CAROL, group, &text),
            5 => {
                let size = self.bytes.len() as u64;
                let sent = net.hosts[ALICE].client.send_file(name("bob"), "a.bin", size, "text/plain", now);
                let file = sent.unwrap().0;
                net.hosts[ALICE].outgoing.insert(file, self.bytes.clone());
                self.file = Some(file);
            }
            6 => {
                let file = self.file.unwrap();
                // Where Alice died before she saved the offer, there is none.
                let _ = net.hosts[BOB].client.accept_file(&file, now);
            }
            7 => _ = net.hosts[ALICE].client.remove_from_group(&group, &[name("carol")], now),
            8 => _ = write(net, ALICE, group, &text),
            9 => _ = net.hosts[ALICE].client.add_to_group(&group, &[name("dave")], now),
            10 => _ = write(net, BOB, group, &text),
            _ => _ = write(net, BOB, name("alice"), &text),
        }
        for host in [ALICE, BOB] {
            net.drain(host);
        }
        net.run();
        if net.hosts[self.victim].fuel == Some(0) {
            self.died = Some(step);
            net.restart(self.victim, History::Continued).unwrap();
            net.connect(self.victim);
            net.run();
        }
    }

    /// Runs all steps; false when the victim never ran out of fuel.
    fn run(&mut self, fuel: usize) -> bool {
        self.net.hosts[self.victim].fuel = Some(fuel);
        (0..STEPS).for_each(|step| self.step(step));
        self.net.hosts[self.victim].fuel = None;
        self.net.drain(self.victim);
        self.net.run();
        self.net.advance(10_000);
        self.died.is_some()
    }

    fn check(&self, fuel: usize) {
        let what = format!("host {} after {fuel} calls, in step {:?}", self.victim, self.died);
        let expected: [(usize, &[usize]); 4] =
            [(ALICE, &[1, 3, 4, 10, 11]), (BOB, &[0, 2, 4, 8]), (CAROL, &[2, 3]), (3, &[10])];
        for (host, steps) in expected {
            let shown = shown(&self.net, host);
            for step in steps {
                let text = format!("text {step}");
                let count = shown.iter().filter(|shown| **shown == text).count();
                // What was written in the step in which its writer died may not have been saved; then nobody has it.
                let least = usize::from(self.died != Some(*step));
                assert!((least..=1).contains(&count), "{what}: {text:?} {count} times at {host}: {shown:?}");
            }
            assert!(shown.len() <= steps.len(), "{what}: {shown:?}");
        }
        assert_eq!(self.ledger.repeated(), [""; 0], "{what}");
        if !matches!(self.died, Some(5 | 6)) {
            let file = self.file.unwrap();
            let whole = self.net.saw(BOB, |event| *event == Event::FileReceived { file });
            assert!(
                whole && self.net.hosts[BOB].incoming[&file] == self.bytes,
                "{what}: {:?}",
                self.net.hosts[BOB].events
            );
        }
        let members = |host: usize| self.net.hosts[host].client.group(&self.group).unwrap().members.len();
        if !matches!(self.died, Some(7 | 9)) {
            assert_eq!([ALICE, BOB].map(members), [3, 3], "{what}");
        }
    }
}

/// ATTACKS.md E5.
#[test]
fn e5_killed_between_any_two_calls_nothing_is_lost_shown_twice_or_sealed_twice() {
    let stride = setting("SECURECHAT_KILL_STRIDE", 11);
    for victim in [ALICE, BOB] {
        let mut kills = 0;
        for fuel in (victim..).step_by(stride) {
            let mut script = Script::new(victim);
            if !script.run(fuel) {
                script.check(fuel);
                assert!(script.ledger.used() > 20, "the ledger sees keys");
                break;
            }
            script.check(fuel);
            kills += 1;
        }
        assert!(kills * stride > 100, "{kills}");
    }
}
