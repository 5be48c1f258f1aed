//! The keys of records: readable, in one spelling each.

use crate::error::ApiMisuse;
use crate::identity::{Identity, UserName};
use crate::roster::GroupId;
use crate::wire::{BlobId, EnvelopeId, EnvelopeRef};
use core::fmt;
use core::str::FromStr;

/// What a record is about. In this order whatever a record belongs to comes before it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Number,
    User(UserName),
    Proposal(UserName),
    /// A place in the chain, from 0.
    List(UserName, u64),
    Device(Identity),
    /// Kind and id.
    Prekey(Identity, u8, u32),
    /// For whom, and which.
    Mail(Identity, EnvelopeRef),
    Blob(BlobId),
    Chunk(BlobId, u32),
    Group(GroupId),
    /// A place in the log, from 0.
    Entry(GroupId, u32),
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number => write!(formatter, "number"),
            Self::User(user) => write!(formatter, "user/{user}"),
            Self::Proposal(user) => write!(formatter, "proposal/{user}"),
            Self::List(user, place) => write!(formatter, "list/{user}/{place}"),
            Self::Device(device) => write!(formatter, "device/{device}"),
            Self::Prekey(device, kind, id) => write!(formatter, "prekey/{device}/{kind}/{id}"),
            Self::Mail(device, name) => write!(formatter, "mail/{device}/{}/{:?}", name.sender, name.id),
            Self::Blob(id) => write!(formatter, "blob/{id:?}"),
            Self::Chunk(id, index) => write!(formatter, "chunk/{id:?}/{index}"),
            Self::Group(group) => write!(formatter, "group/{group}"),
            Self::Entry(group, place) => write!(formatter, "entry/{group}/{place}"),
        }
    }
}

impl FromStr for Key {
    type Err = ApiMisuse;

    fn from_str(text: &str) -> Result<Self, ApiMisuse> {
        // Whatever is read with more than one spelling shows when it is written again.
        read(text).filter(|key| key.to_string() == text).ok_or(ApiMisuse::Record)
    }
}

fn read(text: &str) -> Option<Key> {
    let mut parts = text.split('/');
    let kind = parts.next()?;
    let mut part = || parts.next();
    Some(match kind {
        "number" => Key::Number,
        "user" => Key::User(part()?.parse().ok()?),
        "proposal" => Key::Proposal(part()?.parse().ok()?),
        "list" => Key::List(part()?.parse().ok()?, part()?.parse().ok()?),
        "device" => Key::Device(identity(part()?)?),
        "prekey" => Key::Prekey(identity(part()?)?, part()?.parse().ok()?, part()?.parse().ok()?),
        "mail" => {
            let recipient = identity(part()?)?;
            Key::Mail(recipient, EnvelopeRef { sender: identity(part()?)?, id: EnvelopeId(hex(part()?)?) })
        }
        "blob" => Key::Blob(BlobId(hex(part()?)?)),
        "chunk" => Key::Chunk(BlobId(hex(part()?)?), part()?.parse().ok()?),
        "group" => Key::Group(part()?.parse().ok()?),
        "entry" => Key::Entry(part()?.parse().ok()?, part()?.parse().ok()?),
        _ => return None,
    })
}

fn identity(text: &str) -> Option<Identity> {
    hex(text).map(Identity::from_bytes)
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut bytes = [0; N];
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_spelling() {
        let (device, id) = ("ab".repeat(32), "0c".repeat(16));
        for text in [
            "number".to_owned(),
            "user/a.b-c_d".to_owned(),
            "proposal/alice".to_owned(),
            "list/alice/0".to_owned(),
            format!("list/alice/{}", u64::MAX),
            format!("device/{device}"),
            format!("prekey/{device}/255/{}", u32::MAX),
            format!("mail/{device}/{device}/{id}"),
            format!("blob/{id}"),
            format!("chunk/{id}/10"),
            format!("group/{id}"),
            format!("entry/{id}/10"),
        ] {
            assert_eq!(text.parse::<Key>().unwrap().to_string(), text);
            assert!(text.len() <= 167);
            let mut others = vec![text.to_uppercase(), format!("{text}/"), format!("/{text}"), format!("{text} ")];
            others.extend(text.match_indices('/').flat_map(|(place, _)| {
                let (before, after) = text.split_at(place + 1);
                [
                    before.to_owned(),
                    format!("{before}+{after}"),
                    format!("{before}0{after}"),
                    format!("{before}/{after}"),
                ]
            }));
            others.retain(|other| !["user/0a.b-c_d", "proposal/0alice", "list/0alice/0"].contains(&other.as_str()));
            others.retain(|other| !other.starts_with("list/0alice/"));
            for other in others {
                assert_eq!(other.parse::<Key>(), Err(ApiMisuse::Record), "{other}");
            }
        }
        for text in ["", "/", "users/alice", "user/Alice", "user/é", "list/alice/-1", "prekey", "blob/+c", "chunk/é"]
        {
            assert_eq!(text.parse::<Key>(), Err(ApiMisuse::Record), "{text}");
        }
        let signed = format!("blob/{}+c", "0c".repeat(15));
        assert_eq!(signed.parse::<Key>(), Err(ApiMisuse::Record));
    }
}
