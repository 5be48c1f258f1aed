use super::*;
use crate::codec::{decode, encode};
use crate::crypto::aead::{AeadKey, Cipher};
use crate::crypto::hash::{hkdf_expand, hmac_sha256, sha256};
use crate::crypto::secret::Secret;
use crate::error::Decrypt;
use crate::limits::{CHUNK_SIZE, FILE_NAME_MAX, MEDIA_TYPE_MAX, SEALED_CHUNK_MAX};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::BTreeSet;

/// A cipher and a proof.
type Kind = (Cipher, FileProof);

const EVERY: [Kind; 4] = [
    GCM,
    (Cipher::AesGcm, FileProof::Contents),
    (Cipher::AesCbcHmac, FileProof::Tags),
    (Cipher::AesCbcHmac, FileProof::Contents),
];
const GCM: Kind = (Cipher::AesGcm, FileProof::Tags);

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn offer((cipher, proof): Kind, size: usize, seed: u64) -> FileOffer {
    FileOffer::new(cipher, proof, size as u64, "a.bin", "", &Limits::default(), &mut rng(seed)).unwrap()
}

fn data(size: usize) -> Vec<u8> {
    let mut data = vec![0; size];
    rng(99).fill_bytes(&mut data);
    data
}

fn seal_all(offer: &FileOffer, data: &[u8]) -> (Vec<Vec<u8>>, [u8; 32]) {
    let (mut sealer, mut rng) = (FileSealer::new(offer), rng(7));
    let sealed = (0..sealer.count())
        .map(|i| {
            let (offset, length) = sealer.chunk_range(i).unwrap();
            sealer.seal_chunk(i, &data[offset as usize..][..length], &mut rng).unwrap()
        })
        .collect();
    (sealed, sealer.root().unwrap())
}

fn opener(offer: &FileOffer) -> FileOpener {
    FileOpener::new(offer, &Limits::default()).unwrap()
}

#[test]
fn files_of_every_size_arrive_in_any_order() {
    for kind in EVERY {
        for size in [0, 1, 15, 16, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 3 * CHUNK_SIZE, 3 * CHUNK_SIZE + 5] {
            let (offer, data) = (offer(kind, size, 1), data(size));
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

/// F3: either side goes on from its pages, and a manifest of another file is not taken.
#[test]
fn both_sides_go_on_from_what_they_kept() {
    for kind in EVERY {
        let size = 2 * CHUNK_SIZE + 1;
        let (offer, data, mut rng) = (offer(kind, size, 1), data(size), rng(3));
        let parts: Vec<&[u8]> = data.chunks(CHUNK_SIZE).collect();
        let kept = |manifest: &Manifest| {
            let pages = manifest.pages().map(|(number, page)| (number, decode(&encode(page)).unwrap()));
            Manifest::restore(manifest.count(), pages).unwrap()
        };
        let (mut sealer, mut opener) = (FileSealer::new(&offer), opener(&offer));
        let first = sealer.seal_chunk(0, parts[0], &mut rng).unwrap();
        opener.open_chunk(0, &first).unwrap();

        let mut sealer = FileSealer::resume(&offer, kept(sealer.manifest())).unwrap();
        let mut opener = FileOpener::resume(&offer, kept(opener.manifest()), &Limits::default()).unwrap();
        assert!(opener.missing().eq(core::iter::once(1..3)));
        assert!(sealer.seal_chunk(0, parts[0], &mut rng).unwrap() == first, "the same chunk leaves again");
        for (i, part) in (1..).zip(&parts[1..]) {
            opener.open_chunk(i, &sealer.seal_chunk(i, part, &mut rng).unwrap()).unwrap();
        }
        assert_eq!(opener.root(), sealer.root());
        assert_eq!(opener.finish(&sealer.root().unwrap()), Ok(()));

        let other = || Manifest::new(sealer.count() + 1);
        assert_eq!(FileSealer::resume(&offer, other()).err(), Some(ApiMisuse::Record));
        assert_eq!(FileOpener::resume(&offer, other(), &Limits::default()).err(), Some(ApiMisuse::Record.into()));
    }
}

/// What sections 9 and 2.1 say, step by step, for a holder of the key who may do as they like.
struct ByHand<'a> {
    offer: &'a FileOffer,
    salt: [u8; 32],
    commit: [u8; 32],
}

impl<'a> ByHand<'a> {
    fn new(offer: &'a FileOffer) -> Self {
        let (size, ids) = (offer.size.to_be_bytes(), [offer.cipher as u8, offer.proof as u8]);
        let mut derived = [[0; 32]; 2];
        let info = [b"securechat1 file\0", &offer.id[..], &size, &ids];
        hkdf_expand(offer.key.as_bytes(), &info, derived.as_flattened_mut());
        let [salt, commit] = derived;
        Self { offer, salt, commit }
    }

    fn place(&self, i: u64) -> Vec<u8> {
        [&i.to_be_bytes()[..], &[u8::from((i + 1) * CHUNK_SIZE as u64 >= self.offer.size)]].concat()
    }

    /// t_i by contents.
    fn contents_tag(&self, i: u64, plaintext: &[u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        hmac_sha256(&self.salt, &[&self.place(i), plaintext], &mut tag);
        tag
    }

    fn chunk_keys(&self, salt: &[u8]) -> [[u8; 32]; 2] {
        let mut derived = [[0; 32]; 2];
        let info = [b"securechat1 chunk\0", salt];
        hkdf_expand(self.offer.key.as_bytes(), &info, derived.as_flattened_mut());
        derived
    }

    fn seal(&self, i: u64, salt: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let [key, commit] = self.chunk_keys(salt);
        let size = self.offer.size.to_be_bytes();
        let ad = [b"securechat1 chunk ad\0", &self.commit[..], &self.offer.id, &self.place(i), &size].concat();
        let ciphertext = AeadKey::new(self.offer.cipher, &key).seal(0, &ad, plaintext);
        [salt, &commit, &ciphertext].concat()
    }

    fn root(&self, tags: &[u8]) -> [u8; 32] {
        let (size, cipher) = (self.offer.size.to_be_bytes(), [self.offer.cipher as u8]);
        sha256(&[b"securechat1 file root\0", &self.commit, &self.offer.id, &size, &cipher, tags])
    }
}

#[test]
fn the_construction_is_the_documented_one() {
    for kind in EVERY {
        let size = CHUNK_SIZE + 3;
        let (offer, data) = (offer(kind, size, 1), data(size));
        let (sealed, root) = seal_all(&offer, &data);
        let by_hand = ByHand::new(&offer);
        let mut tags = Vec::new();
        for ((i, plaintext), sealed) in (0..).zip(data.chunks(CHUNK_SIZE)).zip(&sealed) {
            let by_contents = by_hand.contents_tag(i, plaintext);
            let tag = match kind {
                (Cipher::AesGcm, FileProof::Tags) => [&sealed[..16], &sealed[sealed.len() - 16..]].concat(),
                (Cipher::AesCbcHmac, FileProof::Tags) => [&sealed[..16], &sealed[sealed.len() - 32..][..16]].concat(),
                (_, FileProof::Contents) => by_contents.to_vec(),
            };
            assert!(*sealed == by_hand.seal(i, &tag[..16], plaintext));
            assert_eq!(sealed.capacity(), sealed.len(), "nothing was moved, and nothing is left over");
            tags.extend(tag);
        }
        assert_eq!(root, by_hand.root(&tags));
    }
}

/// ATTACKS.md B4: no (key, nonce) seals two plaintexts, even when a file is edited while it is sent and nothing is known
/// of what was sealed before.
#[test]
fn b4_other_bytes_have_another_key() {
    for proof in [FileProof::Tags, FileProof::Contents] {
        let chunks = Chunks::new(&offer((Cipher::AesGcm, proof), 1_000, 1));
        let (mut salts, mut rng) = (BTreeSet::new(), rng(3));
        let mut edited = data(1_000);
        for place in 0..1_000 {
            edited[place] ^= 1;
            let (sealed, tag) = chunks.seal(0, &edited, None, &mut rng).unwrap();
            assert!(salts.insert(sealed[..16].to_vec()));
            let again = chunks.seal(0, &edited, Some(&tag), &mut rng).unwrap();
            assert_eq!(again, (sealed, tag), "the same bytes seal to the same chunk");
        }
    }
}

/// ATTACKS.md B4: who lost what was sealed has another key for the same bytes, unless the key comes from them.
#[test]
fn b4_a_lost_manifest_means_another_key() {
    for kind in EVERY {
        let (offer, data, mut rng) = (offer(kind, 100, 1), data(100), rng(3));
        let [first, second] = [(); 2].map(|()| FileSealer::new(&offer).seal_chunk(0, &data, &mut rng).unwrap());
        let by_hand = ByHand::new(&offer);
        let keys = |sealed: &[u8]| by_hand.chunk_keys(&sealed[..16]);
        assert_eq!(keys(&first) != keys(&second), kind.1 == FileProof::Tags);
        assert_eq!(first != second, kind.1 == FileProof::Tags);
        // Both are the file's, and one does not take the other's place.
        let mut opener = opener(&offer);
        assert_eq!(opener.open_chunk(0, &first).unwrap().as_slice(), data);
        assert_eq!(opener.open_chunk(0, &second).is_ok(), kind.1 == FileProof::Contents);
    }
}

/// ATTACKS.md B11: equal bytes at two places, or in two files, have nothing in common.
#[test]
fn b11_equal_chunks_are_unrelated() {
    let same = vec![7; 2 * CHUNK_SIZE];
    for proof in [FileProof::Tags, FileProof::Contents] {
        let files = [1, 2].map(|seed| seal_all(&offer((Cipher::AesGcm, proof), same.len(), seed), &same).0);
        // Beside their salts, which the test draws alike for both files.
        let bodies = files.iter().flatten().flat_map(|chunk| chunk[16..].chunks_exact(16));
        assert_eq!(bodies.collect::<BTreeSet<_>>().len(), 4 * (CHUNK_SIZE / 16 + 3));
    }
}

/// The other cipher and the other proof.
fn other((cipher, proof): Kind) -> Kind {
    let cipher = if cipher == Cipher::AesGcm { Cipher::AesCbcHmac } else { Cipher::AesGcm };
    (cipher, if proof == FileProof::Tags { FileProof::Contents } else { FileProof::Tags })
}

/// ATTACKS.md E3.
#[test]
fn e3_chunks_swapped_cut_or_from_elsewhere_are_refused() {
    for kind in EVERY {
        let size = 3 * CHUNK_SIZE;
        let (mine, data) = (offer(kind, size, 1), data(size));
        let (sealed, root) = seal_all(&mine, &data);
        let (foreign, foreign_root) = seal_all(&offer(kind, size, 2), &data);
        let (longer, _) =
            seal_all(&FileOffer { size: size as u64 + 1, ..mine.duplicate() }, &[&data[..], &[0]].concat());
        let (recoded, _) = seal_all(&FileOffer { cipher: other(kind).0, ..mine.duplicate() }, &data);
        let (reproved, _) = seal_all(&FileOffer { proof: other(kind).1, ..mine.duplicate() }, &data);
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
            (0, &reproved[0]),
        ] {
            assert_eq!(opener.open_chunk(i, wrong).err(), Some(Decrypt.into()));
        }
        for end in (0..80).chain(CHUNK_SIZE..sealed[0].len()) {
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
fn b9_no_changed_or_cut_chunk_opens() {
    for kind in EVERY {
        let offer = offer(kind, 20, 1);
        let (sealed, _) = seal_all(&offer, &data(20));
        let mut opener = opener(&offer);
        for bit in 0..sealed[0].len() * 8 {
            let mut changed = sealed[0].clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opener.open_chunk(0, &changed).err(), Some(Decrypt.into()), "{bit}");
        }
        for end in 0..sealed[0].len() {
            assert_eq!(opener.open_chunk(0, &sealed[0][..end]).err(), Some(Decrypt.into()), "{end}");
            assert_eq!(opener.open_chunk(0, &sealed[0][end + 1..]).err(), Some(Decrypt.into()), "{end}");
        }
        assert!(opener.open_chunk(0, &sealed[0]).is_ok());
    }
}

/// ATTACKS.md B8: the ciphertext is right, and the commitment alone is not.
#[test]
fn b8_a_chunk_commits_to_its_key() {
    for kind in EVERY {
        let (offer, another) = (offer(kind, 10, 1), offer(kind, 10, 2));
        let (sealed, _) = seal_all(&offer, &data(10));
        let [_, of_another] = ByHand::new(&another).chunk_keys(&sealed[0][..16]);
        for commit in [of_another, [0; 32]] {
            let mut changed = sealed[0].clone();
            changed[16..48].copy_from_slice(&commit);
            assert_eq!(opener(&offer).open_chunk(0, &changed).err(), Some(Decrypt.into()));
        }
    }
}

/// ATTACKS.md E3 and F3: what was released under an offer never changes.
#[test]
fn e3_an_edited_file_is_file_changed() {
    let changed = Err(Error::from(ApiMisuse::FileChanged));
    let size = CHUNK_SIZE + 10;
    let (data, mut rng) = (data(size), rng(3));
    let (first, last) = data.split_at(CHUNK_SIZE);
    for kind in EVERY {
        let offer = offer(kind, size, 1);
        let mut sealer = FileSealer::new(&offer);
        let sealed = sealer.seal_chunk(1, last, &mut rng);
        assert_eq!(sealer.seal_chunk(1, last, &mut rng), sealed);
        let mut edited = last.to_vec();
        edited[3] ^= 1;
        assert_eq!(sealer.seal_chunk(1, &edited, &mut rng), changed);
        assert_eq!(sealer.seal_chunk(1, last, &mut rng), changed, "the transfer is over");
        assert_eq!(sealer.seal_chunk(0, first, &mut rng), changed, "and so it is for the others");
        assert_eq!(sealer.root(), None);

        for wrong in [&edited[..9], &[&edited[..], &[0]].concat(), &[]] {
            assert_eq!(FileSealer::new(&offer).seal_chunk(1, wrong, &mut rng), changed, "another length");
        }
        assert_eq!(FileSealer::new(&offer).seal_chunk(2, &[], &mut rng), Err(ApiMisuse::NotFound.into()));
    }
}

/// ATTACKS.md B4 and E3: all of a remembered tag counts, each byte of it, and so does the place it was remembered for.
#[test]
fn e3_a_chunk_leaves_under_a_remembered_salt_only_as_it_left_before() {
    for kind in EVERY {
        let (chunks, data, mut rng) = (Chunks::new(&offer(kind, 2 * CHUNK_SIZE, 1)), data(CHUNK_SIZE), rng(3));
        let (_, tag) = chunks.seal(0, &data, None, &mut rng).unwrap();
        for place in 0..32 {
            let mut other = tag;
            other[place] ^= 1;
            assert_eq!(chunks.seal(0, &data, Some(&other), &mut rng).err(), Some(ApiMisuse::FileChanged), "{place}");
        }
        assert_eq!(chunks.seal(1, &data, Some(&tag), &mut rng).err(), Some(ApiMisuse::FileChanged));
        assert!(chunks.seal(0, &data, Some(&tag), &mut rng).is_ok());
    }
}

/// Somebody else who holds the key made a chunk: it cannot take the place of one that is in, and the root shows it.
#[test]
fn a_chunk_by_another_holder_of_the_key_does_not_complete() {
    for kind in EVERY {
        let offer = offer(kind, 10, 1);
        let (genuine, root) = seal_all(&offer, &data(10));
        let (other, _) = seal_all(&offer, &[0; 10]);
        let mut opener = opener(&offer);
        opener.open_chunk(0, &other[0]).unwrap();
        assert_eq!(opener.open_chunk(0, &genuine[0]).err(), Some(PeerMisbehaved::FileMismatch.into()));
        assert_eq!(opener.finish(&root), Err(PeerMisbehaved::FileMismatch.into()));
    }
}

/// A holder of the key who does not seal by the rules: other bytes under the key of given ones, or fewer than announced.
#[test]
fn a_chunk_that_breaks_the_rules_is_refused() {
    for kind in EVERY {
        let (offer, data) = (offer(kind, 10, 1), data(10));
        let by_hand = ByHand::new(&offer);
        let salt = |plaintext| by_hand.contents_tag(0, plaintext)[..16].to_vec();
        let open =
            |salt: &[u8], plaintext: &[u8]| opener(&offer).open_chunk(0, &by_hand.seal(0, salt, plaintext)).err();
        assert_eq!(open(&salt(&data), &data), None, "the test seals as the code does");
        // In CBC nine bytes and ten have ciphertexts of one length.
        assert_eq!(open(&salt(&data[..9]), &data[..9]), Some(Decrypt.into()));
        // By tags any salt will do; by contents it is that of the contents.
        let refused = (kind.1 == FileProof::Contents).then(|| Error::from(Decrypt));
        assert_eq!(open(&salt(&data), &[1; 10]), refused);
        assert_eq!(open(&[0; 16], &data), refused);
    }
}

/// ATTACKS.md E2: what is announced is capped, and caps what can be written.
#[test]
fn e2_sizes_are_capped() {
    let limits = Limits { file_size: 1_000, ..Limits::default() };
    let (mut rng, (cipher, proof)) = (rng(1), GCM);
    let mut new = |size, name: &str, media: &str| FileOffer::new(cipher, proof, size, name, media, &limits, &mut rng);
    assert!(new(1_000, "a", "").is_ok());
    assert_eq!(new(1_001, "a", "").err(), Some(ApiMisuse::TooLarge));
    assert_eq!(new(1, &"a".repeat(FILE_NAME_MAX + 1), "").err(), Some(ApiMisuse::TooLarge));
    assert_eq!(new(1, "a", &"a".repeat(MEDIA_TYPE_MAX + 1)).err(), Some(ApiMisuse::TooLarge));
    let too_large = FileOpener::new(&offer(GCM, 1_001, 1), &limits);
    assert_eq!(too_large.err(), Some(PeerMisbehaved::LimitExceeded.into()));

    let absurd = Chunks::new(&FileOffer { size: u64::MAX, ..offer(GCM, 0, 1) });
    let last = absurd.count() - 1;
    let (offset, length) = absurd.range(last).unwrap();
    assert_eq!(offset + length as u64, u64::MAX);
    assert_eq!(absurd.range(last + 1), None);
}

#[test]
fn debug_shows_no_key() {
    let offer = FileOffer { key: Secret::from_bytes(&[0x41; 32]), name: "canary".into(), ..offer(GCM, 0, 1) };
    for shown in [format!("{offer:?}"), format!("{:?}", opener(&offer)), format!("{:?}", FileSealer::new(&offer))] {
        assert!(!shown.contains("65, 65") && !shown.contains("canary"), "{shown}");
    }
}
