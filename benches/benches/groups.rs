//! What a text to a group costs from the sender's call to the last member who has read it: a relay's engine, its store in
//! memory, and one client for each member, with their links, on one thread.
//!
//! Words are the numbers of members: `cargo bench -p securechat-benches --bench groups -- 5 10`.
#![allow(missing_docs, clippy::expect_used, clippy::indexing_slicing)] // a program

use securechat_benches::BACKEND;
use securechat_benches::engines::{Cost, Network};
use securechat_core::identity::UserName;
use securechat_core::suite::{Policy, Suite};
use std::time::{Duration, Instant};

const SUITES: [(&str, Suite); 2] = [("GCM", Suite::ALL[0]), ("CBC with HMAC", Suite::ALL[1])];
const MEMBERS: [usize; 1] = [10];
const TEXT: usize = 200;
/// Texts, and removals; the fastest counts.
const TEXTS: usize = 40;
const REMOVALS: usize = 6;

fn main() {
    let words: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let sizes = if words.is_empty() { MEMBERS.to_vec() } else { words };
    println!(
        "securechat with {BACKEND}; a text of {TEXT} bytes; times in ms, bytes of the links and of what is saved\n"
    );
    println!("{:<34} {:>8} {:>8} {:>8} {:>8}   up, down, saved", "", "all", "sender", "relay", "a member");
    for (cipher, suite) in SUITES {
        for members in &sizes {
            group(cipher, suite, *members);
        }
    }
}

fn group(cipher: &str, suite: Suite, members: usize) {
    let mut network = Network::new(&Policy::new(vec![suite]).expect("a policy"));
    (0..members).for_each(|number| network.join(&format!("user{number:03}")));
    network.rest();
    let users: Vec<UserName> = network.seats.iter().map(|seat| seat.client.user().clone()).collect();
    let group = network.group();
    network.add(group, &users[1..]);
    let text = "t".repeat(TEXT);

    println!("{cipher}, {members} members");
    // Sessions with everybody begin with it.
    Spent::on(&mut network, members - 1, |network| network.write(group, &text)).print("the first text");
    let texts = (0..TEXTS).map(|_| {
        network.pause(20);
        Spent::on(&mut network, members - 1, |network| network.write(group, &text))
    });
    fastest(texts).print("a text");

    let (mut removals, mut after) = (Vec::new(), Vec::new());
    let (last, others) = (&users[members - 1], members - 2);
    for _ in 0..REMOVALS {
        network.pause(10_000);
        removals.push(Spent::on(&mut network, 0, |network| network.remove(group, last)));
        network.pause(10_000);
        after.push(Spent::on(&mut network, others, |network| network.write(group, &text)));
        network.pause(10_000);
        network.add(group, core::slice::from_ref(last));
        // The one who is back has the key again.
        network.write(group, &text);
    }
    fastest(removals).print("a removal");
    fastest(after).print("the text after it");
}

fn fastest(many: impl IntoIterator<Item = Spent>) -> Spent {
    many.into_iter().min_by_key(|spent| spent.all).expect("there are some")
}

/// What one thing cost.
struct Spent {
    all: Duration,
    sender: Cost,
    /// The others together, and how many they are.
    members: Cost,
    count: usize,
    envelopes: u64,
}

impl Spent {
    /// Does it; so many have read a text by it.
    fn on(network: &mut Network, readers: usize, once: impl FnOnce(&mut Network)) -> Self {
        let sum = |network: &Network| network.seats[1..].iter().fold(Cost::default(), |sum, seat| sum + seat.cost);
        let read = |network: &Network| network.seats.iter().map(|seat| seat.read).sum::<u64>();
        let (sender, members, had) = (network.seats[0].cost, sum(network), read(network));
        let envelopes = network.envelopes;
        let began = Instant::now();
        once(network);
        let all = began.elapsed();
        assert_eq!(read(network) - had, readers as u64, "everybody has read it");
        Self {
            all,
            sender: network.seats[0].cost - sender,
            members: sum(network) - members,
            count: if readers > 0 { readers } else { network.seats.len() - 1 },
            envelopes: network.envelopes - envelopes,
        }
    }

    fn print(&self, what: &str) {
        let Self { all, sender, members, count, envelopes } = self;
        let relay = all.saturating_sub(sender.time + members.time);
        let each = |bytes: u64| bytes / *count as u64;
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "{:<34} {:>8.3} {:>8.3} {:>8.3} {:>8.3}   sender {}, {}, {}; a member {}, {}, {}",
            format!("  {what}, {envelopes} envelopes"),
            milliseconds(*all),
            milliseconds(sender.time),
            milliseconds(relay),
            milliseconds(members.time) / *count as f64,
            sender.sent,
            sender.received,
            sender.saved,
            each(members.sent),
            each(members.received),
            each(members.saved),
        );
    }
}
