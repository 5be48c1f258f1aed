//! ATTACKS.md A1, as far as source text can show it: no PKCS#1 v1.5 decryption is reachable, and good and bad RSA
//! ciphertexts take one path.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn source(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The body of the last function that begins with `start`.
fn body(path: &str, start: &str) -> String {
    let text = source(path);
    let (before, rest) = text.rsplit_once(start).unwrap();
    let indent = before.rsplit_once('\n').unwrap().1;
    rest.split_once(&format!("\n{indent}}}\n")).unwrap().0.to_owned()
}

/// PKCS#1 v1.5 encryption and decryption are named nowhere, in no crate's spelling, nor the trait through which
/// RustCrypto's could be reached unnamed.
#[test]
fn a1_no_pkcs1_v15_decryption() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.iter().any(|path| path.ends_with("rsa.rs")));
    for path in files {
        for line in fs::read_to_string(&path).unwrap().lines().filter(|line| !line.trim_start().starts_with("//")) {
            let plain = line.replace('_', "").to_lowercase();
            for name in ["pkcs1v15", "pkcs1privatedecrypting", "pkcs1publicencrypting", "paddingscheme"] {
                assert!(!plain.contains(name), "{line} in {}", path.display());
            }
        }
    }
}

/// The private operation is in one place per backend, and both backends are asked for OAEP or the raw operation only.
#[test]
fn a1_one_private_operation() {
    let portable = source("src/crypto/backend/rust_crypto.rs");
    assert_eq!(portable.matches("rsa_decrypt").count(), portable.matches("hazmat::rsa_decrypt_and_check(").count());
    assert_eq!(portable.matches("hazmat::rsa_decrypt_and_check(").count(), 1);
    let fast = source("src/crypto/backend/aws_lc.rs");
    assert_eq!(fast.matches("PrivateDecryptingKey").count(), fast.matches("OaepPrivateDecryptingKey").count() + 2);
    assert_eq!(fast.matches(".decrypt(&OAEP_SHA256_MGF1SHA256").count(), 1);
}

/// From the ciphertext to the secret nothing branches on what was decrypted: both secrets are computed, then one is
/// selected.
#[test]
fn a1_one_path() {
    for start in ["fn decapsulate(", "fn select(", "fn shared_secret("] {
        let body = body("src/crypto/rsa.rs", start);
        for word in ["if ", "match ", "return", "?", "while ", "loop ", "&&", "||", ".map", "unwrap_or", "bool"] {
            assert!(!body.contains(word), "{word:?} in {start:?}");
        }
    }
    // OAEP: branches on lengths, which the modulus gives, and none after the masks are off.
    let decode = body("src/crypto/backend/oaep.rs", "pub(in crate::crypto) fn decode(");
    let (_, unmasked) = decode.split_once("mask(block, seed);").unwrap();
    assert_eq!(unmasked.matches("else { return Choice::from(0) }").count(), 1);
    assert_eq!(unmasked.matches("return").count(), 1);
    for word in ["if ", "match ", "?", "while ", "loop ", "&&", "||", "position", "find"] {
        assert!(!unmasked.contains(word), "{word:?} in decode");
    }
}
