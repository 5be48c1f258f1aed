//! Cryptography as thin typed wrappers; the primitives come from one of two backends.

pub mod label;
pub mod secret;
