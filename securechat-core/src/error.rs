//! Every way in which an operation can fail, split by who is to blame.
//!
//! Each variant has a number that never changes and is never used again; the C interface shares it.
//! What a peer sees is the same for all of them: the connection ends (PROTOCOL.md 4.3, R5).

use thiserror::Error as ThisError;

/// Anything that can go wrong in this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that are not what the format asks for.
    #[error("invalid message: {0}")]
    InvalidMessage(#[from] InvalidMessage),
    /// Well-formed bytes that break a rule of the protocol.
    #[error("the other side broke the protocol: {0}")]
    PeerMisbehaved(#[from] PeerMisbehaved),
    /// A call that the state or the arguments do not allow.
    #[error("{0}")]
    ApiMisuse(#[from] ApiMisuse),
    /// A ciphertext that did not open; deliberately without a reason.
    #[error(transparent)]
    Decrypt(#[from] Decrypt),
}

impl Error {
    /// The stable number of this error, shared with the C interface.
    pub const fn code(self) -> u16 {
        match self {
            Self::InvalidMessage(reason) => reason as u16,
            Self::PeerMisbehaved(reason) => reason as u16,
            Self::ApiMisuse(reason) => reason as u16,
            Self::Decrypt(_) => 400,
        }
    }
}

/// Bytes that are not what the format asks for (numbers 100 to 199).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
#[repr(u16)]
pub enum InvalidMessage {
    /// The bytes end before the value does.
    #[error("it ends too early")]
    Truncated = 100,
    /// Bytes follow where the value should end.
    #[error("bytes follow its end")]
    TrailingBytes = 101,
    /// The value decodes, but it is not encoded in the one allowed way.
    #[error("it is not encoded canonically")]
    NotCanonical = 102,
    /// A value has a form or a number that the format does not know.
    #[error("it has a value that the format does not know")]
    UnknownValue = 103,
    /// A length or a count is outside its limit.
    #[error("a length or count is outside its limit")]
    OutOfBounds = 104,
    /// A user name is not `[a-z0-9][a-z0-9._-]{0,31}`.
    #[error("a user name may have a-z, 0-9, '.', '_' and '-', 32 at most, and begins with a letter or digit")]
    UserName = 105,
    /// A public key is not a valid one of its kind, or outside the allowed sizes.
    #[error("a public key is not valid")]
    PublicKey = 106,
    /// A version that this implementation does not speak.
    #[error("its version is not supported")]
    Version = 107,
    /// Padding is not as PROTOCOL.md S12 says.
    #[error("its padding is wrong")]
    Padding = 108,
}

/// Well-formed bytes that break a rule of the protocol (numbers 200 to 299).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
#[repr(u16)]
pub enum PeerMisbehaved {
    /// A signature does not verify.
    #[error("a signature does not verify")]
    BadSignature = 200,
    /// A key agreement gave an all-zero secret.
    #[error("a key agreement gave no secret")]
    WeakKey = 201,
    /// A static key is not the one that the bundle names.
    #[error("a static key is not the one in the bundle")]
    StaticKeyMismatch = 202,
    /// The identity is not the one expected (a pin, the signer, the session).
    #[error("the identity is not the one expected")]
    IdentityMismatch = 203,
    /// The other side presents this side's own identity.
    #[error("the other side presents our own identity")]
    OwnIdentity = 204,
    /// A bundle contradicts itself or lacks what its suites need.
    #[error("a key bundle is inconsistent")]
    BundleInconsistent = 205,
    /// A bundle or prekey is not valid at this time.
    #[error("a key bundle has expired or is not valid yet")]
    BundleExpired = 206,
    /// A serial lower than one seen before, or an equal one with another body.
    #[error("a key bundle is older than one seen before")]
    BundleRollback = 207,
    /// A payload where none belongs, or none where one does.
    #[error("a handshake payload does not belong there")]
    UnexpectedPayload = 208,
    /// No suite that both sides allow.
    #[error("no common suite")]
    NoCommonSuite = 209,
    /// A retry that the rules of negotiation do not allow (N2).
    #[error("a retry that the negotiation does not allow")]
    BadRetry = 210,
    /// The responder refused the offer.
    #[error("the other side refused the connection")]
    Refused = 211,
    /// The handshake was not finished in time.
    #[error("the handshake was not finished in time")]
    HandshakeTimeout = 212,
    /// A frame length outside the limit.
    #[error("a frame is longer than allowed")]
    FrameLength = 213,
    /// A record of a type that does not belong at its place.
    #[error("a record does not belong there")]
    UnexpectedRecord = 214,
    /// The bytes ended without a `Close`.
    #[error("the connection was cut off without a close")]
    Truncation = 215,
    /// A counter reached its end.
    #[error("a counter reached its end")]
    CounterExhausted = 216,
    /// A device list does not follow from the one before it.
    #[error("a device list does not follow from the one before")]
    DeviceList = 217,
    /// Two bodies of one device-list epoch.
    #[error("two device lists of one epoch")]
    DeviceListFork = 218,
    /// A message that was opened before.
    #[error("a message was opened before")]
    Replay = 219,
    /// A message with the place of an opened one and other bytes.
    #[error("two messages claim one place in a session")]
    Fork = 220,
    /// More keys would be skipped than allowed (S3).
    #[error("too many messages are missing")]
    TooManySkipped = 221,
    /// A session order too far ahead of those seen (S7).
    #[error("a session order is too far ahead")]
    OrderTooFar = 222,
    /// A prekey that is not this device's, was used, or does not belong to the bundle.
    #[error("a prekey is unknown, used or foreign")]
    Prekey = 223,
    /// A derived session id differs from the one sent.
    #[error("a session id is not the one derived")]
    SessionId = 224,
    /// A user name other than the one asked for (I7).
    #[error("keys of another user than the one asked for")]
    WrongUser = 225,
    /// An identity that is not in its user's device list.
    #[error("a device is not in its user's device list")]
    NotInDeviceList = 226,
    /// A file chunk, size or root disagrees with the offer.
    #[error("a file does not agree with its offer")]
    FileMismatch = 227,
    /// A reply without a request, or of another kind.
    #[error("a reply does not fit any request")]
    UnexpectedReply = 228,
    /// More than the limits allow was sent.
    #[error("more was sent than the limits allow")]
    LimitExceeded = 229,
    /// A device list older than one seen before, or of a chain that another one has replaced (I6, I9).
    #[error("a device list is older than one seen before")]
    DeviceListRollback = 230,
    /// The other side speaks no version of the link that this implementation speaks.
    #[error("the other side does not speak this version of the protocol")]
    VersionRefused = 231,
    /// One side wants a link to a relay, the other a link between peers.
    #[error("one side is a relay where the other expects a peer")]
    WrongPurpose = 232,
    /// The other side takes no more connections at the moment.
    #[error("the other side is busy; try again later")]
    PeerBusy = 233,
    /// A session message names a session that is not known here.
    #[error("a message belongs to a session that is not known here")]
    UnknownSession = 234,
    /// The other side did not answer in time.
    #[error("the other side does not answer")]
    Silent = 235,
    /// An entry of a group's log that its rules do not allow there (G1, G2).
    #[error("an entry of a group's log breaks its rules")]
    RosterEntry = 236,
    /// An entry of a group's log that does not follow the newest one.
    #[error("an entry of a group's log does not follow the newest one")]
    RosterOrder = 237,
    /// Two entries for one place in a group's log (G6).
    #[error("two entries claim one place in a group's log")]
    RosterFork = 238,
    /// A group message from somebody who is not a member at the entry that it names (G5).
    #[error("the sender is not a member of the group")]
    NotMember = 239,
    /// A group message under a sender key that is not known here (G5).
    #[error("the sender's key for the group is not known here")]
    SenderKey = 240,
    /// A group message that names an entry which nobody could show (G6), or one from before a removal that is known for
    /// longer than a day (G7).
    #[error("the message belongs to a state of the group that does not count")]
    RosterState = 241,
}

/// A call that the state or the arguments do not allow (numbers 300 to 399).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
#[repr(u16)]
pub enum ApiMisuse {
    /// The call does not belong to the present state.
    #[error("this call is not possible now")]
    WrongState = 300,
    /// The argument is larger than the limit.
    #[error("this is larger than the limit")]
    TooLarge = 301,
    /// The connection is closed.
    #[error("the connection is closed")]
    Closed = 302,
    /// There is no connection.
    #[error("not connected; connect first")]
    NotConnected = 303,
    /// Nobody is logged in on this connection.
    #[error("not logged in; log in or register first")]
    NotLoggedIn = 304,
    /// No user of that name is known here.
    #[error("no such user")]
    UnknownUser = 305,
    /// The relay's identity is neither pinned nor accepted (A10).
    #[error("the relay is not trusted yet; compare its fingerprint and accept it first")]
    UntrustedRelay = 306,
    /// The user's keys changed and were not accepted (I9).
    #[error("this user's keys changed; verify and accept them first")]
    Violation = 307,
    /// The policy is empty or names a suite twice.
    #[error("the policy must name at least one suite, and none twice")]
    Policy = 308,
    /// A private key that one of the suites needs is missing.
    #[error("a key that the suite needs is missing")]
    MissingKey = 309,
    /// A record cannot be used to restore this state.
    #[error("the saved state cannot be read")]
    Record = 310,
    /// A private key is malformed or outside the allowed sizes.
    #[error("the private key is not valid")]
    PrivateKey = 311,
    /// The device lists on both sides differ, so that no safety number can be shown (I10).
    #[error("the device list is out of date")]
    DeviceListOutOfDate = 312,
    /// The thing named is not known here.
    #[error("there is nothing of that name or id")]
    NotFound = 313,
    /// A file changed while it was sent (F3).
    #[error("the file has changed since it was offered")]
    FileChanged = 314,
    /// Too many of these are open at once.
    #[error("too many are open at once; wait for one to end")]
    Busy = 315,
    /// A replacement session was opened to that device less than an hour ago (S8).
    #[error("a replacement was made less than an hour ago")]
    TooSoon = 316,
    /// Content of a kind that this version may not send.
    #[error("content of this kind cannot be sent")]
    ContentKind = 317,
    /// There is no session with that device that sends; one has to be opened first.
    #[error("there is no session with this device yet")]
    NoSession = 318,
    /// The relay refused what was asked of it; the event before says why.
    #[error("the relay refused")]
    Refused = 320,
    /// A message could not be sent in 30 days.
    #[error("this could not be sent for a month and was given up")]
    Expired = 321,
    /// A transient message has no place now: too many in a row, or nobody to hear it (L2).
    #[error("a transient message is not possible now")]
    TransientLimit = 319,
    /// The user may not do that in the group: only an admin may, or nobody.
    #[error("the rules of the group do not allow this; an admin may be needed")]
    NotPermitted = 322,
    /// The group's log has two entries for one place, and nothing is sent there before the host decides (G6).
    #[error("the group's log was forked; decide which side counts first")]
    RosterForked = 323,
}

/// A ciphertext did not open. There is one such error, without detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[error("the ciphertext does not open")]
pub struct Decrypt;

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and the last of each class; programs and the C interface hold on to them.
    #[test]
    fn numbers_stay_what_they_are() {
        let numbers: [(Error, u16); 10] = [
            (InvalidMessage::Truncated.into(), 100),
            (InvalidMessage::Padding.into(), 108),
            (PeerMisbehaved::BadSignature.into(), 200),
            (PeerMisbehaved::Silent.into(), 235),
            (ApiMisuse::WrongState.into(), 300),
            (ApiMisuse::TransientLimit.into(), 319),
            (ApiMisuse::Expired.into(), 321),
            (PeerMisbehaved::RosterState.into(), 241),
            (ApiMisuse::RosterForked.into(), 323),
            (Decrypt.into(), 400),
        ];
        for (error, number) in numbers {
            assert_eq!(error.code(), number, "{error}");
        }
    }
}
