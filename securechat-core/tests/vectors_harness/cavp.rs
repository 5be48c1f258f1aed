//! GCM in the format of NIST's validation program: `gcmEncrypt*.rsp` and `gcmDecrypt*.rsp`.
//!
//! ```text
//! [Keylen = 256]
//! [IVlen = 96]
//! …
//! Count = 0
//! Key = …
//! IV = …
//! CT = …
//! AAD = …
//! Tag = …
//! PT = …          or FAIL
//! ```

use super::{Outcome, Report, unhex};
use securechat_core::crypto::published::{gcm_open, gcm_seal};
use std::collections::BTreeMap;

type Fields<'a> = BTreeMap<&'a str, &'a str>;

pub fn run(file: &str, text: &str) -> Report {
    let mut report = Report::new(file);
    let mut lengths = Fields::new();
    let mut case = Fields::new();
    // A blank line at the end closes the last case.
    for line in text.lines().map(str::trim).chain([""]) {
        if let Some(length) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            lengths.extend(field(length));
        } else if line.is_empty() {
            if let Some(count) = case.get("Count") {
                let name = format!("{lengths:?} Count {count}");
                report.add(name, outcome(&lengths, &case).unwrap_or(Outcome::Fail("not in NIST's format".into())));
            }
            case.clear();
        } else if line == "FAIL" {
            case.insert("FAIL", "");
        } else if !line.starts_with('#') {
            case.extend(field(line));
        }
    }
    if report.passed + report.failed.len() + report.skips() == 0 {
        report.add("file", Outcome::Fail("no case in NIST's format".into()));
    }
    report
}

fn field(line: &str) -> Option<(&str, &str)> {
    line.split_once('=').map(|(name, value)| (name.trim(), value.trim()))
}

/// None where a field is missing or is not hex.
fn outcome(lengths: &Fields<'_>, case: &Fields<'_>) -> Option<Outcome> {
    for (length, ours, reason) in [
        ("Keylen", "256", "key size not 256 bits"),
        ("IVlen", "96", "IV length not 96 bits"),
        ("Taglen", "128", "tag length not 128 bits"),
    ] {
        if *lengths.get(length)? != ours {
            return Some(Outcome::Skip(reason));
        }
    }
    let bytes = |name| unhex(case.get(name)?);
    let (key, iv) = (bytes("Key")?.try_into().ok()?, bytes("IV")?.try_into().ok()?);
    let ad = bytes("AAD")?;
    let sealed = [bytes("CT")?, bytes("Tag")?].concat();
    let opened = gcm_open(&key, &iv, &ad, &sealed);
    if case.contains_key("FAIL") {
        return Some(Outcome::of(opened.is_err(), "opened"));
    }
    let plaintext = bytes("PT")?;
    let right = opened.as_ref() == Ok(&plaintext) && gcm_seal(&key, &iv, &ad, &plaintext) == sealed;
    Some(Outcome::of(right, "another plaintext or ciphertext"))
}
