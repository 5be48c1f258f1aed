//! The primitives that RustCrypto has as generic code, made concrete behind functions that are not generic.
//!
//! Generic code is compiled where it is used, with the optimisation of that crate. The loops of a cipher need all of it, in a
//! library that is optimised for size as well, where `securechat-core` need not be fast. So they are compiled here, and the
//! profile `library` in the workspace's `Cargo.toml` leaves this crate at `opt-level = 3`.
//!
//! No decision is made here: `securechat-core`'s `crypto::backend` says which primitive serves for what, and alone uses
//! this crate. Keys, schedules and states are wiped when they are dropped; copies on the stack are left.
#![forbid(unsafe_code)]

pub mod aes;
pub mod hash;
pub mod mlkem;
