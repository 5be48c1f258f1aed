//! What was said: kept sealed beside the client's records, in the same transactions.
//!
//! A message is one row of the table `history`, at a place that is made of its conversation, sender and id with the vault's
//! key, so that one that comes again finds itself; the row shows neither who nor what nor when. What is sealed is a
//! [`record::Record`] as JSON, padded. An edit, or a message taken back, changes that row and leaves no other trace.
//!
//! What an event says is noted when the event is taken, and written together with the engine's own word that it was taken:
//! after a crash either both are there or the event comes again.

mod archive;
mod index;
mod record;

pub use archive::Imported;
pub use record::{Conversation, Entry, NoConversation, OfferedFile};

use crate::error::Error;
use crate::state::State;
use crate::store::{Row, Rows};
use index::Index;
use record::{Reaction, Record};
use securechat_core::content::MessageId;
use securechat_core::error::{ApiMisuse, Error as CoreError};
use securechat_core::event::{Event, Message, MessageBody};
use securechat_core::identity::UserName;
use securechat_core::padding::{pad, unpad};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// The name of the row that says how far the history goes.
const REACH: &str = "history/reach";

/// What is known of the history without opening it.
#[derive(Default)]
pub(crate) struct History {
    reach: Reach,
    /// How far it reached when that was last written.
    written: Reach,
    /// Rows to write with the next save.
    changed: Rows,
    /// The messages that are to be forgotten, by the time of it.
    expiring: BTreeSet<(u64, String)>,
    /// Built when a conversation is first looked at.
    outline: Option<Outline>,
    /// Built when something is first searched for.
    index: Option<Index>,
}

/// What stands where, so that only what is shown has to be opened.
#[derive(Default)]
struct Outline {
    /// The messages of a conversation, in their order.
    messages: BTreeMap<Conversation, BTreeSet<(u64, String)>>,
    /// The reactions to a message.
    reactions: BTreeMap<(Conversation, [u8; 16]), BTreeSet<String>>,
}

impl Outline {
    fn put(&mut self, place: &str, record: &Record) {
        match record {
            Record::Message(Entry { conversation, order, .. }) => {
                self.messages.entry(conversation.clone()).or_default().insert((*order, place.to_owned()));
            }
            Record::Reaction(Reaction { conversation, to, .. }) => {
                let message = (conversation.clone(), *to.as_bytes());
                self.reactions.entry(message).or_default().insert(place.to_owned());
            }
        }
    }

    /// Takes out a message whose place in the order changes.
    fn remove(&mut self, place: &str, record: &Record) {
        if let Record::Message(Entry { conversation, order, .. }) = record
            && let Some(messages) = self.messages.get_mut(conversation)
        {
            messages.remove(&(*order, place.to_owned()));
        }
    }
}

/// How far the history goes, and how far of it the program was told.
#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Reach {
    /// The highest number given so far.
    order: u64,
    /// That of the newest message that came.
    came: u64,
    /// That of the newest one that the program was told of.
    told: u64,
}

impl State {
    /// Reads how far the history goes, and what of it has an end.
    pub(crate) fn open_history(&mut self) -> Result<(), Error> {
        let place = self.vault.place(REACH);
        let reach: Reach = match self.store.row(&place)? {
            Some(sealed) => self.open_row(&place, &sealed)?,
            None => Reach::default(),
        };
        let mut expiring = BTreeSet::new();
        self.each_record(true, |place, record| {
            expiring.extend(record.expires().map(|at| (at, place)));
            Ok(())
        })?;
        self.history = History { reach, written: reach, expiring, ..History::default() };
        Ok(())
    }

    /// Notes what an event says, for the save that follows it.
    pub(crate) fn note_event(&mut self, event: &Event, now: u64) -> Result<(), Error> {
        match event {
            Event::Message(message) => {
                let conversation = Conversation::of(&message.from, message.group);
                self.history.reach.came = self.note_message(conversation, message, now)?;
            }
            Event::SentCopy { to, message } => {
                self.history.reach.came = self.note_message(to.into(), message, now)?;
            }
            Event::FileOffered { from, id, name, size, group, .. } => {
                let order = self.next_order(now);
                let entry = Entry::new(Conversation::of(from, *group), from.clone(), *id, order, now);
                let file = Some(OfferedFile { name: name.clone(), size: *size });
                let before_removal = group.is_some_and(|group| group.before_removal);
                self.put(Record::Message(Entry { file, before_removal, ..entry }))?;
                self.history.reach.came = order;
            }
            Event::Failed { id, .. } => self.note_failed(*id)?,
            _ => {}
        }
        Ok(())
    }

    /// Notes a message of this device, for the save that its sending asks for.
    pub(crate) fn note_sent(
        &mut self,
        conversation: Conversation,
        id: MessageId,
        body: &MessageBody,
        now: u64,
    ) -> Result<(), Error> {
        let me = self.client.user().clone();
        self.note(conversation, &me, id, body, (now, None, false), now)?;
        Ok(())
    }

    /// Notes a message that came, and gives its number.
    pub(crate) fn note_message(
        &mut self,
        conversation: Conversation,
        message: &Message,
        now: u64,
    ) -> Result<u64, Error> {
        let Message { id, from, sent_at, expiry, body, group, .. } = message;
        // A clock that runs ahead does not make a message live longer.
        let life = u64::from(*expiry) * 1_000;
        let expires = (life > 0).then(|| now.min(*sent_at).saturating_add(life));
        let before_removal = group.is_some_and(|group| group.before_removal);
        self.note(conversation, from, *id, body, (*sent_at, expires, before_removal), now)
    }

    fn note(
        &mut self,
        conversation: Conversation,
        from: &UserName,
        id: MessageId,
        body: &MessageBody,
        (sent, expires, before_removal): (u64, Option<u64>, bool),
        now: u64,
    ) -> Result<u64, Error> {
        let order = self.next_order(now);
        let entry = |id| Entry { before_removal, ..Entry::new(conversation.clone(), from.clone(), id, order, sent) };
        let record = match body {
            MessageBody::Text(text) => Record::Message(Entry { text: Some(text.clone()), expires, ..entry(id) }),
            MessageBody::File { name, size } => {
                let file = Some(OfferedFile { name: name.clone(), size: *size });
                Record::Message(Entry { file, expires, ..entry(id) })
            }
            // The place of these is that of the same sender's message in the same conversation: nobody changes another's.
            MessageBody::Edit { id: target, text } => {
                Record::Message(Entry { text: Some(text.clone()), edited: Some(sent), expires, ..entry(*target) })
            }
            MessageBody::Delete { id: target } => Record::Message(Entry { deleted: true, ..entry(*target) }),
            MessageBody::Reaction { id: target, reaction, removed } => Record::Reaction(Reaction {
                conversation,
                from: from.clone(),
                to: *target,
                reaction: reaction.clone(),
                removed: *removed,
                order,
                sent,
            }),
            _ => return Ok(order),
        };
        self.put(record)?;
        Ok(order)
    }

    /// A message of this device cannot be sent. Nothing says where it was to go, so that all are looked at: it is rare.
    fn note_failed(&mut self, id: MessageId) -> Result<(), Error> {
        let me = self.client.user().clone();
        for entry in self.entries(|entry| entry.from == me && entry.id == id)? {
            self.put(Record::Message(Entry { failed: true, ..entry }))?;
        }
        Ok(())
    }

    /// The next number: it grows even when the clock is put back.
    fn next_order(&mut self, now: u64) -> u64 {
        let reach = &mut self.history.reach;
        reach.order = reach.order.saturating_add(1).max(now << 10);
        reach.order
    }

    /// Puts a record to what is there of it already. Says whether it is new.
    fn put(&mut self, record: Record) -> Result<bool, Error> {
        let place = self.vault.place(&record.name());
        let sealed = match self.history.changed.get(&place) {
            Some(row) => row.as_ref().map(|row| row.sealed.clone()),
            None => self.store.row(&place)?,
        };
        let Some(sealed) = sealed else {
            self.write(place, &record)?;
            return Ok(true);
        };
        let known: Record = self.open_row(&place, &sealed)?;
        let mut merged = known.clone();
        merged.merge(record);
        if merged != known {
            if let Some(outline) = &mut self.history.outline {
                outline.remove(&place, &known);
            }
            self.write(place, &merged)?;
        }
        Ok(false)
    }

    fn write(&mut self, place: String, record: &Record) -> Result<(), Error> {
        let expires = record.expires();
        let sealed = self.seal_row(&place, record);
        if let Some(outline) = &mut self.history.outline {
            outline.put(&place, record);
        }
        if let Some(index) = &mut self.history.index {
            note_words(index, &place, record)?;
        }
        self.history.expiring.extend(expires.map(|at| (at, place.clone())));
        self.history.changed.insert(place, Some(Row { sealed, expires: expires.is_some() }));
        Ok(())
    }

    fn seal_row(&mut self, place: &str, value: &impl Serialize) -> Vec<u8> {
        // These types have nothing in them that JSON cannot say.
        let plain = Zeroizing::new(serde_json::to_vec(value).unwrap_or_default());
        self.vault.seal(place, &pad(&plain), &mut *self.rng)
    }

    fn open_row<T: for<'de> Deserialize<'de>>(&self, place: &str, sealed: &[u8]) -> Result<T, Error> {
        let damaged = || CoreError::from(ApiMisuse::Record);
        let padded = self.vault.open(place, sealed).map_err(|_| damaged())?;
        let plain = unpad(&padded).map_err(|_| damaged())?;
        Ok(serde_json::from_slice(plain).map_err(|_| damaged())?)
    }

    /// Whether something waits to be written with the next save.
    pub(crate) fn history_waits(&self) -> bool {
        !self.history.changed.is_empty()
    }

    /// What is to be written with the next save.
    pub(crate) fn history_rows(&mut self) -> Rows {
        let mut rows = std::mem::take(&mut self.history.changed);
        if self.history.reach != self.history.written {
            let (place, reach) = (self.vault.place(REACH), self.history.reach);
            let sealed = self.seal_row(&place, &reach);
            rows.insert(place, Some(Row { sealed, expires: false }));
            self.history.written = reach;
        }
        rows
    }

    /// Everything that was saved is with the program.
    pub(crate) fn told(&mut self) {
        self.history.reach.told = self.history.reach.came;
    }

    /// Writes down how far the program was told, where no other save has done it.
    pub(crate) fn close_history(&mut self) -> Result<(), Error> {
        let rows = self.history_rows();
        if rows.is_empty() { Ok(()) } else { self.store.commit(&[], &rows) }
    }

    /// Whether a message may be in the history that was never shown, because the program ended just then.
    pub fn has_untold(&self) -> bool {
        self.history.reach.told < self.history.reach.came
    }

    /// When the next message is to be forgotten.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        self.history.expiring.first().map(|(at, _)| *at)
    }

    /// Forgets the messages whose time is over, with what was said to them.
    pub(crate) fn forget_expired(&mut self, now: u64) -> Result<(), Error> {
        let mut over = BTreeSet::new();
        while self.next_expiry().is_some_and(|at| at <= now) {
            over.extend(self.history.expiring.pop_first().map(|(_, place)| place));
        }
        if over.is_empty() {
            return Ok(());
        }
        self.save()?;
        let (mut ids, mut reactions) = (BTreeSet::new(), Vec::new());
        self.each_record(false, |place, record| {
            match record {
                Record::Message(entry) if over.contains(&place) => _ = ids.insert((entry.conversation, entry.id)),
                Record::Message(_) => {}
                Record::Reaction(reaction) => reactions.push((place, reaction)),
            }
            Ok(())
        })?;
        let to_them =
            reactions.into_iter().filter(|(_, reaction)| ids.contains(&(reaction.conversation.clone(), reaction.to)));
        over.extend(to_them.map(|(place, _)| place));
        self.history.outline = None;
        for place in over {
            if let Some(index) = &mut self.history.index {
                index.remove(&place)?;
            }
            self.history.changed.insert(place, None);
        }
        self.save()
    }

    /// Opens every record, or every one that has an end.
    fn each_record(
        &self,
        expiring: bool,
        mut each: impl FnMut(String, Record) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let reach = self.vault.place(REACH);
        self.store.each_row(expiring, |place, sealed| match place == reach {
            true => Ok(()),
            false => {
                let record = self.open_row(&place, &sealed)?;
                each(place, record)
            }
        })
    }

    /// The messages that are asked for, oldest first, without reactions. All are opened.
    fn entries(&mut self, wanted: impl Fn(&Entry) -> bool) -> Result<Vec<Entry>, Error> {
        self.save()?;
        let mut entries = Vec::new();
        self.each_record(false, |_, record| {
            if let Record::Message(entry) = record
                && wanted(&entry)
            {
                entries.push(entry);
            }
            Ok(())
        })?;
        entries.sort_by_key(|entry| entry.order);
        Ok(entries)
    }

    /// The record at a place, if there is one.
    fn record(&self, place: &str) -> Result<Option<Record>, Error> {
        self.store.row(place)?.map(|sealed| self.open_row(place, &sealed)).transpose()
    }

    /// The last `count` messages of a conversation, oldest first, with the reactions to them. The first time opens all
    /// messages, to see where they belong.
    pub fn history(&mut self, conversation: &Conversation, count: usize) -> Result<Vec<Entry>, Error> {
        self.save()?;
        let outline = match self.history.outline.take() {
            Some(outline) => outline,
            None => {
                let mut outline = Outline::default();
                self.each_record(false, |place, record| {
                    outline.put(&place, &record);
                    Ok(())
                })?;
                outline
            }
        };
        let entries = self.last_entries(&outline, conversation, count);
        self.history.outline = Some(outline);
        entries
    }

    fn last_entries(&self, outline: &Outline, conversation: &Conversation, count: usize) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        let messages = outline.messages.get(conversation);
        for (_, place) in messages.into_iter().flat_map(|messages| messages.iter().rev().take(count)) {
            let Some(Record::Message(mut entry)) = self.record(place)? else { continue };
            let message = (conversation.clone(), *entry.id.as_bytes());
            let mut given = Vec::new();
            for place in outline.reactions.get(&message).into_iter().flatten().filter(|_| !entry.deleted) {
                if let Some(Record::Reaction(reaction)) = self.record(place)?.filter(|record| !record.is_removed()) {
                    given.push(reaction);
                }
            }
            given.sort_by_key(|reaction| reaction.order);
            entry.reactions = given.into_iter().map(|reaction| (reaction.from, reaction.reaction)).collect();
            entries.push(entry);
        }
        entries.reverse();
        Ok(entries)
    }

    /// The last `count` messages that have all of these words in them, oldest first. The first search opens all messages
    /// and makes an index of them, in memory.
    pub fn search(&mut self, words: &str, count: usize) -> Result<Vec<Entry>, Error> {
        self.save()?;
        if self.history.index.is_none() {
            let mut index = Index::new()?;
            self.each_record(false, |place, record| note_words(&mut index, &place, &record))?;
            self.history.index = Some(index);
        }
        let places = self.history.index.as_ref().map_or(Ok(Vec::new()), |index| index.find(words, count))?;
        let mut entries = Vec::new();
        for place in places.iter().rev() {
            if let Some(Record::Message(entry)) = self.record(place)? {
                entries.push(entry);
            }
        }
        Ok(entries)
    }
}

fn note_words(index: &mut Index, place: &str, record: &Record) -> Result<(), Error> {
    match record {
        Record::Message(entry) => match entry.words() {
            Some(words) => index.put(place, entry.order, words),
            None => index.remove(place),
        },
        Record::Reaction(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
