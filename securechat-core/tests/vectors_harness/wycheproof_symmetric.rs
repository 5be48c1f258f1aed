//! Ciphers, HMAC and HKDF.

use super::Outcome;
use super::wycheproof::{Group, array, bits, broken, bytes, judged, skipped};
use securechat_core::crypto::aead::{AeadKey, Cipher};
use securechat_core::crypto::hash::{HKDF_MAX, ct_eq, hkdf, hmac_sha256 as hmac};
use securechat_core::crypto::published::{self, A128CbcHs256, cbc_decrypt, cbc_encrypt, gcm_open, gcm_seal};
use serde_json::Value;

pub fn aes_gcm(group: &Value) -> Group {
    match (bits(group, "keySize"), bits(group, "ivSize"), bits(group, "tagSize")) {
        (256, 96, 128) => Box::new(gcm_case),
        (256, 96, _) => skipped("tag length not 128 bits"),
        (256, ..) => skipped("IV length not 96 bits"),
        _ => skipped("key size not 256 bits"),
    }
}

fn gcm_case(test: &Value) -> Result<Outcome, String> {
    let (key, nonce) = (array(test, "key")?, array(test, "iv")?);
    let (ad, plaintext) = (bytes(test, "aad")?, bytes(test, "msg")?);
    let sealed = [bytes(test, "ct")?, bytes(test, "tag")?].concat();
    let opened = gcm_open(&key, &nonce, &ad, &sealed);
    if opened.is_ok() && gcm_seal(&key, &nonce, &ad, &plaintext) != sealed {
        return Err("another ciphertext".into());
    }
    // Where the nonce is one of a counter the typed wrapper does the same.
    if let [0, 0, 0, 0, counter @ ..] = nonce {
        let key = AeadKey::new(Cipher::AesGcm, &key);
        let n = u64::from_be_bytes(counter);
        let same = key.open(n, &ad, &sealed).ok().map(|opened| opened.to_vec()) == opened.as_ref().ok().cloned();
        if !same || opened.is_ok() != (key.seal(n, &ad, &plaintext) == sealed) {
            return Err("the typed wrapper differs".into());
        }
    }
    judged(test, opened.as_deref().ok(), &plaintext)
}

pub fn aes_cbc_pkcs5(group: &Value) -> Group {
    match bits(group, "keySize") {
        // 128 bits is what A128CBC-HS256 is made of; the protocol has 256 only.
        128 | 256 => Box::new(cbc_case),
        _ => skipped("key size not 128 or 256 bits"),
    }
}

fn cbc_case(test: &Value) -> Result<Outcome, String> {
    let (key, plaintext, ciphertext) = (bytes(test, "key")?, bytes(test, "msg")?, bytes(test, "ct")?);
    let iv = array(test, "iv")?;
    let (Some(encrypted), Some(decrypted)) = (cbc_encrypt(&key, &iv, &plaintext), cbc_decrypt(&key, &iv, &ciphertext))
    else {
        return Err("key of another length".into());
    };
    if decrypted.is_ok() && encrypted != ciphertext {
        return Err("another ciphertext".into());
    }
    judged(test, decrypted.as_deref().ok(), &plaintext)
}

pub fn a128cbc_hs256(group: &Value) -> Group {
    match (bits(group, "keySize"), bits(group, "ivSize"), bits(group, "tagSize")) {
        (256, 128, 128) => Box::new(cbc_hmac_case),
        _ => broken("not A128CBC-HS256"),
    }
}

fn cbc_hmac_case(test: &Value) -> Result<Outcome, String> {
    let (key, iv) = (array::<32>(test, "key")?, array(test, "iv")?);
    let [mac, encryption] = key.as_chunks().0 else { return Err("no halves".into()) };
    let (ad, plaintext) = (bytes(test, "aad")?, bytes(test, "msg")?);
    let sealed = [bytes(test, "ct")?, bytes(test, "tag")?].concat();
    let cipher = A128CbcHs256::new(mac, encryption);
    let opened = cipher.open(&iv, &ad, &sealed);
    if opened.is_ok() && cipher.seal(&iv, &ad, &plaintext) != sealed {
        return Err("another ciphertext".into());
    }
    judged(test, opened.as_deref().ok(), &plaintext)
}

pub fn hmac_sha256(group: &Value) -> Group {
    let length = bits(group, "tagSize") / 8;
    Box::new(move |test| {
        let mut tag = [0; 32];
        let message = bytes(test, "msg")?;
        let (head, tail) = message.split_at(message.len() / 2);
        hmac(&bytes(test, "key")?, &[head, tail], &mut tag);
        tag_case(test, &tag, length)
    })
}

pub fn hmac_sha1(group: &Value) -> Group {
    let length = bits(group, "tagSize") / 8;
    match bits(group, "keySize") {
        160 => Box::new(move |test| {
            tag_case(test, &published::hmac_sha1(&array(test, "key")?, &bytes(test, "msg")?), length)
        }),
        _ => skipped("key size not 160 bits"),
    }
}

/// The tag is cut here, as the CBC cipher cuts it: the wrappers give it whole.
fn tag_case(test: &Value, tag: &[u8], length: usize) -> Result<Outcome, String> {
    let Some(tag) = tag.get(..length) else { return Err("tag of another length".into()) };
    let given = bytes(test, "tag")?;
    judged(test, ct_eq(tag, &given).then_some(tag), &given)
}

pub fn hkdf_sha256(_group: &Value) -> Group {
    Box::new(|test| {
        let length = bits(test, "size");
        // The wrapper's bound, which it tells its callers; it has no error.
        if length > HKDF_MAX {
            return judged(test, None, &[]);
        }
        let mut okm = vec![0; length];
        let info = bytes(test, "info")?;
        let (head, tail) = info.split_at(info.len() / 2);
        hkdf(&bytes(test, "salt")?, &bytes(test, "ikm")?, &[head, tail], &mut okm);
        judged(test, Some(&okm), &bytes(test, "okm")?)
    })
}
