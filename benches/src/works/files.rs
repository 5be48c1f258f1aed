//! Sixteen MiB of a file, sealed in chunks and opened again.

use self::FileProof::{Contents, Tags};
use super::{Run, Work, target, timed};
use crate::bare::OpenSsl;
use crate::{noise_bytes, random};
use securechat_core::crypto::aead::Cipher;
use securechat_core::file::{Chunks, FileOffer, FileProof};
use securechat_core::limits::{CHUNK_SIZE, Limits};
use std::hint::black_box;
use std::io::{Read, Write};
use std::sync::Arc;

const SIZE: usize = 16 << 20;

pub(super) fn works() -> Vec<Work> {
    let mut works = Vec::new();
    for (cipher, name) in [(Cipher::AesGcm, "GCM"), (Cipher::AesCbcHmac, "CBC with HMAC")] {
        let mut one = Work::new(format!("16 MiB in chunks, {name}"), SIZE, ours(cipher, Tags, 1));
        one = match cipher {
            Cipher::AesGcm => one.beside("age", target(1.0, 0.7), age()).beside(
                "libsodium secretstream",
                target(1.0, 0.7),
                secretstream(),
            ),
            Cipher::AesCbcHmac => one.beside("OpenSSL, in sequence", 1.0, openssl()),
        };
        works.push(one);
        works.push(Work::new(format!("16 MiB in chunks, {name}, two threads"), SIZE, ours(cipher, Tags, 2)).beside(
            "securechat, one thread",
            1.8,
            ours(cipher, Tags, 1),
        ));
        let by_contents = Work::new(format!("16 MiB in chunks by contents, {name}"), SIZE, ours(cipher, Contents, 1));
        works.push(by_contents.beside("securechat, by tags", None, ours(cipher, Tags, 1)));
    }
    works
}

fn ours(cipher: Cipher, proof: FileProof, threads: u64) -> Run {
    let (limits, mut rng) = (Limits::default(), random(6));
    let offer = FileOffer::new(cipher, proof, SIZE as u64, "file", "", &limits, &mut *rng).unwrap();
    let (chunks, data) = (Arc::new(Chunks::new(&offer)), Arc::new(noise_bytes(SIZE)));
    timed(move || {
        let part = |first: u64| {
            let mut rng = random(first);
            for i in (first..chunks.count()).step_by(threads as usize) {
                let (start, length) = chunks.range(i).unwrap();
                let start = start as usize;
                let (sealed, _) = chunks.seal(i, black_box(&data[start..start + length]), None, &mut *rng).unwrap();
                black_box(chunks.open(i, &sealed).unwrap());
            }
        };
        if threads == 1 {
            part(0);
        } else {
            std::thread::scope(|scope| (0..threads).for_each(|first| drop(scope.spawn(move || part(first)))));
        }
    })
}

fn age() -> Run {
    let data = noise_bytes(SIZE);
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public();
    timed(move || {
        let mut sealed = Vec::with_capacity(SIZE + SIZE / 1000);
        let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as _)).unwrap();
        let mut writer = encryptor.wrap_output(&mut sealed).unwrap();
        writer.write_all(black_box(&data)).unwrap();
        writer.finish().unwrap();
        let decryptor = age::Decryptor::new(&sealed[..]).unwrap();
        let mut opened = Vec::with_capacity(SIZE);
        decryptor.decrypt(std::iter::once(&identity as _)).unwrap().read_to_end(&mut opened).unwrap();
        black_box(opened);
    })
}

/// In chunks of the same size as ours.
fn secretstream() -> Run {
    let data = noise_bytes(SIZE);
    timed(move || {
        let (mut sealed, mut opened) = (Vec::new(), Vec::new());
        let mut stream = crate::sodium::Stream::new(&[7; 32]);
        for chunk in data.chunks(CHUNK_SIZE) {
            stream.seal(black_box(chunk), &mut sealed);
            stream.open(&sealed, &mut opened);
            black_box(&opened);
        }
    })
}

fn openssl() -> Run {
    let (key, data, mut wire) = (OpenSsl::new(), noise_bytes(SIZE), Vec::new());
    timed(move || {
        for chunk in data.chunks(CHUNK_SIZE) {
            key.seal(black_box(chunk), &mut wire);
            black_box(key.open(&wire));
        }
    })
}
