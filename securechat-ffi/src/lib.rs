//! The C interface of securechat: `libsecurechat`, a shared and a static library, over `securechat-core`.
//!
//! `include/securechat.h` is made from the comments in this crate and is the manual; `tests/header.rs` compares them.
//!
//! What all functions have in common: handles are made by a function of their group and freed once by its `_free`; one thread
//! uses a handle at a time; a function that can fail returns a [`securechat_status`](status::securechat_status); out-parameters are set on every path;
//! input is a pointer and a length; what is lent ends at the next call on the handle that is not const; a panic never
//! crosses. `boundary` is where all of that is done, so that the functions read as what they do.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod boundary;
pub mod client;
pub mod config;
pub mod constants;
pub mod event;
pub mod file;
pub mod identity;
pub mod link;
mod random;
pub mod relay;
pub mod status;

/// Randomness that repeats.
#[cfg(securechat_seeded)]
pub use random::reseed;

/// Panics on demand.
#[cfg(securechat_test_panic)]
pub use boundary::on_demand::arm;
