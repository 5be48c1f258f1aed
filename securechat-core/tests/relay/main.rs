//! The relay engine against honest and dishonest clients: one scenario, or one part of the engine, per file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(unreachable_pub)]

mod envelopes;
mod support;
