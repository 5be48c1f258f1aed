//! The server engine: accounts, directory, mailboxes and blobs over typed requests (PROTOCOL.md section 10).
//!
//! It knows no key that opens an envelope or a file, and imports nothing that does.

mod job;
mod memory;
mod store;

pub use job::{Job, JobId, JobResult, PasswordHash};
pub use memory::MemoryStore;
pub use store::{
    Account, BlobState, Chain, ChunkState, DeviceState, MissingPage, NewAccount, SentItem, Store, StoreJob,
    StoreOutcome, StoreRefusal, StoreResult, StoredItem, StoredList, StoredPrekey, TakenDevice, TakenKeys, Waiting,
    WaitingEnvelope,
};
