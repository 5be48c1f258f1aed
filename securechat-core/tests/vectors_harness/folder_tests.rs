//! The folder mode over small folders: what it prints, and that wrong vectors fail.

use super::folder;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// From McGrew and Viega's "The Galois/Counter Mode of Operation", case 16; the same with a changed tag; another key size.
const CAVP: &str = "
# CAVS

[Keylen = 256]
[IVlen = 96]
[PTlen = 480]
[AADlen = 160]
[Taglen = 128]

Count = 0
Key = feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308
IV = cafebabefacedbaddecaf888
CT = 522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662
AAD = feedfacedeadbeeffeedfacedeadbeefabaddad2
Tag = 76fc6ece0f4e1768cddf8853bb2d551b
PT = d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39

Count = 1
Key = feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308
IV = cafebabefacedbaddecaf888
CT = 522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662
AAD = feedfacedeadbeeffeedfacedeadbeefabaddad2
Tag = 76fc6ece0f4e1768cddf8853bb2d551a
FAIL

[Keylen = 128]
[IVlen = 96]
[PTlen = 0]
[AADlen = 0]
[Taglen = 128]

Count = 0
Key = cf063a34d4a9a76c2c86787d3f96db71
IV = 113b9785971864c83b01c787
CT =
AAD =
Tag = 72ac8493e3a5228b5d130a69d2510e42
PT =

[Keylen = 256]
[IVlen = 8]
[PTlen = 0]
[AADlen = 0]
[Taglen = 128]

Count = 0
Key = feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308
IV = 11
CT =
AAD =
Tag = 72ac8493e3a5228b5d130a69d2510e42
FAIL";

/// RFC 4231, test case 2, and the same with a changed tag.
fn hmac() -> Value {
    let test = |id, tag, result| {
        json!({
            "tcId": id, "comment": "", "flags": [], "key": "4a656665", "tag": tag, "result": result,
            "msg": "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
        })
    };
    let tests = [
        test(1, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", "valid"),
        test(2, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3842", "invalid"),
    ];
    json!({ "numberOfTests": 2, "testGroups": [{ "keySize": 32, "tagSize": 256, "tests": tests }] })
}

/// RFC 8032 section 7.1, test 2, as older releases of Wycheproof have it, with the private key; and with a changed S.
fn eddsa() -> Value {
    let key = json!({
        "curve": "edwards25519",
        "pk": "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "sk": "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    });
    let test = |id, last, result| {
        let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eae\
                         b4302aeeb00d291612bb0c0";
        json!({ "tcId": id, "comment": "", "flags": [], "msg": "72", "sig": format!("{signature}{last}"), "result": result })
    };
    let tests = [test(1, 0, "valid"), test(2, 1, "invalid")];
    json!({ "numberOfTests": 2, "testGroups": [{ "key": key, "tests": tests }] })
}

/// A row of cacophony's, and rows about something else.
fn handshakes() -> Value {
    let vectors: Value = serde_json::from_str(include_str!("noise/cacophony.txt")).unwrap();
    let mut rows = vec![vectors["vectors"][0].clone(); 4];
    rows[1]["protocol_name"] = json!("Noise_NN_25519_ChaChaPoly_SHA256");
    rows[2]["protocol_name"] = json!("Noise_NN_25519_ChaChaPoly_BLAKE2s");
    rows[3]["protocol_name"] = json!("Noise_XXfallback_25519_AESGCM_SHA256");
    json!({ "vectors": rows })
}

/// An empty folder of that name.
fn emptied(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    for inner in ["noise", "wycheproof", "cavp", "other"] {
        fs::create_dir_all(path.join(inner)).unwrap();
    }
    path
}

/// The harness's own test of the folder, in a process of its own.
fn run(folder: &Path) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["vectors_of_the_folder", "--exact", "--nocapture"])
        .env("SECURECHAT_VECTORS", folder)
        .output()
        .unwrap()
}

#[test]
fn every_file_has_its_line() {
    let path = emptied("vectors_lines");
    fs::create_dir_all(path.join("cavp/inner")).unwrap();
    for (file, text) in [
        ("noise/vectors.txt", handshakes().to_string()),
        ("noise/README.md", String::new()),
        ("wycheproof/hmac_sha256_test.json", hmac().to_string()),
        ("wycheproof/hmac_sha256_test.txt", hmac().to_string()),
        ("wycheproof/eddsa_test.json", eddsa().to_string()),
        ("wycheproof/chacha20_poly1305_test.json", "{}".into()),
        ("cavp/gcmDecrypt256.rsp", CAVP.into()),
        ("cavp/CBCGFSbox256.rsp", String::new()),
        ("other/file", String::new()),
        ("LICENSE", String::new()),
    ] {
        fs::write(path.join(file), text).unwrap();
    }
    let output = run(&path);
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    let unknown = "skipped, not a file that is known here";
    for line in [
        "noise/vectors.txt: 1 run, 1 passed, 0 failed, 3 skipped \
         (2 cipher not AESGCM; 1 pattern or modifier not of this table)",
        "wycheproof/hmac_sha256_test.json: 2 run, 2 passed, 0 failed, 0 skipped",
        "wycheproof/eddsa_test.json: 2 run, 2 passed, 0 failed, 0 skipped",
        "cavp/gcmDecrypt256.rsp: 2 run, 2 passed, 0 failed, 2 skipped (1 IV length not 96 bits; 1 key size not 256 bits)",
        &format!("LICENSE: {unknown}"),
        &format!("cavp/CBCGFSbox256.rsp: {unknown}"),
        &format!("cavp/inner: {unknown}"),
        &format!("noise/README.md: {unknown}"),
        &format!("other/file: {unknown}"),
        &format!("wycheproof/chacha20_poly1305_test.json: {unknown}"),
        &format!("wycheproof/hmac_sha256_test.txt: {unknown}"),
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line} is not in\n{printed}");
    }
    assert_eq!(folder::run(&path).unwrap().len(), 11);
}

/// One wrong vector of each kind, and files that are not what their names say.
#[test]
fn a_wrong_vector_fails() {
    let mut wrong_tag = hmac();
    wrong_tag["testGroups"][0]["tests"][1]["result"] = json!("valid");
    let mut wrong_signature = eddsa();
    wrong_signature["testGroups"][0]["tests"][1]["result"] = json!("valid");
    let mut wrong_private = eddsa();
    wrong_private["testGroups"][0]["key"]["sk"] = json!("4c".repeat(32));
    let mut too_few = hmac();
    too_few["numberOfTests"] = json!(3);
    let mut wrong_hash = handshakes();
    wrong_hash["vectors"][0]["handshake_hash"] = json!("00");
    for (index, (file, text)) in [
        ("wycheproof/hmac_sha256_test.json", wrong_tag.to_string()),
        ("wycheproof/hmac_sha256_test.json", too_few.to_string()),
        ("wycheproof/eddsa_test.json", wrong_signature.to_string()),
        ("wycheproof/eddsa_test.json", wrong_private.to_string()),
        ("wycheproof/hmac_sha256_test.json", "{}".into()),
        ("noise/vectors.txt", wrong_hash.to_string()),
        ("noise/vectors.txt", "not JSON".into()),
        ("cavp/gcmDecrypt256.rsp", CAVP.replace("FAIL", "PT = 00")),
        ("cavp/gcmDecrypt256.rsp", CAVP.replace("[Keylen = 128]", "")),
        ("cavp/gcmDecrypt256.rsp", "no case".into()),
    ]
    .into_iter()
    .enumerate()
    {
        let path = emptied(&format!("vectors_wrong_{index}"));
        fs::write(path.join(file), text).unwrap();
        let output = run(&path);
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(!output.status.success(), "{index}\n{printed}");
        assert!(printed.contains("  FAILED "), "{index}\n{printed}");
    }
}

#[test]
fn a_folder_that_is_not_there_fails() {
    assert!(!run(&emptied("vectors_missing").join("nowhere")).status.success());
}
