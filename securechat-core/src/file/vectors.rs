//! `tests/vectors/file.json`: PROTOCOL.md 9.

use super::{Chunks, FileOffer, FileOpener, FileProof, Manifest, safe_name};
use crate::crypto::hash::{hkdf_expand, sha256};
use crate::crypto::label::Label;
use crate::crypto::secret::Secret;
use crate::crypto::vectors::cipher;
use crate::limits::{CHUNK_SIZE, Limits};
use crate::vectors::{In, Outcome, Script, Vectors, counting, flipped, hex, with};
use serde_json::{Value, json};

fn offer(input: &In<'_>) -> FileOffer {
    FileOffer {
        id: input.array("file"),
        key: Secret::from_bytes(&input.array("key")),
        cipher: cipher(input),
        proof: proof(input),
        size: input.number("size"),
        name: String::new(),
        media_type: String::new(),
    }
}

fn proof(input: &In<'_>) -> FileProof {
    FileProof::from_id(input.number("proof") as u8).unwrap()
}

/// The plaintext, in full or as one byte repeated.
fn plaintext(input: &In<'_>) -> Vec<u8> {
    if !input.has("repeated") {
        return input.bytes("plaintext");
    }
    vec![input.bytes("repeated")[0]; input.number("length") as usize]
}

/// What 9 derives, from its words.
fn keys(input: &In<'_>) -> Outcome {
    let offer = offer(input);
    let mut derived = [0; 64];
    let info = [Label::FILE.bytes(), &offer.id, &offer.size.to_be_bytes(), &[offer.cipher.id(), offer.proof.id()]];
    hkdf_expand(offer.key.as_bytes(), &info, &mut derived);
    let chunks = Chunks::new(&offer);
    let last = chunks.range(chunks.count() - 1).unwrap().1;
    Ok(json!({
        "salt": hex(&derived[..32]),
        "commit": hex(&derived[32..]),
        "chunks": chunks.count(),
        "last_length": last,
    }))
}

/// By tags under a stated salt, or again under that of a known tag.
fn seal(input: &In<'_>) -> Outcome {
    let known = input.has("known").then(|| input.array("known"));
    let mut rng = Script::new(input.has("salt").then(|| input.bytes("salt")));
    let chunks = Chunks::new(&offer(input));
    let (sealed, tag) = chunks.seal(input.number("chunk"), &plaintext(input), known.as_ref(), &mut rng)?;
    let mut derived = [0; 64];
    hkdf_expand(&input.array("key"), &[Label::CHUNK.bytes(), &sealed[..16]], &mut derived);
    let mut out =
        json!({ "t": hex(&tag), "chunk_key": hex(&derived[..32]), "sealed_sha256": hex(&sha256(&[&sealed])) });
    if sealed.len() < 1_000 {
        out["sealed"] = hex(&sealed);
    }
    Ok(out)
}

fn open(input: &In<'_>) -> Outcome {
    let (plaintext, tag) = Chunks::new(&offer(input)).open(input.number("chunk"), &input.bytes("sealed"))?;
    Ok(json!({ "plaintext": hex(&plaintext), "t": hex(&tag) }))
}

fn root(input: &In<'_>) -> Outcome {
    let chunks = Chunks::new(&offer(input));
    let mut manifest = Manifest::new(chunks.count());
    for (tag, i) in input.list("t").iter().zip(0..) {
        manifest.note(i, tag.as_bytes().try_into().unwrap());
    }
    let root = chunks.root(&manifest).ok_or(crate::error::PeerMisbehaved::FileMismatch)?;
    Ok(json!({ "root": hex(&root) }))
}

/// A receiver: chunks in the order in which they come, then what the sender completes with.
fn receive(input: &In<'_>) -> Outcome {
    let mut opener = FileOpener::new(&offer(input), &Limits::default())?;
    for step in input.list("come") {
        opener.open_chunk(step.number("chunk"), &step.bytes("sealed"))?;
    }
    opener.finish(&input.array("root"))?;
    Ok(json!({}))
}

fn name(input: &In<'_>) -> Outcome {
    Ok(json!({ "safe": safe_name(input.text("received")) }))
}

#[test]
fn vectors() {
    let about = "Files in chunks. PROTOCOL.md 9.";
    Vectors::check(
        "file",
        about,
        &[
            ("file keys", keys),
            ("seal chunk", seal),
            ("open chunk", open),
            ("file root", root),
            ("receive file", receive),
            ("safe name", name),
        ],
        |vectors| {
            for cipher in ["AESGCM", "AESCBCHMAC"] {
                for proof in [FileProof::Tags, FileProof::Contents] {
                    small(vectors, cipher, proof);
                    large(vectors, cipher, proof);
                }
            }
            names(vectors);
        },
    );
}

/// A file of these words, for which the salt of a chunk is stated where it is drawn.
fn file(first: u8, cipher: &str, proof: FileProof, size: u64) -> Value {
    let (id, key) = (counting::<16>(first), counting::<32>(first + 0x20));
    json!({ "file": hex(&id), "key": hex(&key), "cipher": cipher, "proof": proof.id(), "size": size })
}

fn sealing(file: &Value, proof: FileProof, chunk: u64, plaintext: &[(&str, Value)]) -> Value {
    let mut seal = with(file, [("chunk", chunk.into())]);
    if proof == FileProof::Tags {
        seal["salt"] = hex(&counting::<16>(0x80 + chunk as u8));
    }
    plaintext.iter().for_each(|(name, value)| seal[*name] = value.clone());
    seal
}

fn small(vectors: &mut Vectors, cipher: &str, proof: FileProof) {
    let file = file(0x20, cipher, proof, 5);
    vectors.gives("file keys", "a small file", file.clone());
    let seal = sealing(&file, proof, 0, &[("plaintext", hex(b"bytes"))]);
    let sealed = vectors.gives("seal chunk", "a small file", seal.clone());
    vectors.fails("seal chunk", "another length than offered", with(&seal, [("plaintext", hex(b"byte"))]));
    vectors.fails("seal chunk", "a chunk that is not there", with(&seal, [("chunk", 1.into())]));
    let again = with(&file, [("chunk", 0.into()), ("plaintext", hex(b"bytes")), ("known", sealed["t"].clone())]);
    assert_eq!(vectors.gives("seal chunk", "the same again", again.clone()), sealed);
    vectors.fails("seal chunk", "other bytes than before", with(&again, [("plaintext", hex(b"Bytes"))]));
    let bytes = In::new(&sealed).bytes("sealed");
    let open = with(&file, [("chunk", 0.into()), ("sealed", sealed["sealed"].clone())]);
    vectors.gives("open chunk", "a small file", open.clone());
    for (case, field, value) in [
        ("a changed salt", "sealed", flipped(&bytes, 0)),
        ("a changed commitment", "sealed", flipped(&bytes, 16)),
        ("a changed body", "sealed", flipped(&bytes, 49)),
        ("a changed tag", "sealed", flipped(&bytes, bytes.len() - 1)),
        ("cut", "sealed", hex(&bytes[..bytes.len() - 1])),
        ("shorter than a salt", "sealed", hex(&bytes[..15])),
        ("shorter than a commitment", "sealed", hex(&bytes[..47])),
        ("another place", "chunk", 1.into()),
        ("another file", "file", hex(&[0; 16])),
        ("another key", "key", hex(&[0; 32])),
        ("another size", "size", 6.into()),
        ("another proof", "proof", (1 - proof.id()).into()),
    ] {
        vectors.fails("open chunk", case, with(&open, [(field, value)]));
    }
    // Who has the key can seal any bytes under any salt; by contents it must have been theirs.
    let forged = with(&open, [("sealed", forged(&file, &[7; 16]))]);
    match proof {
        FileProof::Tags => drop(vectors.gives("open chunk", "a salt of the sealer's choice", forged)),
        FileProof::Contents => vectors.fails("open chunk", "a salt that is not that of the contents", forged),
    }

    let root = with(&file, [("t", json!([sealed["t"]]))]);
    let root = vectors.gives("file root", "a small file", root)["root"].clone();
    vectors.fails("file root", "a chunk is missing", with(&file, [("t", json!([]))]));
    let come = json!([{ "chunk": 0, "sealed": sealed["sealed"] }]);
    let receive = with(&file, [("come", come), ("root", root)]);
    vectors.gives("receive file", "whole", receive.clone());
    vectors.fails("receive file", "another root", with(&receive, [("root", hex(&[0; 32]))]));
    vectors.fails("receive file", "nothing came", with(&receive, [("come", json!([]))]));
    vectors.fails("receive file", "larger than 64 GiB", with(&receive, [("size", ((64_u64 << 30) + 1).into())]));

    let empty = with(&file, [("size", 0.into())]);
    vectors.gives("file keys", "an empty file is one empty chunk", empty.clone());
    let seal = sealing(&empty, proof, 0, &[("plaintext", "".into())]);
    vectors.gives("seal chunk", "an empty file", seal);
}

/// A chunk 0 that seals the file's five bytes under a salt of the sealer's choice.
fn forged(file: &Value, salt: &[u8; 16]) -> Value {
    use crate::crypto::aead::AeadKey;
    let (input, keys) = (In::new(file), keys(&In::new(file)).unwrap());
    let (offer, mut derived) = (offer(&input), [[0; 32]; 2]);
    hkdf_expand(offer.key.as_bytes(), &[Label::CHUNK.bytes(), salt], derived.as_flattened_mut());
    let ([key, commit], size) = (derived, offer.size.to_be_bytes());
    let file_commit: [u8; 32] = In::new(&keys).array("commit");
    let ad = [Label::CHUNK_AD.bytes(), &file_commit, &offer.id, &[0; 8], &[1], &size].concat();
    hex(&[&salt[..], &commit, &AeadKey::new(offer.cipher, &key).seal(0, &ad, b"other")].concat())
}

fn large(vectors: &mut Vectors, cipher: &str, proof: FileProof) {
    let file = file(0x21, cipher, proof, 2 * CHUNK_SIZE as u64 + 3);
    vectors.gives("file keys", "three chunks", file.clone());
    let mut tags = Vec::new();
    for (chunk, length) in [(0, CHUNK_SIZE), (1, CHUNK_SIZE), (2, 3)] {
        let seal = sealing(&file, proof, chunk, &[("repeated", "61".into()), ("length", length.into())]);
        let out = vectors.gives("seal chunk", "three chunks", seal);
        tags.push(out["t"].clone());
    }
    vectors.gives("file root", "three chunks", with(&file, [("t", tags.clone().into())]));
    let full = json!({ "size": 2 * CHUNK_SIZE });
    vectors.gives("file keys", "the last chunk is full", with(&file, [("size", full["size"].clone())]));
    vectors.gives("file keys", "the largest file", with(&file, [("size", (64_u64 << 30).into())]));
}

fn names(vectors: &mut Vectors) {
    for received in [
        "report.pdf",
        "Grüße aus Köln (2).tar.gz",
        "../../etc/passwd",
        "..\\..\\Windows\\win.ini",
        "C:a.txt",
        "a/..",
        "",
        "..",
        "\u{202e}\u{200b}",
        "a\u{0}.txt",
        "photo\u{202e}gpj.exe",
        ".bashrc",
        " a .",
        "-rf",
        "a.txt:stream",
        "*?<>|\".txt",
        "con.txt",
        "Nul.tar.gz",
        "COM\u{b9}",
        "COM10",
        "\u{ff0e}\u{ff0e}\u{ff0f}a",
    ] {
        vectors.gives("safe name", "", json!({ "received": received }));
    }
    vectors.gives("safe name", "too long", json!({ "received": "a".repeat(300) + ".pdf" }));
}
