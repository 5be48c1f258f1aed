//! What a relay tells, mostly for the log.

use super::{Owned, securechat_relay};
use crate::boundary::{OutStruct, with};
use crate::event::securechat_event_kind::*;
use crate::event::{
    EVENT_LEAST, SECURECHAT_FLAG_IN_GROUP, SECURECHAT_FLAG_LISTED, SECURECHAT_FLAG_OURS, SECURECHAT_FLAG_TRANSIENT,
    securechat_event, securechat_event_kind,
};
use crate::status::securechat_status;
use securechat_core::error::Error;
use securechat_core::identity::{Identity, UserName};
use securechat_core::relay::{ConnId, RelayEvent};
use securechat_core::suite::Suite;
use std::collections::VecDeque;

/// Events kept for the host; when it takes none, the oldest go, but for those of connections that are over.
const EVENTS: usize = 4_096;

/// Events that were not taken yet, and what the last one points to.
#[derive(Default)]
pub(super) struct Told {
    waiting: VecDeque<Waiting>,
    last: Option<Waiting>,
}

/// An event with what it points to.
struct Waiting {
    event: securechat_event,
    user: Option<UserName>,
    to: Option<Identity>,
}

/// Tells the next thing that happened, in `event` of `event_size` bytes; SECURECHAT_EVENT_NONE when there is nothing more.
///
/// What it points to is borrowed until the next call that is not const. SECURECHAT_EVENT_RELAY_READY and
/// SECURECHAT_EVENT_RELAY_ENDED have to be acted on; the others are for a log. Nothing
/// secret and nothing that anybody wrote is in them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn securechat_relay_next_event(
    relay: *mut securechat_relay,
    event: *mut securechat_event,
    event_size: usize,
) -> securechat_status {
    // SAFETY: a handle and a struct of the size that the caller says.
    unsafe {
        let event = OutStruct::new(event, event_size, EVENT_LEAST);
        with("securechat_relay_next_event", relay, |owned| {
            event?.set(&owned.next_event());
            Ok(())
        })
    }
}

impl Told {
    fn next(&mut self) -> securechat_event {
        self.last = self.waiting.pop_front();
        let Some(last) = &mut self.last else { return securechat_event::new(SECURECHAT_EVENT_NONE) };
        let mut event = last.event;
        if let Some(user) = &last.user {
            event.set_user(user.as_str());
        }
        if let Some(to) = &last.to {
            (event.devices, event.devices_count) = (to.as_bytes().as_ptr(), 1);
        }
        event
    }

    fn push(&mut self, event: securechat_event, user: Option<UserName>, to: Option<Identity>) {
        if self.waiting.len() >= EVENTS {
            let ended = SECURECHAT_EVENT_RELAY_ENDED as u32;
            if let Some(place) = self.waiting.iter().position(|waiting| waiting.event.kind != ended) {
                self.waiting.remove(place);
            }
        }
        self.waiting.push_back(Waiting { event, user, to });
    }
}

impl Owned {
    /// Connections with something to write come first, so that what is told of their end finds it written.
    fn next_event(&mut self) -> securechat_event {
        match self.connections.next_ready() {
            Some(number) => of(SECURECHAT_EVENT_RELAY_READY, number),
            None => self.told.next(),
        }
    }

    pub(super) fn tell_connected(&mut self, number: u64, suite: Suite) {
        let mut event = of(SECURECHAT_EVENT_RELAY_CONNECTED, number);
        event.code = suite.id().into();
        self.told.push(event, None, None);
    }

    pub(super) fn tell_ended(&mut self, number: u64, code: u8, ours: bool, error: Option<Error>) {
        let mut event = of(SECURECHAT_EVENT_RELAY_ENDED, number);
        event.code = code.into();
        event.flag(SECURECHAT_FLAG_OURS, ours);
        event.status = error.map_or(0, |error| securechat_status::from(error) as i32);
        self.told.push(event, None, None);
    }

    /// One event of the engine. Connections come and go by what happens to their links.
    pub(super) fn tell(&mut self, event: RelayEvent) {
        let number = |conn: ConnId| self.connections.number(conn);
        let (event, user, to) = match event {
            RelayEvent::Registered { conn, user } => {
                (of(SECURECHAT_EVENT_RELAY_REGISTERED, number(conn)), Some(user), None)
            }
            RelayEvent::LoggedIn { conn, user, identity, listed } => {
                let mut event = of(SECURECHAT_EVENT_RELAY_LOGGED_IN, number(conn));
                event.device = *identity.as_bytes();
                event.flag(SECURECHAT_FLAG_LISTED, listed);
                (event, Some(user), None)
            }
            RelayEvent::LoginRefused { conn, user, code } => {
                let mut event = of(SECURECHAT_EVENT_RELAY_LOGIN_REFUSED, number(conn));
                event.code = u16::from(code).into();
                (event, Some(user), None)
            }
            RelayEvent::Refused { conn, kind, code } => {
                let mut event = of(SECURECHAT_EVENT_RELAY_REFUSED, number(conn));
                event.request = kind.into();
                event.code = u16::from(code).into();
                (event, None, None)
            }
            RelayEvent::Routed { from, to, bytes, transient } => {
                let mut event = securechat_event::new(SECURECHAT_EVENT_RELAY_ROUTED);
                event.device = *from.as_bytes();
                event.length = bytes as u64;
                event.flag(SECURECHAT_FLAG_TRANSIENT, transient);
                (event, None, Some(to))
            }
            RelayEvent::RoutedToGroup { from, group, devices, bytes, transient } => {
                let mut event = securechat_event::new(SECURECHAT_EVENT_RELAY_GROUP_ROUTED);
                event.device = *from.as_bytes();
                event.set_group(&group);
                (event.total, event.length) = (devices as u64, bytes as u64);
                event.flag(SECURECHAT_FLAG_IN_GROUP, true);
                event.flag(SECURECHAT_FLAG_TRANSIENT, transient);
                (event, None, None)
            }
            RelayEvent::GroupChanged { group, sequence, action, user, identity } => {
                let mut event = securechat_event::new(SECURECHAT_EVENT_RELAY_GROUP_CHANGED);
                event.device = *identity.as_bytes();
                event.set_group(&group);
                (event.total, event.code) = (sequence.into(), action.into());
                event.flag(SECURECHAT_FLAG_IN_GROUP, true);
                (event, Some(user), None)
            }
            RelayEvent::ListPublished { user, epoch, devices } => {
                let mut event = securechat_event::new(SECURECHAT_EVENT_RELAY_LIST_PUBLISHED);
                (event.total, event.length) = (epoch, devices as u64);
                (event, Some(user), None)
            }
            RelayEvent::ListProposed { user, identity } => {
                let mut event = securechat_event::new(SECURECHAT_EVENT_RELAY_LIST_PROPOSED);
                event.device = *identity.as_bytes();
                (event, Some(user), None)
            }
            RelayEvent::JobFailed => (securechat_event::new(SECURECHAT_EVENT_RELAY_JOB_FAILED), None, None),
            // Connected and Ended are told by the links.
            _ => return,
        };
        self.told.push(event, user, to);
    }
}

fn of(kind: securechat_event_kind, connection: u64) -> securechat_event {
    let mut event = securechat_event::new(kind);
    event.connection = connection;
    event
}
