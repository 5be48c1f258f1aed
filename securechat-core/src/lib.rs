//! Secure chat as a library: end-to-end sessions, files, contacts, a client engine and a relay engine.
//!
//! The crate does no IO. It opens no socket and no file, reads no clock, starts no thread and has no randomness of its
//! own: bytes, the time and a random generator go in; bytes, events and records come out. The same engine therefore
//! runs over threads, an event loop, a phone's network stack or a test that replays from a seed.
//!
//! ```text
//!  bytes in → frame → link ─ push, reply → client → event        a client
//!  command  → client ─ session seals ─→ request → link → frame → bytes out
//!
//!  bytes in → frame → link ─ request ──→ relay ─ push, reply → link → frame → bytes out        a server
//!
//!  ┌─ what a device holds ──────────────────────────────────────────────────────────────┐
//!  │ client    everything below behind one set of polls            event, vault         │
//!  │ content   texts, receipts, file offers …                      file                 │
//!  │ session   end to end between two devices: PK handshakes, Double Ratchet            │
//!  ├─ what a relay holds ───────────────────────────────────────────────────────────────┤
//!  │ relay     accounts, directory, mailboxes, blobs: no key that opens anything        │
//!  ├─ what both hold ───────────────────────────────────────────────────────────────────┤
//!  │ link      one connection: negotiation, Noise handshake, records      wire          │
//!  │ identity  signed bundles, device lists, pins, safety numbers                       │
//!  │ noise, frame, suite, crypto, codec, limits, error                                  │
//!  └────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A module imports only what stands below it in this picture, so that "the relay reads nothing" is a property of the
//! code's shape; a test keeps it. Each layer is of use alone: [`link`] is a secure channel for any bytes, [`file`](mod@file) seals
//! files in chunks, [`session`] is a Double Ratchet with prekeys.
//!
//! # The run loop
//!
//! All of it, for a client on a blocking socket. Three polls are drained after whatever happened: first what is to be
//! saved, then what is to be sent, then what happened. Nothing is sent while a save waits.
//!
//! ```no_run
//! use rand::rngs::SysRng;
//! use rand_core::UnwrapErr;
//! use securechat_core::client::{Client, ClientConfig, Save};
//! use securechat_core::event::{Event, MessageBody};
//! use securechat_core::identity::{RelayAddress, UserName};
//! use securechat_core::vault::Vault;
//! use std::io::{ErrorKind, Read, Write};
//! use std::net::TcpStream;
//! use std::time::{Duration, SystemTime, UNIX_EPOCH};
//!
//! fn now() -> u64 {
//!     SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
//! }
//!
//! fn keep(_batch: Vec<Save>) { /* one transaction of any key-value store */ }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let relay: RelayAddress = std::env::args().nth(1).ok_or("give the relay's address")?.parse()?;
//!     let bob = UserName::new("bob")?;
//!     let mut rng = UnwrapErr(SysRng); // the operating system's, which keeps nothing in this process
//!     let vault = Vault::generate(&mut rng);
//!     let mut client = Client::create(ClientConfig::new(UserName::new("alice")?), vault, Box::new(rng), now())?;
//!     let mut socket = TcpStream::connect((relay.host.as_str(), relay.port))?;
//!     let link = client.connect_relay(&relay, now())?;
//!     let (mut input, mut output) = ([0; 16 * 1024], Vec::new());
//!     loop {
//!         if let Some(batch) = client.poll_save() {
//!             keep(batch);
//!             continue;
//!         }
//!         if client.poll_transmit(&mut output).is_some() {
//!             socket.write_all(&output)?;
//!             output.clear();
//!             continue;
//!         }
//!         match client.poll_event() {
//!             Some(Event::LinkOpen { .. }) => client.register("a good password", now())?,
//!             Some(Event::LoggedIn { .. }) => client.send_text(&bob, "hello", now()).map(drop)?,
//!             Some(Event::Message(message)) => match message.body {
//!                 MessageBody::Text(text) => println!("{}: {text:?}", message.from),
//!                 other => println!("{}: {other:?}", message.from),
//!             },
//!             Some(Event::LinkClosed { error, .. }) => return error.map_or(Ok(()), |error| Err(error.into())),
//!             Some(other) => println!("{other:?}"),
//!             None => {
//!                 let due = client.poll_timeout().map(|at| Duration::from_millis(at.saturating_sub(now()).max(1)));
//!                 socket.set_read_timeout(due)?;
//!                 match socket.read(&mut input) {
//!                     Ok(0) => client.handle_end(link, now()),
//!                     Ok(length) => client.handle_input(link, &input[..length], now()),
//!                     Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
//!                     Err(error) => return Err(error.into()),
//!                 }
//!                 client.handle_timeout(now());
//!             }
//!         }
//!     }
//! }
//! ```
//!
//! A server's loop is in [`relay`]; a bare channel's in [`link`].
//!
//! # Features
//!
//! `aws-lc`: the primitives from AWS-LC instead of RustCrypto. It needs a C compiler, is several times faster, and
//! changes no behaviour.
//!
//! # The specification
//!
//! `PROTOCOL.md` beside this crate has every byte and every check; the names of its rules (N1, S4, I9 …) stand where they
//! are implemented. `tests/vectors` has inputs and outputs of all of it, for other implementations.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

#[cfg(all(securechat_fuzz_stub, not(fuzzing)))]
compile_error!(
    "securechat_fuzz_stub takes all cryptography out: it is for fuzzing builds, which set cfg(fuzzing), only"
);

// What its own tests share with others names this crate as those do.
#[cfg(test)]
extern crate self as securechat_core;

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
pub mod group;
pub mod identity;
pub mod limits;
pub mod link;
pub mod noise;
pub mod padding;
pub mod record;
pub mod relay;
pub mod roster;
mod secret_vec;
pub mod session;
pub mod suite;
pub mod text;
pub mod vault;
#[cfg(test)]
mod vectors;
pub mod wire;

/// The README's example, compiled and run with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
