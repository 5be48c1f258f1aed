//! Messages in: envelopes opened, contents sorted, what the application should see kept until it took it.

use super::contacts::Contacts;
use super::inbox::{Arrived, InGroup, Waiting};
use super::links::Asked;
use super::{Client, Queued};
use crate::content::{Body, Content, Conversation, MessageId, ReceiptKind};
use crate::error::PeerMisbehaved;
use crate::event::{Event, LinkId, Message, MessageBody};
use crate::file::safe_name;
use crate::group::HandedKey;
use crate::identity::{Identity, SignedBundle, Trust, UserName};
use crate::session::{EnvelopeKind, OpenError, Opened};
use crate::wire::{self, Acknowledge, Deliver, EnvelopeRef, Request};

/// Requests to acknowledge that are open on a link at once.
const ACKNOWLEDGES_AT_ONCE: usize = 4;

/// What became of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is done with, whether it opened or not: acknowledge it.
    Done,
    /// It is kept until its sender's device list is known.
    Waits,
    /// There was no room to keep it; it has to come again.
    NoRoom,
}

/// Where an envelope came from: its link and the relay's word on its sender, good for finding keys only (L9).
pub(super) struct Source {
    pub(super) link: LinkId,
    pub(super) reference: EnvelopeRef,
    pub(super) claimed: UserName,
}

impl Client {
    /// An envelope from the relay. One that is kept for later is not acknowledged: the relay has it still.
    pub(super) fn delivered(&mut self, link: LinkId, deliver: Deliver) {
        let reference = EnvelopeRef { sender: deliver.sender, id: deliver.id };
        let source = Source { link, reference, claimed: deliver.user };
        let taken = self.take_envelope(source, &deliver.envelope, true);
        if taken == Taken::Done && !deliver.transient {
            self.inbox.acknowledge(link, reference);
        }
    }

    /// Opens an envelope. `may_wait` says whether an unknown sender may be looked up first.
    pub(super) fn take_envelope(&mut self, source: Source, envelope: &[u8], may_wait: bool) -> Taken {
        if EnvelopeKind::of(envelope) == Ok(EnvelopeKind::Group) {
            self.take_group_message(&source.claimed, &source.reference.sender, envelope);
            return Taken::Done;
        }
        let local = self.local.clone();
        let contacts = &self.contacts;
        let check = |bundle: &SignedBundle| contacts.check_sender(bundle);
        match self.sessions.open(&local, envelope, &check, self.now, &mut *self.rng) {
            Ok(opened) => self.opened(opened),
            Err(OpenError::Replay) => {}
            Err(OpenError::UnknownSender(bundle)) if may_wait => {
                let Some(user) = bundle.user().cloned() else { return Taken::Done };
                let waiting = Waiting { source, envelope: envelope.to_vec(), user };
                let kept = self.inbox.wait(waiting, &self.config.limits);
                return if kept { Taken::Waits } else { Taken::NoRoom };
            }
            Err(OpenError::Fork { sender }) => {
                let user = self.contacts.user_of(&sender).cloned();
                self.tell(Event::Fork { user });
                self.repair(&source, Some(sender));
            }
            Err(OpenError::UnknownSender(_)) => self.unopened(&source, None),
            Err(OpenError::Unopened { sender, .. }) => self.unopened(&source, sender),
        }
        Taken::Done
    }

    fn unopened(&mut self, source: &Source, sender: Option<Identity>) {
        self.tell(Event::Unopened { claimed: source.claimed.clone() });
        self.repair(source, sender);
    }

    /// A session message opened: its content is sorted by its kind.
    fn opened(&mut self, opened: Opened) {
        let device = opened.sender;
        let Some(user) = self.contacts.user_of(&device).cloned() else { return };
        if opened.replacement_advised {
            // That device lost track of which session is the newest (S8): it does not hear what is sent in ours.
            self.repairs.add(device, &user, None, self.now);
        }
        if opened.new_session {
            // What waits for keys of this device needs them no more.
            self.outbox.wake(&user);
        }
        if let Some(bundle) = &opened.bundle {
            // An older bundle than the newest seen is what a delayed message has; the pin stays as it is.
            let _ = self.bundle_came(&user, bundle, Some(opened.session));
        }
        let Ok(content) = Content::decode(&opened.content) else {
            self.tell(Event::Unopened { claimed: user });
            return;
        };
        let arrived = |content| Arrived { user: user.clone(), device, content, group: None };
        let listed = self.contacts.pin(&user).is_some_and(|pin| pin.contains(&device));
        match &content.body {
            // From a device that is only in a list kept aside nothing counts that could not be shown with its mark.
            Body::Receipt { .. }
            | Body::Typing { .. }
            | Body::Sent { .. }
            | Body::GroupKey { .. }
            | Body::GroupControl { .. }
                if !listed => {}
            Body::Receipt { kind, ids } => self.receipt(&user, &device, *kind, ids),
            Body::Typing { active } => self.tell(Event::Typing { user, active: *active }),
            Body::Resend { envelope } => self.resend(envelope, &device),
            Body::GroupKey { group, signing, cipher, number, chain } => {
                let (signing, cipher, number) = (*signing, *cipher, *number);
                self.key_handed(&device, *group, HandedKey { signing, cipher, number, chain: chain.duplicate() });
                self.inbox.receipt_due(&user, &device, content.id);
            }
            Body::GroupControl { group, control } => self.controlled(&user, &device, *group, control),
            Body::DeviceList { list, yours } => {
                // A list that does not follow is told by the pin; anything else that is wrong with it changes nothing.
                let _ = self.lists_told(&user, list, yours);
            }
            Body::FileComplete { file, root } => {
                self.file_complete(&device, file, root);
                self.inbox.receipt_due(&user, &device, content.id);
            }
            Body::Sent { content: inner, .. } => {
                if user != self.config.user {
                    return;
                }
                let Ok(inner) = Content::decode(inner) else { return };
                if self.inbox.is_new(&user, inner.id, self.now, &mut self.changes) {
                    self.keep(arrived(opened.content));
                }
                self.inbox.receipt_due(&user, &device, inner.id);
            }
            body => {
                if self.inbox.is_new(&user, content.id, self.now, &mut self.changes)
                    && match body {
                        Body::FileOffer(offer) => self.file_offered(&user, &device, offer),
                        _ => true,
                    }
                {
                    self.keep(arrived(opened.content));
                }
                self.inbox.receipt_due(&user, &device, content.id);
            }
        }
    }

    fn receipt(&mut self, user: &UserName, device: &Identity, kind: ReceiptKind, ids: &[MessageId]) {
        let mut news = Vec::new();
        for id in ids {
            let number = self.outbox.number_of(id);
            let theirs =
                number.and_then(|number| self.outbox.message(number)).is_none_or(|message| message.to == *user);
            if self.outbox.delivered(id, device, &mut self.changes) || (kind == ReceiptKind::Read && theirs) {
                news.push(*id);
            }
        }
        if news.is_empty() || *user == self.config.user {
            return;
        }
        self.tell(match kind {
            ReceiptKind::Delivered => Event::Delivered { user: user.clone(), ids: news },
            ReceiptKind::Read => Event::Read { user: user.clone(), ids: news },
        });
    }

    fn resend(&mut self, envelope: &[u8; 16], device: &Identity) {
        let id = self.random_id();
        self.outbox.resend(envelope, device, id, self.now, &mut self.changes);
    }

    /// Keeps what arrived and queues the event for it.
    pub(super) fn keep(&mut self, arrived: Arrived) {
        let event = present(&self.config.user, &self.contacts, &arrived);
        let number = self.inbox.keep(arrived, &mut self.changes);
        match event {
            Some(event) => self.events.push_back(Queued { event, record: Some(number) }),
            None => self.inbox.taken(number, &mut self.changes),
        }
    }

    /// After a restore: what the application had not taken comes again.
    pub(super) fn present_inbox(&mut self) {
        for (number, arrived) in self.inbox.arrived() {
            if let Some(event) = present(&self.config.user, &self.contacts, arrived) {
                self.events.push_back(Queued { event, record: Some(number) });
            }
        }
    }

    /// A user's device list is known now: what waited for it is opened, or given up.
    pub(super) fn retry_waiting(&mut self, user: &UserName) {
        for Waiting { source, envelope, .. } in self.inbox.take_waiting(user) {
            let (link, reference) = (source.link, source.reference);
            self.take_envelope(source, &envelope, false);
            self.inbox.acknowledge(link, reference);
        }
    }

    /// The user does not exist: what claims to come from there is given up.
    pub(super) fn drop_waiting(&mut self, user: &UserName) {
        for waiting in self.inbox.take_waiting(user) {
            self.tell(Event::Unopened { claimed: waiting.source.claimed });
            self.inbox.acknowledge(waiting.source.link, waiting.source.reference);
        }
    }

    /// Tells the relay what arrived, in a few requests at once. It leaves only after the state was saved.
    pub(super) fn acknowledge_opened(&mut self) {
        for link in self.inbox.links_to_acknowledge_on() {
            while self.open_on(link, |asked| matches!(asked, Asked::Acknowledge)) < ACKNOWLEDGES_AT_ONCE {
                let envelopes = self.inbox.take_acknowledged(link);
                if envelopes.is_empty() {
                    break;
                }
                self.ask(link, Request::Acknowledge(Acknowledge { envelopes }), Asked::Acknowledge);
            }
        }
    }

    /// Envelopes that a peer sends over its own link: each is taken now, or has to come again.
    pub(super) fn peer_sent(&mut self, link: LinkId, send: &wire::Send) -> Result<wire::Sent, PeerMisbehaved> {
        let (user, device) = self.peer_device(link).ok_or(PeerMisbehaved::UnexpectedRecord)?;
        // Until the peer's own lists came its messages are kept, and have to come again.
        let may_wait = self.peer_link(&device) != Some(link);
        let own = self.identity();
        let epoch = self.account.list().map_or(0, |list| list.epoch());
        let mut results = Vec::with_capacity(send.items.len());
        for item in &send.items {
            let outcome = if item.recipient != wire::Recipient::Device(own) {
                wire::SendOutcome::Unknown
            } else {
                let reference = EnvelopeRef { sender: device, id: item.id };
                let source = Source { link, reference, claimed: user.clone() };
                match self.take_envelope(source, &item.envelope, may_wait) {
                    Taken::Done => wire::SendOutcome::Taken,
                    Taken::Waits | Taken::NoRoom => wire::SendOutcome::Full,
                }
            };
            results.push(wire::SendResult { outcome, epoch });
        }
        Ok(wire::Sent { results })
    }
}

/// The event for a content that arrived. `None` for what nobody is to see.
fn present(own: &UserName, contacts: &Contacts, arrived: &Arrived) -> Option<Event> {
    let content = Content::decode(&arrived.content).ok()?;
    let trust = match contacts.pin(&arrived.user) {
        Some(pin) if pin.contains(&arrived.device) => pin.trust(),
        _ => Trust::Violation,
    };
    let from = &arrived.user;
    match content.body {
        Body::FileOffer(offer) if *from != *own => Some(Event::FileOffered {
            from: from.clone(),
            trust,
            file: offer.id,
            id: content.id,
            name: safe_name(&offer.name),
            size: offer.size,
            media_type: offer.media_type,
            group: arrived.group,
        }),
        Body::Sent { to, content } => {
            let message = message(arrived, trust, Content::decode(&content).ok()?)?;
            Some(Event::SentCopy { to, message })
        }
        _ => {
            let message = message(arrived, trust, content)?;
            Some(match arrived.group.filter(|_| *from == *own) {
                // Another device of this user wrote in a group.
                Some(InGroup { group, .. }) => Event::SentCopy { to: Conversation::Group(group), message },
                None => Event::Message(message),
            })
        }
    }
}

fn message(arrived: &Arrived, trust: Trust, content: Content) -> Option<Message> {
    let body = match content.body {
        Body::Text { text } => MessageBody::Text(text),
        Body::Edit { target, text } => MessageBody::Edit { id: target, text },
        Body::Delete { target } => MessageBody::Delete { id: target },
        Body::Reaction { target, reaction, removed } => MessageBody::Reaction { id: target, reaction, removed },
        Body::Profile { name } => MessageBody::Profile { name },
        Body::FileOffer(offer) => MessageBody::File { name: safe_name(&offer.name), size: offer.size },
        Body::Application { kind, bytes } | Body::Unknown { kind, bytes } => MessageBody::Other { kind, bytes },
        _ => return None,
    };
    let (id, sent_at, expiry) = (content.id, content.sent_at, content.expiry);
    let (from, device, group) = (arrived.user.clone(), arrived.device, arrived.group);
    Some(Message { id, from, device, trust, sent_at, expiry, group, body })
}
