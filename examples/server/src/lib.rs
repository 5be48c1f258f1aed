//! The relay server of securechat: sockets, a database and passwords around the relay engine of `securechat-core`.
#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod address;
mod census;
mod clock;
mod files;
mod open_files;
mod outbox;
mod password;
mod socket;
mod stats;
mod tap;
mod timers;

pub use password::HashError;
pub use stats::Stats;
pub use tap::{Direction, Tap};
