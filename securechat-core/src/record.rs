//! State as records: small `(key, value)` pairs that any key-value store keeps.
//!
//! Every stateful part notes here what changed; the client seals and hands the changes out as one batch.

use crate::secret_vec::SecretVec;
use std::collections::BTreeMap;

/// The changes since the last batch: the newest value of each record, or its removal. In order of the keys.
#[derive(Default)]
pub struct Changes {
    records: BTreeMap<String, Option<SecretVec>>,
}

impl Changes {
    /// Notes that the record `key` now has this value (plain; it is sealed on its way out).
    pub fn put(&mut self, key: impl Into<String>, value: SecretVec) {
        self.records.insert(key.into(), Some(value));
    }

    /// Notes that the record `key` is gone.
    pub fn remove(&mut self, key: impl Into<String>) {
        self.records.insert(key.into(), None);
    }

    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Takes all changes and leaves none.
    pub fn drain(&mut self) -> impl Iterator<Item = (String, Option<SecretVec>)> + use<> {
        core::mem::take(&mut self.records).into_iter()
    }
}

impl core::fmt::Debug for Changes {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_set().entries(self.records.keys()).finish()
    }
}

/// Records as they are read back: plain values by key.
#[derive(Default)]
pub struct Records(BTreeMap<String, SecretVec>);

impl Records {
    /// Adds a record.
    pub fn insert(&mut self, key: String, value: SecretVec) {
        self.0.insert(key, value);
    }

    /// The record `key`.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(|value| value.as_slice())
    }

    /// All records whose key begins with `prefix`, with the rest of the key, in order.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> + 'a {
        self.0
            .range(prefix.to_owned()..)
            .map_while(move |(key, value)| key.strip_prefix(prefix).map(|rest| (rest, value.as_slice())))
    }
}

impl core::fmt::Debug for Records {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_change_wins() {
        let mut changes = Changes::default();
        changes.put("b", SecretVec::new(vec![1]));
        changes.put("a", SecretVec::new(vec![2]));
        changes.remove("b");
        let all: Vec<_> = changes.drain().map(|(key, value)| (key, value.map(|v| v.to_vec()))).collect();
        assert_eq!(all, [("a".to_owned(), Some(vec![2])), ("b".to_owned(), None)]);
        assert!(changes.is_empty());
    }

    #[test]
    fn prefixes_select_and_strip() {
        let mut records = Records::default();
        for key in ["pin/a", "pin/b", "pim", "session/a"] {
            records.insert(key.into(), SecretVec::new(vec![]));
        }
        let keys: Vec<_> = records.with_prefix("pin/").map(|(key, _)| key).collect();
        assert_eq!(keys, ["a", "b"]);
        assert!(records.get("session/a").is_some() && records.get("session").is_none());
    }
}
