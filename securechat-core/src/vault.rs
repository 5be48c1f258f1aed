//! Sealing of what an application stores (PROTOCOL.md section 11).
//!
//! ```text
//! record: salt 16 | ciphertext
//! k = HKDF-Expand(vault key, label "vault" || salt, 32), n = 0, AES-256-GCM, ad = label "vault ad" || record key
//! ```

use crate::crypto::aead::{AeadKey, Cipher};
use crate::crypto::hash::hkdf_expand;
use crate::crypto::label::Label;
use crate::crypto::secret::{Secret, SecretVec};
use crate::error::Decrypt;
use rand_core::CryptoRng;

/// The name of the record that the vault key itself is, sealed under the key that the host derives from a passphrase.
const WRAPPED_KEY: &str = "vault key";
const SALT_LEN: usize = 16;

/// Seals records, each bound to its name, under one random key.
///
/// A record that is put back under its own name opens: only the generation of a whole state shows that (S10).
#[derive(Debug)]
pub struct Vault {
    key: Secret<32>,
}

impl Vault {
    /// A new vault with a random key.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self { key: Secret::random(rng) }
    }

    /// The vault with this key: for hosts that keep keys in a place of their own, such as the system's key store.
    pub fn new(key: Secret<32>) -> Self {
        Self { key }
    }

    /// The vault whose key was wrapped with [`wrap`](Self::wrap). A wrong passphrase is `Decrypt`.
    pub fn unwrap(passphrase_key: &Secret<32>, wrapped: &[u8]) -> Result<Self, Decrypt> {
        let key = open(passphrase_key, WRAPPED_KEY, wrapped)?;
        key.as_slice().try_into().map(|key| Self { key: Secret::from_bytes(key) }).map_err(|_| Decrypt)
    }

    /// The vault key, sealed under a key that the host derives from a passphrase (Argon2id, with a salt that it stores
    /// beside the result). To change the passphrase, wrap again: the records stay as they are.
    pub fn wrap(&self, passphrase_key: &Secret<32>, rng: &mut dyn CryptoRng) -> Vec<u8> {
        seal(passphrase_key, WRAPPED_KEY, self.key.as_bytes(), rng)
    }

    /// The place of a record in a store that is to show no names: 32 hex digits, `HKDF-Expand(vault key,
    /// label "vault place" || name, 16)`.
    pub fn place(&self, name: &str) -> String {
        let mut place = [0; 16];
        hkdf_expand(self.key.as_bytes(), &[Label::VAULT_PLACE.bytes(), name.as_bytes()], &mut place);
        format!("{:032x}", u128::from_be_bytes(place))
    }

    /// Seals the record of this name.
    pub fn seal(&self, record_key: &str, plaintext: &[u8], rng: &mut dyn CryptoRng) -> Vec<u8> {
        seal(&self.key, record_key, plaintext, rng)
    }

    /// Opens the record of this name.
    pub fn open(&self, record_key: &str, sealed: &[u8]) -> Result<SecretVec, Decrypt> {
        open(&self.key, record_key, sealed)
    }
}

fn seal(key: &Secret<32>, record_key: &str, plaintext: &[u8], rng: &mut dyn CryptoRng) -> Vec<u8> {
    let mut sealed = vec![0; SALT_LEN];
    rng.fill_bytes(&mut sealed);
    let record = aead_key(key, &sealed);
    sealed.reserve_exact(Cipher::AesGcm.ciphertext_len(plaintext.len()));
    sealed.extend_from_slice(plaintext);
    record.seal_in_place(0, &associated_data(record_key), &mut sealed, SALT_LEN);
    sealed
}

fn open(key: &Secret<32>, record_key: &str, sealed: &[u8]) -> Result<SecretVec, Decrypt> {
    let (salt, ciphertext) = sealed.split_at_checked(SALT_LEN).ok_or(Decrypt)?;
    aead_key(key, salt).open(0, &associated_data(record_key), ciphertext)
}

/// The key of one record, which its salt makes fresh for every sealing.
fn aead_key(key: &Secret<32>, salt: &[u8]) -> AeadKey {
    let mut record = Secret::zero();
    hkdf_expand(key.as_bytes(), &[Label::VAULT.bytes(), salt], record.as_mut_bytes());
    AeadKey::new(Cipher::AesGcm, record.as_bytes())
}

fn associated_data(record_key: &str) -> Vec<u8> {
    [Label::VAULT_AD.bytes(), record_key.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{In, Outcome, Script, Vectors, counting, flipped, hex, with};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use serde_json::json;
    use std::collections::BTreeSet;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(1)
    }

    #[test]
    fn records_open_under_their_own_name_only() {
        let vault = Vault::generate(&mut rng());
        let sealed = vault.seal("session/a", b"state", &mut rng());
        assert_eq!(sealed.len(), 16 + 5 + 16);
        assert_eq!(vault.open("session/a", &sealed).unwrap().as_slice(), b"state");
        for other in ["session/b", "session/", "session/a/", ""] {
            assert!(vault.open(other, &sealed).is_err());
        }
        assert!(Vault::generate(&mut ChaCha20Rng::seed_from_u64(2)).open("session/a", &sealed).is_err());
    }

    #[test]
    fn an_empty_record_is_a_record() {
        let vault = Vault::generate(&mut rng());
        let sealed = vault.seal("", b"", &mut rng());
        assert!(vault.open("", &sealed).unwrap().is_empty());
    }

    #[test]
    fn b9_no_changed_or_cut_record_opens() {
        let vault = Vault::generate(&mut rng());
        let sealed = vault.seal("k", b"some state", &mut rng());
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(vault.open("k", &changed).is_err(), "{bit}");
        }
        for end in 0..sealed.len() {
            assert!(vault.open("k", &sealed[..end]).is_err(), "{end}");
        }
    }

    /// ATTACKS.md B4: what a key and nonce are made from never comes twice, whatever is sealed how often.
    #[test]
    fn b4_every_sealing_has_a_key_of_its_own() {
        let (vault, mut rng) = (Vault::generate(&mut rng()), rng());
        let sealed: Vec<_> = (0..1_000).map(|_| vault.seal("k", b"the same", &mut rng)).collect();
        assert_eq!(sealed.iter().map(|record| &record[..16]).collect::<BTreeSet<_>>().len(), 1_000);
        assert_eq!(sealed.iter().map(|record| &record[16..]).collect::<BTreeSet<_>>().len(), 1_000);
    }

    #[test]
    fn a_passphrase_changes_and_the_records_stay() {
        let (old, new) = (Secret::from_bytes(&[1; 32]), Secret::from_bytes(&[2; 32]));
        let mut rng = rng();
        let vault = Vault::generate(&mut rng);
        let record = vault.seal("k", b"state", &mut rng);
        let wrapped = vault.wrap(&old, &mut rng);
        assert_eq!(Vault::unwrap(&new, &wrapped).err(), Some(Decrypt), "a wrong passphrase");

        let again = Vault::unwrap(&old, &wrapped).unwrap().wrap(&new, &mut rng);
        let opened = Vault::unwrap(&new, &again).unwrap();
        assert_eq!(opened.open("k", &record).unwrap().as_slice(), b"state");
    }

    #[test]
    fn a_wrapped_key_is_no_record_and_no_record_a_wrapped_key() {
        let key = Secret::from_bytes(&[1; 32]);
        let vault = Vault::new(key.duplicate());
        let wrapped = vault.wrap(&key, &mut rng());
        assert!(vault.open("vault", &wrapped).is_err());
        let short = vault.seal(WRAPPED_KEY, &[0; 31], &mut rng());
        assert_eq!(Vault::unwrap(&key, &short).err(), Some(Decrypt));
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let vault = Vault::new(Secret::from_bytes(&[7; 32]));
        let sealed = vault.seal("k", b"state", &mut rng());
        let mut key = [0; 32];
        hkdf_expand(&[7; 32], &[b"securechat1 vault\0", &sealed[..16]], &mut key);
        let opened = AeadKey::new(Cipher::AesGcm, &key).open(0, b"securechat1 vault ad\0k", &sealed[16..]).unwrap();
        assert_eq!(opened.as_slice(), b"state");
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", Vault::new(Secret::from_bytes(&[7; 32]))), "Vault { key: Secret<32>(..) }");
    }

    fn sealed(input: &In<'_>) -> Outcome {
        let vault = Vault::new(Secret::from_bytes(&input.array("vault_key")));
        let mut rng = Script::new([input.bytes("salt")]);
        Ok(json!({ "record": hex(&vault.seal(input.text("name"), &input.bytes("plaintext"), &mut rng)) }))
    }

    fn opened(input: &In<'_>) -> Outcome {
        let vault = Vault::new(Secret::from_bytes(&input.array("vault_key")));
        Ok(json!({ "plaintext": hex(&vault.open(input.text("name"), &input.bytes("record"))?) }))
    }

    fn place(input: &In<'_>) -> Outcome {
        Ok(json!({ "place": Vault::new(Secret::from_bytes(&input.array("vault_key"))).place(input.text("name")) }))
    }

    fn wrapped(input: &In<'_>) -> Outcome {
        let vault = Vault::new(Secret::from_bytes(&input.array("vault_key")));
        let key = Secret::from_bytes(&input.array("passphrase_key"));
        Ok(json!({ "wrapped": hex(&vault.wrap(&key, &mut Script::new([input.bytes("salt")]))) }))
    }

    fn unwrapped(input: &In<'_>) -> Outcome {
        let key = Secret::from_bytes(&input.array("passphrase_key"));
        let vault = Vault::unwrap(&key, &input.bytes("wrapped"))?;
        Ok(json!({ "vault_key": hex(vault.key.as_bytes()) }))
    }

    /// `tests/vectors/vault.json`.
    #[test]
    fn vectors() {
        Vectors::check(
            "vault",
            "What a device stores. PROTOCOL.md 11.1.",
            &[
                ("seal record", sealed),
                ("open record", opened),
                ("record place", place),
                ("wrap vault key", wrapped),
                ("unwrap vault key", unwrapped),
            ],
            |vectors| {
                let [key, salt] = [hex(&counting::<32>(0x11)), hex(&counting::<16>(0x77))];
                for (name, plaintext) in [("session/a", &b"state"[..]), ("", b""), ("meta", &[0x5a; 100])] {
                    let seal = json!({ "vault_key": key, "name": name, "salt": salt, "plaintext": hex(plaintext) });
                    let record = vectors.gives("seal record", name, seal)["record"].clone();
                    let bytes = In::new(&record).as_bytes();
                    let open = json!({ "vault_key": key, "name": name, "record": record });
                    vectors.gives("open record", name, open.clone());
                    vectors.fails("open record", "under another name", with(&open, [("name", "session/b".into())]));
                    vectors.fails("open record", "another vault", with(&open, [("vault_key", hex(&[0; 32]))]));
                    for at in [0, 15, 16, bytes.len() - 1] {
                        vectors.fails("open record", "a byte changed", with(&open, [("record", flipped(&bytes, at))]));
                    }
                    vectors.fails("open record", "cut", with(&open, [("record", hex(&bytes[..bytes.len() - 1]))]));
                    vectors.fails("open record", "shorter than a salt", with(&open, [("record", hex(&bytes[..15]))]));
                    vectors.gives("record place", name, json!({ "vault_key": key, "name": name }));
                }
                let wrap = json!({ "vault_key": key, "passphrase_key": hex(&counting::<32>(0x99)), "salt": salt });
                let wrapped = vectors.gives("wrap vault key", "", wrap.clone())["wrapped"].clone();
                let unwrap = json!({ "passphrase_key": wrap["passphrase_key"], "wrapped": wrapped });
                vectors.gives("unwrap vault key", "", unwrap.clone());
                let wrong = with(&unwrap, [("passphrase_key", hex(&[0; 32]))]);
                vectors.fails("unwrap vault key", "a wrong passphrase", wrong);
                let short = json!({ "vault_key": wrap["passphrase_key"], "name": WRAPPED_KEY, "salt": salt, "plaintext": "00" });
                let short = vectors.gives("seal record", "a vault key of one byte", short)["record"].clone();
                vectors.fails("unwrap vault key", "a key of one byte", with(&unwrap, [("wrapped", short)]));
            },
        );
    }
}
