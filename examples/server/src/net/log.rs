//! The relay's events as lines of the log. They name users and sizes, never secrets or contents.

use securechat_core::identity::Identity;
use securechat_core::relay::{ConnId, RelayEvent};
use std::fmt;
use std::net::SocketAddr;

/// Writes the line of an event; `client` is where its connection comes from.
pub(super) fn write(event: &RelayEvent, client: Option<SocketAddr>) {
    let client = Client(client);
    match event {
        RelayEvent::Registered { user, .. } => tracing::info!(%client, %user, "registered"),
        RelayEvent::LoggedIn { user, identity, listed, .. } => {
            tracing::info!(%client, %user, device = %Short(identity), listed, "logged in");
        }
        RelayEvent::LoginRefused { user, code, .. } => tracing::warn!(%client, %user, reason = ?code, "login refused"),
        RelayEvent::Refused { kind, code, .. } => tracing::debug!(%client, kind, reason = ?code, "request refused"),
        RelayEvent::Routed { from, to, bytes, transient } => {
            tracing::debug!(from = %Short(from), to = %Short(to), bytes, transient, "envelope taken");
        }
        RelayEvent::RoutedToGroup { from, group, devices, bytes, transient } => {
            tracing::debug!(from = %Short(from), %group, devices, bytes, transient, "envelope taken for a group");
        }
        RelayEvent::GroupChanged { group, sequence, action, user, identity } => {
            tracing::info!(%user, device = %Short(identity), %group, sequence, action, "group changed");
        }
        RelayEvent::ListPublished { user, epoch, devices } => {
            tracing::info!(%user, epoch, devices, "device list published");
        }
        RelayEvent::ListProposed { user, identity } => {
            tracing::info!(%user, device = %Short(identity), "device wants to be added");
        }
        RelayEvent::JobFailed => tracing::warn!("a request was refused because the store or a hash failed"),
        _ => {}
    }
}

/// The connection that an event is about.
pub(super) fn conn(event: &RelayEvent) -> Option<ConnId> {
    match event {
        RelayEvent::Registered { conn, .. }
        | RelayEvent::LoggedIn { conn, .. }
        | RelayEvent::LoginRefused { conn, .. }
        | RelayEvent::Refused { conn, .. } => Some(*conn),
        _ => None,
    }
}

struct Client(Option<SocketAddr>);

impl fmt::Display for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(formatter),
            None => formatter.write_str("gone"),
        }
    }
}

/// The first eight digits of an identity: enough to tell the devices of one log apart.
struct Short<'a>(&'a Identity);

impl fmt::Display for Short<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_bytes().iter().take(4).try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}
