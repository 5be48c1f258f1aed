use super::*;
use crate::crypto::aead::{AeadKey, Cipher};
use crate::crypto::hash::{hkdf_expand, hmac_sha256, sha256};
use crate::crypto::secret::Secret;
use crate::error::Decrypt;
use crate::limits::{CHUNK_SIZE, FILE_NAME_MAX, MEDIA_TYPE_MAX, SEALED_CHUNK_MAX};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::BTreeSet;

const BOTH: [Cipher; 2] = [Cipher::AesGcm, Cipher::AesCbcHmac];

fn offer(cipher: Cipher, size: usize, seed: u64) -> FileOffer {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    FileOffer::new(cipher, size as u64, "a.bin", "", &Limits::default(), &mut rng).unwrap()
}

fn data(size: usize) -> Vec<u8> {
    let mut data = vec![0; size];
    ChaCha20Rng::seed_from_u64(99).fill_bytes(&mut data);
    data
}

fn seal_all(offer: &FileOffer, data: &[u8]) -> (Vec<Vec<u8>>, [u8; 32]) {
    let mut sealer = FileSealer::new(offer);
    let sealed = (0..sealer.count())
        .map(|i| {
            let (offset, length) = sealer.chunk_range(i).unwrap();
            sealer.seal_chunk(i, &data[offset as usize..][..length]).unwrap()
        })
        .collect();
    (sealed, sealer.complete().unwrap())
}

fn opener(offer: &FileOffer) -> FileOpener {
    FileOpener::new(offer, &Limits::default()).unwrap()
}

#[test]
fn files_of_every_size_arrive_in_any_order() {
    for cipher in BOTH {
        for size in [0, 1, 15, 16, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 3 * CHUNK_SIZE, 3 * CHUNK_SIZE + 5] {
            let (offer, data) = (offer(cipher, size, 1), data(size));
            let (sealed, root) = seal_all(&offer, &data);
            assert_eq!(sealed.len(), size.div_ceil(CHUNK_SIZE).max(1));
            assert!(sealed.iter().all(|chunk| chunk.len() <= SEALED_CHUNK_MAX));

            let mut opener = opener(&offer);
            let mut file = vec![0xee; size];
            for (i, sealed) in sealed.iter().enumerate().rev() {
                assert!(opener.finish(&root).is_err());
                let opened = opener.open_chunk(i as u64, sealed).unwrap();
                let (offset, length) = opener.chunk_range(i as u64).unwrap();
                assert_eq!(opened.len(), length);
                file[offset as usize..][..length].copy_from_slice(&opened);
            }
            assert_eq!(opener.missing().count(), 0);
            assert_eq!(opener.finish(&root), Ok(()));
            assert!(file == data);
        }
    }
}

/// The construction, step by step from PROTOCOL.md section 9.
#[test]
fn the_construction_is_the_documented_one() {
    for cipher in BOTH {
        let size = CHUNK_SIZE + 3;
        let (offer, data) = (offer(cipher, size, 1), data(size));
        let (sealed, root) = seal_all(&offer, &data);
        let (id, size) = (offer.id, (size as u64).to_be_bytes());

        let mut derived = [0; 64];
        hkdf_expand(offer.key.as_bytes(), &[b"securechat1 file\0", &id, &size, &[cipher as u8]], &mut derived);
        let (salt, commit) = derived.split_at(32);
        let mut tags = Vec::new();
        for (i, chunk) in data.chunks(CHUNK_SIZE).enumerate() {
            let place = [&(i as u64).to_be_bytes()[..], &[i as u8]].concat();
            let mut tag = [0; 32];
            hmac_sha256(salt, &[&place, chunk], &mut tag);
            let mut key = [0; 32];
            hkdf_expand(offer.key.as_bytes(), &[b"securechat1 chunk\0", &tag[..16]], &mut key);
            let ad = [b"securechat1 chunk ad\0", commit, &id, &place, &size].concat();
            let ciphertext = AeadKey::new(cipher, &key).seal(0, &ad, chunk);
            assert!(sealed[i] == [&tag[..16], &ciphertext].concat());
            tags.extend_from_slice(&tag);
        }
        assert_eq!(root, sha256(&[b"securechat1 file root\0", commit, &id, &size, &[cipher as u8], &tags]));
    }
}

/// ATTACKS.md B4: no (key, nonce) seals two plaintexts, even when a file is edited while it is sent.
#[test]
fn b4_other_bytes_have_another_key() {
    let offer = offer(Cipher::AesGcm, 1_000, 1);
    let chunks = Chunks::new(&offer);
    let mut salts = BTreeSet::new();
    let mut edited = data(1_000);
    for place in 0..1_000 {
        edited[place] ^= 1;
        let (sealed, _) = chunks.seal(0, &edited).unwrap();
        assert!(salts.insert(sealed[..16].to_vec()));
        assert_eq!(chunks.seal(0, &edited).unwrap().0, sealed, "the same bytes seal to the same chunk");
    }
}

/// ATTACKS.md B11: equal bytes at two places, or in two files, have nothing in common.
#[test]
fn b11_equal_chunks_are_unrelated() {
    let same = vec![7; 2 * CHUNK_SIZE];
    let (first, _) = seal_all(&offer(Cipher::AesGcm, same.len(), 1), &same);
    let (second, _) = seal_all(&offer(Cipher::AesGcm, same.len(), 2), &same);
    let blocks: BTreeSet<_> = first.iter().chain(&second).flat_map(|chunk| chunk.chunks_exact(16)).collect();
    assert_eq!(blocks.len(), 4 * (CHUNK_SIZE / 16 + 2));
}

/// ATTACKS.md E3.
#[test]
fn e3_chunks_swapped_cut_or_from_elsewhere_are_refused() {
    for cipher in BOTH {
        let size = 3 * CHUNK_SIZE;
        let (mine, data) = (offer(cipher, size, 1), data(size));
        let (sealed, root) = seal_all(&mine, &data);
        let (foreign, foreign_root) = seal_all(&offer(cipher, size, 2), &data);
        let (longer, _) =
            seal_all(&FileOffer { size: size as u64 + 1, ..mine.duplicate() }, &[&data[..], &[0]].concat());
        let other_cipher = if cipher == Cipher::AesGcm { Cipher::AesCbcHmac } else { Cipher::AesGcm };
        let (recoded, _) = seal_all(&FileOffer { cipher: other_cipher, ..mine.duplicate() }, &data);
        let mut opener = opener(&mine);
        for (i, wrong) in [
            (0, &sealed[1]),
            (1, &sealed[0]),
            (2, &sealed[1]),
            (1, &sealed[2]),
            (0, &foreign[0]),
            (0, &longer[0]),
            (2, &longer[2]),
            (0, &recoded[0]),
        ] {
            assert_eq!(opener.open_chunk(i, wrong).err(), Some(Decrypt.into()));
        }
        for end in (0..40).chain(CHUNK_SIZE..sealed[0].len()) {
            assert_eq!(opener.open_chunk(0, &sealed[0][..end]).err(), Some(Decrypt.into()));
        }
        assert!(opener.open_chunk(0, &[&sealed[0][..], &[0]].concat()).is_err());
        assert_eq!(opener.open_chunk(3, &sealed[2]).err(), Some(PeerMisbehaved::FileMismatch.into()));
        assert_eq!(opener.open_chunk(u64::MAX, &sealed[2]).err(), Some(PeerMisbehaved::FileMismatch.into()));
        assert_eq!(opener.manifest().present(), 0, "nothing was taken in");

        opener.open_chunk(0, &sealed[0]).unwrap();
        opener.open_chunk(0, &sealed[0]).unwrap();
        opener.open_chunk(2, &sealed[2]).unwrap();
        assert!(opener.missing().eq(core::iter::once(1..2)));
        assert_eq!(opener.finish(&root), Err(ApiMisuse::WrongState.into()), "one was dropped");
        opener.open_chunk(1, &sealed[1]).unwrap();
        assert_eq!(opener.finish(&foreign_root), Err(PeerMisbehaved::FileMismatch.into()));
        assert_eq!(opener.finish(&root), Ok(()));
    }
}

/// ATTACKS.md B9, for a chunk.
#[test]
fn b9_no_changed_chunk_opens() {
    for cipher in BOTH {
        let offer = offer(cipher, 20, 1);
        let (sealed, _) = seal_all(&offer, &data(20));
        let mut opener = opener(&offer);
        for bit in 0..sealed[0].len() * 8 {
            let mut changed = sealed[0].clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opener.open_chunk(0, &changed).err(), Some(Decrypt.into()), "{bit}");
        }
    }
}

/// ATTACKS.md E3 and F3: what was released under an offer never changes.
#[test]
fn e3_an_edited_file_is_file_changed() {
    let changed = Err(Error::from(ApiMisuse::FileChanged));
    let size = CHUNK_SIZE + 10;
    let (offer, data) = (offer(Cipher::AesGcm, size, 1), data(size));
    let mut edited = data[CHUNK_SIZE..].to_vec();
    edited[3] ^= 1;

    let mut sealer = FileSealer::new(&offer);
    sealer.seal_chunk(1, &data[CHUNK_SIZE..]).unwrap();
    sealer.seal_chunk(1, &data[CHUNK_SIZE..]).unwrap();
    assert_eq!(sealer.seal_chunk(1, &edited), changed);
    assert_eq!(sealer.seal_chunk(1, &data[CHUNK_SIZE..]), changed, "the transfer is over");
    assert_eq!(sealer.complete(), None);

    for wrong in [&edited[..9], &[&edited[..], &[0]].concat(), &[]] {
        assert_eq!(FileSealer::new(&offer).seal_chunk(1, wrong), changed, "another length");
    }
    assert_eq!(FileSealer::new(&offer).seal_chunk(2, &[]), Err(ApiMisuse::NotFound.into()));
}

/// Somebody else who holds the key made a chunk: it cannot take the place of one that is in, and the root shows it.
#[test]
fn a_chunk_by_another_holder_of_the_key_does_not_complete() {
    let offer = offer(Cipher::AesGcm, 10, 1);
    let (genuine, root) = seal_all(&offer, &data(10));
    let (other, _) = seal_all(&offer, &[0; 10]);
    let mut opener = opener(&offer);
    opener.open_chunk(0, &other[0]).unwrap();
    assert_eq!(opener.open_chunk(0, &genuine[0]).err(), Some(PeerMisbehaved::FileMismatch.into()));
    assert_eq!(opener.finish(&root), Err(PeerMisbehaved::FileMismatch.into()));
}

/// A holder of the key who does not seal by the rules: other bytes under the key of given ones, or fewer than announced.
#[test]
fn a_chunk_that_breaks_the_rules_is_refused() {
    for cipher in BOTH {
        let offer = offer(cipher, 10, 1);
        let (size, id) = (10_u64.to_be_bytes(), offer.id);
        let mut derived = [0; 64];
        hkdf_expand(offer.key.as_bytes(), &[b"securechat1 file\0", &id, &size, &[cipher as u8]], &mut derived);
        let (salt, commit) = derived.split_at(32);
        let ad = [b"securechat1 chunk ad\0", commit, &id, &[0; 8], &[1], &size].concat();
        let salt_of = |plaintext: &[u8]| {
            let mut tag = [0; 32];
            hmac_sha256(salt, &[&[0; 8], &[1], plaintext], &mut tag);
            tag[..16].to_vec()
        };
        let seal = |salt: &[u8], plaintext: &[u8]| {
            let mut key = [0; 32];
            hkdf_expand(offer.key.as_bytes(), &[b"securechat1 chunk\0", salt], &mut key);
            [salt, &AeadKey::new(cipher, &key).seal(0, &ad, plaintext)].concat()
        };
        let open = |sealed: &[u8]| opener(&offer).open_chunk(0, sealed).err();
        let data = data(10);

        assert_eq!(open(&seal(&salt_of(&data), &data)), None, "the test seals as the code does");
        assert_eq!(open(&seal(&salt_of(&data), &[1; 10])), Some(Decrypt.into()));
        assert_eq!(open(&seal(&[0; 16], &data)), Some(Decrypt.into()));
        // In CBC nine bytes and ten have ciphertexts of one length.
        assert_eq!(open(&seal(&salt_of(&data[..9]), &data[..9])), Some(Decrypt.into()));
    }
}

/// ATTACKS.md E2: what is announced is capped, and caps what can be written.
#[test]
fn e2_sizes_are_capped() {
    let limits = Limits { file_size: 1_000, ..Limits::default() };
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut new = |size, name: &str, media: &str| FileOffer::new(Cipher::AesGcm, size, name, media, &limits, &mut rng);
    assert!(new(1_000, "a", "").is_ok());
    assert_eq!(new(1_001, "a", "").err(), Some(ApiMisuse::TooLarge));
    assert_eq!(new(1, &"a".repeat(FILE_NAME_MAX + 1), "").err(), Some(ApiMisuse::TooLarge));
    assert_eq!(new(1, "a", &"a".repeat(MEDIA_TYPE_MAX + 1)).err(), Some(ApiMisuse::TooLarge));
    let too_large = FileOpener::new(&offer(Cipher::AesGcm, 1_001, 1), &limits);
    assert_eq!(too_large.err(), Some(PeerMisbehaved::LimitExceeded.into()));

    let absurd = Chunks::new(&FileOffer { size: u64::MAX, ..offer(Cipher::AesGcm, 0, 1) });
    let last = absurd.count() - 1;
    let (offset, length) = absurd.range(last).unwrap();
    assert_eq!(offset + length as u64, u64::MAX);
    assert_eq!(absurd.range(last + 1), None);
}

#[test]
fn debug_shows_no_key() {
    let offer =
        FileOffer { key: Secret::from_bytes(&[0x41; 32]), name: "canary".into(), ..offer(Cipher::AesGcm, 0, 1) };
    for shown in [format!("{offer:?}"), format!("{:?}", opener(&offer)), format!("{:?}", FileSealer::new(&offer))] {
        assert!(!shown.contains("65, 65") && !shown.contains("canary"), "{shown}");
    }
}
