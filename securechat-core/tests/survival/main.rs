//! What a state goes through: crashes between any two calls, backups put back at random, a year, devices that come and go
//! (S10; ATTACKS.md B4, B8, E5).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod crashes;
mod devices;
mod restores;
mod year;

use securechat_core::content::{Conversation, MessageId};
use securechat_core::event::{Event, MessageBody};
use securechat_core::identity::UserName;
use support::net::Net;

fn name(user: &str) -> UserName {
    UserName::new(user).unwrap()
}

/// Writes a text and lets it arrive.
fn write(net: &mut Net, from: usize, to: impl Into<Conversation>, text: &str) -> Option<MessageId> {
    let now = net.now;
    let id = net.hosts[from].client.send_text(to, text, now).ok();
    net.drain(from);
    net.run();
    id
}

/// The texts that were shown at a host, from users and in groups, in order.
fn shown(net: &Net, host: usize) -> Vec<String> {
    let text = |event: &Event| match event {
        Event::Message(message) => match &message.body {
            MessageBody::Text(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    net.hosts[host].events.iter().filter_map(text).collect()
}

/// A number from the environment, for runs that are longer than every day's.
fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}
