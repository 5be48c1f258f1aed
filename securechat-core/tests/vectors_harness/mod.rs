//! Runs published vectors through this crate's own wrappers, and tells how many and why not the others.
#![allow(unreachable_pub)] // A module of one test's.

pub mod cavp;
pub mod folder;
mod folder_tests;
pub mod noise;
pub mod noise_patterns;
pub mod sensitivity;
pub mod wycheproof;
pub mod wycheproof_keys;
pub mod wycheproof_symmetric;

use std::collections::BTreeMap;
use std::fmt;

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The wrappers did what the vector says.
    Pass,
    /// They did something else, which is described.
    Fail(String),
    /// The case is about something that this crate does not have, which is named.
    Skip(&'static str),
}

impl Outcome {
    /// A pass if `right`; what went wrong is described otherwise.
    pub fn of(right: bool, wrong: &str) -> Self {
        if right { Self::Pass } else { Self::Fail(wrong.into()) }
    }
}

/// The outcomes of a file's cases. Shown, it is one line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub file: String,
    pub passed: usize,
    /// How often for which reason.
    pub skipped: BTreeMap<&'static str, usize>,
    /// Which case, and what went wrong.
    pub failed: Vec<String>,
    /// Nobody here knows what is in the file; nothing in it was run.
    pub unknown: bool,
}

impl Report {
    pub fn new(file: &str) -> Self {
        Self { file: file.into(), ..Self::default() }
    }

    /// The report on a file that is named but not run.
    pub fn unknown(file: &str) -> Self {
        Self { unknown: true, ..Self::new(file) }
    }

    pub fn add(&mut self, case: impl fmt::Display, outcome: Outcome) {
        match outcome {
            Outcome::Pass => self.passed += 1,
            Outcome::Fail(what) => self.failed.push(format!("{case}: {what}")),
            Outcome::Skip(reason) => *self.skipped.entry(reason).or_default() += 1,
        }
    }

    pub fn skips(&self) -> usize {
        self.skipped.values().sum()
    }

    /// Prints the line and what failed; then, and not before, a failure fails the test.
    pub fn settle(self) -> Self {
        println!("{self}");
        for failed in &self.failed {
            println!("  FAILED {failed}");
        }
        self
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unknown {
            return write!(formatter, "{}: skipped, not a file that is known here", self.file);
        }
        let run = self.passed + self.failed.len();
        write!(formatter, "{}: {run} run, {} passed, {} failed, ", self.file, self.passed, self.failed.len())?;
        write!(formatter, "{} skipped", self.skips())?;
        let reasons: Vec<String> = self.skipped.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        if reasons.is_empty() { Ok(()) } else { write!(formatter, " ({})", reasons.join("; ")) }
    }
}

/// The bytes of hex digits; none if they are not that.
pub fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = digits.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let (pairs, rest) = digits.as_ref()?.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
