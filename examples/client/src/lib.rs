//! The client of securechat without its screen: what a program needs around the engine of `securechat-core`.
//!
//! - [`State`]: the device's records and what was said ([`Entry`]) in SQLite, sealed under a passphrase, one process at a
//!   time.
//! - [`Chat`]: the running client. A thread owns the engine and does one thing at a time: it moves bytes between the
//!   engine and its sockets, saves before it sends, reads and writes the files of transfers, and connects again when a
//!   connection ends. [`Chat::call`] hands it a command; what happens comes as [`Update`]s.
//!
//! ```no_run
//! use securechat_client::{Chat, Error, State, StateOptions};
//! use zeroize::Zeroizing;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut options = StateOptions::new("alice-state", Zeroizing::new("correct horse battery staple".into()));
//!     options.user = Some("alice".parse()?);
//!     let (updates, happened) = std::sync::mpsc::channel();
//!     let chat = Chat::start(State::open(options)?, move |update| _ = updates.send(update))?;
//!     chat.connect("relay.example.org:7441".parse()?)?;
//!     chat.send_text("bob".parse::<securechat_core::identity::UserName>()?, "hello")?;
//!     for update in happened {
//!         println!("{update:?}");
//!     }
//!     Ok(())
//! }
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod chat;
mod driver;
mod error;
mod folder;
mod history;
mod passphrase;
mod socket;
mod state;
mod store;
mod transfer;

pub use chat::{Chat, Update};
pub use error::Error;
pub use history::{Conversation, Entry, Imported, NoConversation, OfferedFile};
pub use passphrase::Cost;
pub use state::{State, StateOptions};
