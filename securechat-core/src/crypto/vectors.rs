//! `tests/vectors/crypto.json`: PROTOCOL.md 2, and one-time codes.

use super::aead::{AeadKey, Cipher};
use super::backend::{Backend, rust_crypto::RustCrypto};
use super::ed25519::{SigningKey, VerifyingKey};
use super::hash::{hkdf, hkdf_expand, hmac_sha256};
use super::label::Label;
use super::secret::Secret;
use super::{mlkem, one_time, rsa, test_keys, x25519};
use crate::error::PeerMisbehaved;
use crate::vectors::{In, LOW_ORDER, Outcome, Script, Vectors, counting, flipped, hex, with};
use serde_json::{Value, json};

/// The cipher of a name.
pub(crate) fn cipher(input: &In<'_>) -> Cipher {
    match input.text("cipher") {
        "AESGCM" => Cipher::AesGcm,
        "AESCBCHMAC" => Cipher::AesCbcHmac,
        other => panic!("{other}"),
    }
}

/// The label of a name.
pub(crate) fn label_of(name: &str) -> Label {
    let whole = format!("securechat1 {name}\0");
    *Label::ALL.iter().find(|label| label.bytes() == whole.as_bytes()).unwrap()
}

/// The RSA private key in `tests/keys`.
pub(crate) fn rsa_key(name: &str) -> rsa::PrivateKey {
    let der = match name {
        "rsa2048" => test_keys::RSA_2048,
        "rsa3072" => test_keys::RSA_3072,
        "rsa4096" => test_keys::RSA_4096,
        other => panic!("{other}"),
    };
    rsa::PrivateKey::from_der(der).unwrap()
}

fn label(input: &In<'_>) -> Outcome {
    Ok(json!({ "label": hex(label_of(input.text("name")).bytes()) }))
}

fn derive(input: &In<'_>) -> Outcome {
    let (salt, ikm, info) = (input.bytes("salt"), input.bytes("ikm"), input.bytes("info"));
    let mut okm = vec![0; input.number("length") as usize];
    hkdf(&salt, &ikm, &[&info], &mut okm);
    Ok(json!({ "okm": hex(&okm) }))
}

fn expand(input: &In<'_>) -> Outcome {
    let mut okm = vec![0; input.number("length") as usize];
    hkdf_expand(&input.array("prk"), &[&input.bytes("info")], &mut okm);
    Ok(json!({ "okm": hex(&okm) }))
}

fn hmac(input: &In<'_>) -> Outcome {
    let mut tag = [0; 32];
    hmac_sha256(&input.bytes("key"), &[&input.bytes("data")], &mut tag);
    Ok(json!({ "tag": hex(&tag) }))
}

/// What 2.1 derives, from its words.
fn cbc_keys(input: &In<'_>) -> Outcome {
    let mut keys = [0; 96];
    hkdf_expand(&input.array("key"), &[Label::CBC_HMAC.bytes()], &mut keys);
    let mut iv = u128::from(input.number("n")).to_be_bytes();
    let iv_key: [u8; 32] = keys[64..].try_into().unwrap();
    let block = <<RustCrypto as Backend>::Block as super::backend::Block>::new(&iv_key);
    super::backend::Block::encrypt(&block, &mut iv);
    Ok(json!({ "mac_key": hex(&keys[..32]), "enc_key": hex(&keys[32..64]), "iv_key": hex(&iv_key), "iv": hex(&iv) }))
}

fn seal(input: &In<'_>) -> Outcome {
    let key = AeadKey::new(cipher(input), &input.array("key"));
    Ok(json!({ "ciphertext": hex(&key.seal(input.number("n"), &input.bytes("ad"), &input.bytes("plaintext"))) }))
}

fn open(input: &In<'_>) -> Outcome {
    let key = AeadKey::new(cipher(input), &input.array("key"));
    let plaintext = key.open(input.number("n"), &input.bytes("ad"), &input.bytes("ciphertext"))?;
    Ok(json!({ "plaintext": hex(&plaintext) }))
}

/// The rekeyed key shows in what it seals; its bytes are the first 32 that the old one seals.
fn rekey(input: &In<'_>) -> Outcome {
    let key = AeadKey::new(cipher(input), &input.array("key"));
    let rekeyed: [u8; 32] = *key.seal(u64::MAX, &[], &[0; 32]).first_chunk().unwrap();
    assert_eq!(key.rekey().seal(0, &[], b"x"), AeadKey::new(cipher(input), &rekeyed).seal(0, &[], b"x"));
    Ok(json!({ "rekeyed": hex(&rekeyed) }))
}

fn agree(input: &In<'_>) -> Outcome {
    let key = x25519::PrivateKey::from_bytes(&input.array("private"));
    let secret = key.agree(&x25519::PublicKey::from_bytes(input.array("public")))?;
    Ok(json!({ "own_public": hex(key.public().as_bytes()), "secret": hex(secret.as_bytes()) }))
}

fn sign(input: &In<'_>) -> Outcome {
    let key = SigningKey::from_bytes(&input.array("private"));
    let signature = key.sign(label_of(input.text("label")), &[&input.bytes("message")]);
    Ok(json!({ "public": hex(key.verifying_key().as_bytes()), "signature": hex(&signature) }))
}

fn verify(input: &In<'_>) -> Outcome {
    let key = VerifyingKey::from_bytes(input.array("public"));
    let signature = input.bytes("signature").try_into().map_err(|_| PeerMisbehaved::BadSignature)?;
    key.verify(label_of(input.text("label")), &[&input.bytes("message")], &signature)?;
    Ok(json!({}))
}

fn rsa_public(input: &In<'_>) -> Outcome {
    let key = rsa::PublicKey::from_der(&input.bytes("der"))?;
    Ok(json!({ "id": hex(&key.id()), "ciphertext_length": key.ciphertext_len() }))
}

fn rsa_wrap(input: &In<'_>) -> Outcome {
    let key = rsa::PublicKey::from_der(&input.bytes("public"))?;
    let (ciphertext, secret) = key.encapsulate(&mut Script::new([input.bytes("m"), input.bytes("oaep_seed")]));
    Ok(json!({ "ciphertext": hex(&ciphertext), "secret": hex(secret.as_bytes()) }))
}

fn rsa_unwrap(input: &In<'_>) -> Outcome {
    let key = rsa_key(input.text("private_key"));
    let secret = key.decapsulate(&input.bytes("ciphertext"), &mut Script::new([]));
    Ok(json!({ "public": hex(key.public().der()), "secret": hex(secret.as_bytes()) }))
}

fn mlkem_key(input: &In<'_>) -> Outcome {
    let key = mlkem::DecapsulationKey::from_seed(&Secret::from_bytes(&input.array("seed")));
    Ok(json!({ "encapsulation_key": hex(key.encapsulation_key().as_bytes()) }))
}

fn mlkem_wrap(input: &In<'_>) -> Outcome {
    let key = mlkem::EncapsulationKey::from_bytes(&input.bytes("encapsulation_key"))?;
    let (ciphertext, secret) = key.encapsulate(&mut Script::new([input.bytes("m")]));
    Ok(json!({ "ciphertext": hex(&ciphertext), "secret": hex(secret.as_bytes()) }))
}

fn mlkem_unwrap(input: &In<'_>) -> Outcome {
    let key = mlkem::DecapsulationKey::from_seed(&Secret::from_bytes(&input.array("seed")));
    Ok(json!({ "secret": hex(key.decapsulate(&input.bytes("ciphertext"))?.as_bytes()) }))
}

fn code(input: &In<'_>) -> Outcome {
    let step = one_time::step_at(input.number("time"));
    Ok(json!({ "code": format!("{:06}", one_time::code_at(&Secret::from_bytes(&input.array("secret")), step)) }))
}

fn code_check(input: &In<'_>) -> Outcome {
    let code = input.text("code").parse().unwrap();
    let step = one_time::matching_step(&Secret::from_bytes(&input.array("secret")), code, input.number("time"));
    Ok(json!({ "step": step.ok_or(crate::error::ApiMisuse::Refused)? }))
}

#[test]
fn vectors() {
    let about = "Labels, ciphers, key agreement, signatures, key wrapping, one-time codes. PROTOCOL.md 2, 12, 10.";
    Vectors::check(
        "crypto",
        about,
        &[
            ("label", label),
            ("hkdf", derive),
            ("hkdf expand", expand),
            ("hmac", hmac),
            ("cbc keys", cbc_keys),
            ("seal", seal),
            ("open", open),
            ("rekey", rekey),
            ("x25519", agree),
            ("sign", sign),
            ("verify", verify),
            ("rsa public key", rsa_public),
            ("rsa wrap", rsa_wrap),
            ("rsa unwrap", rsa_unwrap),
            ("mlkem key", mlkem_key),
            ("mlkem wrap", mlkem_wrap),
            ("mlkem unwrap", mlkem_unwrap),
            ("one-time code", code),
            ("one-time code check", code_check),
        ],
        |vectors| {
            derivations(vectors);
            ciphers(vectors);
            agreement(vectors);
            signatures(vectors);
            rsa_keys(vectors);
            for name in ["rsa2048", "rsa3072", "rsa4096"] {
                rsa_kem(vectors, name);
            }
            mlkem_cases(vectors);
            codes(vectors);
        },
    );
}

fn derivations(vectors: &mut Vectors) {
    for label in Label::ALL {
        let text = core::str::from_utf8(label.bytes()).unwrap();
        let name = text.trim_start_matches("securechat1 ").trim_end_matches('\0');
        vectors.gives("label", name, json!({ "name": name }));
    }
    let ikm = hex(&counting::<32>(0x40));
    for (case, salt, length) in
        [("empty salt", vec![], 32), ("a salt", vec![7; 32], 80), ("several blocks", vec![1], 96)]
    {
        let input = json!({ "salt": hex(&salt), "ikm": ikm, "info": hex(b"info"), "length": length });
        vectors.gives("hkdf", case, input);
    }
    let expand = json!({ "prk": ikm, "info": hex(Label::CHUNK.bytes()), "length": 32 });
    vectors.gives("hkdf expand", "one block", expand.clone());
    vectors.gives("hkdf expand", "three blocks", with(&expand, [("length", 96.into())]));
    vectors.gives("hmac", "a step of a chain", json!({ "key": ikm, "data": "01" }));
}

fn ciphers(vectors: &mut Vectors) {
    let key = hex(&counting::<32>(0));
    for n in [json!(0), json!(1), json!("fffffffffffffffe")] {
        vectors.gives("cbc keys", "keys and IV", json!({ "key": key, "n": n }));
    }
    for cipher in ["AESGCM", "AESCBCHMAC"] {
        let mut last = Value::Null;
        for (n, ad, length) in
            [(0, 0, 0), (1, 15, 1), (2, 16, 15), (3, 17, 16), (0x0102_0304, 100, 17), (1_u64 << 40, 0, 300)]
        {
            let (ad, plaintext) = (hex(&vec![0xad; ad]), hex(&vec![0x70; length]));
            let input = json!({ "cipher": cipher, "key": key, "n": n, "ad": ad, "plaintext": plaintext });
            let case = format!("{length} bytes");
            let sealed = vectors.gives("seal", &case, input.clone())["ciphertext"].clone();
            let mut input = with(&input, [("ciphertext", sealed)]);
            input.as_object_mut().unwrap().remove("plaintext");
            vectors.gives("open", &case, input.clone());
            last = input;
        }
        let sealed = In::new(&last).bytes("ciphertext");
        let changed = |case: &str, at: usize| (case.to_owned(), with(&last, [("ciphertext", flipped(&sealed, at))]));
        let cut = |case: &str, length: usize| (case.to_owned(), with(&last, [("ciphertext", hex(&sealed[..length]))]));
        for (case, input) in [
            changed("the first byte changed", 0),
            changed("the last byte of the body changed", sealed.len() - 33),
            changed("the first byte of the tag changed", sealed.len() - if cipher == "AESGCM" { 16 } else { 32 }),
            changed("the last byte changed", sealed.len() - 1),
            cut("one byte less", sealed.len() - 1),
            cut("half a tag", 8),
            cut("nothing", 0),
            ("one byte more".into(), with(&last, [("ciphertext", hex(&[&sealed[..], &[0]].concat()))])),
            ("another n".into(), with(&last, [("n", 1.into())])),
            ("another ad".into(), with(&last, [("ad", "00".into())])),
            ("another key".into(), with(&last, [("key", hex(&[9; 32]))])),
            ("the other cipher".into(), with(&last, [("cipher", other(cipher).into())])),
        ] {
            vectors.fails("open", &case, input);
        }
        vectors.gives("rekey", "once", json!({ "cipher": cipher, "key": key }));
    }
    bad_padding(vectors, &key);
}

fn other(cipher: &str) -> &'static str {
    if cipher == "AESGCM" { "AESCBCHMAC" } else { "AESGCM" }
}

/// Ciphertexts with a right tag whose padding is wrong: a reader sees the one error.
fn bad_padding(vectors: &mut Vectors, key: &Value) {
    use super::backend::{Block, Cbc};
    type Active = RustCrypto;
    let mut keys = [[0; 32]; 3];
    let bytes = counting::<32>(0);
    hkdf_expand(&bytes, &[Label::CBC_HMAC.bytes()], keys.as_flattened_mut());
    let [mac, encryption, iv_key] = keys;
    for (case, last) in [
        ("padding of zero bytes", [0; 16]),
        ("padding of 17 bytes", [17; 16]),
        ("padding whose bytes differ", [7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 4, 3, 3]),
    ] {
        let mut iv = [0; 16];
        <Active as Backend>::Block::new(&iv_key).encrypt(&mut iv);
        let mut blocks = [[0x70; 16], last];
        <Active as Backend>::Cbc::new(&encryption).encrypt(&iv, &mut blocks);
        let (body, mut tag) = (blocks.as_flattened(), [0; 32]);
        hmac_sha256(&mac, &[&iv, body, &[0; 8]], &mut tag);
        let ciphertext = hex(&[body, &tag].concat());
        let input = json!({ "cipher": "AESCBCHMAC", "key": key, "n": 0, "ad": "", "ciphertext": ciphertext });
        vectors.fails("open", &format!("a right tag over {case}"), input);
    }
}

fn agreement(vectors: &mut Vectors) {
    let [a, b] = [0x10, 0x50].map(counting::<32>);
    let public = |private: &[u8; 32]| hex(x25519::PrivateKey::from_bytes(private).public().as_bytes());
    let input = json!({ "private": hex(&a), "public": public(&b) });
    vectors.gives("x25519", "one side", input.clone());
    vectors.gives("x25519", "the other side", json!({ "private": hex(&b), "public": public(&a) }));
    let mut with_top_bit = In::new(&input).bytes("public");
    with_top_bit[31] |= 0x80;
    vectors.gives("x25519", "the top bit is ignored", with(&input, [("public", hex(&with_top_bit))]));
    for point in LOW_ORDER {
        vectors.fails("x25519", "a point of low order", with(&input, [("public", point.into())]));
    }
}

fn signatures(vectors: &mut Vectors) {
    let input = json!({ "private": hex(&counting::<32>(0x30)), "label": "bundle", "message": hex(b"body") });
    let signed = vectors.gives("sign", "under a label", input.clone());
    let (public, signature) = (signed["public"].clone(), In::new(&signed).array::<64>("signature"));
    let input = json!({ "public": public, "label": "bundle", "message": hex(b"body"), "signature": hex(&signature) });
    vectors.gives("verify", "right", input.clone());
    vectors.fails("verify", "another label", with(&input, [("label", "prekey".into())]));
    vectors.fails("verify", "another message", with(&input, [("message", hex(b"bodies"))]));
    vectors.fails("verify", "R changed", with(&input, [("signature", flipped(&signature, 0))]));
    vectors.fails("verify", "S changed", with(&input, [("signature", flipped(&signature, 32))]));
    let cut = hex(&signature[..63]);
    vectors.fails("verify", "cut", with(&input, [("signature", cut)]));
    // S + L, L the order of the group: the same number, not reduced.
    let order = counting_order();
    let mut more = signature;
    let mut carry = 0;
    for (byte, add) in more[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    vectors.fails("verify", "S not reduced", with(&input, [("signature", hex(&more))]));
    // A key of small order with R the neutral point and S = 0 satisfies the equation, cofactored or not.
    let neutral = [&[1][..], &[0; 31]].concat();
    let forged = hex(&[&neutral[..], &[0; 32]].concat());
    let small = with(&input, [("public", hex(&neutral)), ("signature", forged)]);
    vectors.fails("verify", "a key of small order", small);
    vectors.fails("verify", "a key that is no point", with(&input, [("public", hex(&[2; 32]))]));
    vectors.fails("verify", "another key", with(&input, [("public", hex(&[1; 32]))]));
}

/// The order of Ed25519's base point, the lowest byte first.
fn counting_order() -> [u8; 32] {
    let low = [0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14];
    core::array::from_fn(|place| low.get(place).copied().unwrap_or(if place == 31 { 0x10 } else { 0 }))
}

fn rsa_keys(vectors: &mut Vectors) {
    for name in ["rsa2048", "rsa3072", "rsa4096"] {
        vectors.gives("rsa public key", name, json!({ "der": hex(rsa_key(name).public().der()) }));
    }
    let der = rsa_key("rsa2048").public().der().to_vec();
    let length = der.len();
    let mut even = der.clone();
    even[length - 6] &= 0xfe;
    let mut short = der.clone();
    // The modulus loses its sign byte and its top bit: 2047 bits.
    short.remove(8);
    short[3] -= 1;
    short[7] -= 1;
    short[8] &= 0x7f;
    let mut exponent = der.clone();
    exponent[length - 1] = 3;
    let mut padded = der.clone();
    padded.insert(8, 0);
    padded[3] += 1;
    padded[7] += 1;
    let negative = [&[0x30, 0x82, 1, 9, 2, 0x82, 1, 0], &der[9..]].concat();
    for (case, der) in [
        ("an even modulus", even),
        ("2047 bits", short),
        ("another exponent", exponent),
        ("a zero byte too many", padded),
        ("a negative modulus", negative),
        ("a byte too many", [&der[..], &[0]].concat()),
        ("a byte too few", der[..length - 1].to_vec()),
        ("another tag", [&[0x31], &der[1..]].concat()),
        ("nothing", vec![]),
    ] {
        vectors.fails("rsa public key", case, json!({ "der": hex(&der) }));
    }
}

fn rsa_kem(vectors: &mut Vectors, name: &str) {
    let key = rsa_key(name);
    let size = key.public().ciphertext_len();
    let (m, seed) = (counting::<32>(0x64), counting::<32>(0x90));
    let wrap = json!({ "public": hex(key.public().der()), "m": hex(&m), "oaep_seed": hex(&seed) });
    let right = super::backend::oaep::crafted_with_seed(key.public(), &m, &seed, |_| {});
    assert_eq!(vectors.gives("rsa wrap", name, wrap)["ciphertext"], hex(&right));
    let crafted = |change: &dyn Fn(&mut [u8])| super::backend::oaep::crafted_with_seed(key.public(), &m, &seed, change);
    let modulus = key.public().modulus();
    let one_less = [&modulus[..size - 1], &[modulus[size - 1] - 1]].concat();
    let mark = size - 33;
    for (case, ciphertext) in [
        ("right", right.clone()),
        ("Y is not 0", crafted(&|encoded| encoded[0] = 1)),
        ("the hash of the label is another", crafted(&|encoded| encoded[33] ^= 1)),
        ("a zero is none", crafted(&|encoded| encoded[70] = 1)),
        ("the 0x01 is 0x02", crafted(&|encoded| encoded[mark] = 2)),
        ("no 0x01", crafted(&|encoded| encoded[mark] = 0)),
        ("a message of 33 bytes", crafted(&|encoded| encoded[mark - 1] = 1)),
        ("a message of 31 bytes", crafted(&|encoded| encoded[mark..mark + 2].copy_from_slice(&[0, 1]))),
        ("the ciphertext changed", [&right[..size - 1], &[right[size - 1] ^ 1]].concat()),
        ("zero", vec![0; size]),
        ("one", [&vec![0; size - 1][..], &[1]].concat()),
        ("the modulus less one", one_less),
        ("the modulus", modulus.to_vec()),
        ("above the modulus", vec![0xff; size]),
        ("empty", vec![]),
        ("a byte less", right[..size - 1].to_vec()),
        ("a byte more", [&right[..], &[0]].concat()),
        ("a zero before it", [&[0], &right[..]].concat()),
    ] {
        let case = format!("{name}, {case}");
        vectors.gives("rsa unwrap", &case, json!({ "private_key": name, "ciphertext": hex(&ciphertext) }));
    }
}

fn mlkem_cases(vectors: &mut Vectors) {
    let seed = hex(&counting::<64>(0x20));
    let key = vectors.gives("mlkem key", "from a seed", json!({ "seed": seed }))["encapsulation_key"].clone();
    let encapsulation_key = mlkem::EncapsulationKey::from_bytes(&In::new(&key).as_bytes()).unwrap();
    let wrap = json!({ "encapsulation_key": key, "m": hex(&counting::<32>(0x70)) });
    let (ciphertext, _) = RustCrypto::mlkem_encapsulate(
        encapsulation_key.as_bytes().try_into().unwrap(),
        &mut Script::new([counting::<32>(0x70).to_vec()]),
    )
    .unwrap();
    assert_eq!(vectors.gives("mlkem wrap", "right", wrap.clone())["ciphertext"], hex(&ciphertext));
    let mut unreduced = encapsulation_key.as_bytes().to_vec();
    unreduced[..2].copy_from_slice(&[0x01, 0x0d]);
    vectors.fails("mlkem wrap", "a coefficient of 3329", with(&wrap, [("encapsulation_key", hex(&unreduced))]));
    let cut = hex(&encapsulation_key.as_bytes()[1..]);
    vectors.fails("mlkem wrap", "a byte too few", with(&wrap, [("encapsulation_key", cut)]));
    let unwrap = json!({ "seed": seed, "ciphertext": hex(&ciphertext) });
    vectors.gives("mlkem unwrap", "right", unwrap.clone());
    let changed = flipped(&ciphertext, 500);
    vectors.gives("mlkem unwrap", "changed: another secret", with(&unwrap, [("ciphertext", changed)]));
    vectors.fails("mlkem unwrap", "a byte less", with(&unwrap, [("ciphertext", hex(&ciphertext[1..]))]));
}

fn codes(vectors: &mut Vectors) {
    let secret = hex(b"12345678901234567890");
    for seconds in [59_u64, 1_111_111_109, 1_234_567_890, 20_000_000_000] {
        let time = 1_000 * seconds;
        let code =
            vectors.gives("one-time code", "RFC 6238", json!({ "secret": secret, "time": time }))["code"].clone();
        let check = json!({ "secret": secret, "time": time, "code": code });
        vectors.gives("one-time code check", "in its step", check.clone());
        vectors.gives("one-time code check", "a step later", with(&check, [("time", (time + 30_000).into())]));
        vectors.gives("one-time code check", "a step before", with(&check, [("time", (time - 30_000).into())]));
        vectors.fails("one-time code check", "two steps later", with(&check, [("time", (time + 60_000).into())]));
    }
}
