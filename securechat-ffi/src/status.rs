//! The numbers that functions return: the core's own (`securechat_core::error`), and those of the boundary.

use core::ffi::{CStr, c_char};
use securechat_core::error::Error;

/// What a function returns: `SECURECHAT_OK`, or why it failed. Numbers never change and are never used again.
///
/// 1 to 99: the call itself. 100 to 199: bytes that are no message. 200 to 299: the other side broke the protocol, or
/// somebody in between did. 300 to 399: a call that the present state or the arguments do not allow. 400: a ciphertext that
/// did not open, without further reason.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, non_camel_case_types)]
pub enum securechat_status {
    /// It went well.
    SECURECHAT_OK = 0,
    /// A pointer that must not be NULL is NULL, or a length is given for one.
    SECURECHAT_ERR_NULL = 1,
    /// The buffer is too small. Nothing was consumed; the size needed was written.
    SECURECHAT_ERR_BUFFER = 2,
    /// A fault in the library. The handle works no more: free it.
    SECURECHAT_ERR_INTERNAL = 3,
    /// An argument has a value that it cannot have.
    SECURECHAT_ERR_ARGUMENT = 4,
    /// A text is not UTF-8.
    SECURECHAT_ERR_UTF8 = 5,
    /// The operating system gives no randomness.
    SECURECHAT_ERR_RANDOMNESS = 6,
    /// There is no room at the moment. Nothing was taken; call again after the next job was completed.
    SECURECHAT_ERR_AGAIN = 7,
    /// A transaction failed: what is in memory is ahead of the records. Free the relay, and make it anew from them.
    SECURECHAT_ERR_STORE = 8,
    /// The bytes end before the value does.
    SECURECHAT_ERR_TRUNCATED = 100,
    /// Bytes follow where the value should end.
    SECURECHAT_ERR_TRAILING_BYTES = 101,
    /// The value decodes, but it is not encoded in the one allowed way.
    SECURECHAT_ERR_NOT_CANONICAL = 102,
    /// A value has a form or a number that the format does not know.
    SECURECHAT_ERR_UNKNOWN_VALUE = 103,
    /// A length or a count is outside its limit.
    SECURECHAT_ERR_OUT_OF_BOUNDS = 104,
    /// A user name is not `[a-z0-9][a-z0-9._-]{0,31}`.
    SECURECHAT_ERR_USER_NAME = 105,
    /// A public key is not a valid one of its kind, or outside the allowed sizes.
    SECURECHAT_ERR_PUBLIC_KEY = 106,
    /// A version that this implementation does not speak.
    SECURECHAT_ERR_VERSION = 107,
    /// Padding is not as PROTOCOL.md S12 says.
    SECURECHAT_ERR_PADDING = 108,
    /// A signature does not verify.
    SECURECHAT_ERR_BAD_SIGNATURE = 200,
    /// A key agreement gave an all-zero secret.
    SECURECHAT_ERR_WEAK_KEY = 201,
    /// A static key is not the one that the bundle names.
    SECURECHAT_ERR_STATIC_KEY_MISMATCH = 202,
    /// The identity is not the one expected (a pin, the signer, the session).
    SECURECHAT_ERR_IDENTITY_MISMATCH = 203,
    /// The other side presents this side's own identity.
    SECURECHAT_ERR_OWN_IDENTITY = 204,
    /// A bundle contradicts itself or lacks what its suites need.
    SECURECHAT_ERR_BUNDLE_INCONSISTENT = 205,
    /// A bundle or prekey is not valid at this time.
    SECURECHAT_ERR_BUNDLE_EXPIRED = 206,
    /// A serial lower than one seen before, or an equal one with another body.
    SECURECHAT_ERR_BUNDLE_ROLLBACK = 207,
    /// A payload where none belongs, or none where one does.
    SECURECHAT_ERR_UNEXPECTED_PAYLOAD = 208,
    /// No suite that both sides allow.
    SECURECHAT_ERR_NO_COMMON_SUITE = 209,
    /// A retry that the rules of negotiation do not allow (N2).
    SECURECHAT_ERR_BAD_RETRY = 210,
    /// The responder refused the offer.
    SECURECHAT_ERR_REFUSED = 211,
    /// The handshake was not finished in time.
    SECURECHAT_ERR_HANDSHAKE_TIMEOUT = 212,
    /// A frame length outside the limit.
    SECURECHAT_ERR_FRAME_LENGTH = 213,
    /// A record of a type that does not belong at its place.
    SECURECHAT_ERR_UNEXPECTED_RECORD = 214,
    /// The bytes ended without a Close.
    SECURECHAT_ERR_TRUNCATION = 215,
    /// A counter reached its end.
    SECURECHAT_ERR_COUNTER_EXHAUSTED = 216,
    /// A device list does not follow from the one before it.
    SECURECHAT_ERR_DEVICE_LIST = 217,
    /// Two bodies of one device-list epoch.
    SECURECHAT_ERR_DEVICE_LIST_FORK = 218,
    /// A message that was opened before.
    SECURECHAT_ERR_REPLAY = 219,
    /// A message with the place of an opened one and other bytes.
    SECURECHAT_ERR_FORK = 220,
    /// More keys would be skipped than allowed (S3).
    SECURECHAT_ERR_TOO_MANY_SKIPPED = 221,
    /// A session order too far ahead of those seen (S7).
    SECURECHAT_ERR_ORDER_TOO_FAR = 222,
    /// A prekey that is not this device's, was used, or does not belong to the bundle.
    SECURECHAT_ERR_PREKEY = 223,
    /// A derived session id differs from the one sent.
    SECURECHAT_ERR_SESSION_ID = 224,
    /// A user name other than the one asked for (I7).
    SECURECHAT_ERR_WRONG_USER = 225,
    /// An identity that is not in its user's device list.
    SECURECHAT_ERR_NOT_IN_DEVICE_LIST = 226,
    /// A file chunk, size or root disagrees with the offer.
    SECURECHAT_ERR_FILE_MISMATCH = 227,
    /// A reply without a request, or of another kind.
    SECURECHAT_ERR_UNEXPECTED_REPLY = 228,
    /// More than the limits allow was sent.
    SECURECHAT_ERR_LIMIT_EXCEEDED = 229,
    /// A device list older than one seen before, or of a chain that another one has replaced (I6, I9).
    SECURECHAT_ERR_DEVICE_LIST_ROLLBACK = 230,
    /// The other side speaks no version of the link that this implementation speaks.
    SECURECHAT_ERR_VERSION_REFUSED = 231,
    /// One side wants a link to a relay, the other a link between peers.
    SECURECHAT_ERR_WRONG_PURPOSE = 232,
    /// The other side takes no more connections at the moment.
    SECURECHAT_ERR_PEER_BUSY = 233,
    /// A session message names a session that is not known here.
    SECURECHAT_ERR_UNKNOWN_SESSION = 234,
    /// The other side did not answer in time.
    SECURECHAT_ERR_SILENT = 235,
    /// An entry of a group's log that its rules do not allow there (G1, G2).
    SECURECHAT_ERR_ROSTER_ENTRY = 236,
    /// An entry of a group's log that does not follow the newest one.
    SECURECHAT_ERR_ROSTER_ORDER = 237,
    /// Two entries for one place in a group's log (G6).
    SECURECHAT_ERR_ROSTER_FORK = 238,
    /// A group message from somebody who is not a member at the entry that it names (G5).
    SECURECHAT_ERR_NOT_MEMBER = 239,
    /// A group message under a sender key that is not known here (G5).
    SECURECHAT_ERR_SENDER_KEY = 240,
    /// A group message that names an entry which nobody could show (G6), or one from before a removal that is known for longer than a day (G7).
    SECURECHAT_ERR_ROSTER_STATE = 241,
    /// The call does not belong to the present state.
    SECURECHAT_ERR_WRONG_STATE = 300,
    /// The argument is larger than the limit.
    SECURECHAT_ERR_TOO_LARGE = 301,
    /// The connection is closed.
    SECURECHAT_ERR_CLOSED = 302,
    /// There is no connection.
    SECURECHAT_ERR_NOT_CONNECTED = 303,
    /// Nobody is logged in on this connection.
    SECURECHAT_ERR_NOT_LOGGED_IN = 304,
    /// No user of that name is known here.
    SECURECHAT_ERR_UNKNOWN_USER = 305,
    /// The relay's identity is neither pinned nor accepted (A10).
    SECURECHAT_ERR_UNTRUSTED_RELAY = 306,
    /// The user's keys changed and were not accepted (I9).
    SECURECHAT_ERR_VIOLATION = 307,
    /// The policy is empty or names a suite twice.
    SECURECHAT_ERR_POLICY = 308,
    /// A private key that one of the suites needs is missing.
    SECURECHAT_ERR_MISSING_KEY = 309,
    /// A record cannot be used to restore this state.
    SECURECHAT_ERR_RECORD = 310,
    /// A private key is malformed or outside the allowed sizes.
    SECURECHAT_ERR_PRIVATE_KEY = 311,
    /// The device lists on both sides differ, so that no safety number can be shown (I10).
    SECURECHAT_ERR_DEVICE_LIST_OUT_OF_DATE = 312,
    /// The thing named is not known here.
    SECURECHAT_ERR_NOT_FOUND = 313,
    /// A file changed while it was sent (F3).
    SECURECHAT_ERR_FILE_CHANGED = 314,
    /// Too many of these are open at once.
    SECURECHAT_ERR_BUSY = 315,
    /// A replacement session was opened to that device less than an hour ago (S8).
    SECURECHAT_ERR_TOO_SOON = 316,
    /// Content of a kind that this version may not send.
    SECURECHAT_ERR_CONTENT_KIND = 317,
    /// There is no session with that device that sends; one has to be opened first.
    SECURECHAT_ERR_NO_SESSION = 318,
    /// A transient message has no place now: too many in a row, or nobody to hear it (L2).
    SECURECHAT_ERR_TRANSIENT_LIMIT = 319,
    /// The relay refused what was asked of it; the event before says why.
    SECURECHAT_ERR_RELAY_REFUSED = 320,
    /// A message could not be sent in 30 days.
    SECURECHAT_ERR_EXPIRED = 321,
    /// The user may not do that in the group: only an admin may, or nobody.
    SECURECHAT_ERR_NOT_PERMITTED = 322,
    /// The group's log has two entries for one place, and nothing is sent there before it is decided which counts (G6).
    SECURECHAT_ERR_ROSTER_FORKED = 323,
    /// A ciphertext did not open. There is one such error, without detail.
    SECURECHAT_ERR_DECRYPT = 400,
}

use securechat_status::*;

impl securechat_status {
    /// The status of a number, if there is one.
    pub fn from_number(number: i32) -> Option<Self> {
        TABLE.iter().map(|(status, ..)| *status).find(|status| *status as i32 == number)
    }

    /// Its name and its text.
    pub fn texts(self) -> (&'static CStr, &'static CStr) {
        let row = TABLE.iter().find(|(status, ..)| *status == self);
        row.map_or((c"", c""), |(_, name, message)| (name, message))
    }
}

impl From<Error> for securechat_status {
    fn from(error: Error) -> Self {
        Self::from_number(i32::from(error.code())).unwrap_or(SECURECHAT_ERR_INTERNAL)
    }
}

/// The name of a status, such as "SECURECHAT_ERR_DECRYPT": static text. "SECURECHAT_UNKNOWN" for a number that is none.
#[unsafe(no_mangle)]
pub extern "C" fn securechat_status_name(status: i32) -> *const c_char {
    securechat_status::from_number(status).map_or(c"SECURECHAT_UNKNOWN", |status| status.texts().0).as_ptr()
}

/// What a status means, in a sentence without a full stop for people to read: static text, in English.
///
/// What is more to say about the last failure of a link, a client or a relay, its `_error` says.
#[unsafe(no_mangle)]
pub extern "C" fn securechat_status_message(status: i32) -> *const c_char {
    securechat_status::from_number(status).map_or(c"unknown status", |status| status.texts().1).as_ptr()
}

/// Every status with its name and text.
pub(crate) const TABLE: &[(securechat_status, &CStr, &CStr)] = &[
    (SECURECHAT_OK, c"SECURECHAT_OK", c"it went well"),
    (SECURECHAT_ERR_NULL, c"SECURECHAT_ERR_NULL", c"a pointer is NULL that must not be"),
    (SECURECHAT_ERR_BUFFER, c"SECURECHAT_ERR_BUFFER", c"the buffer is too small; the size needed was written"),
    (SECURECHAT_ERR_INTERNAL, c"SECURECHAT_ERR_INTERNAL", c"a fault in the library; free the handle"),
    (SECURECHAT_ERR_ARGUMENT, c"SECURECHAT_ERR_ARGUMENT", c"an argument has a value that it cannot have"),
    (SECURECHAT_ERR_UTF8, c"SECURECHAT_ERR_UTF8", c"a text is not UTF-8"),
    (SECURECHAT_ERR_RANDOMNESS, c"SECURECHAT_ERR_RANDOMNESS", c"the operating system gives no randomness"),
    (SECURECHAT_ERR_AGAIN, c"SECURECHAT_ERR_AGAIN", c"there is no room at the moment; nothing was taken; call again later"),
    (
        SECURECHAT_ERR_STORE,
        c"SECURECHAT_ERR_STORE",
        c"a transaction failed; free the relay and make it anew from the records",
    ),
    (SECURECHAT_ERR_TRUNCATED, c"SECURECHAT_ERR_TRUNCATED", c"invalid message: it ends too early"),
    (SECURECHAT_ERR_TRAILING_BYTES, c"SECURECHAT_ERR_TRAILING_BYTES", c"invalid message: bytes follow its end"),
    (SECURECHAT_ERR_NOT_CANONICAL, c"SECURECHAT_ERR_NOT_CANONICAL", c"invalid message: it is not encoded canonically"),
    (SECURECHAT_ERR_UNKNOWN_VALUE, c"SECURECHAT_ERR_UNKNOWN_VALUE", c"invalid message: it has a value that the format does not know"),
    (SECURECHAT_ERR_OUT_OF_BOUNDS, c"SECURECHAT_ERR_OUT_OF_BOUNDS", c"invalid message: a length or count is outside its limit"),
    (SECURECHAT_ERR_USER_NAME, c"SECURECHAT_ERR_USER_NAME", c"invalid message: a user name may have a-z, 0-9, '.', '_' and '-', 32 at most, and begins with a letter or digit"),
    (SECURECHAT_ERR_PUBLIC_KEY, c"SECURECHAT_ERR_PUBLIC_KEY", c"invalid message: a public key is not valid"),
    (SECURECHAT_ERR_VERSION, c"SECURECHAT_ERR_VERSION", c"invalid message: its version is not supported"),
    (SECURECHAT_ERR_PADDING, c"SECURECHAT_ERR_PADDING", c"invalid message: its padding is wrong"),
    (SECURECHAT_ERR_BAD_SIGNATURE, c"SECURECHAT_ERR_BAD_SIGNATURE", c"the other side broke the protocol: a signature does not verify"),
    (SECURECHAT_ERR_WEAK_KEY, c"SECURECHAT_ERR_WEAK_KEY", c"the other side broke the protocol: a key agreement gave no secret"),
    (SECURECHAT_ERR_STATIC_KEY_MISMATCH, c"SECURECHAT_ERR_STATIC_KEY_MISMATCH", c"the other side broke the protocol: a static key is not the one in the bundle"),
    (SECURECHAT_ERR_IDENTITY_MISMATCH, c"SECURECHAT_ERR_IDENTITY_MISMATCH", c"the other side broke the protocol: the identity is not the one expected"),
    (SECURECHAT_ERR_OWN_IDENTITY, c"SECURECHAT_ERR_OWN_IDENTITY", c"the other side broke the protocol: the other side presents our own identity"),
    (SECURECHAT_ERR_BUNDLE_INCONSISTENT, c"SECURECHAT_ERR_BUNDLE_INCONSISTENT", c"the other side broke the protocol: a key bundle is inconsistent"),
    (SECURECHAT_ERR_BUNDLE_EXPIRED, c"SECURECHAT_ERR_BUNDLE_EXPIRED", c"the other side broke the protocol: a key bundle has expired or is not valid yet"),
    (SECURECHAT_ERR_BUNDLE_ROLLBACK, c"SECURECHAT_ERR_BUNDLE_ROLLBACK", c"the other side broke the protocol: a key bundle is older than one seen before"),
    (SECURECHAT_ERR_UNEXPECTED_PAYLOAD, c"SECURECHAT_ERR_UNEXPECTED_PAYLOAD", c"the other side broke the protocol: a handshake payload does not belong there"),
    (SECURECHAT_ERR_NO_COMMON_SUITE, c"SECURECHAT_ERR_NO_COMMON_SUITE", c"the other side broke the protocol: no common suite"),
    (SECURECHAT_ERR_BAD_RETRY, c"SECURECHAT_ERR_BAD_RETRY", c"the other side broke the protocol: a retry that the negotiation does not allow"),
    (SECURECHAT_ERR_REFUSED, c"SECURECHAT_ERR_REFUSED", c"the other side broke the protocol: the other side refused the connection"),
    (SECURECHAT_ERR_HANDSHAKE_TIMEOUT, c"SECURECHAT_ERR_HANDSHAKE_TIMEOUT", c"the other side broke the protocol: the handshake was not finished in time"),
    (SECURECHAT_ERR_FRAME_LENGTH, c"SECURECHAT_ERR_FRAME_LENGTH", c"the other side broke the protocol: a frame is longer than allowed"),
    (SECURECHAT_ERR_UNEXPECTED_RECORD, c"SECURECHAT_ERR_UNEXPECTED_RECORD", c"the other side broke the protocol: a record does not belong there"),
    (SECURECHAT_ERR_TRUNCATION, c"SECURECHAT_ERR_TRUNCATION", c"the other side broke the protocol: the connection was cut off without a close"),
    (SECURECHAT_ERR_COUNTER_EXHAUSTED, c"SECURECHAT_ERR_COUNTER_EXHAUSTED", c"the other side broke the protocol: a counter reached its end"),
    (SECURECHAT_ERR_DEVICE_LIST, c"SECURECHAT_ERR_DEVICE_LIST", c"the other side broke the protocol: a device list does not follow from the one before"),
    (SECURECHAT_ERR_DEVICE_LIST_FORK, c"SECURECHAT_ERR_DEVICE_LIST_FORK", c"the other side broke the protocol: two device lists of one epoch"),
    (SECURECHAT_ERR_REPLAY, c"SECURECHAT_ERR_REPLAY", c"the other side broke the protocol: a message was opened before"),
    (SECURECHAT_ERR_FORK, c"SECURECHAT_ERR_FORK", c"the other side broke the protocol: two messages claim one place in a session"),
    (SECURECHAT_ERR_TOO_MANY_SKIPPED, c"SECURECHAT_ERR_TOO_MANY_SKIPPED", c"the other side broke the protocol: too many messages are missing"),
    (SECURECHAT_ERR_ORDER_TOO_FAR, c"SECURECHAT_ERR_ORDER_TOO_FAR", c"the other side broke the protocol: a session order is too far ahead"),
    (SECURECHAT_ERR_PREKEY, c"SECURECHAT_ERR_PREKEY", c"the other side broke the protocol: a prekey is unknown, used or foreign"),
    (SECURECHAT_ERR_SESSION_ID, c"SECURECHAT_ERR_SESSION_ID", c"the other side broke the protocol: a session id is not the one derived"),
    (SECURECHAT_ERR_WRONG_USER, c"SECURECHAT_ERR_WRONG_USER", c"the other side broke the protocol: keys of another user than the one asked for"),
    (SECURECHAT_ERR_NOT_IN_DEVICE_LIST, c"SECURECHAT_ERR_NOT_IN_DEVICE_LIST", c"the other side broke the protocol: a device is not in its user's device list"),
    (SECURECHAT_ERR_FILE_MISMATCH, c"SECURECHAT_ERR_FILE_MISMATCH", c"the other side broke the protocol: a file does not agree with its offer"),
    (SECURECHAT_ERR_UNEXPECTED_REPLY, c"SECURECHAT_ERR_UNEXPECTED_REPLY", c"the other side broke the protocol: a reply does not fit any request"),
    (SECURECHAT_ERR_LIMIT_EXCEEDED, c"SECURECHAT_ERR_LIMIT_EXCEEDED", c"the other side broke the protocol: more was sent than the limits allow"),
    (SECURECHAT_ERR_DEVICE_LIST_ROLLBACK, c"SECURECHAT_ERR_DEVICE_LIST_ROLLBACK", c"the other side broke the protocol: a device list is older than one seen before"),
    (SECURECHAT_ERR_VERSION_REFUSED, c"SECURECHAT_ERR_VERSION_REFUSED", c"the other side broke the protocol: the other side does not speak this version of the protocol"),
    (SECURECHAT_ERR_WRONG_PURPOSE, c"SECURECHAT_ERR_WRONG_PURPOSE", c"the other side broke the protocol: one side is a relay where the other expects a peer"),
    (SECURECHAT_ERR_PEER_BUSY, c"SECURECHAT_ERR_PEER_BUSY", c"the other side broke the protocol: the other side is busy; try again later"),
    (SECURECHAT_ERR_UNKNOWN_SESSION, c"SECURECHAT_ERR_UNKNOWN_SESSION", c"the other side broke the protocol: a message belongs to a session that is not known here"),
    (SECURECHAT_ERR_SILENT, c"SECURECHAT_ERR_SILENT", c"the other side broke the protocol: the other side does not answer"),
    (SECURECHAT_ERR_ROSTER_ENTRY, c"SECURECHAT_ERR_ROSTER_ENTRY", c"the other side broke the protocol: an entry of a group's log breaks its rules"),
    (SECURECHAT_ERR_ROSTER_ORDER, c"SECURECHAT_ERR_ROSTER_ORDER", c"the other side broke the protocol: an entry of a group's log does not follow the newest one"),
    (SECURECHAT_ERR_ROSTER_FORK, c"SECURECHAT_ERR_ROSTER_FORK", c"the other side broke the protocol: two entries claim one place in a group's log"),
    (SECURECHAT_ERR_NOT_MEMBER, c"SECURECHAT_ERR_NOT_MEMBER", c"the other side broke the protocol: the sender is not a member of the group"),
    (SECURECHAT_ERR_SENDER_KEY, c"SECURECHAT_ERR_SENDER_KEY", c"the other side broke the protocol: the sender's key for the group is not known here"),
    (SECURECHAT_ERR_ROSTER_STATE, c"SECURECHAT_ERR_ROSTER_STATE", c"the other side broke the protocol: the message belongs to a state of the group that does not count"),
    (SECURECHAT_ERR_WRONG_STATE, c"SECURECHAT_ERR_WRONG_STATE", c"this call is not possible now"),
    (SECURECHAT_ERR_TOO_LARGE, c"SECURECHAT_ERR_TOO_LARGE", c"this is larger than the limit"),
    (SECURECHAT_ERR_CLOSED, c"SECURECHAT_ERR_CLOSED", c"the connection is closed"),
    (SECURECHAT_ERR_NOT_CONNECTED, c"SECURECHAT_ERR_NOT_CONNECTED", c"not connected; connect first"),
    (SECURECHAT_ERR_NOT_LOGGED_IN, c"SECURECHAT_ERR_NOT_LOGGED_IN", c"not logged in; log in or register first"),
    (SECURECHAT_ERR_UNKNOWN_USER, c"SECURECHAT_ERR_UNKNOWN_USER", c"no such user"),
    (SECURECHAT_ERR_UNTRUSTED_RELAY, c"SECURECHAT_ERR_UNTRUSTED_RELAY", c"the relay is not trusted yet; compare its fingerprint and accept it first"),
    (SECURECHAT_ERR_VIOLATION, c"SECURECHAT_ERR_VIOLATION", c"this user's keys changed; verify and accept them first"),
    (SECURECHAT_ERR_POLICY, c"SECURECHAT_ERR_POLICY", c"the policy must name at least one suite, and none twice"),
    (SECURECHAT_ERR_MISSING_KEY, c"SECURECHAT_ERR_MISSING_KEY", c"a key that the suite needs is missing"),
    (SECURECHAT_ERR_RECORD, c"SECURECHAT_ERR_RECORD", c"the saved state cannot be read"),
    (SECURECHAT_ERR_PRIVATE_KEY, c"SECURECHAT_ERR_PRIVATE_KEY", c"the private key is not valid"),
    (SECURECHAT_ERR_DEVICE_LIST_OUT_OF_DATE, c"SECURECHAT_ERR_DEVICE_LIST_OUT_OF_DATE", c"the device list is out of date"),
    (SECURECHAT_ERR_NOT_FOUND, c"SECURECHAT_ERR_NOT_FOUND", c"there is nothing of that name or id"),
    (SECURECHAT_ERR_FILE_CHANGED, c"SECURECHAT_ERR_FILE_CHANGED", c"the file has changed since it was offered"),
    (SECURECHAT_ERR_BUSY, c"SECURECHAT_ERR_BUSY", c"too many are open at once; wait for one to end"),
    (SECURECHAT_ERR_TOO_SOON, c"SECURECHAT_ERR_TOO_SOON", c"a replacement was made less than an hour ago"),
    (SECURECHAT_ERR_CONTENT_KIND, c"SECURECHAT_ERR_CONTENT_KIND", c"content of this kind cannot be sent"),
    (SECURECHAT_ERR_NO_SESSION, c"SECURECHAT_ERR_NO_SESSION", c"there is no session with this device yet"),
    (SECURECHAT_ERR_TRANSIENT_LIMIT, c"SECURECHAT_ERR_TRANSIENT_LIMIT", c"a transient message is not possible now"),
    (SECURECHAT_ERR_RELAY_REFUSED, c"SECURECHAT_ERR_RELAY_REFUSED", c"the relay refused"),
    (SECURECHAT_ERR_EXPIRED, c"SECURECHAT_ERR_EXPIRED", c"this could not be sent for a month and was given up"),
    (SECURECHAT_ERR_NOT_PERMITTED, c"SECURECHAT_ERR_NOT_PERMITTED", c"the rules of the group do not allow this; an admin may be needed"),
    (SECURECHAT_ERR_ROSTER_FORKED, c"SECURECHAT_ERR_ROSTER_FORKED", c"the group's log was forked; decide which side counts first"),
    (SECURECHAT_ERR_DECRYPT, c"SECURECHAT_ERR_DECRYPT", c"the ciphertext does not open"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use securechat_core::error::{ApiMisuse, Decrypt, InvalidMessage, PeerMisbehaved};

    /// The core's `Display` and this table say the same, so that a program in C and one in Rust do.
    #[test]
    fn texts_are_those_of_the_core() {
        let samples: [Error; 6] = [
            InvalidMessage::Truncated.into(),
            PeerMisbehaved::Silent.into(),
            PeerMisbehaved::Refused.into(),
            ApiMisuse::Refused.into(),
            ApiMisuse::UntrustedRelay.into(),
            Decrypt.into(),
        ];
        for error in samples {
            let status = securechat_status::from(error);
            assert_eq!(status as i32, i32::from(error.code()));
            assert_eq!(status.texts().1.to_str(), Ok(error.to_string().as_str()));
        }
    }

    /// Every variant of the core's error types, as its source lists them, has a status with its text.
    #[test]
    fn no_error_of_the_core_is_missing() {
        let source = include_str!("../../securechat-core/src/error.rs");
        let mut seen = 0;
        let mut prefix = "";
        let mut message = "";
        for line in source.lines().map(str::trim) {
            match line {
                "pub enum InvalidMessage {" => prefix = "invalid message: ",
                "pub enum PeerMisbehaved {" => prefix = "the other side broke the protocol: ",
                "pub enum ApiMisuse {" => prefix = "",
                _ => {}
            }
            if let Some(rest) = line.strip_prefix("#[error(\"") {
                message = rest.trim_end_matches("\")]");
            }
            let number = line.split_once(" = ").and_then(|(_, rest)| rest.strip_suffix(',')?.parse::<i32>().ok());
            let Some(number) = number else { continue };
            let status = securechat_status::from_number(number).expect(line);
            assert_eq!(status.texts().1.to_str().unwrap(), format!("{prefix}{message}"), "{line}");
            seen += 1;
        }
        assert_eq!(seen + 10, TABLE.len(), "own statuses, and the one of decryption, are ten");
    }
}
