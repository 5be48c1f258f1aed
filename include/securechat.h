/*
 * securechat: secure chat as a library.
 *
 *   library    securechat_version_number, _status_name, _status_message, _constant, _config_default
 *   identity   the keys of a server or of one end of a link; bundles, safety numbers, addresses
 *   link       a secure channel between two programs, for any bytes
 *   client     what an application holds: sessions, contacts, groups, files, connections
 *   relay      what a server holds: accounts, mailboxes, the logs of groups, files that wait
 *   file       sealing, opening and verifying files in chunks, on their own
 *
 * That is 95 functions, five above the 90 that were to be all: groups and the list of transfers came last, and nothing that was there
 * was taken away for them (securechat-ffi/README.md). Commands, messages and events that come from now on are kinds, not functions.
 *
 * Nothing here does IO, starts a thread, reads a clock or keeps a global. Bytes, the time and records go in; bytes, events, records
 * and jobs come out. Randomness is the operating system's.
 *
 * What holds for every function:
 *
 *   - A handle is made by a function of its group and freed once by its _free; _free(NULL) does nothing. One thread at a time uses
 *     a handle; different handles are independent, and may move between threads.
 *   - A function that can fail returns a securechat_status; SECURECHAT_OK is 0. What is more to say, the _error of a
 *     link, a client or a relay says; an identity and a file have no more to say than the status.
 *   - Out-parameters come last and are set on every path, to NULL or 0 when it failed; only the time that a _tick sets is
 *     UINT64_MAX then.
 *   - Input is a pointer and a length; (NULL, 0) is empty. Texts are UTF-8 and need no zero byte at their end. The time is Unix
 *     milliseconds; it may stand still but not run backwards. Numbers that choose are uint32_t and checked.
 *   - What is lent ends at the next call on the same handle that is not const.
 *   - A buffer that is too small gives SECURECHAT_ERR_BUFFER and the size needed, and nothing is consumed; (NULL, 0) asks for the size.
 *   - A fault inside is caught: SECURECHAT_ERR_INTERNAL. The handle then works no more; only its _free does, and its _error where it has one.
 *   - Structs that grow are passed with their size; kinds of events and messages that a program does not know are to be passed over.
 *
 * The bytes of the protocol are in securechat-core/PROTOCOL.md. The examples below belong inside a function that has
 * `uint64_t now`, with <assert.h> and <string.h>; the library's tests compile and run them.
 */

#ifndef SECURECHAT_H
#define SECURECHAT_H

/* Made from the comments of securechat-ffi; `SECURECHAT_WRITE_HEADER=1 cargo test -p securechat-ffi --test header` writes it anew. */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* ============ Library ============================================================================================= */

/**
 * The version of this header: major << 16 | minor << 8 | patch. securechat_version_number tells that of the library.
 */
#define SECURECHAT_VERSION_NUMBER 256

/**
 * What a function returns: `SECURECHAT_OK`, or why it failed. Numbers never change and are never used again.
 *
 * 1 to 99: the call itself. 100 to 199: bytes that are no message. 200 to 299: the other side broke the protocol, or
 * somebody in between did. 300 to 399: a call that the present state or the arguments do not allow. 400: a ciphertext that
 * did not open, without further reason.
 */
enum securechat_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It went well.
     */
    SECURECHAT_OK = 0,
    /**
     * A pointer that must not be NULL is NULL, or a length is given for one.
     */
    SECURECHAT_ERR_NULL = 1,
    /**
     * The buffer is too small. Nothing was consumed; the size needed was written.
     */
    SECURECHAT_ERR_BUFFER = 2,
    /**
     * A fault in the library. The handle works no more: free it.
     */
    SECURECHAT_ERR_INTERNAL = 3,
    /**
     * An argument has a value that it cannot have.
     */
    SECURECHAT_ERR_ARGUMENT = 4,
    /**
     * A text is not UTF-8.
     */
    SECURECHAT_ERR_UTF8 = 5,
    /**
     * The operating system gives no randomness.
     */
    SECURECHAT_ERR_RANDOMNESS = 6,
    /**
     * There is no room at the moment. Nothing was taken; call again after the next job was completed.
     */
    SECURECHAT_ERR_AGAIN = 7,
    /**
     * A transaction failed: what is in memory is ahead of the records. Free the relay, and make it anew from them.
     */
    SECURECHAT_ERR_STORE = 8,
    /**
     * The bytes end before the value does.
     */
    SECURECHAT_ERR_TRUNCATED = 100,
    /**
     * Bytes follow where the value should end.
     */
    SECURECHAT_ERR_TRAILING_BYTES = 101,
    /**
     * The value decodes, but it is not encoded in the one allowed way.
     */
    SECURECHAT_ERR_NOT_CANONICAL = 102,
    /**
     * A value has a form or a number that the format does not know.
     */
    SECURECHAT_ERR_UNKNOWN_VALUE = 103,
    /**
     * A length or a count is outside its limit.
     */
    SECURECHAT_ERR_OUT_OF_BOUNDS = 104,
    /**
     * A user name is not `[a-z0-9][a-z0-9._-]{0,31}`.
     */
    SECURECHAT_ERR_USER_NAME = 105,
    /**
     * A public key is not a valid one of its kind, or outside the allowed sizes.
     */
    SECURECHAT_ERR_PUBLIC_KEY = 106,
    /**
     * A version that this implementation does not speak.
     */
    SECURECHAT_ERR_VERSION = 107,
    /**
     * Padding is not as PROTOCOL.md S12 says.
     */
    SECURECHAT_ERR_PADDING = 108,
    /**
     * A signature does not verify.
     */
    SECURECHAT_ERR_BAD_SIGNATURE = 200,
    /**
     * A key agreement gave an all-zero secret.
     */
    SECURECHAT_ERR_WEAK_KEY = 201,
    /**
     * A static key is not the one that the bundle names.
     */
    SECURECHAT_ERR_STATIC_KEY_MISMATCH = 202,
    /**
     * The identity is not the one expected (a pin, the signer, the session).
     */
    SECURECHAT_ERR_IDENTITY_MISMATCH = 203,
    /**
     * The other side presents this side's own identity.
     */
    SECURECHAT_ERR_OWN_IDENTITY = 204,
    /**
     * A bundle contradicts itself or lacks what its suites need.
     */
    SECURECHAT_ERR_BUNDLE_INCONSISTENT = 205,
    /**
     * A bundle or prekey is not valid at this time.
     */
    SECURECHAT_ERR_BUNDLE_EXPIRED = 206,
    /**
     * A serial lower than one seen before, or an equal one with another body.
     */
    SECURECHAT_ERR_BUNDLE_ROLLBACK = 207,
    /**
     * A payload where none belongs, or none where one does.
     */
    SECURECHAT_ERR_UNEXPECTED_PAYLOAD = 208,
    /**
     * No suite that both sides allow.
     */
    SECURECHAT_ERR_NO_COMMON_SUITE = 209,
    /**
     * A retry that the rules of negotiation do not allow (N2).
     */
    SECURECHAT_ERR_BAD_RETRY = 210,
    /**
     * The responder refused the offer.
     */
    SECURECHAT_ERR_REFUSED = 211,
    /**
     * The handshake was not finished in time.
     */
    SECURECHAT_ERR_HANDSHAKE_TIMEOUT = 212,
    /**
     * A frame length outside the limit.
     */
    SECURECHAT_ERR_FRAME_LENGTH = 213,
    /**
     * A record of a type that does not belong at its place.
     */
    SECURECHAT_ERR_UNEXPECTED_RECORD = 214,
    /**
     * The bytes ended without a Close.
     */
    SECURECHAT_ERR_TRUNCATION = 215,
    /**
     * A counter reached its end.
     */
    SECURECHAT_ERR_COUNTER_EXHAUSTED = 216,
    /**
     * A device list does not follow from the one before it.
     */
    SECURECHAT_ERR_DEVICE_LIST = 217,
    /**
     * Two bodies of one device-list epoch.
     */
    SECURECHAT_ERR_DEVICE_LIST_FORK = 218,
    /**
     * A message that was opened before.
     */
    SECURECHAT_ERR_REPLAY = 219,
    /**
     * A message with the place of an opened one and other bytes.
     */
    SECURECHAT_ERR_FORK = 220,
    /**
     * More keys would be skipped than allowed (S3).
     */
    SECURECHAT_ERR_TOO_MANY_SKIPPED = 221,
    /**
     * A session order too far ahead of those seen (S7).
     */
    SECURECHAT_ERR_ORDER_TOO_FAR = 222,
    /**
     * A prekey that is not this device's, was used, or does not belong to the bundle.
     */
    SECURECHAT_ERR_PREKEY = 223,
    /**
     * A derived session id differs from the one sent.
     */
    SECURECHAT_ERR_SESSION_ID = 224,
    /**
     * A user name other than the one asked for (I7).
     */
    SECURECHAT_ERR_WRONG_USER = 225,
    /**
     * An identity that is not in its user's device list.
     */
    SECURECHAT_ERR_NOT_IN_DEVICE_LIST = 226,
    /**
     * A file chunk, size or root disagrees with the offer.
     */
    SECURECHAT_ERR_FILE_MISMATCH = 227,
    /**
     * A reply without a request, or of another kind.
     */
    SECURECHAT_ERR_UNEXPECTED_REPLY = 228,
    /**
     * More than the limits allow was sent.
     */
    SECURECHAT_ERR_LIMIT_EXCEEDED = 229,
    /**
     * A device list older than one seen before, or of a chain that another one has replaced (I6, I9).
     */
    SECURECHAT_ERR_DEVICE_LIST_ROLLBACK = 230,
    /**
     * The other side speaks no version of the link that this implementation speaks.
     */
    SECURECHAT_ERR_VERSION_REFUSED = 231,
    /**
     * One side wants a link to a relay, the other a link between peers.
     */
    SECURECHAT_ERR_WRONG_PURPOSE = 232,
    /**
     * The other side takes no more connections at the moment.
     */
    SECURECHAT_ERR_PEER_BUSY = 233,
    /**
     * A session message names a session that is not known here.
     */
    SECURECHAT_ERR_UNKNOWN_SESSION = 234,
    /**
     * The other side did not answer in time.
     */
    SECURECHAT_ERR_SILENT = 235,
    /**
     * An entry of a group's log that its rules do not allow there (G1, G2).
     */
    SECURECHAT_ERR_ROSTER_ENTRY = 236,
    /**
     * An entry of a group's log that does not follow the newest one.
     */
    SECURECHAT_ERR_ROSTER_ORDER = 237,
    /**
     * Two entries for one place in a group's log (G6).
     */
    SECURECHAT_ERR_ROSTER_FORK = 238,
    /**
     * A group message from somebody who is not a member at the entry that it names (G5).
     */
    SECURECHAT_ERR_NOT_MEMBER = 239,
    /**
     * A group message under a sender key that is not known here (G5).
     */
    SECURECHAT_ERR_SENDER_KEY = 240,
    /**
     * A group message that names an entry which nobody could show (G6), or one from before a removal that is known for longer than a day (G7).
     */
    SECURECHAT_ERR_ROSTER_STATE = 241,
    /**
     * The call does not belong to the present state.
     */
    SECURECHAT_ERR_WRONG_STATE = 300,
    /**
     * The argument is larger than the limit.
     */
    SECURECHAT_ERR_TOO_LARGE = 301,
    /**
     * The connection is closed.
     */
    SECURECHAT_ERR_CLOSED = 302,
    /**
     * There is no connection.
     */
    SECURECHAT_ERR_NOT_CONNECTED = 303,
    /**
     * Nobody is logged in on this connection.
     */
    SECURECHAT_ERR_NOT_LOGGED_IN = 304,
    /**
     * No user of that name is known here.
     */
    SECURECHAT_ERR_UNKNOWN_USER = 305,
    /**
     * The relay's identity is neither pinned nor accepted (A10).
     */
    SECURECHAT_ERR_UNTRUSTED_RELAY = 306,
    /**
     * The user's keys changed and were not accepted (I9).
     */
    SECURECHAT_ERR_VIOLATION = 307,
    /**
     * The policy is empty or names a suite twice.
     */
    SECURECHAT_ERR_POLICY = 308,
    /**
     * A private key that one of the suites needs is missing.
     */
    SECURECHAT_ERR_MISSING_KEY = 309,
    /**
     * A record cannot be used to restore this state.
     */
    SECURECHAT_ERR_RECORD = 310,
    /**
     * A private key is malformed or outside the allowed sizes.
     */
    SECURECHAT_ERR_PRIVATE_KEY = 311,
    /**
     * The device lists on both sides differ, so that no safety number can be shown (I10).
     */
    SECURECHAT_ERR_DEVICE_LIST_OUT_OF_DATE = 312,
    /**
     * The thing named is not known here.
     */
    SECURECHAT_ERR_NOT_FOUND = 313,
    /**
     * A file changed while it was sent (F3).
     */
    SECURECHAT_ERR_FILE_CHANGED = 314,
    /**
     * Too many of these are open at once.
     */
    SECURECHAT_ERR_BUSY = 315,
    /**
     * A replacement session was opened to that device less than an hour ago (S8).
     */
    SECURECHAT_ERR_TOO_SOON = 316,
    /**
     * Content of a kind that this version may not send.
     */
    SECURECHAT_ERR_CONTENT_KIND = 317,
    /**
     * There is no session with that device that sends; one has to be opened first.
     */
    SECURECHAT_ERR_NO_SESSION = 318,
    /**
     * A transient message has no place now: too many in a row, or nobody to hear it (L2).
     */
    SECURECHAT_ERR_TRANSIENT_LIMIT = 319,
    /**
     * The relay refused what was asked of it; the event before says why.
     */
    SECURECHAT_ERR_RELAY_REFUSED = 320,
    /**
     * A message could not be sent in 30 days.
     */
    SECURECHAT_ERR_EXPIRED = 321,
    /**
     * The user may not do that in the group: only an admin may, or nobody.
     */
    SECURECHAT_ERR_NOT_PERMITTED = 322,
    /**
     * The group's log has two entries for one place, and nothing is sent there before it is decided which counts (G6).
     */
    SECURECHAT_ERR_ROSTER_FORKED = 323,
    /**
     * A ciphertext did not open. There is one such error, without detail.
     */
    SECURECHAT_ERR_DECRYPT = 400,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum securechat_status securechat_status;
#else
typedef int32_t securechat_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The version of the library: compare it with SECURECHAT_VERSION_NUMBER, that of the header.
 */
uint32_t securechat_version_number(void);

/**
 * Looks a constant of this header up by its name, for bindings that cannot read it: "SECURECHAT_EVENT_MESSAGE" and every other
 * macro and enumerator, and "sizeof securechat_event" and the sizes of the other structs.
 *
 * Fails with SECURECHAT_ERR_NOT_FOUND for a name that is none.
 */
securechat_status securechat_constant(const char *name,
                                      size_t name_len,
                                      uint64_t *value);

/**
 * The name of a status, such as "SECURECHAT_ERR_DECRYPT": static text. "SECURECHAT_UNKNOWN" for a number that is none.
 */
const char *securechat_status_name(int32_t status);

/**
 * What a status means, in a sentence without a full stop for people to read: static text, in English.
 *
 * What is more to say about the last failure of a link, a client or a relay, its `_error` says.
 */
const char *securechat_status_message(int32_t status);

/* ============ Policy and limits =================================================================================== */

/**
 * Suites in a securechat_config.
 */
#define SECURECHAT_CONFIG_SUITES 10

/**
 * X25519, AES-256-GCM.
 */
#define SECURECHAT_SUITE_X25519_GCM 257

/**
 * X25519, AES-256-CBC with HMAC-SHA-256.
 */
#define SECURECHAT_SUITE_X25519_CBC 258

/**
 * RSA-wrapped keys with X25519, AES-256-GCM.
 */
#define SECURECHAT_SUITE_RSA_GCM 513

/**
 * RSA-wrapped keys with X25519, AES-256-CBC with HMAC-SHA-256.
 */
#define SECURECHAT_SUITE_RSA_CBC 514

/**
 * X25519 with ML-KEM-768, AES-256-GCM.
 */
#define SECURECHAT_SUITE_HYBRID_GCM 769

/**
 * X25519 with ML-KEM-768, AES-256-CBC with HMAC-SHA-256.
 */
#define SECURECHAT_SUITE_HYBRID_CBC 770

/**
 * Suites and bounds. Fill it with securechat_config_default, change what you want, pass it; NULL is the defaults. It grows at
 * its end only.
 *
 * Sizes may be lowered, rates and counts set. A rate is `burst` at once and one more every `every` microseconds.
 */
typedef struct securechat_config {
    /**
     * The size of this struct as the program knows it; securechat_config_default sets it.
     */
    uint32_t size;
    /**
     * Length in bits of the RSA static key that a new identity or device makes when RSA-wrapped suites are among `suites`.
     */
    uint32_t rsa_bits;
    /**
     * How many suites there are.
     */
    uint32_t suite_count;
    /**
     * SECURECHAT_SUITE_..., the preferred one first.
     */
    uint16_t suites[SECURECHAT_CONFIG_SUITES];
    /**
     * Time for a handshake, the decision on a SECURECHAT_EVENT_VERIFY included, in milliseconds.
     */
    uint64_t handshake_timeout;
    /**
     * RSA private operations at once.
     */
    uint64_t rsa_handshakes;
    /**
     * Connections that a relay holds at once.
     */
    uint64_t connections;
    /**
     * Connections from one address.
     */
    uint64_t connections_per_address;
    /**
     * How long a connection may stay without a login, in milliseconds.
     */
    uint64_t login_timeout;
    /**
     * How long an admitted connection may stay silent, in milliseconds.
     */
    uint64_t idle_timeout;
    /**
     * One-time prekeys per device and kind at the relay.
     */
    uint64_t prekeys_per_device;
    /**
     * Envelopes that wait per device.
     */
    uint64_t mailbox_envelopes;
    /**
     * Bytes of envelopes that wait per device.
     */
    uint64_t mailbox_bytes;
    /**
     * Largest file, in bytes.
     */
    uint64_t file_size;
    /**
     * Bytes queued towards one connection before that reader is ended.
     */
    uint64_t output_queue;
    /**
     * Bytes queued towards all connections together.
     */
    uint64_t output_total;
    /**
     * Bytes of requests that wait for jobs, over all connections.
     */
    uint64_t input_total;
    /**
     * How long a connection may leave unread what waits for it, in milliseconds.
     */
    uint64_t stall_timeout;
    /**
     * Password hashes that a relay has under way at once.
     */
    uint64_t password_jobs;
    /**
     * Requests of one connection: at once.
     */
    uint64_t connection_burst;
    /**
     * Requests of one connection: one more every so many microseconds.
     */
    uint64_t connection_every;
    /**
     * Requests of one account: at once.
     */
    uint64_t account_burst;
    /**
     * Requests of one account: one more every so many microseconds.
     */
    uint64_t account_every;
    /**
     * Logins and passwords tried from one address: at once.
     */
    uint64_t login_burst;
    /**
     * Logins and passwords tried from one address: one more every so many microseconds.
     */
    uint64_t login_every;
    /**
     * Registrations from one address: at once.
     */
    uint64_t register_burst;
    /**
     * Registrations from one address: one more every so many microseconds.
     */
    uint64_t register_every;
    /**
     * Bundles, prekeys and device lists published by one account: at once.
     */
    uint64_t publish_burst;
    /**
     * Bundles, prekeys and device lists published by one account: one more every so many microseconds.
     */
    uint64_t publish_every;
    /**
     * One-time prekeys taken by one account: at once.
     */
    uint64_t prekey_burst;
    /**
     * One-time prekeys taken by one account: one more every so many microseconds.
     */
    uint64_t prekey_every;
    /**
     * Blobs of one account.
     */
    uint64_t blobs_per_account;
    /**
     * Bytes of the files of those blobs.
     */
    uint64_t blob_bytes_per_account;
    /**
     * Messages kept while a device list is fetched.
     */
    uint64_t waiting_messages;
    /**
     * Bytes of those messages.
     */
    uint64_t waiting_bytes;
    /**
     * File offers kept until they are accepted.
     */
    uint64_t file_offers;
    /**
     * Users whose keys a client remembers.
     */
    uint64_t contacts;
    /**
     * Messages that a client keeps on their way out.
     */
    uint64_t outgoing;
} securechat_config;

/**
 * Fills `config`, of `size` bytes, with the defaults: the hybrid suites, then X25519, and the bounds of PROTOCOL.md section 11.
 *
 * Fails with SECURECHAT_ERR_NULL, and with SECURECHAT_ERR_ARGUMENT when `size` is smaller than the first version of the struct.
 */
securechat_status securechat_config_default(struct securechat_config *config,
                                            size_t size);

/* ============ Events ============================================================================================== */

/**
 * Room for the name by which a group is called, with zero bytes behind it.
 */
#define SECURECHAT_GROUP_SIZE 40

/**
 * Nothing more to say.
 */
#define SECURECHAT_CLOSE_DONE 0

/**
 * No login within the time limit.
 */
#define SECURECHAT_CLOSE_LOGIN_TIMEOUT 1

/**
 * Silent for too long.
 */
#define SECURECHAT_CLOSE_IDLE 2

/**
 * What waited to be written grew beyond its bound, or was not read for too long.
 */
#define SECURECHAT_CLOSE_STALLED 3

/**
 * Bytes that are no message, or more requests than may be open.
 */
#define SECURECHAT_CLOSE_MISBEHAVED 4

/**
 * The relay stops.
 */
#define SECURECHAT_CLOSE_SHUTDOWN 5

/**
 * The same device logged in on a newer connection.
 */
#define SECURECHAT_CLOSE_REPLACED 6

/**
 * The device is no longer in its user's device list.
 */
#define SECURECHAT_CLOSE_REVOKED 7

/**
 * Too many connections.
 */
#define SECURECHAT_CLOSE_BUSY 8

/**
 * The body does not decode, or a value in it is outside its limits.
 */
#define SECURECHAT_REFUSAL_MALFORMED 1

/**
 * The relay does not know this kind of request.
 */
#define SECURECHAT_REFUSAL_UNKNOWN_REQUEST 2

/**
 * The request does not fit what happened on this connection before: not logged in, or logged in already.
 */
#define SECURECHAT_REFUSAL_WRONG_STATE 3

/**
 * This device may not do that: not in the current list (L7), or not the owner.
 */
#define SECURECHAT_REFUSAL_NOT_ALLOWED 4

/**
 * The relay's own password is wrong, or has to be given first.
 */
#define SECURECHAT_REFUSAL_SERVER_PASSWORD 5

/**
 * Unknown user, wrong password, wrong code or wrong signature: there is no telling which (L4).
 */
#define SECURECHAT_REFUSAL_CREDENTIALS 6

/**
 * The password is right, and a one-time code is needed.
 */
#define SECURECHAT_REFUSAL_CODE_NEEDED 7

/**
 * The user name is taken.
 */
#define SECURECHAT_REFUSAL_NAME_TAKEN 8

/**
 * Nobody can register here.
 */
#define SECURECHAT_REFUSAL_REGISTRATION_CLOSED 9

/**
 * More requests than the relay allows.
 */
#define SECURECHAT_REFUSAL_RATE_LIMITED 10

/**
 * Too many failed logins.
 */
#define SECURECHAT_REFUSAL_LOCKED 11

/**
 * The relay cannot do this now; nothing was changed.
 */
#define SECURECHAT_REFUSAL_UNAVAILABLE 12

/**
 * No user of that name.
 */
#define SECURECHAT_REFUSAL_UNKNOWN_USER 13

/**
 * No room left.
 */
#define SECURECHAT_REFUSAL_FULL 14

/**
 * The device list does not follow the current one, or is no longer the next.
 */
#define SECURECHAT_REFUSAL_LIST_REFUSED 15

/**
 * The bundle or a prekey is not this device's, has expired, or is older than the one before.
 */
#define SECURECHAT_REFUSAL_BUNDLE_REFUSED 16

/**
 * No blob or chunk of that name.
 */
#define SECURECHAT_REFUSAL_NOT_FOUND 17

/**
 * The chunk did not come while the request waited.
 */
#define SECURECHAT_REFUSAL_NOT_YET 18

/**
 * Larger than the relay allows.
 */
#define SECURECHAT_REFUSAL_TOO_LARGE 19

/**
 * The identity or the id belongs to another user.
 */
#define SECURECHAT_REFUSAL_TAKEN 20

/**
 * The device belongs to that user, but is not, or no longer, in the current list: it cannot log in with its key.
 */
#define SECURECHAT_REFUSAL_NOT_LISTED 21

/**
 * The rules of the group do not allow the entry.
 */
#define SECURECHAT_REFUSAL_ENTRY_REFUSED 22

/**
 * The entry does not follow the newest one of its group.
 */
#define SECURECHAT_REFUSAL_ENTRY_OUTDATED 23

/**
 * In `flags`: the device is in its user's device list.
 */
#define SECURECHAT_FLAG_LISTED 1

/**
 * In `flags`: no more follow.
 */
#define SECURECHAT_FLAG_LAST 2

/**
 * In `flags`: began, as against stopped.
 */
#define SECURECHAT_FLAG_ACTIVE 4

/**
 * In `flags`: what was shown is past its end.
 */
#define SECURECHAT_FLAG_EXPIRED 8

/**
 * In `flags`: taken back.
 */
#define SECURECHAT_FLAG_REMOVED 16

/**
 * In `flags`: `expected` is set.
 */
#define SECURECHAT_FLAG_EXPECTED 32

/**
 * In `flags`: this side did it.
 */
#define SECURECHAT_FLAG_OURS 64

/**
 * In `flags`: it is not stored.
 */
#define SECURECHAT_FLAG_TRANSIENT 128

/**
 * In `flags`: `group` is set.
 */
#define SECURECHAT_FLAG_IN_GROUP 256

/**
 * In `flags`: its sender did not know yet that somebody was removed from the group; who was removed may read it.
 */
#define SECURECHAT_FLAG_BEFORE_REMOVAL 512

/**
 * In `flags`: the group is open: whoever can register at the relay reads it, its operator included.
 */
#define SECURECHAT_FLAG_OPEN 1024

/**
 * What an event is. Kinds are added; a program passes over those that it does not know.
 *
 * Each says which fields of `securechat_event` it sets; all others are zero.
 */
enum securechat_event_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * There is nothing more to tell.
     */
    SECURECHAT_EVENT_NONE = 0,
    /**
     * Link, client. The other side showed an identity that no pin vouches for, and the link waits: accept it, or close.
     * `link`, `user` (empty for a relay), `fingerprint`, `expected` with SECURECHAT_FLAG_EXPECTED where another one was
     * expected, SECURECHAT_FLAG_EXPIRED where its bundle is past its end.
     */
    SECURECHAT_EVENT_VERIFY = 1,
    /**
     * Link, client. Both sides are authenticated as far as the purpose asks. `link`, `code` (the suite), `user` and
     * `fingerprint` of the other side where it showed an identity; of a bare link also `data`, the channel binding (32 bytes).
     */
    SECURECHAT_EVENT_OPEN = 2,
    /**
     * Link. What the other side sent in one record: `data`.
     */
    SECURECHAT_EVENT_DATA = 3,
    /**
     * Link, client. The other side closed the link. `link`, `code` (SECURECHAT_CLOSE_...).
     */
    SECURECHAT_EVENT_CLOSED_BY_PEER = 4,
    /**
     * Client. A link is over. `link`, `status`: why, when it was not an orderly close. What was not sent waits.
     */
    SECURECHAT_EVENT_LINK_CLOSED = 5,
    /**
     * Client. The relay did what was asked. `request`.
     */
    SECURECHAT_EVENT_DONE = 20,
    /**
     * Client. This device is logged in; with SECURECHAT_FLAG_LISTED if it is in its user's device list. If not, another
     * device has to approve it.
     */
    SECURECHAT_EVENT_LOGGED_IN = 21,
    /**
     * Client. The relay refused a request. `request`, `code` (SECURECHAT_REFUSAL_...), `seconds` to wait before it makes
     * sense to ask again.
     */
    SECURECHAT_EVENT_REFUSED = 22,
    /**
     * Client. The secret for one-time codes, to be put into an authenticator (RFC 6238): `data`. Confirm it with a code.
     */
    SECURECHAT_EVENT_CODE_SECRET = 23,
    /**
     * Client. One of the relay's users. `user`, `presence`; with SECURECHAT_FLAG_LAST if no more follow. Where there are none at
     * all, `user` is empty.
     */
    SECURECHAT_EVENT_USER = 24,
    /**
     * Client. A user came, went or stepped away. `user`, `presence`.
     */
    SECURECHAT_EVENT_PRESENCE = 25,
    /**
     * Client. Keys of a user are known now. `user`, `trust`.
     */
    SECURECHAT_EVENT_USER_FOUND = 30,
    /**
     * Client. The relay knows no such user. `user`.
     */
    SECURECHAT_EVENT_USER_UNKNOWN = 31,
    /**
     * Client. The relay showed device lists of a user that break the rules; none of them counts. `user`, `status`.
     */
    SECURECHAT_EVENT_LISTS_REFUSED = 32,
    /**
     * Client. A user added or revoked devices by the rules. `user`, `devices` (those added), `removed`.
     */
    SECURECHAT_EVENT_DEVICES_CHANGED = 33,
    /**
     * Client. A user's keys changed against the rules: nothing is sent to them until securechat_client_accept_keys. `user`.
     */
    SECURECHAT_EVENT_KEYS_CHANGED = 34,
    /**
     * Client. A user's device no longer accepts a suite that it listed before. `user`, `device`, `code` (the suite).
     */
    SECURECHAT_EVENT_SUITE_DROPPED = 35,
    /**
     * Client. A user's bundle is expired. `user`, `device`.
     */
    SECURECHAT_EVENT_BUNDLE_EXPIRED = 36,
    /**
     * Client. A listed device has no keys that can be used; messages to it wait. `user`, `device`, `status`.
     */
    SECURECHAT_EVENT_DEVICE_UNREACHABLE = 37,
    /**
     * Client. Both sides hold the same device lists: the safety number can be shown. `user`.
     */
    SECURECHAT_EVENT_LISTS_AGREE = 38,
    /**
     * Client. A new device of this user asks to be listed: compare its fingerprint, then list it. `device`, `fingerprint`.
     */
    SECURECHAT_EVENT_DEVICE_PROPOSED = 39,
    /**
     * Client. This device was revoked.
     */
    SECURECHAT_EVENT_DEVICE_REVOKED = 40,
    /**
     * Client. A message. `user`, `device`, `trust`, `id`, `time` (sent at), `seconds` (to be forgotten after; 0: never),
     * `message` (SECURECHAT_MESSAGE_...), and by that: `data` (the text, reaction, name or bytes), `target` (the message that is
     * edited, deleted or reacted to), SECURECHAT_FLAG_REMOVED for a reaction taken back. An application's own kinds come with their
     * number in `message`. In a group: `group`, SECURECHAT_FLAG_IN_GROUP, and SECURECHAT_FLAG_BEFORE_REMOVAL, which has to be shown.
     */
    SECURECHAT_EVENT_MESSAGE = 50,
    /**
     * Client. Another device of this user sent this. As for SECURECHAT_EVENT_MESSAGE, but `user` is whom it was sent to: a user,
     * or a group as it is called. A file has `name` and `total`.
     */
    SECURECHAT_EVENT_SENT_COPY = 51,
    /**
     * Client. The relay, or the peer itself, took a message. `id`.
     */
    SECURECHAT_EVENT_SENT = 52,
    /**
     * Client. Messages reached a device of the user. `user`, `ids`.
     */
    SECURECHAT_EVENT_DELIVERED = 53,
    /**
     * Client. Messages were read. `user`, `ids`.
     */
    SECURECHAT_EVENT_READ = 54,
    /**
     * Client. A message cannot be sent. `id`, `status`.
     */
    SECURECHAT_EVENT_FAILED = 55,
    /**
     * Client. A user is typing, with SECURECHAT_FLAG_ACTIVE, or stopped. `user`.
     */
    SECURECHAT_EVENT_TYPING = 56,
    /**
     * Client. A message did not open; it was asked for again where that is possible. `user` is the relay's word only.
     */
    SECURECHAT_EVENT_UNOPENED = 57,
    /**
     * Client. Two messages claim one place in a session: a copied device state, or a forgery. `user` where it is known.
     */
    SECURECHAT_EVENT_FORK = 58,
    /**
     * Client. This state was restored from an older copy: sessions are made anew.
     */
    SECURECHAT_EVENT_RESTORED = 59,
    /**
     * Client. A user offers a file; it costs nothing until it is accepted. `user`, `trust`, `file`, `id`, `name` (a safe base
     * name), `total` (its size), `media_type`; in a group also what a SECURECHAT_EVENT_MESSAGE has there.
     */
    SECURECHAT_EVENT_FILE_OFFERED = 70,
    /**
     * Client. Bytes of a file that is being sent are needed: securechat_client_supply_file. `file`, `chunk`, `offset`, `length`.
     */
    SECURECHAT_EVENT_FILE_NEED = 71,
    /**
     * Client. Bytes of an accepted file, verified, in any order. `file`, `offset`, `data`. Sync what was written before the records
     * saved next are committed: from then on these bytes are not fetched again.
     */
    SECURECHAT_EVENT_FILE_CHUNK = 72,
    /**
     * Client. How far a transfer has come. `file`, `offset` (bytes done), `total`.
     */
    SECURECHAT_EVENT_FILE_PROGRESS = 73,
    /**
     * Client. A file is at the relay, or with the peer, completely. `file`.
     */
    SECURECHAT_EVENT_FILE_SENT = 74,
    /**
     * Client. A file is whole and equal to what was offered. `file`.
     */
    SECURECHAT_EVENT_FILE_RECEIVED = 75,
    /**
     * Client. A transfer ended without success. `file`, `status`.
     */
    SECURECHAT_EVENT_FILE_FAILED = 76,
    /**
     * Client. After a restart: a transfer goes on by itself; open what it reads or writes again, or cancel it. `file`, `user`
     * (or a group, with `group` and SECURECHAT_FLAG_IN_GROUP), `name`, `offset` (bytes done), `total`, SECURECHAT_FLAG_OURS when it is being sent.
     */
    SECURECHAT_EVENT_FILE_RESUMED = 77,
    /**
     * Client. This user is a member of a group: it was created or joined here, or somebody added them. `group`, SECURECHAT_FLAG_OPEN,
     * which has to be shown.
     */
    SECURECHAT_EVENT_GROUP_JOINED = 80,
    /**
     * Client. The relay offers an open group to everyone: SECURECHAT_CHANGE_JOIN. `group`, SECURECHAT_FLAG_OPEN, which has to be shown
     * before.
     */
    SECURECHAT_EVENT_LOBBY = 81,
    /**
     * Client. A member changed a group. `group`, `user` (who did it), `code` (SECURECHAT_CHANGE_...), and by that `data`: the names
     * of users with one space between, or the group's new name.
     */
    SECURECHAT_EVENT_GROUP_CHANGED = 82,
    /**
     * Client. A group's log has two entries for one place: somebody who may change it showed members different things, or
     * their key is in other hands. Nothing is sent there before SECURECHAT_CHANGE_FIRST_SIDE or SECURECHAT_CHANGE_OTHER_SIDE. `group`, `user` (who
     * signed the other entry), `total` (the place).
     */
    SECURECHAT_EVENT_GROUP_FORKED = 83,
    /**
     * Client. What this device did to a group was not possible, or what the relay says of it cannot be right. `group`, `status`.
     */
    SECURECHAT_EVENT_GROUP_REFUSED = 84,
    /**
     * Relay. A link is open. `connection`, `code` (the suite).
     */
    SECURECHAT_EVENT_RELAY_CONNECTED = 100,
    /**
     * Relay. A connection is over: write what it has left, then close its socket. `connection`, `code` (SECURECHAT_CLOSE_...) with
     * SECURECHAT_FLAG_OURS when the relay ended it, `status` when its link failed.
     */
    SECURECHAT_EVENT_RELAY_ENDED = 101,
    /**
     * Relay. A user registered. `connection`, `user`.
     */
    SECURECHAT_EVENT_RELAY_REGISTERED = 102,
    /**
     * Relay. A device logged in. `connection`, `user`, `device`, SECURECHAT_FLAG_LISTED.
     */
    SECURECHAT_EVENT_RELAY_LOGGED_IN = 103,
    /**
     * Relay. A login did not succeed. `connection`, `user` (as claimed), `code` (SECURECHAT_REFUSAL_...).
     */
    SECURECHAT_EVENT_RELAY_LOGIN_REFUSED = 104,
    /**
     * Relay. A request was refused. `connection`, `request` (its kind on the wire), `code` (SECURECHAT_REFUSAL_...).
     */
    SECURECHAT_EVENT_RELAY_REFUSED = 105,
    /**
     * Relay. An envelope was taken. `device` (from), `devices` (one: to), `length`,
     * SECURECHAT_FLAG_TRANSIENT.
     */
    SECURECHAT_EVENT_RELAY_ROUTED = 106,
    /**
     * Relay. A user has another device list. `user`, `total` (its epoch), `length` (how many devices).
     */
    SECURECHAT_EVENT_RELAY_LIST_PUBLISHED = 107,
    /**
     * Relay. A device wants to be added to a user's list. `user`, `device`.
     */
    SECURECHAT_EVENT_RELAY_LIST_PROPOSED = 108,
    /**
     * Relay. A job failed.
     */
    SECURECHAT_EVENT_RELAY_JOB_FAILED = 109,
    /**
     * Relay. A connection has something to write: securechat_relay_output. It is told again when
     * more comes. `connection`.
     */
    SECURECHAT_EVENT_RELAY_READY = 110,
    /**
     * Relay. An envelope for a group was taken. `device` (from), `group`, `total` (to how many devices), `length`,
     * SECURECHAT_FLAG_TRANSIENT.
     */
    SECURECHAT_EVENT_RELAY_GROUP_ROUTED = 111,
    /**
     * Relay. A group has another entry. `group`, `user` and `device` (who signed it), `total` (its number), `code` (the number of
     * what it does on the wire).
     */
    SECURECHAT_EVENT_RELAY_GROUP_CHANGED = 112,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum securechat_event_kind securechat_event_kind;
#else
typedef uint32_t securechat_event_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Something that happened. Flat, without unions; it grows at its end only, and each `_next_event` is told the size that
 * the program knows.
 *
 * Pointers are borrowed from the handle until its next call that is not const. Texts are UTF-8 with a length and no zero byte
 * at their end; what a person wrote may hold anything, so neutralise control characters before a terminal shows it.
 */
typedef struct securechat_event {
    /**
     * What it is: SECURECHAT_EVENT_..., which also says which of the other fields are set.
     */
    uint32_t kind;
    /**
     * Which link of a client.
     */
    uint32_t link;
    /**
     * Why something failed, as a securechat_status.
     */
    int32_t status;
    /**
     * A suite, a close code, a refusal code, or what was changed in a group.
     */
    uint32_t code;
    /**
     * What was asked: SECURECHAT_REQUEST_...
     */
    uint32_t request;
    /**
     * How far the user's keys are trusted: SECURECHAT_TRUST_...
     */
    uint32_t trust;
    /**
     * How the user appears: SECURECHAT_PRESENCE_...
     */
    uint32_t presence;
    /**
     * SECURECHAT_FLAG_... put together.
     */
    uint32_t flags;
    /**
     * The kind of a message: SECURECHAT_MESSAGE_..., or 0x8000 and above for the application's own.
     */
    uint32_t message;
    /**
     * Seconds: a message's expiry, or how long to wait.
     */
    uint32_t seconds;
    /**
     * Which connection of a relay.
     */
    uint64_t connection;
    /**
     * Unix milliseconds.
     */
    uint64_t time;
    /**
     * The number of a chunk, to be named when supplying it.
     */
    uint64_t chunk;
    /**
     * Bytes from the beginning of a file.
     */
    uint64_t offset;
    /**
     * How many bytes, or how many of something.
     */
    uint64_t length;
    /**
     * Bytes in all, or another large number.
     */
    uint64_t total;
    /**
     * A message.
     */
    uint8_t id[16];
    /**
     * A file.
     */
    uint8_t file[16];
    /**
     * The message that another one is about.
     */
    uint8_t target[16];
    /**
     * The identity of a device.
     */
    uint8_t device[32];
    /**
     * A fingerprint that was shown.
     */
    uint8_t fingerprint[32];
    /**
     * The fingerprint that was expected.
     */
    uint8_t expected[32];
    /**
     * The name of a user.
     */
    const char *user;
    /**
     * Its length.
     */
    size_t user_len;
    /**
     * What was said or sent.
     */
    const uint8_t *data;
    /**
     * Its length.
     */
    size_t data_len;
    /**
     * The name of a file.
     */
    const char *name;
    /**
     * Its length.
     */
    size_t name_len;
    /**
     * The media type of a file, its sender's word.
     */
    const char *media_type;
    /**
     * Its length.
     */
    size_t media_type_len;
    /**
     * Ids of messages, 16 bytes each, one behind the other.
     */
    const uint8_t *ids;
    /**
     * How many.
     */
    size_t ids_count;
    /**
     * Identities of devices, 32 bytes each, one behind the other.
     */
    const uint8_t *devices;
    /**
     * How many.
     */
    size_t devices_count;
    /**
     * Identities of devices that are not there any more, likewise.
     */
    const uint8_t *removed;
    /**
     * How many.
     */
    size_t removed_count;
    /**
     * The name by which a group is called, with zero bytes behind it.
     */
    char group[SECURECHAT_GROUP_SIZE];
} securechat_event;

/* ============ Identity, bundle, safety number ===================================================================== */

/**
 * Identities: the long-term keys of a server or of one end of a link between peers.
 *
 * A client makes and keeps its own. Whoever takes connections needs one, hands out its fingerprint, and keeps its exported bytes
 * as secret as any private key.
 *
 * ```c
 * securechat_identity *identity = NULL;
 * assert(securechat_identity_generate(NULL, now, &identity) == SECURECHAT_OK);
 *
 * uint8_t bytes[4096], bundle[4096];
 * size_t length = 0;
 * assert(securechat_identity_export(identity, bytes, sizeof bytes, &length) == SECURECHAT_OK);
 * // … keep `bytes` in a file that only this user can read, wipe them, and later:
 * securechat_identity_free(identity);
 * assert(securechat_identity_import(NULL, bytes, length, now, &identity) == SECURECHAT_OK);
 *
 * securechat_bundle info;
 * assert(securechat_identity_bundle(identity, bundle, sizeof bundle, &length) == SECURECHAT_OK);
 * assert(securechat_bundle_read(bundle, length, &info, sizeof info) == SECURECHAT_OK);
 * // info.fingerprint is what clients pin
 * securechat_identity_free(identity);
 * ```
 */
typedef struct securechat_identity securechat_identity;

/**
 * Bytes of an identity or a fingerprint.
 */
#define SECURECHAT_FINGERPRINT_SIZE 32

/**
 * Digits of a safety number.
 */
#define SECURECHAT_SAFETY_NUMBER_DIGITS 60

/**
 * Room for a host name with its zero byte.
 */
#define SECURECHAT_HOST_SIZE 256

/**
 * What a signed bundle says, after its signature was checked. It grows at its end only.
 */
typedef struct securechat_bundle {
    /**
     * The fingerprint of the identity, for people to compare and for pins.
     */
    uint8_t fingerprint[32];
    /**
     * The identity: an Ed25519 public key.
     */
    uint8_t identity[32];
    /**
     * The name of the user, with a zero byte behind it; empty for a relay or a bare link.
     */
    char user[40];
    /**
     * Grows with every bundle of the identity.
     */
    uint64_t serial;
    /**
     * When it begins to count, Unix milliseconds.
     */
    uint64_t not_before;
    /**
     * When it ends.
     */
    uint64_t not_after;
    /**
     * The number of the device.
     */
    uint32_t device;
    /**
     * How many suites it accepts.
     */
    uint32_t suite_count;
} securechat_bundle;

/**
 * An address of a relay as people hand it out. It grows at its end only.
 */
typedef struct securechat_address {
    /**
     * A name, or an IP address without brackets, with a zero byte behind it.
     */
    char host[SECURECHAT_HOST_SIZE];
    /**
     * The fingerprint of the relay.
     */
    uint8_t fingerprint[32];
    /**
     * The port.
     */
    uint32_t port;
    /**
     * 1 if the address names a fingerprint, 0 if not.
     */
    uint32_t pinned;
} securechat_address;

/**
 * Makes an identity with new keys and a bundle that holds for 90 days.
 *
 * Of `config` the suites and rsa_bits count. An RSA key takes seconds to make. Free it with securechat_identity_free.
 * Fails with SECURECHAT_ERR_RANDOMNESS, SECURECHAT_ERR_PRIVATE_KEY for other lengths of RSA keys than 2048 to 4096.
 */
securechat_status securechat_identity_generate(const struct securechat_config *config,
                                               uint64_t now,
                                               struct securechat_identity **identity);

/**
 * Reads what securechat_identity_export wrote.
 *
 * A bundle that is past half of its life, or names other suites than `config`, is renewed: compare the serial of
 * securechat_identity_bundle and export again. A server that runs for months does so every few weeks. The fingerprint never
 * changes. Free it with securechat_identity_free. Fails with SECURECHAT_ERR_RECORD for other bytes and with
 * SECURECHAT_ERR_MISSING_KEY when `config` names an RSA-wrapped suite and there is no RSA key.
 */
securechat_status securechat_identity_import(const struct securechat_config *config,
                                             const uint8_t *data,
                                             size_t data_len,
                                             uint64_t now,
                                             struct securechat_identity **identity);

/**
 * Copies the identity out, its private keys included: keep them secret, and wipe the buffer.
 *
 * `length` is set to the size. Fails with SECURECHAT_ERR_BUFFER when `size` is smaller; `(NULL, 0)` asks for it.
 */
securechat_status securechat_identity_export(struct securechat_identity *identity,
                                             uint8_t *buffer,
                                             size_t size,
                                             size_t *length);

/**
 * Copies the identity's signed bundle out: its public half.
 *
 * `length` is set to the size. Fails with SECURECHAT_ERR_BUFFER when `size` is smaller; `(NULL, 0)` asks for it.
 */
securechat_status securechat_identity_bundle(struct securechat_identity *identity,
                                             uint8_t *buffer,
                                             size_t size,
                                             size_t *length);

/**
 * Frees an identity and wipes its keys. Links and relays that were made with it keep what they need. NULL does nothing.
 */
void securechat_identity_free(struct securechat_identity *identity);

/**
 * Checks the signature of a bundle and tells what is in it, in `info` of `info_size` bytes.
 *
 * It says nothing about whether the bundle is valid at this time, nor whose it should be: compare the fingerprint.
 * Fails with SECURECHAT_ERR_BAD_SIGNATURE, SECURECHAT_ERR_BUNDLE_INCONSISTENT, or a number below 200 for bytes that are none.
 */
securechat_status securechat_bundle_read(const uint8_t *bundle,
                                         size_t bundle_len,
                                         struct securechat_bundle *info,
                                         size_t info_size);

/**
 * Computes the safety number of two users: 60 digits, equal on both sides, for people to compare (PROTOCOL.md I10).
 *
 * Of each user the name, and the identities of the devices, 32 bytes each, one behind the other, in any order. `digits` gets 61
 * bytes, a zero byte at the end. It means something only when both sides hold the same device lists, which
 * securechat_client_safety_number makes sure of. Fails with SECURECHAT_ERR_USER_NAME, and with SECURECHAT_ERR_ARGUMENT for no
 * devices or more than 16.
 */
securechat_status securechat_safety_number(const char *user_a,
                                           size_t user_a_len,
                                           const uint8_t *devices_a,
                                           size_t devices_a_count,
                                           const char *user_b,
                                           size_t user_b_len,
                                           const uint8_t *devices_b,
                                           size_t devices_b_count,
                                           char *digits);

/**
 * Reads `host:port#fingerprint`, an address as a relay's operator hands it out, into `address` of `address_size` bytes.
 * The fingerprint may be missing; IPv6 stands in brackets.
 *
 * Fails with SECURECHAT_ERR_UNKNOWN_VALUE for a text that is none.
 */
securechat_status securechat_address_parse(const char *from,
                                           size_t from_len,
                                           struct securechat_address *address,
                                           size_t address_size);

/* ============ Link ================================================================================================ */

/**
 * Links: a secure channel over one connection, for any bytes; no chat, no accounts.
 *
 * Bytes that came go in with securechat_link_input, what is to be written comes out with securechat_link_output, and what
 * happened is told by securechat_link_next_event. After each call that is not const, drain both. A link that failed stays failed;
 * write what its output still has, then close the connection.
 *
 * ```c
 * // Two ends in one program; with sockets, each is in its own.
 * securechat_identity *identity = NULL;
 * securechat_bundle info;
 * uint8_t bundle[4096];
 * size_t length = 0;
 * assert(securechat_identity_generate(NULL, now, &identity) == SECURECHAT_OK);
 * assert(securechat_identity_bundle(identity, bundle, sizeof bundle, &length) == SECURECHAT_OK);
 * assert(securechat_bundle_read(bundle, length, &info, sizeof info) == SECURECHAT_OK);
 *
 * securechat_link *ends[2] = {NULL, NULL};
 * assert(securechat_link_new(NULL, SECURECHAT_ROLE_INITIATOR, SECURECHAT_PURPOSE_RELAY, NULL, info.fingerprint, now, &ends[0]) ==
 *        SECURECHAT_OK);
 * assert(securechat_link_new(NULL, SECURECHAT_ROLE_RESPONDER, SECURECHAT_PURPOSE_RELAY, identity, NULL, now, &ends[1]) ==
 *        SECURECHAT_OK);
 * int sent = 0, received = 0;
 * for (int turn = 0; !received; turn++) {
 *     securechat_link *from = ends[turn % 2], *to = ends[(turn + 1) % 2];
 *     securechat_event event;
 *     while (securechat_link_next_event(from, &event, sizeof event) == SECURECHAT_OK && event.kind != SECURECHAT_EVENT_NONE) {
 *         if (event.kind == SECURECHAT_EVENT_OPEN && from == ends[0])
 *             sent = securechat_link_send(from, (const uint8_t *)"hello", 5) == SECURECHAT_OK;
 *         if (event.kind == SECURECHAT_EVENT_DATA)
 *             received = event.data_len == 5 && memcmp(event.data, "hello", 5) == 0;
 *     }
 *     const uint8_t *bytes;
 *     assert(securechat_link_output(from, &bytes, &length) == SECURECHAT_OK);
 *     assert(securechat_link_input(to, bytes, length, now) == SECURECHAT_OK);
 *     assert(securechat_link_output_consume(from, length) == SECURECHAT_OK);
 * }
 * assert(sent);
 * securechat_link_free(ends[0]);
 * securechat_link_free(ends[1]);
 * securechat_identity_free(identity);
 * ```
 */
typedef struct securechat_link securechat_link;

/**
 * The end that opened the connection.
 */
#define SECURECHAT_ROLE_INITIATOR 0

/**
 * The end that took the connection.
 */
#define SECURECHAT_ROLE_RESPONDER 1

/**
 * Only the responder shows an identity.
 */
#define SECURECHAT_PURPOSE_RELAY 0

/**
 * Both ends show theirs.
 */
#define SECURECHAT_PURPOSE_PEER 1

/**
 * Most bytes in one securechat_link_send, in every suite.
 */
#define SECURECHAT_LINK_DATA_MAX 65486

/**
 * Makes one end of a link. The initiator's first output is ready at once.
 *
 * `role` is SECURECHAT_ROLE_..., `purpose` SECURECHAT_PURPOSE_... and the same on both ends. `identity` is needed by the responder and by
 * both peers, and not shown by an initiator towards a relay, which may pass NULL. `pin` is the fingerprint (32 bytes) that the
 * other side's identity must have, or NULL. The link stops with SECURECHAT_EVENT_VERIFY where it has another, or there is no pin. Free it with securechat_link_free.
 * Fails with SECURECHAT_ERR_MISSING_KEY when an identity, or a key that the suites need, is missing.
 *
 * Towards a securechat relay use a client instead: it takes long frames after a login only.
 */
securechat_status securechat_link_new(const struct securechat_config *config,
                                      uint32_t role,
                                      uint32_t purpose,
                                      struct securechat_identity *identity,
                                      const uint8_t *pin,
                                      uint64_t now,
                                      struct securechat_link **link);

/**
 * Frees a link and wipes its keys. The other side sees the connection cut off unless securechat_link_close went before.
 * NULL does nothing.
 */
void securechat_link_free(struct securechat_link *link);

/**
 * The text of this link's last failure, for people: borrowed until the next call that is not const. Empty if none failed.
 */
const char *securechat_link_error(const struct securechat_link *link);

/**
 * Takes bytes that arrived, in any split. No bytes are nothing; the end of the stream is securechat_link_end.
 *
 * Fails, for good, with a number from 100 to 299 or SECURECHAT_ERR_DECRYPT when what came is wrong. Events from before are still
 * there.
 */
securechat_status securechat_link_input(struct securechat_link *link,
                                        const uint8_t *data,
                                        size_t data_len,
                                        uint64_t now);

/**
 * Says that no more bytes will come: the connection ended.
 *
 * Fails with SECURECHAT_ERR_TRUNCATION unless the other side had closed the link: what came before may be cut off.
 */
securechat_status securechat_link_end(struct securechat_link *link);

/**
 * Lends what is to be written to the connection: `data` and `length`, which is 0 when there is nothing.
 *
 * Borrowed until the next call on this link that is not const. Write what the connection takes, then say how much that was with
 * securechat_link_output_consume. A link that failed or closed may still have something.
 */
securechat_status securechat_link_output(struct securechat_link *link,
                                         const uint8_t **data,
                                         size_t *length);

/**
 * Says that the first `count` bytes of the output were written. Fails with SECURECHAT_ERR_ARGUMENT when there are not so many.
 */
securechat_status securechat_link_output_consume(struct securechat_link *link,
                                                 size_t count);

/**
 * Copies output into `buffer`, as much as there is and as fits, and consumes it: for hosts whose writing outlives the call.
 * `length` is set to how much that was; 0 when there is nothing.
 */
securechat_status securechat_link_read_output(struct securechat_link *link,
                                              uint8_t *buffer,
                                              size_t size,
                                              size_t *length);

/**
 * Tells the next thing that happened, in `event` of `event_size` bytes; SECURECHAT_EVENT_NONE when there is nothing more.
 *
 * What it points to is borrowed until the next call that is not const, and wiped then. Links tell SECURECHAT_EVENT_VERIFY,
 * SECURECHAT_EVENT_OPEN, SECURECHAT_EVENT_DATA and SECURECHAT_EVENT_CLOSED_BY_PEER.
 */
securechat_status securechat_link_next_event(struct securechat_link *link,
                                             struct securechat_event *event,
                                             size_t event_size);

/**
 * Does what is due at `now`, and sets `next` to when to call again, in Unix milliseconds, UINT64_MAX when nothing is due and
 * when it failed: the handshake's time limit. Fails with SECURECHAT_ERR_HANDSHAKE_TIMEOUT when that is over.
 */
securechat_status securechat_link_tick(struct securechat_link *link,
                                       uint64_t now,
                                       uint64_t *next);

/**
 * Sends bytes as one record, of at most SECURECHAT_LINK_DATA_MAX. They come out of securechat_link_output sealed.
 *
 * Fails with SECURECHAT_ERR_WRONG_STATE before SECURECHAT_EVENT_OPEN, SECURECHAT_ERR_CLOSED after a close, SECURECHAT_ERR_TOO_LARGE.
 */
securechat_status securechat_link_send(struct securechat_link *link,
                                       const uint8_t *data,
                                       size_t data_len);

/**
 * After SECURECHAT_EVENT_VERIFY: goes on with the identity of this fingerprint (32 bytes), the one that was shown.
 *
 * Fails with SECURECHAT_ERR_IDENTITY_MISMATCH, for good, when it is another. To refuse, call securechat_link_close.
 */
securechat_status securechat_link_accept(struct securechat_link *link, const uint8_t *fingerprint, uint64_t now);

/**
 * Closes the link, both directions of it: this side can send nothing more, and the other side, when this reaches it, answers with
 * its own close and can send nothing either. Write the output; what the other side had sent before is still taken and told, up to
 * SECURECHAT_EVENT_CLOSED_BY_PEER. Who is to go on sending has to be asked for its end, by a message of the program's own, first.
 *
 * `code` is SECURECHAT_CLOSE_... or any other number up to 255. A link that is not open yet just ends, and one that waits after
 * SECURECHAT_EVENT_VERIFY refuses the other side.
 */
securechat_status securechat_link_close(struct securechat_link *link,
                                        uint32_t code);

/* ============ Client ============================================================================================== */

/**
 * Clients: one device of one user, with its keys, sessions, contacts, files and connections.
 *
 * The program owns the sockets, the store and the clock. After each call that is not const, in this order and until all are empty:
 * save what securechat_client_next_save gives and say securechat_client_save_done, write what securechat_client_output gives for
 * each link, handle what securechat_client_next_event tells. Call securechat_client_tick when it is due.
 *
 * ```c
 * // A new device. Its key protects the saved records: derive it from a passphrase (Argon2id) or keep it in a key store.
 * uint8_t key[32] = {1, 2, 3};
 * securechat_client *alice = NULL;
 * assert(securechat_client_new(NULL, "alice", 5, key, NULL, 0, SECURECHAT_HISTORY_CONTINUED, 0, now, &alice) == SECURECHAT_OK);
 *
 * // Before anything leaves, its state is saved: one transaction of any key-value store.
 * securechat_record record;
 * size_t records = 0;
 * while (securechat_client_next_save(alice, &record) == SECURECHAT_OK && record.key != NULL)
 *     records++; // put `record.value` under `record.key`, or delete where the value is NULL
 * assert(records > 0 && securechat_client_save_done(alice) == SECURECHAT_OK);
 *
 * // A text waits until there is a connection.
 * uint8_t id[16];
 * assert(securechat_client_send(alice, "bob", 3, SECURECHAT_MESSAGE_TEXT, NULL, (const uint8_t *)"hello", 5, now, id) ==
 *        SECURECHAT_OK);
 *
 * // Connect a socket to the relay's address, then move its bytes: securechat_client_input and securechat_client_output.
 * const char *address = "relay.example:7441";
 * uint32_t link = 0;
 * const uint8_t *bytes;
 * size_t length = 0;
 * assert(securechat_client_connect_relay(alice, address, strlen(address), now, &link) == SECURECHAT_OK);
 * while (securechat_client_next_save(alice, &record) == SECURECHAT_OK && record.key != NULL) {}
 * assert(securechat_client_save_done(alice) == SECURECHAT_OK);
 * assert(securechat_client_output(alice, link, &bytes, &length) == SECURECHAT_OK && length > 0);
 * assert(securechat_client_output_consume(alice, link, length) == SECURECHAT_OK);
 *
 * securechat_event event;
 * assert(securechat_client_next_event(alice, &event, sizeof event) == SECURECHAT_OK && event.kind == SECURECHAT_EVENT_NONE);
 * securechat_client_free(alice);
 * ```
 */
typedef struct securechat_client securechat_client;

/**
 * There is no one-time code.
 */
#define SECURECHAT_NO_CODE 4294967295

/**
 * Chunks are on their way.
 */
#define SECURECHAT_TRANSFER_MOVING 0

/**
 * There is no connection, or nothing to be had yet: it goes on by itself.
 */
#define SECURECHAT_TRANSFER_WAITING 1

/**
 * The program paused it.
 */
#define SECURECHAT_TRANSFER_PAUSED 2

/**
 * In the `flags` of a securechat_group: any user of the relay may come in. Show that whoever can register there reads it, its operator
 * included.
 */
#define SECURECHAT_GROUP_OPEN 1

/**
 * In the `flags` of a securechat_group: this user is a member.
 */
#define SECURECHAT_GROUP_MEMBER 2

/**
 * In the `flags` of a securechat_group: this user is an admin.
 */
#define SECURECHAT_GROUP_ADMIN 4

/**
 * In the `flags` of a securechat_group: its log was forked; nothing is sent before SECURECHAT_CHANGE_FIRST_SIDE or
 * SECURECHAT_CHANGE_OTHER_SIDE.
 */
#define SECURECHAT_GROUP_FORKED 8

/**
 * In the `flags` of a securechat_group: something that this device did to it waits for the relay.
 */
#define SECURECHAT_GROUP_WAITS 16

/**
 * Users become members: their names, with one space between.
 */
#define SECURECHAT_CHANGE_ADD 1

/**
 * Users are members no longer: their names, with one space between. Whoever names their own user leaves.
 */
#define SECURECHAT_CHANGE_REMOVE 2

/**
 * A member becomes an admin: their name.
 */
#define SECURECHAT_CHANGE_ADMIN 3

/**
 * An admin is one no longer: their name.
 */
#define SECURECHAT_CHANGE_NO_ADMIN 4

/**
 * Another name for the group: at most 128 bytes.
 */
#define SECURECHAT_CHANGE_RENAME 5

/**
 * This user comes into an open group, such as the relay's lobby; nothing. SECURECHAT_EVENT_GROUP_JOINED follows.
 */
#define SECURECHAT_CHANGE_JOIN 6

/**
 * After SECURECHAT_EVENT_GROUP_FORKED: what was known first counts; nothing.
 */
#define SECURECHAT_CHANGE_FIRST_SIDE 7

/**
 * After SECURECHAT_EVENT_GROUP_FORKED: the other entry counts; nothing.
 */
#define SECURECHAT_CHANGE_OTHER_SIDE 8

/**
 * Keys as they were first seen.
 */
#define SECURECHAT_TRUST_SEEN 1

/**
 * The safety number was compared.
 */
#define SECURECHAT_TRUST_VERIFIED 2

/**
 * The keys changed against the rules, and were not accepted.
 */
#define SECURECHAT_TRUST_VIOLATION 3

/**
 * Not there, or does not want to seem so.
 */
#define SECURECHAT_PRESENCE_OFFLINE 0

/**
 * Connected but not at it.
 */
#define SECURECHAT_PRESENCE_AWAY 1

/**
 * There.
 */
#define SECURECHAT_PRESENCE_ONLINE 2

/**
 * A text: its UTF-8, at most 16 KiB.
 */
#define SECURECHAT_MESSAGE_TEXT 1

/**
 * Another text for an earlier message of the same user, the target.
 */
#define SECURECHAT_MESSAGE_EDIT 2

/**
 * An earlier message of the same user, the target, is taken back.
 */
#define SECURECHAT_MESSAGE_DELETE 3

/**
 * A reaction to the target: an emoji or a short text.
 */
#define SECURECHAT_MESSAGE_REACTION 4

/**
 * A reaction is taken back: the same bytes for the same target.
 */
#define SECURECHAT_MESSAGE_UNREACT 5

/**
 * What the user wants to be called.
 */
#define SECURECHAT_MESSAGE_PROFILE 6

/**
 * A file that was offered, in copies of what other devices sent.
 */
#define SECURECHAT_MESSAGE_FILE 7

/**
 * This user types; no data. It is never stored: who is away misses it.
 */
#define SECURECHAT_MESSAGE_TYPING 8

/**
 * This user stopped typing; no data.
 */
#define SECURECHAT_MESSAGE_STOPPED_TYPING 9

/**
 * Messages of the other user were shown: their ids, 16 bytes each, one behind the other.
 */
#define SECURECHAT_MESSAGE_READ 10

/**
 * The first of the application's own kinds, which go up to 0xFFFF.
 */
#define SECURECHAT_MESSAGE_APPLICATION 32768

/**
 * The relay's own password.
 */
#define SECURECHAT_REQUEST_ENTER 1

/**
 * A new account.
 */
#define SECURECHAT_REQUEST_REGISTER 2

/**
 * A login with the password.
 */
#define SECURECHAT_REQUEST_LOG_IN 3

/**
 * A login with the device key.
 */
#define SECURECHAT_REQUEST_LOG_IN_BY_KEY 4

/**
 * Another password.
 */
#define SECURECHAT_REQUEST_CHANGE_PASSWORD 5

/**
 * A secret for one-time codes.
 */
#define SECURECHAT_REQUEST_SET_UP_CODE 6

/**
 * The first code of that secret.
 */
#define SECURECHAT_REQUEST_CONFIRM_CODE 7

/**
 * Keys of this device.
 */
#define SECURECHAT_REQUEST_PUBLISH 8

/**
 * A device list.
 */
#define SECURECHAT_REQUEST_DEVICE_LIST 9

/**
 * A user's keys.
 */
#define SECURECHAT_REQUEST_LOOK_UP 10

/**
 * The list of users.
 */
#define SECURECHAT_REQUEST_USERS 11

/**
 * How this user appears.
 */
#define SECURECHAT_REQUEST_PRESENCE 12

/**
 * Envelopes.
 */
#define SECURECHAT_REQUEST_SEND 13

/**
 * A file.
 */
#define SECURECHAT_REQUEST_FILE 14

/**
 * A group, or an entry of its log.
 */
#define SECURECHAT_REQUEST_GROUP 15

/**
 * The records are the newest that were ever saved, as far as the program knows; also for a new device.
 */
#define SECURECHAT_HISTORY_CONTINUED 0

/**
 * The records come from a backup or a copy.
 */
#define SECURECHAT_HISTORY_RESTORED 1

/**
 * A state of the generation that is given was saved once; records of a lower one are treated as restored.
 */
#define SECURECHAT_HISTORY_AT_LEAST 2

/**
 * What is known of a user. It grows at its end only.
 */
typedef struct securechat_contact {
    /**
     * The name, with a zero byte behind it.
     */
    char user[40];
    /**
     * With SECURECHAT_TRUST_VIOLATION: what names the keys that wait to be accepted (securechat_client_accept_keys).
     */
    uint8_t kept_aside[32];
    /**
     * The epoch of the device list that counts.
     */
    uint64_t epoch;
    /**
     * How far the keys are trusted: SECURECHAT_TRUST_...
     */
    uint32_t trust;
    /**
     * 1 if there are keys that wait to be accepted, 0 if not.
     */
    uint32_t has_kept_aside;
    /**
     * The identities of the user's devices, 32 bytes each, one behind the other. Borrowed until the next call that is not const.
     */
    const uint8_t *devices;
    /**
     * How many.
     */
    size_t devices_count;
} securechat_contact;

/**
 * A file on its way. It grows at its end only. What it points to is borrowed until the next call that is not const.
 */
typedef struct securechat_transfer {
    /**
     * Its number.
     */
    uint8_t file[16];
    /**
     * Its size in bytes.
     */
    uint64_t size;
    /**
     * How many of them are where they belong, as far as is known.
     */
    uint64_t done;
    /**
     * What it does: SECURECHAT_TRANSFER_...
     */
    uint32_t state;
    /**
     * SECURECHAT_FLAG_OURS when it is being sent.
     */
    uint32_t flags;
    /**
     * To whom it goes, a user or a group, or from whom it comes.
     */
    const char *with;
    /**
     * Its length.
     */
    size_t with_len;
    /**
     * Its name: as it was given, or of one that comes a safe base name.
     */
    const char *name;
    /**
     * Its length.
     */
    size_t name_len;
} securechat_transfer;

/**
 * What is known of a group. It grows at its end only. What it points to is borrowed until the next call that is not const.
 *
 * A group is called by `#` and 32 hex digits. Wherever a user's name says to whom something goes, that name may stand:
 * securechat_client_send and securechat_client_send_file send to all members. There are no typing notices in groups, and nobody
 * is told who read or received what.
 *
 * ```c
 * // Groups are made by a device with an account. This one has none yet.
 * uint8_t key[32] = {1, 2, 3};
 * securechat_client *alice = NULL;
 * char name[SECURECHAT_GROUP_SIZE];
 * assert(securechat_client_new(NULL, "alice", 5, key, NULL, 0, SECURECHAT_HISTORY_CONTINUED, 0, now, &alice) == SECURECHAT_OK);
 * securechat_status status = securechat_client_create_group(alice, "a walk", 6, 0, now, name);
 * assert(status == SECURECHAT_ERR_NOT_LOGGED_IN);
 *
 * // With one, others come in by their names, and all of them are written to by that of the group.
 * uint8_t id[16];
 * if (status == SECURECHAT_OK &&
 *     securechat_client_change_group(alice, name, strlen(name), SECURECHAT_CHANGE_ADD, "bob carol", 9, now) == SECURECHAT_OK)
 *     status = securechat_client_send(alice, name, strlen(name), SECURECHAT_MESSAGE_TEXT, NULL, (const uint8_t *)"hello", 5, now, id);
 *
 * // All groups that are known.
 * securechat_group group;
 * size_t count = 0;
 * while (securechat_client_group(alice, NULL, 0, count, &group, sizeof group) == SECURECHAT_OK)
 *     count++; // `group.members` are the names of who is in it
 * assert(count == 0);
 * securechat_client_free(alice);
 * ```
 */
typedef struct securechat_group {
    /**
     * The name by which it is called, with zero bytes behind it.
     */
    char group[SECURECHAT_GROUP_SIZE];
    /**
     * How often it was changed, as far as is known.
     */
    uint32_t sequence;
    /**
     * SECURECHAT_GROUP_... put together.
     */
    uint32_t flags;
    /**
     * What its admins named it: what a person wrote, as in an event.
     */
    const char *name;
    /**
     * Its length.
     */
    size_t name_len;
    /**
     * The names of its members, in their order, with one space between.
     */
    const char *members;
    /**
     * Their length together.
     */
    size_t members_len;
    /**
     * The names of those who are admins, likewise.
     */
    const char *admins;
    /**
     * Their length together.
     */
    size_t admins_len;
} securechat_group;

/**
 * One record of a state: a key and a value that any key-value store keeps. Its fields are for good.
 */
typedef struct securechat_record {
    /**
     * Its key: printable ASCII, at most 167 bytes. NULL where there is no record.
     */
    const char *key;
    /**
     * The length of the key.
     */
    size_t key_len;
    /**
     * Its value; NULL to delete the record.
     */
    const uint8_t *value;
    /**
     * The length of the value.
     */
    size_t value_len;
} securechat_record;

/**
 * What is known of a client itself. It grows at its end only.
 */
typedef struct securechat_client_info {
    /**
     * The identity of this device.
     */
    uint8_t identity[32];
    /**
     * Its fingerprint, for people to compare.
     */
    uint8_t fingerprint[32];
    /**
     * How often this state was saved: kept elsewhere, it shows a restored store (SECURECHAT_HISTORY_AT_LEAST).
     */
    uint64_t generation;
    /**
     * How many messages wait to be taken by a relay or a peer.
     */
    uint64_t unsent;
    /**
     * 1 if this device has an account at a relay and logs in there by its key alone, 0 if not.
     */
    uint32_t registered;
    /**
     * Not used; 0.
     */
    uint32_t reserved;
} securechat_client_info;

/**
 * Gives the relay's own password, where it has one, before registering or logging in with a password.
 *
 * Answer: SECURECHAT_EVENT_DONE or SECURECHAT_EVENT_REFUSED. Fails with SECURECHAT_ERR_NOT_CONNECTED, and with SECURECHAT_ERR_UNTRUSTED_RELAY, as
 * every function that sends a password does, while the relay's identity is neither pinned nor accepted.
 */
securechat_status securechat_client_enter(struct securechat_client *client,
                                          const char *password,
                                          size_t password_len,
                                          uint64_t now);

/**
 * Makes an account for this user with this device, and logs in.
 *
 * Answer: SECURECHAT_EVENT_LOGGED_IN or SECURECHAT_EVENT_REFUSED. Fails as securechat_client_enter does.
 */
securechat_status securechat_client_register(struct securechat_client *client,
                                             const char *password,
                                             size_t password_len,
                                             uint64_t now);

/**
 * Logs in with the password: for a new device of a user who has an account. `code` is a one-time code or SECURECHAT_NO_CODE.
 *
 * Answer: SECURECHAT_EVENT_LOGGED_IN or SECURECHAT_EVENT_REFUSED. Fails as securechat_client_enter does.
 */
securechat_status securechat_client_log_in(struct securechat_client *client,
                                           const char *password,
                                           size_t password_len,
                                           uint32_t code,
                                           uint64_t now);

/**
 * Changes the password of the account. Answer: SECURECHAT_EVENT_DONE or SECURECHAT_EVENT_REFUSED.
 */
securechat_status securechat_client_change_password(struct securechat_client *client,
                                                    const char *old,
                                                    size_t old_len,
                                                    const char *new_,
                                                    size_t new_len,
                                                    uint64_t now);

/**
 * Asks for a secret for one-time codes (RFC 6238). `code` is one of the secret until now, or SECURECHAT_NO_CODE.
 *
 * Answer: SECURECHAT_EVENT_CODE_SECRET or SECURECHAT_EVENT_REFUSED. It counts once securechat_client_confirm_code was answered.
 */
securechat_status securechat_client_set_up_code(struct securechat_client *client,
                                                const char *password,
                                                size_t password_len,
                                                uint32_t code,
                                                uint64_t now);

/**
 * Confirms a new secret with its first code. Answer: SECURECHAT_EVENT_DONE or SECURECHAT_EVENT_REFUSED.
 */
securechat_status securechat_client_confirm_code(struct securechat_client *client, uint32_t code, uint64_t now);

/**
 * Asks for the relay's users. Answer: a SECURECHAT_EVENT_USER for each.
 */
securechat_status securechat_client_list_users(struct securechat_client *client, uint64_t now);

/**
 * Says how this user appears to others: SECURECHAT_PRESENCE_...
 */
securechat_status securechat_client_set_presence(struct securechat_client *client, uint32_t presence, uint64_t now);

/**
 * Adds a device of this user to its list, or takes one off it. `device` is its identity (32 bytes), `listed` 1 or 0.
 *
 * Add one that asked for it (SECURECHAT_EVENT_DEVICE_PROPOSED) after its fingerprint was compared with what it shows. To one that is taken off
 * nobody sends any more. Fails with SECURECHAT_ERR_NOT_FOUND for a device that has not asked, or is not listed.
 */
securechat_status securechat_client_list_device(struct securechat_client *client,
                                                const uint8_t *device,
                                                uint32_t listed,
                                                uint64_t now);

/**
 * Begins the user's device list anew with this device alone, for who has lost all others. Contacts have to accept it.
 *
 * Fails with SECURECHAT_ERR_WRONG_STATE on a device that is listed.
 */
securechat_status securechat_client_start_over(struct securechat_client *client, uint64_t now);

/**
 * Asks the relay for a user's keys. Answer: SECURECHAT_EVENT_USER_FOUND or SECURECHAT_EVENT_USER_UNKNOWN. Sending does so by itself.
 */
securechat_status securechat_client_look_up(struct securechat_client *client,
                                            const char *name,
                                            size_t name_len,
                                            uint64_t now);

/**
 * Tells what is known of a user, in `contact` of `contact_size` bytes: of the one of this name, or, where `name` is NULL, of number
 * `index` of all in the order of their names.
 *
 * This client's own user counts among them, with the devices of its own list. Fails with SECURECHAT_ERR_UNKNOWN_USER for a user of whom
 * nothing is known, SECURECHAT_ERR_NOT_FOUND for a number beyond the last.
 */
securechat_status securechat_client_contact(struct securechat_client *client,
                                            const char *name,
                                            size_t name_len,
                                            size_t index,
                                            struct securechat_contact *contact,
                                            size_t contact_size);

/**
 * Gives the safety number with a user: 60 digits with a zero byte behind them, equal on both sides, for people to compare.
 *
 * Fails with SECURECHAT_ERR_DEVICE_LIST_OUT_OF_DATE until both sides said that they hold the same device lists, which this asks for:
 * SECURECHAT_EVENT_LISTS_AGREE tells when to try again.
 */
securechat_status securechat_client_safety_number(struct securechat_client *client,
                                                  const char *name,
                                                  size_t name_len,
                                                  uint64_t now,
                                                  char *digits);

/**
 * Marks a user as verified: people compared the safety number. Fails with SECURECHAT_ERR_VIOLATION while changed keys wait.
 */
securechat_status securechat_client_mark_verified(struct securechat_client *client,
                                                  const char *name,
                                                  size_t name_len,
                                                  uint64_t now);

/**
 * Accepts a user's changed keys, which count as seen from now on; what waited is sent. `kept_aside` (32 bytes) is that of the
 * securechat_contact on which a person decided.
 *
 * Fails with SECURECHAT_ERR_NOT_FOUND when those are not, or no longer, the keys that wait.
 */
securechat_status securechat_client_accept_keys(struct securechat_client *client,
                                                const char *name,
                                                size_t name_len,
                                                const uint8_t *kept_aside,
                                                uint64_t now);

/**
 * Offers a file of `size` bytes to a user or a group and begins to send it, and sets `file` and `id` (16 bytes each): its number, and that of the
 * message with the offer.
 *
 * Its bytes are asked for with SECURECHAT_EVENT_FILE_NEED. `name` is a name, not a path; `media_type` may be empty. Fails as
 * securechat_client_send does, with SECURECHAT_ERR_TOO_LARGE beyond 64 GiB.
 */
securechat_status securechat_client_send_file(struct securechat_client *client,
                                              const char *to,
                                              size_t to_len,
                                              const char *name,
                                              size_t name_len,
                                              uint64_t size,
                                              const char *media_type,
                                              size_t media_type_len,
                                              uint64_t now,
                                              uint8_t *file,
                                              uint8_t *id);

/**
 * Hands in the bytes that SECURECHAT_EVENT_FILE_NEED asked for: those of `chunk`, exactly as many.
 *
 * Fails with SECURECHAT_ERR_FILE_CHANGED, and the transfer is over, when they are not those that were sent before or not as many;
 * SECURECHAT_ERR_NOT_FOUND when they were not asked for.
 */
securechat_status securechat_client_supply_file(struct securechat_client *client,
                                                const uint8_t *file,
                                                uint64_t chunk,
                                                const uint8_t *data,
                                                size_t data_len,
                                                uint64_t now);

/**
 * Accepts a file that was offered: its bytes come as SECURECHAT_EVENT_FILE_CHUNK, in any order, and SECURECHAT_EVENT_FILE_RECEIVED when it is
 * whole. Write them under the safe name of the offer into a new file; it counts only when it is whole.
 *
 * Fails with SECURECHAT_ERR_NOT_FOUND when there is no such offer, SECURECHAT_ERR_BUSY when too many are under way.
 */
securechat_status securechat_client_accept_file(struct securechat_client *client,
                                                const uint8_t *file,
                                                uint64_t now);

/**
 * Ends a transfer in either direction. What is at the relay of it is deleted.
 */
securechat_status securechat_client_cancel_file(struct securechat_client *client, const uint8_t *file, uint64_t now);

/**
 * Holds a transfer up, in either direction, or lets it go on. `paused` is 1 or 0; a restart lets it go on too.
 *
 * Pause one for which the program cannot read or write just now: in place of securechat_client_supply_file, or when what
 * SECURECHAT_EVENT_FILE_CHUNK gave could not be written or synced. Chunks that were given and not saved since come again. Does nothing for a file
 * that is not on its way.
 */
securechat_status securechat_client_pause_file(struct securechat_client *client,
                                               const uint8_t *file,
                                               uint32_t paused,
                                               uint64_t now);

/**
 * Tells how a file on its way stands, in `info` of `info_size` bytes: the one of this number (16 bytes), or, where `file` is NULL, number
 * `index` of all.
 *
 * Fails with SECURECHAT_ERR_NOT_FOUND for a file that is not on its way, and for a number beyond the last.
 */
securechat_status securechat_client_transfer(struct securechat_client *client,
                                             const uint8_t *file,
                                             size_t index,
                                             struct securechat_transfer *info,
                                             size_t info_size);

/**
 * Creates a group of this `name`, of 1 to 128 bytes, with this user as its first member and admin, and sets `group`
 * (SECURECHAT_GROUP_SIZE bytes) to the name by which it is called.
 *
 * `open` is 1 if any user of the relay may come in, 0 if not. SECURECHAT_EVENT_GROUP_JOINED follows when the relay took it. Fails with
 * SECURECHAT_ERR_NOT_LOGGED_IN where this device has no account, SECURECHAT_ERR_TOO_LARGE, SECURECHAT_ERR_BUSY above 1,024 groups.
 */
securechat_status securechat_client_create_group(struct securechat_client *client,
                                                 const char *name,
                                                 size_t name_len,
                                                 uint32_t open,
                                                 uint64_t now,
                                                 char *group);

/**
 * Changes the group that is called `group`. `change` is SECURECHAT_CHANGE_..., and each says what `value` is.
 *
 * It waits where there is no connection. SECURECHAT_EVENT_GROUP_CHANGED follows, or SECURECHAT_EVENT_GROUP_REFUSED: somebody else
 * may have been faster. Fails with SECURECHAT_ERR_NOT_FOUND for a group that is not known here or is not forked,
 * SECURECHAT_ERR_NOT_PERMITTED where an admin is needed or nothing would change, and for a last admin who would leave members behind,
 * SECURECHAT_ERR_ROSTER_FORKED, SECURECHAT_ERR_BUSY when 64 changes wait; SECURECHAT_ERR_NOT_CONNECTED and SECURECHAT_ERR_WRONG_STATE (a member
 * already) when joining.
 */
securechat_status securechat_client_change_group(struct securechat_client *client,
                                                 const char *group,
                                                 size_t group_len,
                                                 uint32_t change,
                                                 const char *value,
                                                 size_t value_len,
                                                 uint64_t now);

/**
 * Tells what is known of a group, in `info` of `info_size` bytes: of the one that is called `group`, or, where that is NULL, of number
 * `index` of all, also of those that this user has left.
 *
 * Fails with SECURECHAT_ERR_NOT_FOUND for a group that is not known here, and for a number beyond the last.
 */
securechat_status securechat_client_group(struct securechat_client *client,
                                          const char *group,
                                          size_t group_len,
                                          size_t index,
                                          struct securechat_group *info,
                                          size_t info_size);

/**
 * Begins a link to a relay, whose address is `host:port#fingerprint`, and sets `link` to its number,
 * which is never 0.
 *
 * Connect a socket to host and port (securechat_address_parse) and move its bytes. The relay must have that fingerprint, or
 * else the one that was pinned for that place before; where neither is known, SECURECHAT_EVENT_VERIFY asks. A device with an account
 * logs in by itself; another one registers or logs in after SECURECHAT_EVENT_OPEN. Fails with SECURECHAT_ERR_UNKNOWN_VALUE for a text that
 * is no address, SECURECHAT_ERR_WRONG_STATE when there is a link to a relay already.
 */
securechat_status securechat_client_connect_relay(struct securechat_client *client,
                                                  const char *address,
                                                  size_t address_len,
                                                  uint64_t now,
                                                  uint32_t *link);

/**
 * Begins a link to a peer without a relay, and sets `link` to its number.
 *
 * `role` is SECURECHAT_ROLE_INITIATOR for who connected, SECURECHAT_ROLE_RESPONDER for who was connected to. `pin` is the fingerprint (32
 * bytes) that an initiator expects, or NULL: then SECURECHAT_EVENT_VERIFY asks.
 */
securechat_status securechat_client_connect_peer(struct securechat_client *client,
                                                 uint32_t role,
                                                 const uint8_t *pin,
                                                 uint64_t now,
                                                 uint32_t *link);

/**
 * After SECURECHAT_EVENT_VERIFY: goes on with the identity of this fingerprint (32 bytes), the one that was shown, and pins it.
 *
 * Fails with SECURECHAT_ERR_IDENTITY_MISMATCH, and the link is over, when it is another. To refuse, call securechat_client_close_link.
 */
securechat_status securechat_client_accept_link(struct securechat_client *client,
                                                uint32_t link,
                                                const uint8_t *fingerprint,
                                                uint64_t now);

/**
 * Closes a link in order: write what its output still has, then close its socket and call securechat_client_end.
 */
securechat_status securechat_client_close_link(struct securechat_client *client, uint32_t link, uint64_t now);

/**
 * Takes bytes that arrived on a link, in any split. What is wrong with them ends the link and comes as
 * SECURECHAT_EVENT_LINK_CLOSED. A link that is over takes nothing.
 */
securechat_status securechat_client_input(struct securechat_client *client,
                                          uint32_t link,
                                          const uint8_t *data,
                                          size_t data_len,
                                          uint64_t now);

/**
 * Says that a link's connection ended or broke. What was not written of its output is dropped; what was not sent waits for
 * the next connection.
 */
securechat_status securechat_client_end(struct securechat_client *client,
                                        uint32_t link,
                                        uint64_t now);

/**
 * Lends what is to be written to a link's connection: `data` and `length`, which is 0 when there is nothing or a save waits.
 *
 * Borrowed until the next call on this client that is not const. Write what the connection takes, then say how much that was with
 * securechat_client_output_consume.
 */
securechat_status securechat_client_output(struct securechat_client *client,
                                           uint32_t link,
                                           const uint8_t **data,
                                           size_t *length);

/**
 * Says that the first `count` bytes of a link's output were written. Fails with SECURECHAT_ERR_ARGUMENT when there are not so many.
 */
securechat_status securechat_client_output_consume(struct securechat_client *client,
                                                   uint32_t link,
                                                   size_t count);

/**
 * Copies a link's output into `buffer`, as much as there is and as fits, and consumes it: for hosts whose writing outlives the
 * call. `length` is set to how much that was; 0 when there is nothing.
 */
securechat_status securechat_client_read_output(struct securechat_client *client,
                                                uint32_t link,
                                                uint8_t *buffer,
                                                size_t size,
                                                size_t *length);

/**
 * Does what is due at `now`, and sets `next` to when to call again, in Unix milliseconds; UINT64_MAX when nothing is due and when
 * it failed.
 */
securechat_status securechat_client_tick(struct securechat_client *client,
                                         uint64_t now,
                                         uint64_t *next);

/**
 * Tells the next thing that happened, in `event` of `event_size` bytes; SECURECHAT_EVENT_NONE when there is nothing more.
 *
 * What it points to is borrowed until the next call that is not const, and wiped with the next event. An event that was not taken
 * is part of the saved state and is told again after a restart.
 */
securechat_status securechat_client_next_event(struct securechat_client *client,
                                               struct securechat_event *event,
                                               size_t event_size);

/**
 * Sends a message to a user or a group, and sets `id` (16 bytes). It waits where there is no connection, and for keys.
 *
 * `message` is SECURECHAT_MESSAGE_..., or 0x8000 to 0xFFFF for the application's own; each says what its `data` is. `target` (16 bytes) is
 * the message that is edited, deleted or reacted to; NULL for the others. SECURECHAT_EVENT_SENT, SECURECHAT_EVENT_DELIVERED and
 * SECURECHAT_EVENT_READ follow; of a group only the first. Typing notices and SECURECHAT_MESSAGE_READ have no id, nothing follows them, and
 * they go to users only.
 *
 * Fails with SECURECHAT_ERR_VIOLATION while the user's changed keys wait, SECURECHAT_ERR_TOO_LARGE, SECURECHAT_ERR_BUSY when too many wait,
 * SECURECHAT_ERR_CONTENT_KIND for a kind that cannot be sent; of a group SECURECHAT_ERR_NOT_FOUND where it is not known here,
 * SECURECHAT_ERR_NOT_PERMITTED for who is no member, SECURECHAT_ERR_ROSTER_FORKED.
 */
securechat_status securechat_client_send(struct securechat_client *client,
                                         const char *to,
                                         size_t to_len,
                                         uint32_t message,
                                         const uint8_t *target,
                                         const uint8_t *data,
                                         size_t data_len,
                                         uint64_t now,
                                         uint8_t *id);

/**
 * Makes a client: a new device if there are no records, or else the device that was saved in them.
 *
 * `user` is a name of `[a-z0-9][a-z0-9._-]{0,31}`. `key`, 32 bytes, protects the saved records: derive it from a passphrase with
 * Argon2id, or keep it in the system's key store. `records` are all that securechat_client_next_save ever gave and did not
 * delete; they are copied. `history` is SECURECHAT_HISTORY_..., `generation` goes with SECURECHAT_HISTORY_AT_LEAST. Of `config` the
 * suites, rsa_bits and the client's bounds count. Free it with securechat_client_free.
 *
 * Fails with SECURECHAT_ERR_DECRYPT when `key` is not the one of these records, SECURECHAT_ERR_RECORD when they cannot be read,
 * belong to another user, or are none where `generation` says that there were some, SECURECHAT_ERR_USER_NAME, SECURECHAT_ERR_RANDOMNESS.
 */
securechat_status securechat_client_new(const struct securechat_config *config,
                                        const char *user,
                                        size_t user_len,
                                        const uint8_t *key,
                                        const struct securechat_record *records,
                                        size_t records_count,
                                        uint32_t history,
                                        uint64_t generation,
                                        uint64_t now,
                                        struct securechat_client **client);

/**
 * Frees a client and wipes its keys. What was not saved is lost. NULL does nothing.
 */
void securechat_client_free(struct securechat_client *client);

/**
 * The text of this client's last failure, for people: borrowed until the next call that is not const. Empty if none failed.
 */
const char *securechat_client_error(const struct securechat_client *client);

/**
 * Tells what is known of this client, in `info` of `info_size` bytes.
 */
securechat_status securechat_client_about(struct securechat_client *client,
                                          struct securechat_client_info *info,
                                          size_t info_size);

/**
 * Gives the next record to save; its key is NULL when there are no more.
 *
 * All records until then are one transaction: put the values, delete where the value is NULL, make it durable, then call
 * securechat_client_save_done. Nothing comes out of securechat_client_output before that. The record is borrowed until the next call
 * that is not const.
 */
securechat_status securechat_client_next_save(struct securechat_client *client,
                                              struct securechat_record *record);

/**
 * Says that all records that securechat_client_next_save gave are durable. Does nothing when none were given.
 *
 * Fails with SECURECHAT_ERR_WRONG_STATE when it still has records of this transaction: take them first.
 */
securechat_status securechat_client_save_done(struct securechat_client *client);

/**
 * Protects the saved records with another key (32 bytes) from now on: for a changed passphrase. One record is saved anew.
 */
securechat_status securechat_client_rekey(struct securechat_client *client,
                                          const uint8_t *key);

/**
 * Seals what the application keeps beside the client's own records, such as a history of messages: `data`, bound to `name`.
 *
 * `length` is set to the size: 32 bytes more than `data`. Fails with SECURECHAT_ERR_BUFFER when `size` is smaller.
 */
securechat_status securechat_client_seal(struct securechat_client *client,
                                         const char *name,
                                         size_t name_len,
                                         const uint8_t *data,
                                         size_t data_len,
                                         uint8_t *buffer,
                                         size_t size,
                                         size_t *length);

/**
 * Opens what securechat_client_seal sealed under the same name.
 *
 * `length` is set to the size: 32 bytes less than `data`. Fails with SECURECHAT_ERR_BUFFER when `size` is smaller, and with
 * SECURECHAT_ERR_DECRYPT for anything else than what was sealed; nothing is written then.
 */
securechat_status securechat_client_open(struct securechat_client *client,
                                         const char *name,
                                         size_t name_len,
                                         const uint8_t *data,
                                         size_t data_len,
                                         uint8_t *buffer,
                                         size_t size,
                                         size_t *length);

/* ============ File ================================================================================================ */

/**
 * Files: sealed in chunks, opened in any order, whole or not at all, over any transport and storage. A client does this by itself.
 *
 * Chunk i holds SECURECHAT_CHUNK_SIZE bytes from i times as many on, the last the rest; an empty file is one empty chunk.
 *
 * ```c
 * // The sender.
 * const uint8_t contents[] = "a small file";
 * securechat_file *sender = NULL, *receiver = NULL;
 * assert(securechat_file_new(NULL, SECURECHAT_CIPHER_AES_GCM, SECURECHAT_PROOF_TAGS, sizeof contents, "notes.txt", 9, "text/plain", 10,
 *                            &sender) == SECURECHAT_OK);
 * uint8_t offer[2048]; // has the key: send it end to end
 * size_t offer_length = 0;
 * assert(securechat_file_offer(sender, offer, sizeof offer, &offer_length) == SECURECHAT_OK);
 *
 * static uint8_t sealed[SECURECHAT_SEALED_CHUNK_MAX], opened[SECURECHAT_CHUNK_SIZE];
 * size_t sealed_length = 0, opened_length = 0;
 * assert(securechat_file_seal_chunk(sender, 0, contents, sizeof contents, sealed, sizeof sealed, &sealed_length) == SECURECHAT_OK);
 * securechat_file_info info;
 * assert(securechat_file_about(sender, &info, sizeof info) == SECURECHAT_OK && info.complete);
 *
 * // The receiver: what it opened counts when the root agrees, which comes end to end too.
 * assert(securechat_file_open(NULL, SECURECHAT_FILE_RECEIVER, offer, offer_length, NULL, 0, &receiver) == SECURECHAT_OK);
 * assert(securechat_file_open_chunk(receiver, 0, sealed, sealed_length, opened, sizeof opened, &opened_length) == SECURECHAT_OK);
 * assert(opened_length == sizeof contents && memcmp(opened, contents, opened_length) == 0);
 * assert(securechat_file_finish(receiver, info.root) == SECURECHAT_OK);
 * securechat_file_free(sender);
 * securechat_file_free(receiver);
 * ```
 */
typedef struct securechat_file securechat_file;

/**
 * Bytes of plaintext in every chunk of a file but the last.
 */
#define SECURECHAT_CHUNK_SIZE 61440

/**
 * Longest sealed chunk, in bytes.
 */
#define SECURECHAT_SEALED_CHUNK_MAX 61536

/**
 * Chunks whose state is one page of securechat_file_save.
 */
#define SECURECHAT_FILE_PAGE 1024

/**
 * AES-256-GCM.
 */
#define SECURECHAT_CIPHER_AES_GCM 1

/**
 * AES-256-CBC with HMAC-SHA-256.
 */
#define SECURECHAT_CIPHER_AES_CBC_HMAC 2

/**
 * For a file whose key one other has: fast.
 */
#define SECURECHAT_PROOF_TAGS 0

/**
 * For a file whose key several have: the contents are hashed, so that one root is one file whoever holds the key.
 */
#define SECURECHAT_PROOF_CONTENTS 1

/**
 * Who seals.
 */
#define SECURECHAT_FILE_SENDER 0

/**
 * Who opens.
 */
#define SECURECHAT_FILE_RECEIVER 1

/**
 * What is known of a file. It grows at its end only.
 */
typedef struct securechat_file_info {
    /**
     * Its id.
     */
    uint8_t id[16];
    /**
     * What vouches for the whole file, once it is complete: the sender sends it end to end.
     */
    uint8_t root[32];
    /**
     * Its size in bytes.
     */
    uint64_t size;
    /**
     * How many chunks it has.
     */
    uint64_t count;
    /**
     * How many of them were sealed or opened.
     */
    uint64_t present;
    /**
     * 1 if all of them were, 0 if not.
     */
    uint32_t complete;
    /**
     * SECURECHAT_CIPHER_...
     */
    uint32_t cipher;
    /**
     * SECURECHAT_PROOF_...
     */
    uint32_t proof;
    /**
     * Not used; 0.
     */
    uint32_t reserved;
    /**
     * A safe base name made of the one offered, with a zero byte behind it.
     */
    char name[256];
    /**
     * The media type, the sender's word, with a zero byte behind it.
     */
    char media_type[256];
} securechat_file_info;

/**
 * Begins a file of `size` bytes as its sender, with a new id and key. Free it with securechat_file_free.
 *
 * `cipher` is SECURECHAT_CIPHER_..., `proof` SECURECHAT_PROOF_.... Of `config` file_size counts.
 * Fails with SECURECHAT_ERR_TOO_LARGE for a larger file, a name over 1,024 bytes, a media type over 255.
 */
securechat_status securechat_file_new(const struct securechat_config *config,
                                      uint32_t cipher,
                                      uint32_t proof,
                                      uint64_t size,
                                      const char *name,
                                      size_t name_len,
                                      const char *media_type,
                                      size_t media_type_len,
                                      struct securechat_file **file);

/**
 * Takes part in a file that was offered: as its receiver, or as its sender who goes on after a restart.
 *
 * `role` is SECURECHAT_FILE_.... `offer` is what securechat_file_offer gave. `state` are all pages that securechat_file_save gave
 * last, one behind the other; (NULL, 0) begins anew. Of `config` file_size counts. Free it with securechat_file_free.
 * Fails with SECURECHAT_ERR_LIMIT_EXCEEDED for a file larger than allowed, SECURECHAT_ERR_RECORD for pages that are not those of this file,
 * a number below 200 for bytes that are no offer.
 */
securechat_status securechat_file_open(const struct securechat_config *config,
                                       uint32_t role,
                                       const uint8_t *offer,
                                       size_t offer_len,
                                       const uint8_t *state,
                                       size_t state_len,
                                       struct securechat_file **file);

/**
 * Frees a file and wipes its key. NULL does nothing.
 */
void securechat_file_free(struct securechat_file *file);

/**
 * Tells what is known of a file, in `info` of `info_size` bytes.
 */
securechat_status securechat_file_about(struct securechat_file *file,
                                        struct securechat_file_info *info,
                                        size_t info_size);

/**
 * Copies the offer out: all that is needed to open the file, its key included. Send it end to end, and wipe the buffer.
 *
 * `length` is set to the size. Fails with SECURECHAT_ERR_BUFFER when `size` is smaller; `(NULL, 0)` asks for it.
 */
securechat_status securechat_file_offer(struct securechat_file *file, uint8_t *buffer, size_t size, size_t *length);

/**
 * Seals chunk `index`, in any order and as often as it is needed. `data` are its bytes, exactly as many as its place gives it.
 *
 * `length` is set to the size. Save the chunk's page (securechat_file_save) before the sealed chunk leaves. Fails with
 * SECURECHAT_ERR_BUFFER when `size` is smaller, and nothing is sealed; SECURECHAT_ERR_FILE_CHANGED, from then on always, for another length or
 * other bytes than when it was sealed before: offer the file anew; SECURECHAT_ERR_NOT_FOUND when there is no such chunk.
 */
securechat_status securechat_file_seal_chunk(struct securechat_file *file,
                                             uint64_t index,
                                             const uint8_t *data,
                                             size_t data_len,
                                             uint8_t *buffer,
                                             size_t size,
                                             size_t *length);

/**
 * Opens chunk `index`; they may come in any order, and more than once. What is written to `buffer` belongs at `index` times
 * SECURECHAT_CHUNK_SIZE.
 *
 * `length` is set to the size. Fails with SECURECHAT_ERR_BUFFER when `size` is smaller; SECURECHAT_ERR_DECRYPT for what does not open;
 * SECURECHAT_ERR_FILE_MISMATCH when there is no such chunk, or another one was opened in its place. Nothing is written and nothing
 * has changed then.
 */
securechat_status securechat_file_open_chunk(struct securechat_file *file,
                                             uint64_t index,
                                             const uint8_t *data,
                                             size_t data_len,
                                             uint8_t *buffer,
                                             size_t size,
                                             size_t *length);

/**
 * Sets `first` and `count` to the first row of chunks at or after `from` that were not sealed or opened yet; `count` is 0 when there is
 * none.
 */
securechat_status securechat_file_next_missing(struct securechat_file *file,
                                               uint64_t from,
                                               uint64_t *first,
                                               uint64_t *count);

/**
 * Says whether what was opened is the sender's file, by the root (32 bytes) that came end to end.
 *
 * Fails with SECURECHAT_ERR_WRONG_STATE while chunks are missing, and with SECURECHAT_ERR_FILE_MISMATCH when it is not.
 */
securechat_status securechat_file_finish(struct securechat_file *file, const uint8_t *root);

/**
 * Copies page `page` of the state out, that of the SECURECHAT_FILE_PAGE chunks from `page` times as many on; `length` is 0 when none of
 * them was sealed or opened yet. It holds no key. Keep it in place of the one before.
 *
 * `length` is set to the size. Fails with SECURECHAT_ERR_BUFFER when `size` is smaller; `(NULL, 0)` asks for it.
 */
securechat_status securechat_file_save(struct securechat_file *file,
                                       uint64_t page,
                                       uint8_t *buffer,
                                       size_t size,
                                       size_t *length);

/* ============ Relay =============================================================================================== */

/**
 * Relays: what a server holds, over any sockets, any password hash and any key-value store.
 *
 * The program owns the sockets, the records and the passwords' hashing. After each call that is not const: do the jobs that
 * securechat_relay_next_job gives and answer them with securechat_relay_complete_job, and handle what securechat_relay_next_event
 * tells: SECURECHAT_EVENT_RELAY_READY names a connection with something to write. Call securechat_relay_tick when it is due.
 * Everything but the contents of files is held in memory; the records are what a restart begins from.
 *
 * ```c
 * securechat_identity *identity = NULL;
 * assert(securechat_identity_generate(NULL, now, &identity) == SECURECHAT_OK);
 * securechat_relay_options options = {sizeof options, 1, NULL, 0, "$y$a hash of some random password", 33, 0, 0};
 * securechat_relay *relay = NULL;
 * assert(securechat_relay_new(NULL, identity, &options, NULL, 0, now, &relay) == SECURECHAT_OK);
 *
 * // For each socket that is accepted: where it comes from, the same 16 bytes for the same peer.
 * uint8_t address[16] = {127, 0, 0, 1};
 * uint64_t connection = 0;
 * assert(securechat_relay_connect(relay, address, now, &connection) == SECURECHAT_OK);
 *
 * // Jobs may be done at once, as here, or elsewhere: what they point to stays until they are completed.
 * securechat_job job;
 * while (securechat_relay_next_job(relay, &job, sizeof job) == SECURECHAT_OK && job.kind != SECURECHAT_JOB_NONE) {
 *     if (job.kind == SECURECHAT_JOB_COMMIT) // put or delete `job.records`, as one durable transaction
 *         assert(securechat_relay_complete_job(relay, job.id, SECURECHAT_OUTCOME_OK, NULL, 0, now) == SECURECHAT_OK);
 *     else // hash or check a password, load a record
 *         assert(securechat_relay_complete_job(relay, job.id, SECURECHAT_OUTCOME_FAILED, NULL, 0, now) == SECURECHAT_OK);
 * }
 * uint64_t next = 0;
 * assert(securechat_relay_tick(relay, now, &next) == SECURECHAT_OK && next > now);
 * assert(securechat_relay_end(relay, connection, now) == SECURECHAT_OK);
 * securechat_relay_free(relay);
 * securechat_identity_free(identity);
 * ```
 */
typedef struct securechat_relay securechat_relay;

/**
 * There is no job.
 */
#define SECURECHAT_JOB_NONE 0

/**
 * Make a hash of `password`, slow and salted (Argon2id, yescrypt), as a text: the result's data.
 */
#define SECURECHAT_JOB_HASH 1

/**
 * Check `password` against `hash`: SECURECHAT_OUTCOME_OK or SECURECHAT_OUTCOME_NO. It takes the same time whatever the answer is.
 */
#define SECURECHAT_JOB_VERIFY 2

/**
 * Put and delete `records` as one transaction and make it durable: SECURECHAT_OUTCOME_OK. Until then nothing that depends on it is
 * answered, and there is no other commit. After SECURECHAT_OUTCOME_FAILED the relay works no more: free it, and make it anew from the
 * records.
 */
#define SECURECHAT_JOB_COMMIT 3

/**
 * Load the record `key`, a chunk of a file: the result's data, or SECURECHAT_OUTCOME_FAILED, also when it was deleted meanwhile.
 */
#define SECURECHAT_JOB_LOAD 4

/**
 * It is done; the password is right.
 */
#define SECURECHAT_OUTCOME_OK 0

/**
 * The password is wrong.
 */
#define SECURECHAT_OUTCOME_NO 1

/**
 * The password is right, and its hash is of an old kind: it is to be hashed anew.
 */
#define SECURECHAT_OUTCOME_REHASH 2

/**
 * It could not be done. What was asked for is refused for the moment.
 */
#define SECURECHAT_OUTCOME_FAILED 3

/**
 * What a relay is told when it starts. It grows at its end only.
 */
typedef struct securechat_relay_options {
    /**
     * The size of this struct as the program knows it.
     */
    uint32_t size;
    /**
     * 1 if new users can register, 0 if not.
     */
    uint32_t registration_open;
    /**
     * The hash of the password that one needs to register or to log in with a password; NULL for none.
     */
    const char *server_password;
    /**
     * Its length.
     */
    size_t server_password_len;
    /**
     * A hash of some random password, made as all others are: what passwords of unknown users are checked against, so that they take
     * as long.
     */
    const char *dummy_password;
    /**
     * Its length.
     */
    size_t dummy_password_len;
    /**
     * 1 if the first open group that is made here is offered to everyone as the lobby, 0 if not.
     */
    uint32_t lobby;
    /**
     * Not used; 0.
     */
    uint32_t reserved;
} securechat_relay_options;

/**
 * Something that a relay wants done. It grows at its end only. What it points to stays until the job is completed.
 */
typedef struct securechat_job {
    /**
     * What it is: SECURECHAT_JOB_...
     */
    uint32_t kind;
    /**
     * Not used; 0.
     */
    uint32_t reserved;
    /**
     * Its number, to be named when it is completed.
     */
    uint64_t id;
    /**
     * A password.
     */
    const char *password;
    /**
     * Its length.
     */
    size_t password_len;
    /**
     * A hash that was made of a password.
     */
    const char *hash;
    /**
     * Its length.
     */
    size_t hash_len;
    /**
     * The key of a record to load.
     */
    const char *key;
    /**
     * Its length.
     */
    size_t key_len;
    /**
     * Records to put, or to delete where the value is NULL.
     */
    const struct securechat_record *records;
    /**
     * How many.
     */
    size_t records_count;
} securechat_job;

/**
 * Makes a relay: an empty one if there are no records, or else the one that was kept in them.
 *
 * `identity` shows who it is; the relay keeps what it needs of it. `records` are all that SECURECHAT_JOB_COMMIT ever put and did not
 * delete, those whose key begins with "chunk/" by their key alone, with an empty value. Free it with securechat_relay_free.
 * Fails with SECURECHAT_ERR_RECORD when the records cannot be read, SECURECHAT_ERR_ARGUMENT without a dummy_password.
 */
securechat_status securechat_relay_new(const struct securechat_config *config,
                                       struct securechat_identity *identity,
                                       const struct securechat_relay_options *options,
                                       const struct securechat_record *records,
                                       size_t records_count,
                                       uint64_t now,
                                       struct securechat_relay **relay);

/**
 * Frees a relay and all its connections. NULL does nothing.
 */
void securechat_relay_free(struct securechat_relay *relay);

/**
 * The text of this relay's last failure, for people: borrowed until the next call that is not const. Empty if none failed.
 */
const char *securechat_relay_error(const struct securechat_relay *relay);

/**
 * Does what is due at `now`, and sets `next` to when to call again, in Unix milliseconds; UINT64_MAX when nothing is due and when
 * it failed.
 */
securechat_status securechat_relay_tick(struct securechat_relay *relay,
                                        uint64_t now,
                                        uint64_t *next);

/**
 * Ends all connections in order, for a relay that stops: write what they have left, then free it.
 */
securechat_status securechat_relay_shutdown(struct securechat_relay *relay, uint64_t now);

/**
 * Takes a connection, and sets `connection` to its number, which is never 0 and never given twice.
 *
 * `address` (16 bytes) says where it comes from, the same for the same peer: an IPv4 address with zeros behind it, or the first 64 bits
 * of an IPv6 address with zeros behind them, since one subscriber has all that begin alike. When there are too many altogether, the one
 * that has gone longest without a login is ended. Fails with SECURECHAT_ERR_BUSY when there are too many from there, or all are logged in:
 * close the socket.
 */
securechat_status securechat_relay_connect(struct securechat_relay *relay,
                                           const uint8_t *address,
                                           uint64_t now,
                                           uint64_t *connection);

/**
 * Takes bytes that arrived on a connection, in any split. What is wrong with them ends it: SECURECHAT_EVENT_RELAY_ENDED.
 *
 * Fails with SECURECHAT_ERR_AGAIN, and takes nothing, while jobs stand before what came already: read no more from any connection
 * until one was completed. A connection that is over takes nothing and does not fail.
 */
securechat_status securechat_relay_input(struct securechat_relay *relay,
                                         uint64_t connection,
                                         const uint8_t *data,
                                         size_t data_len,
                                         uint64_t now);

/**
 * Says that a connection ended or broke, or that its socket is closed after SECURECHAT_EVENT_RELAY_ENDED: it is forgotten.
 */
securechat_status securechat_relay_end(struct securechat_relay *relay,
                                       uint64_t connection,
                                       uint64_t now);

/**
 * Lends what is to be written to a connection: `data` and `length`, which is 0 when there is nothing.
 *
 * Borrowed until the next call on this relay that is not const. Write what the connection takes, then say how much that was with
 * securechat_relay_output_consume.
 */
securechat_status securechat_relay_output(struct securechat_relay *relay,
                                          uint64_t connection,
                                          const uint8_t **data,
                                          size_t *length);

/**
 * Says that the first `count` bytes of a connection's output were written. Fails with SECURECHAT_ERR_ARGUMENT when there are not so
 * many. A connection that is written to slowly costs no more memory than what is lent: the relay waits for it.
 */
securechat_status securechat_relay_output_consume(struct securechat_relay *relay,
                                                  uint64_t connection,
                                                  size_t count);

/**
 * Copies a connection's output into `buffer`, as much as there is and as fits, and consumes it: for hosts whose writing outlives
 * the call. `length` is set to how much that was; 0 when there is nothing.
 */
securechat_status securechat_relay_read_output(struct securechat_relay *relay,
                                               uint64_t connection,
                                               uint8_t *buffer,
                                               size_t size,
                                               size_t *length);

/**
 * Tells the next thing that happened, in `event` of `event_size` bytes; SECURECHAT_EVENT_NONE when there is nothing more.
 *
 * What it points to is borrowed until the next call that is not const. SECURECHAT_EVENT_RELAY_READY and
 * SECURECHAT_EVENT_RELAY_ENDED have to be acted on; the others are for a log. Nothing
 * secret and nothing that anybody wrote is in them.
 */
securechat_status securechat_relay_next_event(struct securechat_relay *relay,
                                              struct securechat_event *event,
                                              size_t event_size);

/**
 * Gives the next job, in `job` of `job_size` bytes; SECURECHAT_JOB_NONE when there is none.
 *
 * Jobs may be done in any order and on other threads; what one points to stays until it is completed. Passwords are wiped then.
 */
securechat_status securechat_relay_next_job(struct securechat_relay *relay,
                                            struct securechat_job *job,
                                            size_t job_size);

/**
 * Answers a job. `outcome` is SECURECHAT_OUTCOME_..., `data` what the job asked for: the hash, or the record.
 *
 * Fails with SECURECHAT_ERR_NOT_FOUND when there is no such job, SECURECHAT_ERR_ARGUMENT for an outcome that this job cannot have; it is
 * still open then. Fails with SECURECHAT_ERR_STORE after a transaction failed.
 */
securechat_status securechat_relay_complete_job(struct securechat_relay *relay,
                                                uint64_t job,
                                                uint32_t outcome,
                                                const uint8_t *data,
                                                size_t data_len,
                                                uint64_t now);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SECURECHAT_H */
