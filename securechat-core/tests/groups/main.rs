//! Groups over a relay: who reads what, who may do what, and what everybody is told (PROTOCOL.md 8).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod devices;
mod files;
mod hostile;
mod malicious;
mod members;
mod restarts;

use securechat_core::content::MessageId;
use securechat_core::event::{Event, InGroup, MessageBody};
use securechat_core::identity::UserName;
use securechat_core::roster::GroupId;
use securechat_core::suite::Policy;
use support::net::Net;

fn name(user: &str) -> UserName {
    UserName::new(user).unwrap()
}

fn names(users: &[&str]) -> Vec<UserName> {
    users.iter().map(|user| name(user)).collect()
}

/// A relay and these users; the first has created a group with all of them.
fn group_of(seed: u64, users: &[&str]) -> (Net, GroupId) {
    let policy = Policy::default();
    let mut net = Net::new(seed, &policy);
    for user in users {
        net.register(user, &policy);
    }
    let group = net.hosts[0].client.create_group("friends", false, net.now).unwrap();
    settle(&mut net, 0);
    if users.len() > 1 {
        net.hosts[0].client.add_to_group(&group, &names(&users[1..]), net.now).unwrap();
        settle(&mut net, 0);
    }
    (net, group)
}

fn settle(net: &mut Net, host: usize) {
    net.drain(host);
    net.run();
}

/// Writes to the group and lets it arrive.
fn write(net: &mut Net, from: usize, group: GroupId, text: &str) -> MessageId {
    let id = net.hosts[from].client.send_text(group, text, net.now).unwrap();
    settle(net, from);
    id
}

/// What arrived in groups: from whom, and what.
fn read(net: &Net, host: usize) -> Vec<(String, String)> {
    let text = |event: &Event| match event {
        Event::Message(message) if message.group.is_some() => match &message.body {
            MessageBody::Text(text) => Some((message.from.to_string(), text.clone())),
            _ => None,
        },
        _ => None,
    };
    net.hosts[host].events.iter().filter_map(text).collect()
}

/// How the messages that arrived in groups stand there.
fn marks(net: &Net, host: usize) -> Vec<InGroup> {
    let mark = |event: &Event| match event {
        Event::Message(message) => message.group,
        _ => None,
    };
    net.hosts[host].events.iter().filter_map(mark).collect()
}

fn said(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(from, text)| ((*from).to_owned(), (*text).to_owned())).collect()
}
