//! The full-text index: SQLite's FTS5 in memory, never on the disk.

use crate::error::Error;
use rusqlite::{Connection, params};
use std::collections::HashMap;

/// Which words stand where.
pub(crate) struct Index {
    database: Connection,
    /// The number of each place in the index: that of its order, or the next one that is free.
    numbers: HashMap<String, i64>,
    places: HashMap<i64, String>,
}

impl Index {
    /// An empty one.
    pub(crate) fn new() -> Result<Self, Error> {
        let database = Connection::open_in_memory()?;
        // Contentless: which words there are is kept, and not the texts once more.
        database.execute_batch(
            "PRAGMA temp_store = MEMORY;
             CREATE VIRTUAL TABLE message USING fts5(words, content = '', contentless_delete = 1,
                                                     tokenize = 'unicode61 remove_diacritics 2');",
        )?;
        Ok(Self { database, numbers: HashMap::new(), places: HashMap::new() })
    }

    /// What stands at a place from now on, and where that is among the others.
    pub(crate) fn put(&mut self, place: &str, order: u64, words: &str) -> Result<(), Error> {
        self.remove(place)?;
        let mut number = i64::try_from(order).unwrap_or(i64::MAX / 2);
        while self.places.contains_key(&number) {
            number += 1;
        }
        let mut insert = self.database.prepare_cached("INSERT INTO message (rowid, words) VALUES (?, ?)")?;
        insert.execute(params![number, words])?;
        self.numbers.insert(place.to_owned(), number);
        self.places.insert(number, place.to_owned());
        Ok(())
    }

    /// Nothing stands there any more.
    pub(crate) fn remove(&mut self, place: &str) -> Result<(), Error> {
        if let Some(number) = self.numbers.remove(place) {
            self.places.remove(&number);
            self.database.prepare_cached("DELETE FROM message WHERE rowid = ?")?.execute([number])?;
        }
        Ok(())
    }

    /// The last `count` places where all of these words stand, the last word perhaps as the beginning of one; newest first.
    pub(crate) fn find(&self, words: &str, count: usize) -> Result<Vec<String>, Error> {
        // Between quotation marks nothing is syntax.
        let quoted: Vec<String> =
            words.split_whitespace().map(|word| format!("\"{}\"", word.replace('"', "\"\""))).collect();
        if quoted.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = self
            .database
            .prepare_cached("SELECT rowid FROM message WHERE message MATCH ? ORDER BY rowid DESC LIMIT ?")?;
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let numbers = query.query_map(params![format!("{}*", quoted.join(" ")), count], |row| row.get(0))?;
        let numbers = numbers.collect::<Result<Vec<i64>, _>>()?;
        Ok(numbers.iter().filter_map(|number| self.places.get(number).cloned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_changed_and_forgotten() {
        let mut index = Index::new().unwrap();
        index.put("a", 7, "The Müller report is late").unwrap();
        index.put("b", 7, "a late train").unwrap();
        let found = |index: &Index, words| index.find(words, 9).unwrap().concat();
        for (words, places) in
            [("late", "ba"), ("LATE rep", "a"), ("muller", "a"), ("train report", ""), ("", ""), ("lat", "ba")]
        {
            assert_eq!(found(&index, words), places, "{words}");
        }
        assert_eq!(index.find("late", 1).unwrap(), ["b"]);
        index.put("b", 8, "an early train").unwrap();
        index.remove("a").unwrap();
        assert_eq!((found(&index, "late"), found(&index, "early")), (String::new(), "b".into()));
    }

    #[test]
    fn what_is_typed_is_never_syntax() {
        let mut index = Index::new().unwrap();
        index.put("a", 1, "say \"no\" AND NOT words: yes").unwrap();
        for words in ["\"no", "NOT", "words:", "AND (", "*", "^", "-", "a OR", "'"] {
            index.find(words, 9).unwrap_or_else(|error| panic!("{words}: {error}"));
        }
        assert_eq!(index.find("\"no\" NOT", 9).unwrap(), ["a"]);
    }
}
