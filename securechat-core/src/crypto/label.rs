//! The registry of labels: the domain separation of every hash, derivation and signature (PROTOCOL.md section 12).

/// `securechat1 NAME` followed by one zero byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(&'static str);

impl Label {
    /// The label's bytes, the zero byte at the end included.
    pub const fn bytes(self) -> &'static [u8] {
        self.0.as_bytes()
    }
}

macro_rules! labels {
    ($($(#[$doc:meta])* $constant:ident = $name:literal;)*) => {
        impl Label {
            $($(#[$doc])* pub const $constant: Self = Self(concat!("securechat1 ", $name, "\0"));)*

            /// All labels, each once.
            pub const ALL: &[Self] = &[$(Self::$constant),*];

            /// The names of the constants, in the same order.
            #[cfg(test)]
            const NAMES: &[&str] = &[$(stringify!($constant)),*];
        }
    };
}

labels! {
    /// Prologue of a link (4.1).
    LINK = "link";
    /// Keys of the CBC cipher (2.1).
    CBC_HMAC = "cbc-hmac";
    /// OAEP's label in the RSA-wrapped key exchange (2.2).
    RSA_KEM = "rsa-kem";
    /// The secret of the RSA-wrapped key exchange (2.2).
    RSA_KEM_SS = "rsa-kem ss";
    /// The secret that replaces a ciphertext that does not decode (2.2).
    RSA_KEM_REJECT = "rsa-kem reject";
    /// The signature of token `sig` (4).
    HANDSHAKE = "handshake";
    /// Fingerprints (I2).
    IDENTITY = "identity";
    /// Bundles (I3).
    BUNDLE = "bundle";
    /// One-time prekeys (I5).
    PREKEY = "prekey";
    /// Device lists (I6).
    DEVICE_LIST = "device list";
    /// Login with the device key (10).
    LOGIN = "login";
    /// Safety numbers (I10).
    SAFETY_NUMBER = "safety number";
    /// Prologue of a session (6).
    SESSION = "session";
    /// Root, chain and id of a session (6).
    SESSION_ROOT = "session root";
    /// Root key steps (6).
    RATCHET = "ratchet";
    /// The key of one session message (6).
    MESSAGE_KEY = "message key";
    /// Associated data of a session message (6).
    MESSAGE_AD = "message ad";
    /// Group ids (G1).
    GROUP_ID = "group id";
    /// Roster entries (G1).
    ROSTER = "roster";
    /// Sender key ids (G4).
    SENDER_KEY_ID = "sender key id";
    /// Key and commitment of a group message (G5).
    GROUP_KEY = "group key";
    /// Associated data of a group message (G5).
    GROUP_AD = "group ad";
    /// Signatures of group messages (G5).
    GROUP_MESSAGE = "group message";
    /// Salt and commitment of a file (9).
    FILE = "file";
    /// The key of a chunk (9).
    CHUNK = "chunk";
    /// Associated data of a chunk (9).
    CHUNK_AD = "chunk ad";
    /// The root over a whole file (F2).
    FILE_ROOT = "file root";
    /// The key of a vault record (11).
    VAULT = "vault";
    /// The place of a vault record in a store (11).
    VAULT_PLACE = "vault place";
    /// Associated data of a vault record (11).
    VAULT_AD = "vault ad";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::ed25519::SigningKey;
    use crate::crypto::hash::{hkdf, hkdf_expand, hmac_sha256, sha256};
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    /// ATTACKS.md A9.
    #[test]
    fn a9_no_label_is_a_prefix_of_another() {
        for (index, label) in Label::ALL.iter().enumerate() {
            assert_eq!(label.bytes().iter().filter(|byte| **byte == 0).count(), 1);
            assert_eq!(label.bytes().last(), Some(&0));
            for other in &Label::ALL[index + 1..] {
                assert!(!label.bytes().starts_with(other.bytes()), "{label:?} {other:?}");
                assert!(!other.bytes().starts_with(label.bytes()), "{label:?} {other:?}");
            }
        }
    }

    /// ATTACKS.md A9: a signature, a tag or a key of any label is none of any other.
    #[test]
    fn a9_what_is_made_under_one_label_counts_under_no_other() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key();
        let mut made = BTreeSet::new();
        for label in Label::ALL {
            let signature = key.sign(*label, &[b"text"]);
            for other in Label::ALL {
                assert_eq!(
                    public.verify(*other, &[b"text"], &signature).is_ok(),
                    label == other,
                    "{label:?} {other:?}"
                );
            }
            let (mut tag, mut derived, mut expanded) = ([0; 32], [0; 32], [0; 32]);
            hmac_sha256(&[7; 32], &[label.bytes(), b"text"], &mut tag);
            hkdf(&[7; 32], b"secret", &[label.bytes(), b"text"], &mut derived);
            hkdf_expand(&[7; 32], &[label.bytes(), b"text"], &mut expanded);
            for bytes in [sha256(&[label.bytes(), b"text"]), tag, derived, expanded] {
                assert!(made.insert(bytes), "{label:?}");
            }
        }
        assert_eq!(made.len(), 4 * Label::ALL.len());
    }

    /// ATTACKS.md A9: a label that served two purposes would carry what was made for one over to the other. Each is
    /// named in one module, except OAEP's, which both backends encode and decode with.
    #[test]
    fn a9_each_label_has_one_purpose() {
        let mut files = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        let mut used = 0;
        for name in Label::NAMES {
            let named = |text: &str| {
                text.split(&format!("Label::{name}"))
                    .skip(1)
                    .any(|rest| !rest.starts_with(|c: char| c == '_' || c.is_ascii_uppercase()))
            };
            let mut modules: Vec<&str> =
                files.iter().filter(|(_, text)| named(text)).map(|(module, _)| module.as_str()).collect();
            modules.sort_unstable();
            used += usize::from(!modules.is_empty());
            if *name == "RSA_KEM" {
                assert_eq!(modules, ["aws_lc.rs", "oaep.rs", "rsa.rs", "rust_crypto.rs"]);
            } else {
                assert!(modules.len() <= 1, "{name} is used in {modules:?}");
            }
        }
        assert!(used >= 24, "{used}");
    }

    /// The modules' sources without their tests.
    fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !["tests", "fuzzing", "vectors"].contains(&name) {
                sources(&path, found);
            } else if name.ends_with(".rs") && !["tests.rs", "vectors.rs", "label.rs", "samples.rs"].contains(&name) {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                found.push((name.to_owned(), code.to_owned()));
            }
        }
    }
}
