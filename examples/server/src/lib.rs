//! The relay server of securechat: sockets, a database and passwords around the relay engine of `securechat-core`.
//!
//! ```text
//! thread "sockets"    clients' sockets, their links, the relay engine     net
//! thread "store"      one SQLite transaction for a batch of jobs          store
//! threads "password"  Argon2id, and bcrypt of imported users              password
//! ```
//!
//! A program starts one like this; `securechat-server` is little more.
//!
//! ```no_run
//! use securechat_server::{Config, Server, ServerError};
//!
//! fn main() -> Result<(), ServerError> {
//!     let server = Server::start(Config { listen: "127.0.0.1:0".into(), ..Config::default() })?;
//!     println!("give this address to users: {}", server.address());
//!     server.shutdown()
//! }
//! ```
#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod address;
mod census;
mod clock;
mod config;
mod error;
mod files;
mod identity;
mod import;
mod net;
mod open_files;
mod outbox;
mod password;
mod server;
mod socket;
mod stats;
mod store;
mod tap;
mod timers;
mod workers;

pub use config::{Config, ConfigError};
pub use error::{Reason, ServerError};
pub use import::{ImportError, Imported, LineError, import};
pub use password::HashError;
pub use server::{RunningServer, Server, StopHandle};
pub use stats::Stats;
pub use store::SqliteStore;
pub use tap::{Direction, Tap};
