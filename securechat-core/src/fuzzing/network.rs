//! Clients and their relay: what a program lets them do, and what it does to them.

use super::AUTHENTIC;
use super::devices::user;
use super::net::{Host, Net, PASSWORD, Records, Shown};
use super::program::{Program, tamper};
use crate::client::History;
use crate::content::MessageId;
use crate::limits::{DAY, HOUR};
use crate::relay::StoreJob;
use crate::roster::GroupId;
use crate::suite::{Policy, Suite};
use crate::wire::Presence;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Groups of one client at the most.
const GROUPS: usize = 3;

/// Two clients and their relay, with somebody on every wire and in the relay's place: a byte for the suite, then steps.
///
/// Whatever is done to them, a text is shown once at the most, as it was written and with who wrote it, and not to who is out
/// of the group that it was written to; and when everybody is honest again, texts arrive.
pub fn network(data: &[u8]) {
    let mut program = Program::new(data);
    let mut world = World::new(program.byte());
    while let Some(step) = program.step() {
        world.step(step, &mut program);
    }
    world.check();
    world.settle();
}

/// A client and all that can be asked of it, at a relay that may say anything: a byte for the suite, then steps.
pub fn client(data: &[u8]) {
    let mut program = Program::new(data);
    let mut world = World::new(program.byte());
    world.net.connect(0);
    world.net.run();
    while let Some(step) = program.step() {
        match step & 3 {
            0 => world.call(&mut program),
            1 => world.hear(step, &mut program),
            _ => world.step(step >> 2, &mut program),
        }
    }
    world.net.run();
    world.check();
}

/// What the world is at its beginning, made once for each suite.
struct Beginning {
    jobs: Vec<StoreJob>,
    records: [Records; 2],
    texts: BTreeMap<MessageId, (usize, String)>,
}

struct World {
    net: Net,
    /// Texts by their id, with who wrote them.
    texts: BTreeMap<MessageId, (usize, String)>,
    /// Of those the ones that were written to a group after the other was out of it.
    barred: BTreeMap<MessageId, GroupId>,
    backups: [Option<(Records, Shown)>; 2],
    written: u32,
}

impl World {
    /// Two registered users who know each other, or not, with one of the suites that need no RSA key.
    fn new(choice: u8) -> Self {
        thread_local! {
            static MADE: RefCell<BTreeMap<u8, Beginning>> = const { RefCell::new(BTreeMap::new()) };
        }
        let choice = choice & 7;
        MADE.with_borrow_mut(|made| {
            let beginning = made.entry(choice).or_insert_with(|| Self::begin(choice));
            let mut world = Self::around(Net::new(suites(choice), &beginning.jobs, 100));
            world.texts.clone_from(&beginning.texts);
            for (number, records) in (1..).zip(&beginning.records) {
                world.net.add(&user(number), Some(records));
            }
            world
        })
    }

    fn around(net: Net) -> Self {
        Self { net, texts: BTreeMap::new(), barred: BTreeMap::new(), backups: [None, None], written: 0 }
    }

    fn begin(choice: u8) -> Beginning {
        let mut world = Self::around(Net::new(suites(choice), &[], 0));
        for number in [1, 2] {
            let host = world.net.add(&user(number), None);
            world.net.connect(host);
            world.net.run();
            world.net.hosts[host].client.register(PASSWORD, world.net.now).unwrap();
            world.net.drain(host);
            world.net.run();
        }
        if choice & 4 != 0 {
            for (from, to) in [(0, 1), (1, 0)] {
                world.write(from, to);
                world.net.run();
            }
            assert!(world.net.hosts.iter().all(|host| host.shown.len() == 1), "honest people talk");
        }
        [0, 1].into_iter().for_each(|host| world.net.cut(host));
        let records = [0, 1].map(|host| world.net.hosts[host].records.clone());
        Beginning { jobs: world.net.jobs, records, texts: world.texts }
    }

    fn step(&mut self, step: u8, program: &mut Program<'_>) {
        let host = usize::from(step & 1);
        if step & 32 != 0 {
            return self.step_in_group(host, step >> 1 & 7, program);
        }
        match step >> 1 & 15 {
            0 | 1 => self.write(host, 1 - host),
            2 => self.net.connect(host),
            3 => self.net.run(),
            4 | 5 => _ = self.net.deliver(None),
            6 => {
                if let Some(place) = self.place(program) {
                    self.net.deliver(Some(place));
                }
            }
            7 => self.touch(program),
            8 => self.net.cut(host),
            9 => self.net.lies.push_back(program.byte()),
            10 => self.net.advance([500, 30_000, HOUR, 3 * DAY][program.below(4)]),
            11 => {
                let records = self.net.hosts[host].records.clone();
                self.net.restart(host, records, History::Continued);
            }
            12 => self.put_back_a_backup(host),
            13 => self.net.connect_peers(host, 1 - host),
            14 => self.net.failures = program.byte() & 3,
            _ => {
                let to = self.net.hosts[1 - host].user.clone();
                let size = [0, 5, 70_000][program.below(3)];
                _ = self.net.hosts[host].client.send_file(&to, "a/../b", size, "", self.net.now);
                self.net.drain(host);
                for file in self.net.hosts[1 - host].offered.clone() {
                    _ = self.net.hosts[1 - host].client.accept_file(&file, self.net.now);
                }
                self.net.drain(1 - host);
            }
        }
        self.check();
    }

    /// Something in a group, or about one.
    fn step_in_group(&mut self, host: usize, step: u8, program: &mut Program<'_>) {
        let groups: Vec<GroupId> = self.net.hosts[host].client.groups().collect();
        let group = groups.get(program.below(groups.len())).copied();
        let users = [&self.net.hosts[host].user, &self.net.hosts[1 - host].user].map(Clone::clone);
        let (now, client) = (self.net.now, &mut self.net.hosts[host].client);
        match (step, group) {
            (0, _) | (_, None) if groups.len() < GROUPS => _ = client.create_group("friends", false, now),
            (1, Some(group)) => {
                _ = client.add_to_group(&group, &users[1..], now);
                self.unbar(group);
            }
            (2, Some(group)) => _ = client.remove_from_group(&group, &users[1..], now),
            (3, Some(group)) => _ = client.remove_from_group(&group, &users[..1], now),
            (4, Some(group)) => _ = client.set_group_admin(&group, &users[1], program.byte() & 1 == 0, now),
            (5, Some(group)) => {
                _ = client.resolve_fork(&group, program.byte() & 1 == 1, now);
                self.unbar(group);
            }
            (_, Some(group)) => return self.write_to_group(host, group),
            _ => {}
        }
        self.net.drain(host);
        self.check();
    }

    /// What waits to be sent in a group may be for somebody who comes back.
    fn unbar(&mut self, group: GroupId) {
        self.barred.retain(|_, of| *of != group);
    }

    fn write_to_group(&mut self, host: usize, group: GroupId) {
        let text = format!("text {}", self.written);
        self.written += 1;
        let other = self.net.hosts[1 - host].user.clone();
        let client = &mut self.net.hosts[host].client;
        let alone =
            client.group(&group).is_some_and(|info| !info.waits && info.members.iter().all(|(user, _)| *user != other));
        if let Ok(id) = client.send_text(group, &text, self.net.now) {
            self.texts.insert(id, (host, text));
            if alone {
                self.barred.insert(id, group);
            }
        }
        self.net.drain(host);
        self.check();
    }

    /// A wire with something on it, and the end that it goes to.
    fn place(&self, program: &mut Program<'_>) -> Option<(u64, usize)> {
        let wires = self.net.wires.iter().flat_map(|(id, wire)| [0, 1].map(|end| (*id, end, wire.queues[end].len())));
        let ready: Vec<(u64, usize)> =
            wires.filter(|(_, _, length)| *length > 0).map(|(id, end, _)| (id, end)).collect();
        ready.get(program.below(ready.len())).copied()
    }

    /// Somebody on the wire changes, repeats, swaps or drops what is on its way.
    fn touch(&mut self, program: &mut Program<'_>) {
        let Some((id, end)) = self.place(program) else { return };
        let Some(queue) = self.net.wires.get_mut(&id).map(|wire| &mut wire.queues[end]) else { return };
        match program.byte() & 3 {
            0 => queue.iter_mut().take(1).for_each(|bytes| tamper(bytes, program)),
            1 => queue.rotate_left(1),
            2 => _ = queue.pop_front(),
            _ => queue.extend(queue.front().cloned()),
        }
    }

    fn write(&mut self, from: usize, to: usize) {
        let text = format!("text {}", self.written);
        self.written += 1;
        let to = self.net.hosts[to].user.clone();
        if let Ok(id) = self.net.hosts[from].client.send_text(&to, &text, self.net.now) {
            self.texts.insert(id, (from, text));
        }
        self.net.drain(from);
    }

    fn put_back_a_backup(&mut self, host: usize) {
        match self.backups[host].take() {
            None => {
                let Host { records, shown, .. } = &self.net.hosts[host];
                self.backups[host] = Some((records.clone(), shown.clone()));
            }
            Some((records, shown)) => {
                self.net.hosts[host].shown = shown;
                self.net.restart(host, records, History::Restored);
            }
        }
    }

    /// Anything that an application may call.
    fn call(&mut self, program: &mut Program<'_>) {
        let (net, kind) = (&mut self.net, program.byte());
        let now = net.now;
        let to = user([2, 1, 3][program.below(3)]);
        let host = &mut net.hosts[0];
        let id = host.messages.first().copied().unwrap_or(MessageId::from_bytes([1; 16]));
        let device = host.client.contact(&to).and_then(|contact| contact.devices.first().copied());
        let device = device.unwrap_or(host.client.identity());
        let client = &mut host.client;
        match kind % 28 {
            0 => _ = client.send_edit(&to, id, "edit", now),
            1 => _ = client.send_delete(&to, id, now),
            2 => _ = client.send_reaction(&to, id, "+", kind & 64 != 0, now),
            3 => _ = client.send_profile(&to, "name", now),
            4 => _ = client.send_application(&to, 0x8001, program.bytes(), now),
            5 => _ = client.send_typing(&to, true, now),
            6 => _ = client.mark_read(&to, &[id], now),
            7 => _ = client.look_up(&to, now),
            8 => _ = client.safety_number(&to, now),
            9 => _ = client.mark_verified(&to, now),
            10 => {
                let aside = client.contact(&to).and_then(|contact| contact.kept_aside);
                _ = client.accept_keys(&to, &aside.map_or([0; 32], |aside| aside.hash), now);
            }
            11 => _ = client.register(PASSWORD, now),
            12 => _ = client.log_in(PASSWORD, (kind & 64 != 0).then_some(123_456), now),
            13 => _ = client.change_password(PASSWORD, PASSWORD, now),
            14 => _ = client.set_up_code(PASSWORD, None, now),
            15 => _ = client.confirm_code(123_456, now),
            16 => _ = client.request_users(now),
            17 => _ = client.set_presence(Presence::Away, now),
            18 => _ = client.approve_device(&device, now),
            19 => _ = client.revoke_device(&device, now),
            20 => _ = client.start_over(now),
            21 => _ = client.enter(PASSWORD, now),
            24 => _ = client.create_group("friends", kind & 32 != 0, now),
            25 => {
                let groups: Vec<GroupId> = client.groups().chain([GroupId::from_bytes([7; 16])]).collect();
                groups.iter().for_each(|group| _ = client.join_group(group, now));
            }
            26 => {
                let groups: Vec<GroupId> = client.groups().collect();
                groups.iter().for_each(|group| _ = client.rename_group(group, "others", now));
            }
            27 => {
                let groups: Vec<GroupId> = client.groups().collect();
                groups.into_iter().for_each(|group| _ = client.send_file(group, "a", 70_000, "", now));
            }
            22 => {
                for file in host.files.clone().into_iter().chain(host.offered.clone()) {
                    host.client.cancel_file(&file, now);
                }
            }
            _ => {
                for link in host.links.keys().copied().collect::<Vec<_>>() {
                    host.client.close_link(link, now);
                }
            }
        }
        net.drain(0);
    }

    /// The relay says what it likes: something new, or something changed that it said before.
    fn hear(&mut self, step: u8, program: &mut Program<'_>) {
        let before = self.net.said.len().checked_sub(1 + program.below(self.net.said.len()));
        let message = match before.filter(|_| step & 4 != 0).and_then(|before| self.net.said.get(before)) {
            Some(before) => {
                let mut message = before.clone();
                if step & 8 != 0 {
                    tamper(&mut message, program);
                }
                message
            }
            None => {
                // A whole message, its length right: id, kind, body.
                let (id, kind) = (program.byte(), [program.byte(), program.byte()]);
                let body = program.bytes();
                [&[0, 0, 0, id], &kind[..], &(body.len() as u16).to_be_bytes(), body].concat()
            }
        };
        self.net.say(0, &message);
    }

    /// Everything that was shown is what its writer wrote.
    fn check(&self) {
        if !AUTHENTIC {
            return;
        }
        for (index, host) in self.net.hosts.iter().enumerate() {
            for ((from, id), text) in &host.shown {
                let writer = &self.net.hosts[1 - index].user;
                assert_eq!((from, self.texts.get(id)), (writer, Some(&(1 - index, text.clone()))), "nobody wrote that");
                assert!(!self.barred.contains_key(id), "who was removed is shown what was written after");
            }
        }
    }

    /// Everybody is honest from now on: in the end, what is written arrives.
    fn settle(&mut self) {
        self.net.lies.clear();
        self.net.failures = 0;
        for (from, to) in [(0, 1), (1, 0)] {
            assert!(self.reaches(from, to) || !AUTHENTIC, "the conversation does not heal");
        }
        self.check();
    }

    /// Whether a text arrives of which nobody takes any notice but the client that it comes to.
    fn reaches(&mut self, from: usize, to: usize) -> bool {
        (0..8).any(|round| {
            for host in [0, 1] {
                // At first with what connections there are.
                if round > 0 {
                    self.net.cut(host);
                }
                self.net.connect(host);
            }
            self.net.run();
            let text = format!("text {}", self.written);
            self.write(from, to);
            self.net.run();
            self.shows(to, &text)
                || [1_000, 61_000, HOUR].into_iter().any(|pause| {
                    self.net.advance(pause);
                    [0, 1].into_iter().for_each(|host| self.net.connect(host));
                    self.net.run();
                    self.shows(to, &text)
                })
        })
    }

    fn shows(&self, host: usize, text: &str) -> bool {
        self.net.hosts[host].shown.values().any(|shown| shown == text)
    }
}

fn suites(choice: u8) -> Policy {
    match choice & 3 {
        0 => Policy::new(vec![Suite::ALL[0]]).unwrap(),
        1 => Policy::new(vec![Suite::ALL[1]]).unwrap(),
        2 => Policy::new(vec![Suite::ALL[4], Suite::ALL[0]]).unwrap(),
        _ => Policy::default(),
    }
}
