//! Both ciphers over both backends.

use super::*;
use crate::crypto::testing::{array, field, hex, on_every_backend, vectors};

const CIPHERS: [Cipher; 2] = [Cipher::AesGcm, Cipher::AesCbcHmac];
const AD: &[u8] = b"associated data";
const TEXT: &[u8] = b"A text that is longer than two blocks.";
const N: u64 = 0x0102_0304_0506_0708;

fn seal<B: Backend>(key: &Key<B>, n: u64, ad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut buffer = [b"before", plaintext].concat();
    key.seal_in_place(n, ad, &mut buffer, 6);
    assert_eq!(buffer[..6], *b"before");
    buffer.split_off(6)
}

/// Opens, and looks at what B5 asks of a failure.
fn open<B: Backend>(key: &Key<B>, n: u64, ad: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, Decrypt> {
    let mut buffer = ciphertext.to_vec();
    let opened = key.open_in_place(n, ad, &mut buffer).map(|plaintext| plaintext.to_vec());
    if opened.is_err() {
        assert_eq!(buffer, vec![0; ciphertext.len()], "not wiped");
    }
    opened
}

on_every_backend! {
    /// The last AES-256 case with a 96-bit nonce of McGrew and Viega's "The Galois/Counter Mode of Operation".
    fn gcm_vector<B>() {
        let key = B::Gcm::new(&array("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"));
        let (nonce, ad) = (array("cafebabefacedbaddecaf888"), hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"));
        let plaintext = hex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525
             b16aedf5aa0de657ba637b39");
        let mut buffer = plaintext.clone();
        let tag = key.seal(&nonce, &ad, &mut buffer).unwrap();
        assert_eq!(buffer, hex(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838
             c5f61e6393ba7a0abcc9f662"));
        assert_eq!(tag, array("76fc6ece0f4e1768cddf8853bb2d551b"));
        key.open(&nonce, &ad, &mut buffer, &tag).unwrap();
        assert_eq!(buffer, plaintext);
    }

    /// PROTOCOL.md 2.1: ciphertexts, and the keys that REKEY gives.
    fn protocol_vectors<B>() {
        let vectors = vectors();
        let key = |vector: &serde_json::Value, name| {
            let cipher = if vector["cipher"] == "AESGCM" { Cipher::AesGcm } else { Cipher::AesCbcHmac };
            Key::<B>::new(cipher, &field(vector, name).try_into().unwrap())
        };
        for vector in vectors["ciphers"].as_array().unwrap() {
            let key = key(vector, "key");
            let n = u64::from_be_bytes(field(vector, "n").try_into().unwrap());
            let (ad, plaintext, ciphertext) =
                (field(vector, "ad"), field(vector, "plaintext"), field(vector, "ciphertext"));
            assert_eq!(seal(&key, n, &ad, &plaintext), ciphertext);
            assert_eq!(open(&key, n, &ad, &ciphertext), Ok(plaintext));
        }
        for vector in vectors["rekey"].as_array().unwrap() {
            let (key, rekeyed) = (key(vector, "key"), key(vector, "rekeyed"));
            assert_eq!(seal(&key.rekey(), N, AD, TEXT), seal(&rekeyed, N, AD, TEXT));
        }
    }

    /// RFC 7518 appendix B.1: A128CBC-HS256, the same code with shorter keys and tag.
    fn rfc_7518<B>() {
        let key: [u8; 32] = core::array::from_fn(|index| index as u8);
        let (mac, encryption) = key.split_first_chunk::<16>().unwrap();
        let cipher = CbcHmac::<B::Mac128, B::Cbc128, 16, 16>::new(mac, encryption.try_into().unwrap());
        let plaintext = b"A cipher system must not be required to be secret, and it must be able to fall into the hands of \
                          the enemy without inconvenience";
        let (iv, ad) = (array("1af38c2dc2b96ffdd86694092341bc04"), b"The second principle of Auguste Kerckhoffs");
        let mut buffer = plaintext.to_vec();
        cipher.seal(&iv, ad, &mut buffer, 0);
        assert_eq!(buffer, hex(
            "c80edfa32ddf39d5ef00c0b468834279a2e46a1b8049f792f76bfe54b903a9c9a94ac9b47ad2655c5f10f9aef71427e2
             fc6f9b3f399a221489f16362c703233609d45ac69864e3321cf82935ac4096c86e133314c54019e8ca7980dfa4b9cf1b
             384c486f3a54c51078158ee5d79de59fbd34d848b3d69550a67646344427ade54b8851ffb598f7f80074b9473c82e2db
             652c3fa36b0a7c5b3219fab3a30bc1c4"));
        let length = cipher.open(&iv, ad, &mut buffer).unwrap();
        assert_eq!(buffer[..length], *plaintext);
    }

    fn each_opens_what_the_other_sealed<A, B>() {
        for cipher in CIPHERS {
            let (a, b) = (Key::<A>::new(cipher, &[7; 32]), Key::<B>::new(cipher, &[7; 32]));
            for length in [0, 1, 15, 16, 17, 31, 32, 255, 256, 4_000, 65_000] {
                let plaintext = vec![5; length];
                let sealed = seal(&a, N, AD, &plaintext);
                assert_eq!(sealed.len(), cipher.ciphertext_len(length));
                assert_eq!(sealed, seal(&b, N, AD, &plaintext));
                assert_eq!(open(&b, N, AD, &sealed).unwrap(), plaintext);
            }
            assert_eq!(seal(&a.rekey(), N, AD, TEXT), seal(&b.rekey(), N, AD, TEXT));
        }
    }

    /// ATTACKS.md B5, and B6's shortened tags: every bit flipped and every cut fails, and leaves nothing in the buffer.
    fn b5_a_failed_open_wipes_the_buffer<B>() {
        for cipher in CIPHERS {
            let key = Key::<B>::new(cipher, &[7; 32]);
            let sealed = seal(&key, N, AD, TEXT);
            for bit in 0..8 * sealed.len() {
                let mut changed = sealed.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(open(&key, N, AD, &changed), Err(Decrypt));
            }
            for length in 0..sealed.len() {
                assert_eq!(open(&key, N, AD, &sealed[..length]), Err(Decrypt));
                assert_eq!(open(&key, N, AD, &sealed[sealed.len() - length..]), Err(Decrypt));
            }
            assert_eq!(open(&key, N, AD, &[&sealed[..], &[0]].concat()), Err(Decrypt));
            for (n, ad) in [(N + 1, AD), (0, AD), (N, &b""[..]), (N, &AD[1..])] {
                assert_eq!(open(&key, n, ad, &sealed), Err(Decrypt));
            }
        }
    }

    /// ATTACKS.md B7: nothing opens under the other cipher or another key.
    fn b7_ciphers_and_keys_are_apart<B>() {
        for (cipher, other) in [(Cipher::AesGcm, Cipher::AesCbcHmac), (Cipher::AesCbcHmac, Cipher::AesGcm)] {
            let sealed = seal(&Key::<B>::new(cipher, &[7; 32]), N, AD, TEXT);
            assert_eq!(open(&Key::<B>::new(other, &[7; 32]), N, AD, &sealed), Err(Decrypt));
            assert_eq!(open(&Key::<B>::new(cipher, &[8; 32]), N, AD, &sealed), Err(Decrypt));
            assert_eq!(open(&Key::<B>::new(cipher, &[7; 32]).rekey(), N, AD, &sealed), Err(Decrypt));
        }
    }

    /// An idle link holds two keys and may cost 4 KiB.
    fn keys_are_small<B>() {
        assert!(size_of::<Key<B>>() <= 16);
        assert!(size_of::<B::Gcm>() <= 768 && size_of::<CbcKey<B>>() <= 1_536, "{}", size_of::<CbcKey<B>>());
    }
}

#[test]
fn lengths_are_inverse() {
    for cipher in CIPHERS {
        for n in 0..200 {
            let sealed = cipher.ciphertext_len(n);
            assert!(cipher.max_plaintext(sealed) >= n && cipher.max_plaintext(sealed - 1) < n.max(1));
            assert!(sealed - n <= OVERHEAD_MAX);
        }
        assert_eq!(cipher.max_plaintext(0), 0);
    }
    // PROTOCOL.md section 11, with the record's type byte in it.
    assert_eq!(CIPHERS.map(|cipher| cipher.max_plaintext(65_535)), [65_519, 65_487]);
}

#[test]
fn ids() {
    for cipher in CIPHERS {
        assert_eq!(Cipher::from_id(cipher.id()), Some(cipher));
        assert_eq!(crate::codec::encode(&cipher), [cipher.id()]);
    }
    assert_eq!((Cipher::from_id(0), Cipher::from_id(3)), (None, None));
    assert_eq!(crate::codec::decode::<Cipher>(&[3]), Err(InvalidMessage::UnknownValue));
}

#[test]
fn sealing_and_opening_apart_from_the_buffer() {
    for cipher in CIPHERS {
        let key = AeadKey::new(cipher, &[7; 32]);
        let sealed = key.seal(N, AD, TEXT);
        assert_eq!(key.open(N, AD, &sealed).unwrap().as_slice(), TEXT);
        assert_eq!(key.open(N, AD, &sealed[1..]).unwrap_err(), Decrypt);
        assert_eq!(key.rekey().open(N, AD, &key.rekey().seal(N, AD, TEXT)).unwrap().as_slice(), TEXT);
        // Room was reserved for the ciphertext: nothing is moved, so no plaintext stays behind.
        let mut buffer = Vec::with_capacity(TEXT.len() + OVERHEAD_MAX);
        buffer.extend_from_slice(TEXT);
        let place = buffer.as_ptr();
        key.seal_in_place(N, AD, &mut buffer, 0);
        assert_eq!((buffer.as_ptr(), &buffer), (place, &sealed));
        // A start beyond the end seals nothing at all.
        let mut buffer = b"ab".to_vec();
        key.seal_in_place(N, AD, &mut buffer, 9);
        assert_eq!(key.open(N, AD, &buffer[2..]).unwrap().as_slice(), b"");
    }
}

#[test]
fn debug_shows_the_cipher_only() {
    assert_eq!(format!("{:?}", AeadKey::new(Cipher::AesGcm, &[0x41; 32])), "AeadKey(AesGcm, ..)");
}

/// A key to which every plaintext is more than 64 GiB.
struct Full;

impl Gcm for Full {
    fn new(_: &[u8; 32]) -> Self {
        Self
    }

    fn seal(&self, _: &[u8; 12], _: &[u8], _: &mut [u8]) -> Result<[u8; 16], Decrypt> {
        Err(Decrypt)
    }

    fn open(&self, _: &[u8; 12], _: &[u8], _: &mut [u8], _: &[u8; 16]) -> Result<(), Decrypt> {
        Err(Decrypt)
    }
}

#[test]
fn what_is_too_long_to_be_sealed_leaves_as_zeros() {
    let mut buffer = b"before and plaintext".to_vec();
    seal_gcm(&Full::new(&[0; 32]), &nonce(N), AD, &mut buffer, 11);
    assert_eq!(buffer, [b"before and ", &[0; 9 + GCM_TAG][..]].concat());
    assert_eq!(open_gcm(&Full, &nonce(N), AD, &mut buffer), Err(Decrypt));
}
