//! Group messages: sealed once under the sender's own key, opened by every device that was given it (PROTOCOL.md G4 to G8).
//!
//! | file | what lives in it |
//! |---|---|
//! | `message` | the layout on the wire |
//! | `sender_key` | [`SenderKey`]: the key that this device sends under, and when another one is due |
//! | `receiver_key` | [`ReceiverKey`]: a key that another device sends under |
//! | `log` | [`GroupLog`]: the entries that count here, what they say about a message, and forks |

mod log;
mod message;
mod receiver_key;
mod sender_key;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

pub use log::{Fork, GroupLog, Standing};
pub use message::{GroupMessage, KeyId};
pub use receiver_key::ReceiverKey;
pub use sender_key::{HandedKey, SenderKey};
