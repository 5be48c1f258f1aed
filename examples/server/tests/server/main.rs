//! Whole servers over real sockets, one kind of scenario per module.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod accounts;
mod crowds;
mod groups;
mod imported_users;
#[cfg(unix)]
mod program;
mod slow_readers;
mod support;
mod tap;
