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
