//! Secure chat as a protocol library without IO.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod client;
pub mod codec;
pub mod content;
pub mod crypto;
pub mod error;
pub mod event;
pub mod file;
pub mod frame;
#[doc(hidden)]
pub mod fuzzing;
pub mod identity;
pub mod limits;
pub mod link;
pub mod noise;
pub mod padding;
pub mod record;
pub mod relay;
pub mod session;
pub mod suite;
pub mod text;
pub mod vault;
pub mod wire;
