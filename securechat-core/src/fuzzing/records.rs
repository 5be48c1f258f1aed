//! What a client saved, after something happened to it.

use super::devices::user;
use super::links::NOW;
use super::net::{Net, PASSWORD, Records};
use super::program::{Program, tamper};
use super::stream::Stream;
use crate::client::{Client, ClientConfig, History};
use crate::codec::{Reader, Writer};
use crate::content::Conversation;
use crate::crypto::secret::Secret;
use crate::error::{ApiMisuse, Error};
use crate::limits::DAY;
use crate::suite::{Policy, Suite};
use crate::vault::Vault;
use crate::wire::{Deliver, EnvelopeId, Push};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A client's records, with steps that change them: cut, mixed up, repeated, lost, put back under other names. Sealed as
/// they should be, most of them, by who has the key: what does not open is the matter of `vault`.
///
/// Such a state restores or fails with `Record`; one that restores goes on, and restores again from what it saves.
pub fn records(data: &[u8]) {
    let mut program = Program::new(data);
    let mut state = State::saved();
    let history = if program.byte() & 1 == 0 { History::Continued } else { History::Restored };
    while let Some(step) = program.step() {
        state.change(step, &mut program);
    }
    if restore(&mut state.sealed, history, NOW) {
        assert!(restore(&mut state.sealed, History::Continued, NOW + DAY), "what was saved does not restore");
    }
}

/// What is in a store, and what is in its records.
#[derive(Clone)]
struct State {
    sealed: Records,
    plain: BTreeMap<String, Vec<u8>>,
}

impl State {
    /// The state of a user in the middle of everything, made once: two groups, transfers both ways, messages that wait.
    fn saved() -> Self {
        thread_local! {
            static MADE: RefCell<Option<State>> = const { RefCell::new(None) };
        }
        MADE.with_borrow_mut(|made| made.get_or_insert_with(|| Self::of(begin())).clone())
    }

    fn of(sealed: Records) -> Self {
        let named = |(place, record): (&String, &Vec<u8>)| {
            let plain = vault().open(place, record).unwrap();
            let mut reader = Reader::new(&plain);
            let name = String::from_utf8(reader.prefixed().unwrap().to_vec()).unwrap();
            (name, reader.rest().to_vec())
        };
        Self { plain: sealed.iter().map(named).collect(), sealed }
    }

    fn put(&mut self, name: &str, value: Vec<u8>) {
        let (vault, mut plain) = (vault(), Vec::new());
        plain.put_prefixed(name.as_bytes()).unwrap();
        plain.put(&value);
        let place = vault.place(name);
        self.sealed.insert(place.clone(), vault.seal(&place, &plain, &mut Stream::new(1)));
        self.plain.insert(name.to_owned(), value);
    }

    fn remove(&mut self, name: &str) {
        self.sealed.remove(&vault().place(name));
        self.plain.remove(name);
    }

    /// One thing that happens to what was saved.
    fn change(&mut self, step: u8, program: &mut Program<'_>) {
        let pick = |program: &mut Program<'_>| {
            let (name, value) = self.plain.iter().nth(program.place(self.plain.len()))?;
            Some((name.clone(), value.clone()))
        };
        let (Some((name, mut value)), Some((other, others))) = (pick(program), pick(program)) else { return };
        match step % 8 {
            0..=2 => {
                tamper(&mut value, program);
                self.put(&name, value);
            }
            3 => {
                self.put(&name, others);
                self.put(&other, value);
            }
            4 => self.remove(&name),
            5 => {
                // Under the name of another kind, or with another number.
                let mut changed = name.into_bytes();
                tamper(&mut changed, program);
                if let Ok(changed) = String::from_utf8(changed) {
                    self.put(&changed, value);
                }
            }
            6 => self.put(&name, others),
            _ => {
                let place = vault().place(&name);
                self.sealed.entry(place).and_modify(|record| tamper(record, program));
            }
        }
    }
}

fn begin() -> Records {
    let mut net = Net::new(policy(), &[], 0);
    for number in [1, 2] {
        let host = net.add(&user(number), None);
        net.connect(host);
        net.run();
        net.hosts[host].client.register(PASSWORD, net.now).unwrap();
        settle(&mut net, host);
    }
    for (from, to) in [(0, 2), (1, 1)] {
        net.hosts[from].client.send_text(user(to), "hello", net.now).unwrap();
        settle(&mut net, from);
        let group = net.hosts[from].client.create_group("friends", from == 1, net.now).unwrap();
        settle(&mut net, from);
        net.hosts[from].client.add_to_group(&group, &[user(to)], net.now).unwrap();
        settle(&mut net, from);
        for host in [0, 1, 0] {
            net.hosts[host].client.send_text(group, "hello all", net.now).unwrap();
            settle(&mut net, host);
        }
        // What is lost on its way leaves keys that were skipped.
        net.lies.extend([8, 8, 0, 8]);
        net.hosts[1].client.send_text(group, "lost", net.now).unwrap();
        settle(&mut net, 1);
        net.lies.clear();
        net.hosts[1].client.send_text(group, "not lost", net.now).unwrap();
        settle(&mut net, 1);
    }
    let groups: Vec<_> = net.hosts[0].client.groups().collect();
    // A message under a key that did not come yet.
    let envelope = [&[3][..], groups[0].as_bytes(), &[5; 16 + 72 + 32 + 64 + 300]].concat().into();
    let (id, sender, user_name) = (EnvelopeId([9; 16]), net.hosts[1].client.identity(), user(2));
    let deliver = Deliver { id, sender, user: user_name, sent_at: net.now, transient: false, envelope };
    net.say(0, &Push::Deliver(deliver).encode().unwrap());
    net.run();
    // A file that is being fetched, and one that is being sent.
    net.hosts[1].client.send_file(user(1), "a.txt", 8_000_000, "text/plain", net.now).unwrap();
    settle(&mut net, 1);
    for file in net.hosts[0].offered.clone() {
        net.hosts[0].client.accept_file(&file, net.now).unwrap();
        net.drain(0);
    }
    (0..4).for_each(|_| _ = net.deliver(None));
    net.hosts[0].client.send_file(user(2), "b.txt", 2_000_000, "text/plain", net.now).unwrap();
    net.drain(0);
    (0..4).for_each(|_| _ = net.deliver(None));
    net.cut(0);
    let client = &mut net.hosts[0].client;
    for to in groups.into_iter().map(Conversation::Group).chain([Conversation::User(user(2))]) {
        client.send_text(to, "waits", net.now).unwrap();
    }
    net.drain(0);
    net.hosts[0].records.clone()
}

fn policy() -> Policy {
    Policy::new(vec![Suite::ALL[0]]).unwrap()
}

fn settle(net: &mut Net, host: usize) {
    net.drain(host);
    net.run();
}

fn vault() -> Vault {
    Vault::new(Secret::from_bytes(&[3; 32]))
}

/// Restores a client, lets a day pass, and takes what it saves; false if it does not restore.
fn restore(records: &mut Records, history: History, now: u64) -> bool {
    let mut config = ClientConfig::new(user(1));
    config.policy = policy();
    let rng = Box::new(Stream::numbered(1, now));
    let mut client = match Client::restore(config, vault(), records.clone(), history, rng, now) {
        Ok(client) => client,
        Err(error) => {
            assert_eq!(error, Error::from(ApiMisuse::Record));
            return false;
        }
    };
    for group in client.groups().collect::<Vec<_>>() {
        _ = (client.group(&group), client.send_text(group, "more", now));
    }
    client.handle_timeout(now + DAY);
    while client.poll_event().is_some() {}
    while let Some(batch) = client.poll_save() {
        for save in batch {
            match save.value {
                Some(value) => _ = records.insert(save.key, value),
                None => _ = records.remove(&save.key),
            }
        }
    }
    true
}
