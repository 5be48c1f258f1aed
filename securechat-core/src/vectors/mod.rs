//! The vectors of `tests/vectors`: made here, and compared with the committed files by every test run.
//!
//! A case is an operation's name, its inputs and what it gives, all as JSON; `tests/vectors/README.md` says for each
//! operation what that means, without any Rust. An operation here is a function from inputs to outputs over the code
//! that links, sessions and files use, so that a case is run by this crate as by any other implementation.
//!
//! `SECURECHAT_WRITE_VECTORS=1 cargo test -p securechat-core --lib vectors` writes the files anew.

mod input;
mod script;
pub(crate) mod trace;

pub(crate) use input::{In, hex};
pub(crate) use script::Script;

use crate::error::Error;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// What an operation makes of its inputs.
pub(crate) type Outcome = Result<Value, Error>;

/// An operation with the name that cases give it.
pub(crate) type Operation = (&'static str, fn(&In<'_>) -> Outcome);

/// The cases of one file.
pub(crate) struct Vectors {
    name: &'static str,
    about: &'static str,
    operations: &'static [Operation],
    cases: Vec<Value>,
}

impl Vectors {
    /// Makes the cases of a file and compares them with it, or writes it.
    ///
    /// AWS-LC has its own randomness: there only the committed cases are run, and of them those that need no coins.
    pub(crate) fn check(
        name: &'static str,
        about: &'static str,
        operations: &'static [Operation],
        make: impl FnOnce(&mut Self),
    ) {
        let mut vectors = Self { name, about, operations, cases: Vec::new() };
        if !cfg!(feature = "aws-lc") {
            make(&mut vectors);
        }
        vectors.finish();
    }

    /// A case that succeeds; gives its outputs.
    pub(crate) fn gives(&mut self, operation: &str, case: &str, input: Value) -> Value {
        let output = self.run(operation, &input).unwrap_or_else(|error| panic!("{operation}, {case}: {error}"));
        self.cases.push(json!({ "operation": operation, "case": case, "in": input, "out": output }));
        output
    }

    /// A case that fails.
    pub(crate) fn fails(&mut self, operation: &str, case: &str, input: Value) {
        let Err(error) = self.run(operation, &input) else { panic!("{operation}, {case}: does not fail") };
        self.cases.push(json!({ "operation": operation, "case": case, "in": input, "fails": error.to_string() }));
    }

    fn run(&self, operation: &str, input: &Value) -> Outcome {
        let (_, run) = self.operations.iter().find(|(name, _)| *name == operation).unwrap();
        script::begin();
        let outcome = run(&In::new(input));
        let untaken = outcome.is_ok() && script::has_coins_left() && !cfg!(feature = "aws-lc");
        assert!(!untaken, "{operation}: a stated draw was not taken: {input}");
        outcome
    }

    fn finish(self) {
        let text = self.text();
        if std::env::var_os("SECURECHAT_WRITE_VECTORS").is_some() && !cfg!(feature = "aws-lc") {
            std::fs::write(self.path(), text).unwrap();
            return;
        }
        let committed = self.committed();
        let cases = committed["cases"].as_array().unwrap();
        for case in cases {
            self.compare(case);
        }
        for (operation, _) in self.operations {
            assert!(cases.iter().any(|case| case["operation"] == *operation), "{}: no {operation}", self.name);
        }
        if !cfg!(feature = "aws-lc") {
            assert!(std::fs::read_to_string(self.path()).unwrap() == text, "{}.json is not what is made", self.name);
        }
    }

    /// Runs a committed case. With AWS-LC, which takes its own randomness, those are passed over that need coins.
    fn compare(&self, case: &Value) {
        let outcome = self.run(case["operation"].as_str().unwrap(), &case["in"]);
        if script::has_coins_left() && cfg!(feature = "aws-lc") {
            return;
        }
        let place = format!("{}, {}, {}", self.name, case["operation"], case["case"]);
        match outcome {
            Ok(output) => assert_eq!(output, case["out"], "{place}"),
            Err(error) => assert_eq!(Value::from(error.to_string()), case["fails"], "{place}"),
        }
    }

    fn committed(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.path()).unwrap()).unwrap()
    }

    fn path(&self) -> PathBuf {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
        PathBuf::from(folder).join(self.name).with_extension("json")
    }

    /// A case a line.
    fn text(&self) -> String {
        let cases: Vec<String> = self.cases.iter().map(|case| format!("  {case}")).collect();
        format!("{{\n \"about\": {},\n \"cases\": [\n{}\n ]\n}}\n", Value::from(self.about), cases.join(",\n"))
    }
}

/// The inputs of a case with some of them replaced.
pub(crate) fn with<const N: usize>(input: &Value, changes: [(&str, Value); N]) -> Value {
    let mut fields: Map<String, Value> = input.as_object().unwrap().clone();
    for (name, value) in changes {
        fields.insert(name.into(), value);
    }
    fields.into()
}

/// Bytes with one of them changed, as hex.
pub(crate) fn flipped(bytes: &[u8], place: usize) -> Value {
    let mut bytes = bytes.to_vec();
    bytes[place] ^= 1;
    hex(&bytes)
}

/// `N` bytes that count up from `first`: keys and ids to be told from each other.
pub(crate) fn counting<const N: usize>(first: u8) -> [u8; N] {
    core::array::from_fn(|place| first.wrapping_add(place as u8))
}

/// The points of order 1, 2, 4 and 8 on the curve and its twist, reduced and not, as little-endian hex (cr.yp.to/ecdh.html).
pub(crate) const LOW_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];
