//! The bodies of the fuzz targets. `tests/fuzz_corpus.rs` runs each over its corpus.
//!
//! A body takes any bytes. It must not panic, hang, or hold memory beyond the limits; and what is decoded must be what would
//! be encoded. They are public for the targets in `fuzz/` and are no part of the interface.

// A body that cannot be set up is a fault to be seen at once.
#![allow(clippy::unwrap_used)]

mod engines;
mod parsers;
mod relay;
mod stream;

pub use engines::*;
pub use parsers::*;
pub use relay::*;

/// A target by its name, which is also the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("bundle", bundle),
    ("chunk", chunk),
    ("codec", codec),
    ("content", content),
    ("device_list", device_list),
    ("envelope", envelope),
    ("file_offer", file_offer),
    ("frame", frame),
    ("link_initiator", link_initiator),
    ("link_responder", link_responder),
    ("manifest", manifest),
    ("name", name),
    ("prekey", prekey),
    ("push", push),
    ("relay", relay),
    ("reply", reply),
    ("request", request),
    ("vault", vault),
];
