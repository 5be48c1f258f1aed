//! Every bound of PROTOCOL.md section 11, on one page.
//!
//! What the protocol fixes is a constant; what a host may set is a field of [`Limits`].

use core::time::Duration;

/// Longest frame content before admission, in bytes.
pub const FRAME_BEFORE_ADMISSION: usize = 8_192;
/// Longest frame content after admission, in bytes: a Noise message.
pub const FRAME_MAX: usize = 65_535;
/// Longest handshake frame, in bytes.
pub const HANDSHAKE_FRAME_MAX: usize = 3_329;
/// Bytes of content before its body.
pub const CONTENT_HEADER: usize = 32;
/// Longest content of a message, in bytes.
pub const CONTENT_MAX: usize = 55_000;
/// Longest `sent` copy, which carries a content, in bytes.
pub const SENT_CONTENT_MAX: usize = 55_295;
/// Longest envelope, in bytes.
pub const ENVELOPE_MAX: usize = 61_440;
/// Longest envelope that the sizes of its parts allow: a first message around the longest content.
pub const FIRST_ENVELOPE_MAX: usize = 58_757;
/// Bytes of plaintext in every chunk of a file but the last.
pub const CHUNK_SIZE: usize = 61_440;
/// Bytes of a sealed chunk before its ciphertext: salt and commitment.
pub const CHUNK_HEADER: usize = 16 + 32;
/// Longest sealed chunk, in bytes.
pub const SEALED_CHUNK_MAX: usize = 61_536;
/// Chunks whose tags are saved in one record (F3).
pub const CHUNKS_PER_RECORD: usize = 1_024;
/// Longest name in a file offer, in bytes of UTF-8; [`SAFE_NAME_MAX`] of them are left for a file system.
pub const FILE_NAME_MAX: usize = 1_024;
/// Longest name that a received file is given, in bytes of UTF-8 (F4).
pub const SAFE_NAME_MAX: usize = 255;
/// Longest media type in a file offer, in bytes.
pub const MEDIA_TYPE_MAX: usize = 255;
/// Longest text, in bytes of UTF-8.
pub const TEXT_MAX: usize = 16 * 1024;
/// Longest reaction, in bytes of UTF-8.
pub const REACTION_MAX: usize = 64;
/// Longest display name, in bytes of UTF-8.
pub const DISPLAY_NAME_MAX: usize = 128;
/// Messages named in one receipt.
pub const RECEIPT_IDS: usize = 256;
/// Shortest padded content, in bytes.
pub const PADDED_MIN: usize = 256;
/// Devices of a user.
pub const DEVICES_PER_USER: usize = 16;
/// Epochs of one chain of device lists (I6).
pub const DEVICE_LIST_EPOCHS: u64 = 4_096;
/// First device lists that a pin accepts over its life (I9).
pub const ACCEPTED_ROOTS: usize = 256;
/// Members of a group (G8).
pub const GROUP_MEMBERS: usize = 256;
/// Entries in the log of a group (G1).
pub const ROSTER_ENTRIES: u32 = 4_096;
/// Memberships in a group over its life, so that a log of long entries does not grow what they come to.
pub const MEMBERSHIPS: usize = 4_096;
/// How often one user comes into an open group by themself. An admin can add them again.
pub const OPEN_JOINS: usize = 16;
/// Bytes of a group message before its ciphertext (G4).
pub const GROUP_HEADER: usize = 16 + 16 + 4 + 4 + 32 + 16 + 32;
/// Messages under one sender key (G8).
pub const SENDER_KEY_MESSAGES: u32 = 1_000;
/// How long a sender key is used, in milliseconds (G8).
pub const SENDER_KEY_LIFE: u64 = 7 * DAY;
/// How long a sender key that was replaced is kept by who receives, in milliseconds (G8).
pub const REPLACED_KEY_LIFE: u64 = 30 * DAY;
/// Sender keys that are kept of one device in one group.
pub const SENDER_KEYS_PER_DEVICE: usize = 32;
/// Messages of a group that wait for a key or for entries (G6).
pub const GROUP_WAITING: usize = 1_000;
/// Bytes of those messages.
pub const GROUP_WAITING_BYTES: usize = 4 << 20;
/// How long later messages of a device wait behind one of its that waits, so that they are shown in their order, in
/// milliseconds (G6).
pub const GROUP_HOLD: u64 = 30_000;
/// How long such a message waits, and how long after a removal one from before it still counts, in milliseconds (G6, G7).
pub const GROUP_GRACE: u64 = DAY;
/// Groups of a user, at the relay and at a client.
pub const GROUPS_PER_USER: usize = 1_024;
/// Users that one entry adds or removes.
pub const USERS_PER_ENTRY: usize = 32;
/// Prekeys in one publish request.
pub const PREKEYS_PER_PUBLISH: usize = 40;
/// Envelopes in one send request.
pub const ENVELOPES_PER_SEND: usize = 128;
/// Envelopes in one that count as one request (L5), each for as many devices as it goes to.
pub const ENVELOPES_PER_TOKEN: usize = 32;
/// Envelopes for groups in one send request, each of which goes to [`GROUP_MEMBERS`] times [`DEVICES_PER_USER`] devices at most.
pub const GROUP_ENVELOPES_PER_SEND: usize = 4;
/// Open requests on a link.
pub const OPEN_REQUESTS: usize = 32;
/// Suites in an offer.
pub const SUITES_PER_OFFER: usize = 16;
/// Suites in a bundle.
pub const SUITES_PER_BUNDLE: usize = 16;
/// Longest PKCS#1 DER of an RSA public key: a modulus of 4,096 bits with exponent 65537, in bytes.
pub const RSA_DER_MAX: usize = 526;
/// Longest user name, in bytes.
pub const USER_NAME_MAX: usize = 32;
/// Records after which a direction of a link is rekeyed (R3).
pub const REKEY_AFTER: u64 = 1 << 20;
/// The record counter that ends a link (R3).
pub const COUNTER_END: u64 = 1 << 48;
/// Keys skipped for one message (S3).
pub const SKIPPED_PER_MESSAGE: u32 = 2_000;
/// Skipped keys kept per session (S3).
pub const SKIPPED_KEPT: usize = 4_000;
/// Opened messages remembered per session (S4).
pub const OPENED_REMEMBERED: usize = 256;
/// Sessions per device (S7).
pub const SESSIONS_PER_DEVICE: usize = 8;
/// How far a session order may lie ahead (S7).
pub const ORDER_AHEAD: u32 = 100_000;
/// What a restore adds to the session order (S7).
pub const ORDER_AFTER_RESTORE: u32 = 1_000;
/// Sessions that one device opens with one last-resort prekey: more than S8 lets an honest one need.
pub const OPENED_PER_LAST_RESORT: usize = 1_000;
/// Private halves of one-time prekeys kept per kind; what is fetched and never used stays within it.
pub const ONE_TIME_KEPT: usize = 1_000;
/// What a restore adds to the ids of prekeys, beside going above those that the relay returns (S10).
pub const PREKEY_IDS_AFTER_RESTORE: u32 = 1 << 20;
/// Devices without sessions whose session order is remembered (S7).
pub const ENDED_PEERS_KEPT: usize = 1_000;
/// Transient messages in a chain since its last stored one (L2).
pub const TRANSIENT_IN_A_ROW: u32 = 100;

/// Waiting envelopes that are on their way to one connection and not acknowledged yet.
pub const DELIVERIES_IN_FLIGHT: usize = 256;
/// Bytes of those envelopes.
pub const DELIVERY_BYTES_IN_FLIGHT: usize = 1 << 20;
/// Prekeys of a kind below which the relay tells the device.
pub const PREKEYS_LOW: u32 = 20;
/// Devices of a user that are in no list and that a relay remembers.
pub const UNLISTED_DEVICES: usize = 16;
/// Message ids remembered per user, so that each is shown once (7).
pub const SEEN_PER_USER: usize = 4_096;
/// How long a client leaves a link without a request, so that it is not taken for idle, in milliseconds.
pub const PING_AFTER: u64 = 120_000;
/// How long the other side may take to answer a ping, in milliseconds.
pub const PING_ANSWER: u64 = 60_000;
/// Files that a client sends, and files that it fetches, at once.
pub const TRANSFERS: usize = 64;
/// Devices whose messages did not open and that wait for a replacement (S8).
pub const REPAIRS_WAITING: usize = 64;
/// Messages asked for again from one of them in an hour (S9).
pub const REPAIRS_PER_DEVICE: usize = 32;
/// Devices for which that is counted.
pub const REPAIRS_REMEMBERED: usize = 1_000;
/// Users whose lists and keys are asked for at once.
pub const LOOKUPS_AT_ONCE: usize = 8;
/// Envelopes of a link that wait to be acknowledged.
pub const ACKNOWLEDGEMENTS_WAITING: usize = 4_096;
/// Messages of a device that wait to be named in a receipt.
pub const RECEIPTS_WAITING: usize = 4_096;

/// One day in milliseconds.
pub const DAY: u64 = 24 * 60 * 60 * 1_000;
/// One hour in milliseconds.
pub const HOUR: u64 = 60 * 60 * 1_000;
/// Longest life of a bundle (I4), in milliseconds.
pub const BUNDLE_LIFE: u64 = 90 * DAY;
/// How far ahead a bundle's not-before may lie (I4), in milliseconds.
pub const CLOCK_SKEW: u64 = DAY;
/// How long after its not-after a bundle in a first message is accepted (6), in milliseconds.
pub const BUNDLE_GRACE: u64 = 30 * DAY;
/// Life of an unused one-time prekey (I5), in milliseconds.
pub const ONE_TIME_LIFE: u64 = 90 * DAY;
/// Age at which a last-resort prekey is replaced (S6), in milliseconds.
pub const LAST_RESORT_AGE: u64 = 7 * DAY;
/// How long a replaced last-resort prekey is kept (S6), in milliseconds.
pub const LAST_RESORT_KEPT: u64 = 30 * DAY;
/// How long skipped keys are kept (S3), in milliseconds.
pub const SKIPPED_LIFE: u64 = 30 * DAY;
/// How long a superseded session is kept (S7), in milliseconds.
pub const SUPERSEDED_KEPT: u64 = 7 * DAY;
/// How long a stored envelope waits and its id is remembered (L1, L2), in milliseconds.
pub const ENVELOPE_LIFE: u64 = 30 * DAY;
/// How long a blob is kept after its creation, in milliseconds.
pub const BLOB_LIFE: u64 = 30 * DAY;
/// How long a relay remembers a device that is in no list, in milliseconds.
pub const UNLISTED_LIFE: u64 = 90 * DAY;
/// How long a request for a chunk waits for it, in milliseconds.
pub const CHUNK_WAIT: u64 = 30_000;
/// How long changes of presence are gathered before they are pushed, in milliseconds.
pub const PRESENCE_GATHERED: u64 = 1_000;
/// How long a sent message can be asked for again (S9), in milliseconds.
pub const RESEND_LIFE: u64 = 7 * DAY;
/// How long a message that nobody takes is kept, in milliseconds.
pub const OUTGOING_LIFE: u64 = 30 * DAY;
/// Longest rest that another side's refusal can ask for, in milliseconds.
pub const REST_MAX: u64 = HOUR;

/// How often something may happen: `burst` times at once, and once more every `every`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How often at once; at least 1.
    pub burst: u32,
    /// After which time once more.
    pub every: Duration,
}

impl Rate {
    /// `burst` at once, one more every `micros` microseconds.
    pub const fn new(burst: u32, micros: u64) -> Self {
        Self { burst, every: Duration::from_micros(micros) }
    }
}

/// The bounds that a host may set. Sizes may be lowered; rates and counts set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Time for a handshake, the host's decision on a `Verify` included.
    pub handshake_timeout: Duration,
    /// RSA private operations that a host runs at once.
    pub rsa_handshakes: usize,
    /// Connections that a relay holds at once.
    pub connections: usize,
    /// Connections from one address.
    pub connections_per_address: usize,
    /// How long a connection may stay without a login.
    pub login_timeout: Duration,
    /// How long an admitted connection may stay silent.
    pub idle_timeout: Duration,
    /// One-time prekeys per device and kind at the relay.
    pub prekeys_per_device: usize,
    /// Envelopes that wait per device.
    pub mailbox_envelopes: usize,
    /// Bytes of envelopes that wait per device.
    pub mailbox_bytes: u64,
    /// Largest file, in bytes.
    pub file_size: u64,
    /// Bytes queued towards one connection before that reader is ended.
    pub output_queue: usize,
    /// Bytes queued towards all connections together; as they grow, a single one may have less.
    pub output_total: usize,
    /// Bytes of requests that wait for jobs, over all connections; as they grow, a single one may have less.
    pub input_total: usize,
    /// How long a connection may leave unread what waits for it.
    pub stall_timeout: Duration,
    /// Password hashes that a relay has under way at once.
    pub password_jobs: usize,
    /// Requests of one connection.
    pub connection_rate: Rate,
    /// Requests of one account.
    pub account_rate: Rate,
    /// Logins and passwords tried from one address.
    pub login_rate: Rate,
    /// Registrations from one address.
    pub register_rate: Rate,
    /// Bundles, prekeys and device lists published by one account.
    pub publish_rate: Rate,
    /// One-time prekeys taken by one account.
    pub prekey_rate: Rate,
    /// Blobs of one account.
    pub blobs_per_account: usize,
    /// Bytes of the files of those blobs.
    pub blob_bytes_per_account: u64,
    /// Messages kept while a device list is fetched (S5, G6).
    pub waiting_messages: usize,
    /// Bytes of those messages.
    pub waiting_bytes: usize,
    /// File offers kept until they are accepted.
    pub file_offers: usize,
    /// Users whose pins a client keeps.
    pub contacts: usize,
    /// Messages that a client keeps on their way out, those without a receipt included.
    pub outgoing: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            rsa_handshakes: 8,
            connections: 20_000,
            connections_per_address: 1_024,
            login_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(300),
            prekeys_per_device: 100,
            mailbox_envelopes: 10_000,
            mailbox_bytes: 64 << 20,
            file_size: 64 << 30,
            output_queue: 4 << 20,
            output_total: 256 << 20,
            input_total: 64 << 20,
            stall_timeout: Duration::from_secs(60),
            password_jobs: 256,
            connection_rate: Rate::new(2_000, 500),
            account_rate: Rate::new(4_000, 250),
            login_rate: Rate::new(30, 1_000_000),
            register_rate: Rate::new(30, 10_000_000),
            publish_rate: Rate::new(60, 2_000_000),
            prekey_rate: Rate::new(256, 1_000_000),
            blobs_per_account: 256,
            blob_bytes_per_account: 128 << 30,
            waiting_messages: 1_000,
            waiting_bytes: 4 << 20,
            file_offers: 1_000,
            contacts: 10_000,
            outgoing: 20_000,
        }
    }
}
