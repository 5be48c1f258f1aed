//! A ciphertext made to open under two keys: AES-GCM takes it, a file does not (ATTACKS.md B8).
//!
//! GCM's tag commits to nothing: who chooses both keys can solve for one block of ciphertext, so that one tag is right
//! under both ("invisible salamanders"). Two receivers of one sealed file would then see two files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use securechat_core::crypto::aead::{AeadKey, Cipher};
use securechat_core::crypto::hash::hkdf_expand;
use securechat_core::crypto::secret::Secret;
use securechat_core::error::Decrypt;
use securechat_core::file::{FileOffer, FileOpener, FileProof};
use securechat_core::limits::Limits;

const SIZE: usize = 48;
const SALT: [u8; 16] = [0x5a; 16];

fn offer(key: u8, proof: FileProof) -> FileOffer {
    FileOffer {
        id: [1; 16],
        key: Secret::from_bytes(&[key; 32]),
        cipher: Cipher::AesGcm,
        proof,
        size: SIZE as u64,
        name: "invoice.pdf".into(),
        media_type: String::new(),
    }
}

/// The key, the commitment and the associated data of the one chunk of an offer, for [`SALT`].
fn chunk_key(offer: &FileOffer) -> ([u8; 32], [u8; 32], Vec<u8>) {
    let size = offer.size.to_be_bytes();
    let (mut of_file, mut of_chunk) = ([[0; 32]; 2], [[0; 32]; 2]);
    let info = [b"securechat1 file\0", &offer.id[..], &size, &[1, offer.proof.id()]];
    hkdf_expand(offer.key.as_bytes(), &info, of_file.as_flattened_mut());
    hkdf_expand(offer.key.as_bytes(), &[b"securechat1 chunk\0", &SALT], of_chunk.as_flattened_mut());
    let ad = [b"securechat1 chunk ad\0", &of_file[1][..], &offer.id, &[0; 8], &[1], &size].concat();
    (of_chunk[0], of_chunk[1], ad)
}

/// The product in GCM's field (NIST SP 800-38D, 6.3).
fn product(x: u128, y: u128) -> u128 {
    let (mut z, mut v) = (0, y);
    for bit in (0..128).rev() {
        if x >> bit & 1 == 1 {
            z ^= v;
        }
        v = (v >> 1) ^ if v & 1 == 1 { 0xe1 << 120 } else { 0 };
    }
    z
}

/// The inverse in GCM's field: x to the power of 2^128 − 2.
fn inverse(x: u128) -> u128 {
    let (mut result, mut square) = (1 << 127, x);
    for _ in 1..128 {
        square = product(square, square);
        result = product(result, square);
    }
    result
}

struct Gcm {
    aes: Aes256,
    h: u128,
}

impl Gcm {
    fn new(key: &[u8; 32]) -> Self {
        let aes = Aes256::new(key.into());
        let mut gcm = Self { aes, h: 0 };
        gcm.h = gcm.encrypt(0);
        gcm
    }

    fn encrypt(&self, block: u128) -> u128 {
        let mut bytes = block.to_be_bytes().into();
        self.aes.encrypt_block(&mut bytes);
        u128::from_be_bytes(bytes.into())
    }

    /// The tag under a nonce of zeros.
    fn tag(&self, ad: &[u8], ciphertext: &[u8]) -> u128 {
        let lengths = ((ad.len() as u128 * 8) << 64) | (ciphertext.len() as u128 * 8);
        let padded = |bytes: &[u8]| {
            let blocks: Vec<u128> = bytes
                .chunks(16)
                .map(|chunk| u128::from_be_bytes(core::array::from_fn(|i| chunk.get(i).copied().unwrap_or(0))))
                .collect();
            blocks
        };
        let blocks = [padded(ad), padded(ciphertext), vec![lengths]].concat();
        blocks.iter().fold(0, |hash, block| product(hash ^ block, self.h)) ^ self.encrypt(1)
    }
}

/// The ciphertext of a chunk that AES-GCM opens under the keys of both offers.
fn crafted(one: &FileOffer, other: &FileOffer) -> Vec<u8> {
    let ((key_1, _, ad_1), (key_2, _, ad_2)) = (chunk_key(one), chunk_key(other));
    let (gcm_1, gcm_2) = (Gcm::new(&key_1), Gcm::new(&key_2));
    // Two blocks of choice, and one that makes the tags equal: it is multiplied by h² on its way into either.
    let mut ciphertext = [[0x11; 32].as_slice(), &[0; 16]].concat();
    let difference = gcm_1.tag(&ad_1, &ciphertext) ^ gcm_2.tag(&ad_2, &ciphertext);
    let weight = product(gcm_1.h, gcm_1.h) ^ product(gcm_2.h, gcm_2.h);
    ciphertext[32..].copy_from_slice(&product(difference, inverse(weight)).to_be_bytes());
    let tag = gcm_1.tag(&ad_1, &ciphertext).to_be_bytes();
    [&ciphertext[..], &tag].concat()
}

#[test]
fn b8_a_chunk_crafted_for_two_keys_is_refused() {
    for proof in [FileProof::Tags, FileProof::Contents] {
        let offers = [offer(1, proof), offer(2, proof)];
        let ciphertext = crafted(&offers[0], &offers[1]);

        // The cipher alone is fooled, with two plaintexts …
        let opened = offers.each_ref().map(|offer| {
            let (key, _, ad) = chunk_key(offer);
            AeadKey::new(Cipher::AesGcm, &key).open(0, &ad, &ciphertext).unwrap()
        });
        assert_eq!(opened[0].len(), SIZE);
        assert_ne!(opened[0], opened[1]);

        // … and the file is not: a chunk commits to one key, and by contents its salt is that of what is in it.
        let commitments = offers.each_ref().map(|offer| chunk_key(offer).1);
        for (committed, commitment) in commitments.iter().enumerate() {
            let sealed = [&SALT[..], commitment, &ciphertext].concat();
            for (holder, offer) in offers.iter().enumerate() {
                let opened = FileOpener::new(offer, &Limits::default()).unwrap().open_chunk(0, &sealed);
                let is_its_own = committed == holder && proof == FileProof::Tags;
                assert_eq!(opened.err(), if is_its_own { None } else { Some(Decrypt.into()) });
            }
        }
    }
}
