//! Groups: what this device knows of them, what it does to them, and how it keeps up with their logs (section 8).
//!
//! | file | what lives in it |
//! |---|---|
//! | `state` | what is known, as records |
//! | `commands` | what the application asks for: entries of its own |
//! | `sync` | logs fetched and checked, forks |
//! | `sending`, `receiving` | messages |
//! | `keys` | sender keys handed over and taken |

mod commands;
mod keys;
mod receiving;
mod sending;
mod state;
mod sync;

pub use commands::GroupInfo;
pub(super) use state::Groups;

use super::Client;
use super::links::Asked;
use crate::limits::GROUP_GRACE;
use crate::roster::GroupId;
use crate::wire::{self, Request};

impl Client {
    /// A device that is logged in with all rights learns of its groups.
    pub(super) fn ask_for_groups(&mut self, after: GroupId) {
        if let Ok(link) = self.relay() {
            self.ask(link, Request::Groups(wire::FetchGroups { from: after }), Asked::Groups);
        }
    }

    /// Everything about groups that can go on: logs, own entries, messages that wait.
    pub(super) fn settle_groups(&mut self) {
        self.sign_epochs();
        self.advance_logs();
        self.publish_entries();
        self.seal_group_messages();
    }

    /// The connection to the relay is over: what is known of it there is asked again on the next.
    pub(super) fn reset_groups(&mut self) {
        self.groups.reset();
    }

    /// When something about groups is due.
    pub(super) fn next_group(&self) -> Option<u64> {
        self.groups.next_due(self.now)
    }

    /// Erases keys that were kept long enough, and gives up on messages that waited in vain.
    pub(super) fn expire_groups(&mut self) {
        self.groups.expire_keys(self.now, &mut self.changes);
        let before = self.now.saturating_sub(GROUP_GRACE);
        for claimed in self.groups.expire_waiting(before, &mut self.changes) {
            self.tell(crate::event::Event::Unopened { claimed });
        }
        self.expire_group_messages();
        for group in self.groups.take_released(self.now) {
            self.retry_group(group);
        }
    }

    /// S10: what a restored state was sending under is never used again.
    pub(super) fn begin_groups_anew(&mut self) {
        self.groups.drop_own_keys(&mut self.changes);
    }
}
