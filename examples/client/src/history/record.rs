//! What the history keeps: a message with all that became of it, or a reaction; and how two forms of one become one.

use securechat_core::content::{self, MessageId};
use securechat_core::event::InGroup;
use securechat_core::identity::UserName;
use securechat_core::roster::GroupId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where something was said: `user:NAME`, or `group:` and the id of a group in 32 digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Conversation {
    /// With one user.
    User(UserName),
    /// In the group of this id.
    Group([u8; 16]),
}

impl Conversation {
    /// Where what came from a user belongs.
    pub(crate) fn of(from: &UserName, group: Option<InGroup>) -> Self {
        group.map_or_else(|| Self::User(from.clone()), |group| Self::Group(*group.group.as_bytes()))
    }
}

impl From<&Conversation> for content::Conversation {
    fn from(conversation: &Conversation) -> Self {
        match conversation {
            Conversation::User(user) => Self::User(user.clone()),
            Conversation::Group(id) => Self::Group(GroupId::from_bytes(*id)),
        }
    }
}

impl From<&content::Conversation> for Conversation {
    fn from(conversation: &content::Conversation) -> Self {
        match conversation {
            content::Conversation::User(user) => Self::User(user.clone()),
            content::Conversation::Group(group) => Self::Group(*group.as_bytes()),
            // A kind that this version does not know, which the core does not tell of.
            _ => Self::Group([0; 16]),
        }
    }
}

impl fmt::Display for Conversation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(formatter, "user:{user}"),
            Self::Group(id) => write!(formatter, "group:{:032x}", u128::from_be_bytes(*id)),
        }
    }
}

/// A text that names no conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a conversation is user:NAME or group:ID")]
pub struct NoConversation;

impl FromStr for Conversation {
    type Err = NoConversation;

    fn from_str(text: &str) -> Result<Self, NoConversation> {
        match text.split_once(':') {
            Some(("user", name)) => UserName::new(name).map(Self::User).map_err(|_| NoConversation),
            Some(("group", digits)) => bytes(digits).map(Self::Group).ok_or(NoConversation),
            _ => Err(NoConversation),
        }
    }
}

impl From<Conversation> for String {
    fn from(conversation: Conversation) -> Self {
        conversation.to_string()
    }
}

impl TryFrom<String> for Conversation {
    type Error = NoConversation;

    fn try_from(text: String) -> Result<Self, NoConversation> {
        text.parse()
    }
}

/// 16 bytes from their 32 digits.
fn bytes(digits: &str) -> Option<[u8; 16]> {
    let exact = digits.len() == 32 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    u128::from_str_radix(digits, 16).ok().filter(|_| exact).map(u128::to_be_bytes)
}

/// Message ids as 32 digits.
mod id {
    use super::{MessageId, bytes};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(id: &MessageId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MessageId, D::Error> {
        let digits = String::deserialize(deserializer)?;
        bytes(&digits).map(MessageId::from_bytes).ok_or_else(|| Error::custom("a message id has 32 digits"))
    }
}

/// A file that was offered.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct OfferedFile {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A message as the history has it. `Debug` shows nothing that anybody wrote.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it was said.
    pub conversation: Conversation,
    /// Who said it.
    pub from: UserName,
    /// Its id, which its sender chose.
    #[serde(with = "id")]
    pub id: MessageId,
    /// Its place among the others: 1,024 times the time at which this device had it, and more where that was taken.
    pub order: u64,
    /// When it was sent, by its sender's clock, in Unix milliseconds.
    pub sent: u64,
    /// When it is to be forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// What it says, the newest form of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The file that it offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<OfferedFile>,
    /// When its sender last changed the text, by that clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<u64>,
    /// Whether its sender took it back; then it says nothing any more.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
    /// Whether it is one's own and could not be sent.
    #[serde(default, skip_serializing_if = "is_false")]
    pub failed: bool,
    /// Whether it came in a group whose newest removal its sender did not know of yet: who was removed may read it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub before_removal: bool,
    /// Who reacts to it, and how.
    #[serde(skip)]
    pub reactions: Vec<(UserName, String)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Entry {
    /// A message that says nothing yet.
    pub(crate) fn new(conversation: Conversation, from: UserName, id: MessageId, order: u64, sent: u64) -> Self {
        Self {
            conversation,
            from,
            id,
            order,
            sent,
            expires: None,
            text: None,
            file: None,
            edited: None,
            deleted: false,
            failed: false,
            before_removal: false,
            reactions: Vec::new(),
        }
    }

    /// When it was said, in Unix milliseconds: by its sender's clock, but not later than this device had it.
    pub fn time(&self) -> u64 {
        self.sent.min(self.order >> 10)
    }

    /// What can be searched for.
    pub(crate) fn words(&self) -> Option<&str> {
        self.text.as_deref().or(self.file.as_ref().map(|file| file.name.as_str()))
    }

    fn merge(&mut self, other: Self) {
        // An edit may be here before what it changes: the newer text wins, whichever came first.
        if other.text.is_some() && (self.text.is_none() || other.edited > self.edited) {
            self.text = other.text;
            self.edited = other.edited;
        }
        self.file = self.file.take().or(other.file);
        self.order = self.order.min(other.order);
        self.sent = self.sent.min(other.sent);
        self.expires = self.expires.into_iter().chain(other.expires).min();
        self.deleted |= other.deleted;
        self.failed |= other.failed;
        self.before_removal |= other.before_removal;
        if self.deleted {
            (self.text, self.file, self.edited) = (None, None, None);
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Entry").field("from", &self.from).field("id", &self.id).finish_non_exhaustive()
    }
}

/// A reaction of a user to a message.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reaction {
    pub(crate) conversation: Conversation,
    pub(crate) from: UserName,
    /// The message that it is to.
    #[serde(with = "id")]
    pub(crate) to: MessageId,
    pub(crate) reaction: String,
    /// Whether it was taken back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) removed: bool,
    pub(crate) order: u64,
    /// When it was given or taken back last, by its sender's clock.
    pub(crate) sent: u64,
}

/// One record, and one line of an archive.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Record {
    Message(Entry),
    Reaction(Reaction),
}

impl Record {
    /// What makes it this one and no other: its place in the store is made of it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Message(Entry { conversation, from, id, .. }) => {
                format!("history/message/{conversation}/{from}/{id}")
            }
            Self::Reaction(Reaction { conversation, from, to, reaction, .. }) => {
                format!("history/reaction/{conversation}/{from}/{to}/{reaction}")
            }
        }
    }

    pub(crate) fn order(&self) -> u64 {
        match self {
            Self::Message(entry) => entry.order,
            Self::Reaction(reaction) => reaction.order,
        }
    }

    pub(crate) fn expires(&self) -> Option<u64> {
        match self {
            Self::Message(entry) => entry.expires,
            Self::Reaction(_) => None,
        }
    }

    /// Whether it is a reaction that was taken back.
    pub(crate) fn is_removed(&self) -> bool {
        matches!(self, Self::Reaction(reaction) if reaction.removed)
    }

    /// Takes in another form of the same: in whatever order the forms come, and however often, the result is one.
    pub(crate) fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Message(entry), Self::Message(other)) => entry.merge(other),
            (Self::Reaction(own), Self::Reaction(other)) => {
                let order = own.order.min(other.order);
                if (other.sent, other.removed) > (own.sent, own.removed) {
                    *own = other;
                }
                own.order = order;
            }
            // Their names differ, so they never meet.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let user = |name| UserName::new(name).unwrap();
        let id = MessageId::from_bytes([7; 16]);
        Entry::new(Conversation::User(user("bob")), user("bob"), id, 5 << 10, 4)
    }

    #[test]
    fn conversations_are_written_and_read() {
        for text in ["user:bob", "group:000102030405060708090a0b0c0d0eff"] {
            assert_eq!(text.parse::<Conversation>().unwrap().to_string(), text);
        }
        for text in ["bob", "user:", "user:Bob", "group:00", "group:+00102030405060708090a0b0c0d0eff", "room:bob"] {
            assert_eq!(text.parse::<Conversation>(), Err(NoConversation), "{text}");
        }
    }

    #[test]
    fn a_line_is_readable_and_says_no_more_than_there_is() {
        let line = serde_json::to_string(&Record::Message(Entry { text: Some("hi".into()), ..entry() })).unwrap();
        let id = "07".repeat(16);
        assert_eq!(
            line,
            format!(
                r#"{{"message":{{"conversation":"user:bob","from":"bob","id":"{id}","order":5120,"sent":4,"text":"hi"}}}}"#
            )
        );
        let record: Record = serde_json::from_str(&line).unwrap();
        assert_eq!(record.name(), format!("history/message/user:bob/bob/{id}"));
    }

    /// In every order, and with repeats, the same comes out.
    #[test]
    fn forms_of_one_message_become_one() {
        let forms = [
            Entry { text: Some("first".into()), ..entry() },
            Entry { text: Some("second".into()), edited: Some(10), order: 7 << 10, ..entry() },
            Entry { text: Some("third".into()), edited: Some(20), order: 6 << 10, expires: Some(90), ..entry() },
            Entry { failed: true, order: 9 << 10, ..entry() },
        ];
        let expected =
            Entry { text: Some("third".into()), edited: Some(20), expires: Some(90), failed: true, ..entry() };
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
            let mut record = Record::Message(forms[order[0]].clone());
            for index in order.iter().chain(&order) {
                record.merge(Record::Message(forms[*index].clone()));
            }
            assert!(record == Record::Message(expected.clone()), "{order:?}");
            record.merge(Record::Message(Entry { deleted: true, ..entry() }));
            record.merge(Record::Message(forms[2].clone()));
            let Record::Message(gone) = record else { panic!() };
            assert!(gone.deleted && gone.text.is_none() && gone.edited.is_none());
        }
    }

    #[test]
    fn the_last_word_on_a_reaction_counts() {
        let Entry { conversation, from, id: to, .. } = entry();
        let at = |sent, removed| {
            let reaction = Reaction {
                conversation: conversation.clone(),
                from: from.clone(),
                to,
                reaction: "👍".into(),
                removed,
                order: 1,
                sent,
            };
            Record::Reaction(reaction)
        };
        let (given, back) = (at(1, false), at(2, true));
        for (mut one, other) in [(given.clone(), back.clone()), (back.clone(), given.clone())] {
            one.merge(other);
            assert!(one == back);
        }
    }

    #[test]
    fn c5_debug_shows_nothing_that_was_written() {
        let shown = format!("{:?}", Entry { text: Some("canary".into()), ..entry() });
        assert!(shown.contains("bob") && !shown.contains("canary"), "{shown}");
    }
}
