//! The relay server of securechat: sockets, a database and passwords around the relay engine of `securechat-core`.
#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod password;

pub use password::HashError;
