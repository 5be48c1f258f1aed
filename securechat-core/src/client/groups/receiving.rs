//! Messages of groups: opened, kept until they can be, or refused (G5 to G7).

use super::state::{Waiting, Wanted};
use crate::client::Client;
use crate::client::inbox::{Arrived, InGroup};
use crate::content::{Body, Content, GroupControl};
use crate::crypto::secret::SecretVec;
use crate::error::{Error, PeerMisbehaved};
use crate::event::Event;
use crate::group::{GroupMessage, KeyId, Standing};
use crate::identity::{Identity, UserName};
use crate::limits::GROUP_HOLD;
use crate::roster::GroupId;
use std::collections::BTreeSet;

/// A group message that came, and the relay's word on its sender (L9).
pub(in crate::client) struct GroupTaken<'a> {
    pub(in crate::client) claimed: &'a UserName,
    pub(in crate::client) device: &'a Identity,
    pub(in crate::client) envelope: &'a [u8],
    pub(in crate::client) at: u64,
    /// Whether it came just now: then what it names is asked for.
    pub(in crate::client) fresh: bool,
}

/// What became of one.
enum Outcome {
    Opened {
        user: UserName,
        device: Identity,
        before_removal: bool,
        content: SecretVec,
    },
    /// It was opened before.
    Replay,
    /// The key is not known here.
    NoKey(GroupId, KeyId),
    /// The entry that it names, or its group, is not known here.
    Ahead(GroupId),
    /// Its sender has another entry there.
    Elsewhere {
        group: GroupId,
        device: Identity,
        sequence: u32,
    },
    Refused,
}

impl Client {
    /// Takes a group message. It is done with in any case: what has to wait waits in records here.
    pub(in crate::client) fn take_group_message(&mut self, taken: GroupTaken<'_>) {
        if taken.fresh
            && let Ok(message) = GroupMessage::decode(taken.envelope)
            && self.groups.holds(message.group, taken.device, self.now)
        {
            // One that was sent before it is to be shown before it.
            return self.keep_group_message(message.group, &taken);
        }
        let group = match self.open_group_message(taken.envelope) {
            Outcome::Opened { user, device, before_removal, content } => {
                return self.group_message_opened(taken.envelope, &user, device, before_removal, content);
            }
            Outcome::Replay => return,
            Outcome::Refused => return self.tell(Event::Unopened { claimed: taken.claimed.clone() }),
            Outcome::NoKey(group, key) => {
                if self.groups.ask_once(taken.device, group, Wanted::Key(key)) {
                    self.control(group, taken.claimed, taken.device, GroupControl::KeyWanted { key: *key.as_bytes() });
                }
                group
            }
            Outcome::Ahead(group) => {
                if taken.fresh {
                    self.begin_sync(group);
                }
                group
            }
            Outcome::Elsewhere { group, device, sequence } => {
                self.want_entries(group, &device, sequence);
                group
            }
        };
        self.keep_group_message(group, &taken);
    }

    fn keep_group_message(&mut self, group: GroupId, taken: &GroupTaken<'_>) {
        let (claimed, device, envelope) = (taken.claimed.clone(), *taken.device, taken.envelope.to_vec());
        let waiting = Waiting { group, claimed, device, at: taken.at, envelope };
        for claimed in self.groups.wait(waiting, &mut self.changes) {
            self.tell(Event::Unopened { claimed });
        }
    }

    /// In the order of G5: the key, the signature, the entry, membership, the commitment, the tag.
    fn open_group_message(&mut self, envelope: &[u8]) -> Outcome {
        let Ok(message) = GroupMessage::decode(envelope) else { return Outcome::Refused };
        let Some(known) = self.groups.known.get(&message.group) else { return Outcome::Ahead(message.group) };
        let Some(key) = self.groups.keys.get_mut(&(message.group, message.key)) else {
            return Outcome::NoKey(message.group, message.key);
        };
        let device = *key.sender();
        if key.verify(&message).is_err() {
            return Outcome::Refused;
        }
        let user = self.contacts.user_of(&device).filter(|user| {
            // A revoked device speaks for nobody.
            self.contacts.pin(user).is_some_and(|pin| pin.contains(&device))
        });
        let Some(user) = user.cloned() else { return Outcome::Refused };
        let before_removal = match known.log.standing(&user, &message, self.now) {
            Standing::Counts => false,
            Standing::BeforeRemoval => true,
            Standing::Ahead => return Outcome::Ahead(message.group),
            Standing::Elsewhere => {
                return Outcome::Elsewhere { group: message.group, device, sequence: message.sequence };
            }
            Standing::Refused(_) => return Outcome::Refused,
        };
        if !known.log.roster().was_member_at(&self.config.user, message.sequence) {
            // G4: nobody reads what was sent before they came, whoever hands them a key for it.
            return Outcome::Refused;
        }
        match key.open(&message, self.now) {
            Ok(content) => {
                key.save(&mut self.changes);
                Outcome::Opened { user, device, before_removal, content }
            }
            Err(Error::PeerMisbehaved(PeerMisbehaved::Replay)) => Outcome::Replay,
            Err(_) => Outcome::Refused,
        }
    }

    fn group_message_opened(
        &mut self,
        envelope: &[u8],
        user: &UserName,
        device: Identity,
        before_removal: bool,
        content: SecretVec,
    ) {
        let Ok(message) = GroupMessage::decode(envelope) else { return };
        let group = message.group;
        if before_removal && let Some(known) = self.groups.known.get(&group) {
            // G7: who does not know of a removal is told.
            let newest = known.log.roster().sequence();
            self.show_entries(group, &device, newest);
        }
        let Ok(decoded) = Content::decode(&content) else {
            return self.tell(Event::Unopened { claimed: user.clone() });
        };
        if decoded.body.only_in_sessions() || matches!(decoded.body, Body::Receipt { .. } | Body::Typing { .. }) {
            return;
        }
        if let Body::FileComplete { file, root } = &decoded.body {
            return self.file_complete(&device, file, root);
        }
        if !self.inbox.is_new(user, decoded.id, self.now, &mut self.changes) {
            return;
        }
        if let Body::FileOffer(offer) = &decoded.body
            && !self.file_offered(user, &device, offer)
        {
            return;
        }
        let group = Some(InGroup { group, before_removal });
        self.keep(Arrived { user: user.clone(), device, content, group });
    }

    /// Something about a group became known: what waited for it is looked at again.
    pub(super) fn retry_group(&mut self, group: GroupId) {
        // Devices of which one waits still, for a while: what they sent later is not shown before it.
        let mut held = BTreeSet::new();
        for waiting in self.groups.take_waiting(group, &mut self.changes) {
            let Waiting { claimed, device, at, envelope, .. } = &waiting;
            let taken = GroupTaken { claimed, device, envelope, at: *at, fresh: false };
            if held.contains(device) {
                self.keep_group_message(group, &taken);
                continue;
            }
            let before = self.groups.waiting();
            self.take_group_message(taken);
            if self.groups.waiting() > before && at.saturating_add(GROUP_HOLD) > self.now {
                held.insert(*device);
            }
        }
    }
}
