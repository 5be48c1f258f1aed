//! That the scan finds what there is to find, and does not find what is not there.

use crate::scan::Secrets;
use securechat_core::crypto::hash::sha256;
use securechat_core::crypto::secret::Secret;
use std::hint::black_box;
use std::sync::Mutex;
use zeroize::Zeroizing;

static LEFT: Mutex<[u8; 32]> = Mutex::new([0; 32]);

thread_local! {
    static LEFT_TOO: Mutex<[u8; 32]> = const { Mutex::new([0; 32]) };
}

/// A secret that only the stack has ever seen.
fn secret(n: u8) -> [u8; 32] {
    sha256(&[b"control", &[n]])
}

#[inline(never)]
fn kept() -> Vec<u8> {
    secret(1).to_vec()
}

pub fn b10_the_scan_finds_what_is_left() {
    let secrets = |n| Secrets::one("control", &secret(n));
    (1..=7).for_each(|n| secrets(n).must_be_gone());

    // On the heap, in use; in a static; in a thread-local.
    let vector = black_box(kept());
    secrets(1).must_be_found();
    *LEFT.lock().unwrap() = secret(2);
    secrets(2).must_be_found();
    LEFT_TOO.with(|left| *left.lock().unwrap() = secret(3));
    secrets(3).must_be_found();

    // Freed: as it was, and as what a vector that grew left behind.
    drop(black_box(Box::new(secret(4))));
    secrets(4).must_be_found();
    let mut grows = black_box(secret(5).to_vec());
    grows.reserve_exact(1 << 20);
    grows.fill(0);
    secrets(5).must_be_found();

    // Half of it only, at an odd place, and across the border of what is read at once.
    let half = black_box([&[1, 2, 3], &secret(6)[16..]].concat());
    secrets(6).must_be_half_there();
    let mut long = vec![0; 1 << 18];
    for at in (1 << 15..long.len() - 32).step_by((1 << 15) - 5) {
        long[at..at + 32].copy_from_slice(&secret(7));
    }
    let places = (1 << 15..long.len() - 32).step_by((1 << 15) - 5).count();
    assert!(secrets(7).search().len() >= 2 * places);
    black_box((vector, half, long));
}

/// What the library wipes by is enough for this scan to be content with.
pub fn b10_what_wipes_itself_is_gone() {
    let held = Secret::from_bytes(&secret(1));
    Secrets::one("held", &secret(1)).must_be_found();
    drop(held);
    let mut buffer = Zeroizing::new(Vec::with_capacity(40));
    buffer.extend_from_slice(&secret(2));
    Secrets::one("held", &secret(2)).must_be_found();
    // Shorter now; what was behind its end is wiped with it.
    buffer.truncate(4);
    Secrets::one("held", &secret(2)).search().first().expect("the second half is still behind the end");
    drop(buffer);
    [1, 2].into_iter().for_each(|n| Secrets::one("dropped", &secret(n)).must_be_gone());
}

impl Secrets {
    /// One piece of it is found, which is enough.
    fn must_be_half_there(&self) {
        let found = self.search();
        assert!(found.len() == 1 && self.len() == 2, "{found:?}");
    }
}
