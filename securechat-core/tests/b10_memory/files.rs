//! Files and records: their keys, and the keys that those are derived from.

use crate::links::NOW;
use crate::model;
use crate::recorder::Recorder;
use crate::scan::Secrets;
use securechat_core::content::{Body, Content, MessageId};
use securechat_core::crypto::aead::Cipher;
use securechat_core::crypto::hash::hkdf_expand;
use securechat_core::crypto::label::Label;
use securechat_core::crypto::secret::Secret;
use securechat_core::file::{FileOffer, FileOpener, FileProof, FileSealer};
use securechat_core::limits::{CHUNK_SIZE, Limits};
use securechat_core::vault::Vault;

/// From the offer, through a message and a record of it, to the last chunk on both sides.
pub fn b10_file_keys_end_with_the_transfer() {
    for (cipher, proof) in [
        (Cipher::AesGcm, FileProof::Tags),
        (Cipher::AesGcm, FileProof::Contents),
        (Cipher::AesCbcHmac, FileProof::Tags),
    ] {
        let randomness = Recorder::new(1);
        let limits = Limits::default();
        let size = CHUNK_SIZE as u64 + 10;
        let mut rng = randomness.boxed();
        let offer = FileOffer::new(cipher, proof, size, "name", "text/plain", &limits, &mut *rng).unwrap();
        let key = randomness.key(0);
        let mut info = offer.id.to_vec();
        info.extend_from_slice(&size.to_be_bytes());
        info.extend([cipher.id(), proof.id()]);
        let mut derived = [0; 64];
        hkdf_expand(&key, &[Label::FILE.bytes(), &info], &mut derived);
        let mut secrets = Secrets::one("the file's key", &key);
        secrets.note("the salt of its chunks", &derived[..32]);

        let mut sealer = FileSealer::new(&offer);
        let content =
            Content { id: MessageId::from_bytes([1; 16]), sent_at: NOW, expiry: 0, body: Body::FileOffer(offer) };
        let encoded = content.encode().unwrap();
        let Body::FileOffer(offered) = Content::decode(&encoded).unwrap().body else { unreachable!() };
        drop((content, encoded));
        let mut opener = FileOpener::new(&offered, &limits).unwrap();
        let kept = securechat_core::codec::encode_secret(&offered);
        drop((kept, offered.duplicate(), offered));

        let contents = vec![7; CHUNK_SIZE + 10];
        for (place, chunk) in contents.chunks(CHUNK_SIZE).enumerate() {
            let sealed = sealer.seal_chunk(place as u64, chunk, &mut *rng).unwrap();
            opener.open_chunk(place as u64, &sealed).unwrap();
            let of_chunk = model::salted(&key, Label::CHUNK, &sealed[..16]);
            model::aead("the key of a chunk", cipher, &of_chunk).must_be_gone();
            model::aead_origin(cipher, &of_chunk).must_be_gone();
        }
        opener.finish(&sealer.root().unwrap()).unwrap();
        secrets.must_be_found();
        drop(sealer);
        secrets.must_be_found();
        drop(opener);
        secrets.must_be_gone();
    }
}

/// And so do the keys of its records, and of the passphrase.
pub fn b10_the_vault_key_ends_with_the_vault() {
    let randomness = Recorder::new(2);
    let vault = Vault::generate(&mut *randomness.boxed());
    let key = randomness.key(0);
    let secrets = Secrets::one("the vault's key", &key);
    let sealed = vault.seal("record", b"what it holds", &mut *randomness.boxed());
    assert_eq!(vault.open("record", &sealed).unwrap().as_slice(), b"what it holds");
    let of_record = model::salted(&key, Label::VAULT, &sealed[..16]);
    Secrets::one("the key of a record", &of_record).must_be_gone();

    let passphrase = Secret::<32>::random(&mut *randomness.boxed());
    let mut all = secrets.clone();
    all.note("the passphrase's key", passphrase.as_bytes());
    let wrapped = vault.wrap(&passphrase, &mut *randomness.boxed());
    all.note("the key of the wrapped key", &model::salted(passphrase.as_bytes(), Label::VAULT, &wrapped[..16]));
    secrets.must_be_found();
    drop(vault);
    secrets.must_be_gone();

    let again = Vault::unwrap(&passphrase, &wrapped).unwrap();
    assert!(Vault::unwrap(&Secret::zero(), &wrapped).is_err());
    assert_eq!(again.open("record", &sealed).unwrap().as_slice(), b"what it holds");
    assert!(again.open("another", &sealed).is_err());
    secrets.must_be_found();
    drop((again, passphrase));
    all.must_be_gone();
}
