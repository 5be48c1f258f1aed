//! Completion with Tab: commands, then names of users, then files.

use crate::command::{COMMANDS, Word};
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The names that can be completed, shared between the screen and the line editor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Arc<Mutex<BTreeSet<String>>>);

impl Names {
    pub(crate) fn add(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }

    fn beginning_with(&self, start: &str) -> Vec<String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.iter().filter(|name| name.starts_with(start)).cloned().collect()
    }
}

/// What the line editor asks.
pub(crate) struct Completion {
    names: Names,
    files: FilenameCompleter,
}

impl Completion {
    pub(crate) fn new(names: Names) -> Self {
        Self { names, files: FilenameCompleter::new() }
    }

    fn candidates(&self, line: &str, position: usize) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = line.get(..position).unwrap_or_default();
        let start = typed.rfind(char::is_whitespace).map_or(0, |space| space + 1);
        let word = typed.get(start..).unwrap_or_default();
        let pairs = |words: Vec<String>| {
            let pair = |word: String| Pair { replacement: format!("{word} "), display: word };
            words.into_iter().map(pair).collect()
        };
        if start == 0 {
            let commands = COMMANDS.iter().map(|entry| entry.name.to_owned());
            let commands = commands.filter(|name| word.starts_with('/') && name.starts_with(word)).collect();
            return Ok((0, pairs(commands)));
        }
        let mut before = typed.get(..start).unwrap_or_default().split_whitespace();
        let entry = before.next().and_then(|name| COMMANDS.iter().find(|entry| entry.name == name));
        match entry.and_then(|entry| entry.completed.get(before.count())) {
            Some(Word::User) => Ok((start, pairs(self.names.beginning_with(word)))),
            Some(Word::Path) => self.files.complete_path(line, position),
            None => Ok((start, Vec::new())),
        }
    }
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        self.candidates(line, position)
    }
}

impl Helper for Completion {}
impl Highlighter for Completion {}
impl Validator for Completion {}
impl Hinter for Completion {
    type Hint = String;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(line: &str) -> (usize, Vec<String>) {
        let names = Names::default();
        ["alice", "bob", "bernd"].iter().for_each(|name| names.add(name));
        let (start, pairs) = Completion::new(names).candidates(line, line.len()).unwrap();
        (start, pairs.into_iter().map(|pair| pair.replacement).collect())
    }

    #[test]
    fn commands_names_and_files_are_completed() {
        assert_eq!(complete("/us"), (0, vec!["/users ".into()]));
        assert_eq!(complete("/p"), (0, vec!["/pm ".into(), "/passwd ".into(), "/passphrase ".into()]));
        assert_eq!(complete("/pm b"), (4, vec!["bernd ".into(), "bob ".into()]));
        assert_eq!(complete("/verify a"), (8, vec!["alice ".into()]));
        assert_eq!(complete("/file bob Cargo.t"), (10, vec!["Cargo.toml".into()]));
    }

    #[test]
    fn texts_are_left_alone() {
        assert_eq!(complete("a"), (0, vec![]));
        assert_eq!(complete("/pm bob b"), (8, vec![]));
        assert_eq!(complete("hello b"), (6, vec![]));
    }
}
