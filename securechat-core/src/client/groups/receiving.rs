//! Messages of groups: opened, kept until they can be, or refused (G5 to G7).

use super::state::{Groups, Waiting, Wanted};
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

/// What became of a group message.
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
    /// Takes a group message, which this device of this user sent as the relay says (L9). It is done with in any case: what
    /// has to wait waits in records here.
    pub(in crate::client) fn take_group_message(&mut self, claimed: &UserName, device: &Identity, envelope: &[u8]) {
        // One that was sent before it is to be shown before it.
        let named = GroupMessage::decode(envelope).ok().map(|message| message.group);
        let held = named.filter(|group| self.groups.holds(*group, device, self.now));
        let Some(group) = held.or_else(|| self.try_group_message(claimed, device, envelope, true)) else { return };
        let (claimed, device, envelope) = (claimed.clone(), *device, envelope.to_vec());
        for claimed in self.groups.wait(Waiting { group, claimed, device, at: self.now, envelope }, &mut self.changes) {
            self.tell(Event::Unopened { claimed });
        }
    }

    /// Opens a group message or refuses it; gives the group where it has to wait. For one that is `fresh` the log that it
    /// names is fetched.
    fn try_group_message(
        &mut self,
        claimed: &UserName,
        device: &Identity,
        envelope: &[u8],
        fresh: bool,
    ) -> Option<GroupId> {
        match self.open_group_message(envelope) {
            Outcome::Opened { user, device, before_removal, content } => {
                self.group_message_opened(envelope, &user, device, before_removal, content);
                None
            }
            Outcome::Replay => None,
            Outcome::Refused => {
                self.tell(Event::Unopened { claimed: claimed.clone() });
                None
            }
            Outcome::NoKey(group, key) => {
                if self.groups.ask_once(device, group, Wanted::Key(key)) {
                    self.control(group, claimed, device, GroupControl::KeyWanted { key: *key.as_bytes() });
                }
                Some(group)
            }
            Outcome::Ahead(group) => {
                if fresh {
                    self.begin_sync(group);
                }
                Some(group)
            }
            Outcome::Elsewhere { group, device, sequence } => {
                self.want_entries(group, &device, sequence);
                Some(group)
            }
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
        for number in self.groups.waiting_in(group) {
            let Some(waiting) = self.groups.lift(number) else { continue };
            let Waiting { claimed, device, at, envelope, .. } = &waiting;
            if held.contains(device) || self.try_group_message(claimed, device, envelope, false).is_some() {
                if at.saturating_add(GROUP_HOLD) > self.now {
                    held.insert(*device);
                }
                self.groups.put_back(number, waiting);
            } else {
                Groups::settled(number, &mut self.changes);
            }
        }
    }
}
