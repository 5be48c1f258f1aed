//! A record sealed by one end and opened by the other.

use super::{Run, Work, target, timed};
use crate::noise::Source;
use crate::{bare, links, noise, noise_bytes, tls};
use securechat_core::link::Purpose;
use securechat_core::suite::Suite;
use std::hint::black_box;

/// The largest fits into one record of either cipher.
const SIZES: [(&str, usize); 4] = [("64 B", 64), ("1 KiB", 1 << 10), ("16 KiB", 16 << 10), ("63 KiB", 63 << 10)];

pub(super) fn works() -> Vec<Work> {
    let gcm = SIZES.map(|(name, size)| {
        let bare = match size {
            65.. if size < 16 << 10 => Some(0.8),
            64 => None,
            _ => Some(0.92),
        };
        let large = size >= 16 << 10;
        Work::new(format!("record, GCM, {name}"), size, ours(Suite::ALL[0], size))
            .beside("bare AEAD", bare, bare_gcm(size))
            .beside("snow, default", target(None, large.then_some(1.8)), snow(Source::Default, size))
            .beside("snow, ring", target(large.then_some(1.0), None), snow(Source::Ring, size))
            .beside("rustls", target(1.0, None), rustls(size))
    });
    let cbc = SIZES.map(|(name, size)| {
        Work::new(format!("record, CBC with HMAC, {name}"), size, ours(Suite::ALL[1], size)).beside(
            "OpenSSL, in sequence",
            target(1.0, 0.9),
            openssl(size),
        )
    });
    gcm.into_iter().chain(cbc).collect()
}

fn ours(suite: Suite, size: usize) -> Run {
    let (mut from, mut to) = links::Ends::new(suite, Purpose::Relay, None).open();
    let (data, mut wire) = (noise_bytes(size), Vec::new());
    timed(move || {
        black_box(links::record(&mut from, &mut to, black_box(&data), &mut wire));
    })
}

fn bare_gcm(size: usize) -> Run {
    let (key, data, mut wire, mut n) = (bare::Gcm::new(), noise_bytes(size), Vec::new(), 0);
    timed(move || {
        n += 1;
        key.seal(n, black_box(&data), &mut wire);
        black_box(key.open(n, &wire));
    })
}

fn snow(source: Source, size: usize) -> Run {
    let (mut from, mut to) = noise::Ends::new("NX", source).open();
    let (data, mut wire, mut opened) = (noise_bytes(size), vec![0; 65_535], vec![0; 65_535]);
    timed(move || {
        let length = from.write_message(black_box(&data), &mut wire).unwrap();
        black_box(to.read_message(&wire[..length], &mut opened).unwrap());
    })
}

fn rustls(size: usize) -> Run {
    let (mut from, mut to) = tls::Ends::new(tls::Group::X25519).open();
    let (data, mut wire, mut opened) = (noise_bytes(size), Vec::new(), vec![0; size]);
    timed(move || {
        tls::seal(&mut from, black_box(&data), &mut wire);
        tls::open(&mut to, &wire, &mut opened);
    })
}

fn openssl(size: usize) -> Run {
    let (key, data, mut wire) = (bare::OpenSsl::new(), noise_bytes(size), Vec::new());
    timed(move || {
        key.seal(black_box(&data), &mut wire);
        black_box(key.open(&wire));
    })
}
