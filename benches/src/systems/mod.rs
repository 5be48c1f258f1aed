//! Whole systems: servers in processes of their own, loaded by one thread here.

pub mod load;
pub mod mqtt;
pub mod nats;
pub mod person;
pub mod process;
pub mod relay;
pub mod stream;
pub mod transfers;

use std::time::{SystemTime, UNIX_EPOCH};

/// The length of a text, in bytes.
pub const TEXT: usize = 200;

/// Unix milliseconds.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}
