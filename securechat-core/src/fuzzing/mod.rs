//! The bodies of the fuzz targets. `tests/fuzz_corpus` runs each over its corpus.
//!
//! A body takes any bytes. It must not panic, hang, or hold memory beyond the limits; and what is decoded must be what would
//! be encoded. They are public for the targets in `fuzz/` and are no part of the interface.

// A body that cannot be set up, or reaches beyond its own lists, is a fault to be seen at once.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod devices;
mod groups;
mod links;
mod net;
mod network;
mod parsers;
mod program;
mod records;
mod relay;
mod relay_ops;
mod sessions;
mod stream;

pub use devices::*;
pub use groups::*;
pub use links::*;
pub use network::*;
pub use parsers::*;
pub use records::records;
pub use relay::*;
pub use relay_ops::relay_ops;
pub use sessions::*;

/// Whether only those who have a key can make what opens under it. Not so with the stub in place of the cryptography:
/// then what is asserted is that nothing panics, hangs or grows.
pub const AUTHENTIC: bool = !cfg!(securechat_fuzz_stub);

/// A target by its name, which is also the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("bundle", bundle),
    ("chunk", chunk),
    ("client", client),
    ("codec", codec),
    ("content", content),
    ("device_list", device_list),
    ("envelope", envelope),
    ("file_offer", file_offer),
    ("frame", frame),
    ("group", group),
    ("link_initiator", link_initiator),
    ("link_pair", link_pair),
    ("link_responder", link_responder),
    ("manifest", manifest),
    ("name", name),
    ("negotiation", negotiation),
    ("network", network),
    ("prekey", prekey),
    ("push", push),
    ("record", record),
    ("records", records),
    ("relay", relay),
    ("relay_ops", relay_ops),
    ("reply", reply),
    ("request", request),
    ("roster", roster),
    ("session", session),
    ("vault", vault),
];
