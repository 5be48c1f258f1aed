//! The full-text index: SQLite's FTS5 in memory, never on the disk.

use crate::error::Error;
use rusqlite::{Connection, params};
use std::collections::HashMap;

/// Which words stand where.
pub(crate) struct Index {
    database: Connection,
    /// The number of each place in the index.
    numbers: HashMap<String, i64>,
    places: HashMap<i64, String>,
    next: i64,
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
        Ok(Self { database, numbers: HashMap::new(), places: HashMap::new(), next: 1 })
    }

    /// What stands at a place from now on.
    pub(crate) fn put(&mut self, place: &str, words: Option<&str>) -> Result<(), Error> {
        if let Some(number) = self.numbers.remove(place) {
            self.places.remove(&number);
            self.database.prepare_cached("DELETE FROM message WHERE rowid = ?")?.execute([number])?;
        }
        if let Some(words) = words {
            let number = self.next;
            self.next += 1;
            let mut insert = self.database.prepare_cached("INSERT INTO message (rowid, words) VALUES (?, ?)")?;
            insert.execute(params![number, words])?;
            self.numbers.insert(place.to_owned(), number);
            self.places.insert(number, place.to_owned());
        }
        Ok(())
    }

    /// The places where all of these words stand, the last of them perhaps as the beginning of one.
    pub(crate) fn find(&self, words: &str) -> Result<Vec<String>, Error> {
        // Between quotation marks nothing is syntax.
        let quoted: Vec<String> =
            words.split_whitespace().map(|word| format!("\"{}\"", word.replace('"', "\"\""))).collect();
        if quoted.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = self.database.prepare_cached("SELECT rowid FROM message WHERE message MATCH ?")?;
        let numbers = query.query_map([format!("{}*", quoted.join(" "))], |row| row.get(0))?;
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
        index.put("a", Some("The Müller report is late")).unwrap();
        index.put("b", Some("a late train")).unwrap();
        let found = |index: &Index, words| {
            let mut found = index.find(words).unwrap();
            found.sort();
            found.concat()
        };
        for (words, places) in
            [("late", "ab"), ("LATE rep", "a"), ("muller", "a"), ("train report", ""), ("", ""), ("lat", "ab")]
        {
            assert_eq!(found(&index, words), places, "{words}");
        }
        index.put("b", Some("an early train")).unwrap();
        index.put("a", None).unwrap();
        assert_eq!((found(&index, "late"), found(&index, "early")), (String::new(), "b".into()));
    }

    #[test]
    fn what_is_typed_is_never_syntax() {
        let mut index = Index::new().unwrap();
        index.put("a", Some("say \"no\" AND NOT words: yes")).unwrap();
        for words in ["\"no", "NOT", "words:", "AND (", "*", "^", "-", "a OR", "'"] {
            index.find(words).unwrap_or_else(|error| panic!("{words}: {error}"));
        }
        assert_eq!(index.find("\"no\" NOT").unwrap(), ["a"]);
    }
}
