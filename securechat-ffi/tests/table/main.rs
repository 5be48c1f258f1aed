//! The boundary, function by function: what C may give, and what it gets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, clippy::undocumented_unsafe_blocks, clippy::needless_pass_by_value)]

mod buffers;
#[path = "../calls/mod.rs"]
mod calls;
mod conversation;
mod corpus;
#[path = "../driver/mod.rs"]
mod driver;
mod every_function;
mod golden;
mod groups;
mod hostile;
mod lent;
mod rows;
mod secrets;
mod states;
