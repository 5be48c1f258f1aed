//! The harness sees it when a vector says something else: else it could pass without looking.

use super::{Outcome, noise, wycheproof};
use serde_json::Value;

/// Another first digit: the last one of an ML-KEM seed is of its `z`, which no right ciphertext meets.
fn changed(hex: &str) -> Value {
    let (first, rest) = hex.split_at(1);
    format!("{}{rest}", if first == "0" { "1" } else { "0" }).into()
}

/// The fields of a case that are bytes. `dk` is an expanded private key, which nothing here reads.
fn fields(test: &Value) -> Vec<(&String, &str)> {
    let fields = test.as_object().unwrap().iter().filter_map(|(field, value)| Some((field, value.as_str()?)));
    fields.filter(|(field, hex)| !hex.is_empty() && !["comment", "result", "dk"].contains(&&***field)).collect()
}

/// In the fullest valid case of each group each field is changed in turn, and that case fails.
pub fn each_field_counts(name: &str, text: &str) {
    let groups = wycheproof::groups(name).unwrap();
    let parsed: Value = serde_json::from_str(text).unwrap();
    let mut tried = 0;
    for group in parsed["testGroups"].as_array().unwrap() {
        let run = groups(group);
        let valid = group["tests"].as_array().unwrap().iter().filter(|test| test["result"] == "valid");
        let fullest = valid.max_by_key(|test| fields(test).len());
        let Some(test) = fullest.filter(|test| run(test) == Ok(Outcome::Pass)) else { continue };
        for (field, hex) in fields(test) {
            let mut other = test.clone();
            other[field] = changed(hex);
            assert!(!matches!(run(&other), Ok(Outcome::Pass | Outcome::Skip(_))), "{name} {}: {field}", test["tcId"]);
            tried += 1;
        }
    }
    assert!(tried >= 2, "{name}");
}

/// In each row each key, prologue, payload, ciphertext and hash is changed in turn, and that row fails.
pub fn each_field_of_a_handshake_counts(text: &str) {
    let parsed: Value = serde_json::from_str(text).unwrap();
    for row in parsed["vectors"].as_array().unwrap() {
        let fails = |row: &Value| {
            let report = noise::run("", &serde_json::json!({ "vectors": [row] }).to_string());
            assert!(report.passed == 0 && !report.failed.is_empty(), "{row}");
        };
        for field in ["init_prologue", "resp_prologue", "init_ephemeral", "handshake_hash"] {
            if let Some(hex) = row[field].as_str().filter(|hex| !hex.is_empty()) {
                let mut other = row.clone();
                other[field] = changed(hex);
                fails(&other);
            }
        }
        for index in 0..row["messages"].as_array().unwrap().len() {
            for field in ["payload", "ciphertext"] {
                let mut other = row.clone();
                let hex = row["messages"][index][field].as_str().unwrap();
                if !hex.is_empty() {
                    other["messages"][index][field] = changed(hex);
                    fails(&other);
                }
            }
        }
        for (index, _) in row["init_psks"].as_array().into_iter().flatten().enumerate() {
            let mut other = row.clone();
            other["init_psks"][index] = changed(row["init_psks"][index].as_str().unwrap());
            fails(&other);
        }
    }
}
