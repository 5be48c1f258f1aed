//! Who is connected, and how they appear to others.

use super::accounts::require_listed;
use super::connection::{ConnId, Item, Who};
use super::{Outcome, Relay, Ticket, Timer};
use crate::identity::{Identity, UserName};
use crate::limits::PRESENCE_GATHERED;
use crate::wire::{CloseCode, Done, Presence, PresenceChanges, Push, Reply, SetPresence, USERS_PER_PAGE, UserPresence};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The devices that are connected, by identity and by user.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Each device has one connection, the newest.
    devices: BTreeMap<Identity, ConnId>,
    users: BTreeMap<UserName, BTreeSet<ConnId>>,
    watchers: BTreeSet<ConnId>,
    /// How users were pushed to appear; those who are not here, as offline.
    pushed: BTreeMap<UserName, Presence>,
    /// Users who may appear otherwise than that, and whether a list of users showed that already.
    changed: BTreeMap<UserName, bool>,
}

impl Board {
    /// The connection of a device.
    pub(super) fn connection_of(&self, identity: &Identity) -> Option<ConnId> {
        self.devices.get(identity).copied()
    }

    /// The connections of a user's devices.
    pub(super) fn connections_of(&self, user: &UserName) -> Vec<ConnId> {
        self.users.get(user).into_iter().flatten().copied().collect()
    }
}

impl Relay {
    /// A device logged in. An older connection of the same device is ended.
    pub(super) fn arrive(&mut self, conn: ConnId, who: &Who, now: u64) {
        if let Some(older) = self.presence.connection_of(&who.identity) {
            self.end(older, CloseCode::Replaced, now);
        }
        self.presence.devices.insert(who.identity, conn);
        self.presence.users.entry(who.user.clone()).or_default().insert(conn);
        self.presence_changed(&who.user, now);
    }

    /// A device's connection is over.
    pub(super) fn depart(&mut self, conn: ConnId, who: &Who, now: u64) {
        self.presence.watchers.remove(&conn);
        if self.presence.connection_of(&who.identity) == Some(conn) {
            self.presence.devices.remove(&who.identity);
        }
        if let Some(connections) = self.presence.users.get_mut(&who.user) {
            connections.remove(&conn);
            if connections.is_empty() {
                self.presence.users.remove(&who.user);
            }
        }
        self.presence_changed(&who.user, now);
    }

    pub(super) fn set_presence(&mut self, ticket: Ticket, who: &Who, request: &SetPresence, now: u64) -> Outcome {
        require_listed(who)?;
        let connection = self.connections.get_mut(&ticket.conn);
        if let Some(admitted) = connection.and_then(|connection| connection.admitted_mut()) {
            admitted.presence = request.presence;
        }
        if request.watch {
            self.presence.watchers.insert(ticket.conn);
        } else {
            self.presence.watchers.remove(&ticket.conn);
        }
        self.presence_changed(&who.user, now);
        self.reply(ticket, &Reply::SetPresence(Done), now);
        Ok(())
    }

    /// The best of how a user's listed devices appear.
    pub(super) fn presence_of(&self, user: &UserName) -> Presence {
        let connections = self.presence.users.get(user).into_iter().flatten();
        let admitted = connections.filter_map(|conn| self.connections.get(conn)?.admitted());
        admitted.filter(|admitted| admitted.who.listed).map(|admitted| admitted.presence).max().unwrap_or_default()
    }

    /// How a user appears now, for a list of users: whoever sees more there than was pushed is told when that has passed.
    pub(super) fn shown_presence_of(&mut self, user: &UserName) -> Presence {
        let presence = self.presence_of(user);
        let pushed = self.presence.pushed.get(user).copied().unwrap_or_default();
        if let Some(shown) = self.presence.changed.get_mut(user) {
            *shown |= presence != pushed;
        }
        presence
    }

    /// Notes that a user may appear otherwise; changes are gathered and pushed together.
    pub(super) fn presence_changed(&mut self, user: &UserName, now: u64) {
        if self.presence.changed.is_empty() {
            self.timers.insert((now.saturating_add(PRESENCE_GATHERED), Timer::Presence));
        }
        self.presence.changed.entry(user.clone()).or_default();
    }

    pub(super) fn push_presence(&mut self, now: u64) {
        let mut changes = Vec::new();
        for (user, shown) in core::mem::take(&mut self.presence.changed) {
            let presence = self.presence_of(&user);
            let before = match presence {
                Presence::Offline => self.presence.pushed.remove(&user),
                _ => self.presence.pushed.insert(user.clone(), presence),
            };
            if shown || before.unwrap_or_default() != presence {
                changes.push(UserPresence { user, presence });
            }
        }
        let watchers: Vec<ConnId> = self.presence.watchers.iter().copied().collect();
        for page in changes.chunks(USERS_PER_PAGE) {
            let push = Push::Presence(PresenceChanges { changes: page.to_vec() });
            // Every push is made to fit. All watchers share its bytes.
            let Ok(bytes) = push.encode().map(Arc::new) else { continue };
            for conn in &watchers {
                self.put_out(*conn, Item::Push(bytes.clone()), now);
            }
        }
    }
}
