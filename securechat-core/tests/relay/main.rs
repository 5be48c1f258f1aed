//! The relay engine against honest and dishonest clients: one scenario, or one part of the engine, per file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(unreachable_pub)]

mod accounts;
mod blobs;
mod codes;
mod devices;
mod envelopes;
mod failures;
mod floods;
mod groups;
mod keys;
mod logins;
mod presence;
mod replay_from_a_seed;
mod stalled_reader;
mod support;
