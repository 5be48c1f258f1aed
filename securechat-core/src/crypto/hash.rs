//! SHA-2, HMAC and HKDF. Inputs are parts, which are taken one after the other, so that nobody has to join them.

pub use super::backend::hashes::{HKDF_MAX, hkdf, hkdf_expand, hmac_sha256, hmac_sha256_twice, sha256, sha512};
use subtle::ConstantTimeEq;

/// Whether `a` and `b` are equal, in time that depends on their lengths alone.
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::{array, hex};

    /// FIPS 180-2, appendices B and C.
    #[test]
    fn fips_180() {
        assert_eq!(sha256(&[b"abc"]), array("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
        assert_eq!(sha256(&[b"a", b"", b"bc"]), sha256(&[b"abc"]));
        assert_eq!(sha256(&[]), array("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
        assert_eq!(
            sha512(&[b"abc"]),
            array(
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
            )
        );
        assert_eq!(sha512(&[b"ab", b"c"]), sha512(&[b"abc"]));
    }

    #[test]
    fn two_messages_under_one_key() {
        let (mut first, mut second, mut expected) = ([0; 32], [0; 32], [0; 32]);
        hmac_sha256_twice(b"key", [b"one", b"another"], [&mut first, &mut second]);
        hmac_sha256(b"key", &[b"one"], &mut expected);
        assert_eq!(first, expected);
        hmac_sha256(b"key", &[b"another"], &mut expected);
        assert_eq!(second, expected);
    }

    #[test]
    fn rfc_4231() {
        let long = [0xaa; 131];
        for (key, data, tag) in [
            (&[0x0b; 20][..], &b"Hi There"[..], "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
            (
                &hex("0102030405060708090a0b0c0d0e0f10111213141516171819"),
                &[0xcd; 50],
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            ),
            (
                &long,
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                &long,
                b"This is a test using a larger than block-size key and a larger than block-size data. The key \
                      needs to be hashed before being used by the HMAC algorithm.",
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ] {
            let (head, tail) = data.split_at(data.len() / 3);
            let mut out = [0; 32];
            hmac_sha256(key, &[head, tail], &mut out);
            assert_eq!(out, array(tag));
        }
        let mut out = [0; 32];
        hmac_sha256(&[0x0c; 20], &[b"Test With Truncation"], &mut out);
        assert_eq!(out[..16], hex("a3b6167473100ee06e0c796c2955552b"));
    }

    #[test]
    fn rfc_5869() {
        let counting = |from: u8, length: u8| (from..from + length).collect::<Vec<u8>>();
        for (ikm, salt, info, prk, okm) in [
            (
                vec![0x0b; 22],
                counting(0, 13),
                counting(0xf0, 10),
                "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
            ),
            (
                counting(0, 80),
                counting(0x60, 80),
                (0xb0..=0xff).collect(),
                "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09
              da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
            ),
            (
                vec![0x0b; 22],
                vec![],
                vec![],
                "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
            ),
        ] {
            let okm = hex(okm);
            let (head, tail) = info.split_at(info.len() / 2);
            let mut out = vec![0; okm.len()];
            hkdf(&salt, &ikm, &[head, tail], &mut out);
            assert_eq!(out, okm);
            out.fill(0);
            hkdf_expand(&array(prk), &[head, tail], &mut out);
            assert_eq!(out, okm);
        }
    }

    #[test]
    fn the_longest_output() {
        let (mut whole, mut part) = (vec![0; HKDF_MAX], [0; 40]);
        hkdf(b"salt", b"ikm", &[b"info"], &mut whole);
        hkdf(b"salt", b"ikm", &[b"info"], &mut part);
        assert_eq!(whole[..40], part);
        assert_ne!(whole[HKDF_MAX - 32..], [0; 32]);
    }

    #[test]
    fn comparison() {
        assert!(ct_eq(b"", b"") && ct_eq(b"ab", b"ab"));
        assert!(!ct_eq(b"ab", b"aB") && !ct_eq(b"ab", b"a") && !ct_eq(b"", b"a"));
    }
}
