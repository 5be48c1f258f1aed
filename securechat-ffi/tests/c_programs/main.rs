//! The programs of `examples/c` and `examples/cpp`, the examples in the header, and the installed library, as somebody has them who
//! links `libsecurechat`: compiled by gcc and clang against what cargo built for this test, and run, also by the sanitizers and
//! valgrind, and with the programs in Rust on the other side.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod build;
mod chat;
mod groups;
mod header;
mod history;
mod install;
mod program;
mod small;
mod tools;
