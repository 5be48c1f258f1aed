"""securechat from Python: the C library over cffi, with no compiler needed.

Handles are context managers and are freed once. What fails raises `Error`, which carries the status. Events are small
dataclasses, made for `match`. Everything that the library lends is copied at once, so nothing here can dangle.

The library is `libsecurechat` in the folder SECURECHAT_LIB, or where the system looks for libraries. Its declarations are read
from `securechat.h`, which is also the manual: each method here is the function of its name there.
"""

from __future__ import annotations

import ctypes.util
import enum
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import cffi

# ---- the library ----------------------------------------------------------------------------------------------------


def _library() -> str:
    name = {"darwin": "libsecurechat.dylib", "win32": "securechat.dll"}.get(sys.platform, "libsecurechat.so")
    folder = os.environ.get("SECURECHAT_LIB")
    found = str(Path(folder) / name) if folder else ctypes.util.find_library("securechat")
    if not found:
        raise ImportError(f"{name} is not installed: install it, or set SECURECHAT_LIB to its folder")
    return found


def _header() -> str:
    """The header of an installed library, or of the project that this file is part of."""
    here = Path(__file__).resolve().parent
    places = [here, here.parents[2] / "include", Path(sys.prefix) / "include", Path("/usr/local/include"), Path("/usr/include")]
    folder = os.environ.get("SECURECHAT_LIB")
    if folder:
        places[1:1] = [Path(folder), Path(folder).parent / "include"]
    for place in places:
        if (place / "securechat.h").is_file():
            return (place / "securechat.h").read_text(encoding="utf-8")
    raise ImportError("securechat.h is not found: put it beside securechat.py")


def _declarations(header: str) -> str:
    """What a C99 preprocessor leaves of the header, and its numeric macros, which cffi reads too.

    The header asks only for C++, for C23 and whether it was read before: every `#if` and `#ifdef` is false, every `#ifndef` true.
    """
    kept, taken = [], [True]
    for line in re.sub(r"/\*.*?\*/|//[^\n]*", "", header, flags=re.DOTALL).splitlines():
        match line.split():
            case ["#if" | "#ifdef", *_]:
                taken.append(False)
            case ["#ifndef", *_]:
                taken.append(True)
            case ["#else", *_]:
                taken[-1] = not taken[-1]
            case ["#endif", *_]:
                taken.pop()
            case ["#define", _, number] if number.isdigit():
                kept.append(line)
            case [word, *_] if not word.startswith("#") and all(taken):
                kept.append(line)
    return "\n".join(kept)


ffi = cffi.FFI()
ffi.cdef(_declarations(_header()))
lib = ffi.dlopen(_library())
if lib.securechat_version_number() >> 8 != lib.SECURECHAT_VERSION_NUMBER >> 8:
    raise ImportError("securechat.h and libsecurechat are of different versions")

FOREVER = 2**64 - 1
"""What `tick` gives when nothing is due."""


def constant(name: str) -> int:
    """A constant of the header, by its name there."""
    value = ffi.new("uint64_t *")
    _check(lib.securechat_constant(name.encode(), len(name.encode()), value))
    return value[0]


def _constants(prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): getattr(lib, name) for name in dir(lib) if name.startswith(prefix)}


Status = enum.IntEnum("Status", {"OK": 0} | _constants("SECURECHAT_ERR_"))
Suite = enum.IntEnum("Suite", _constants("SECURECHAT_SUITE_"))
Close = enum.IntEnum("Close", _constants("SECURECHAT_CLOSE_"))
Refusal = enum.IntEnum("Refusal", _constants("SECURECHAT_REFUSAL_"))
Request = enum.IntEnum("Request", _constants("SECURECHAT_REQUEST_"))
Trust = enum.IntEnum("Trust", _constants("SECURECHAT_TRUST_"))
Presence = enum.IntEnum("Presence", _constants("SECURECHAT_PRESENCE_"))
Kind = enum.IntEnum("Kind", _constants("SECURECHAT_MESSAGE_"))
Role = enum.IntEnum("Role", _constants("SECURECHAT_ROLE_"))
Purpose = enum.IntEnum("Purpose", _constants("SECURECHAT_PURPOSE_"))
History = enum.IntEnum("History", _constants("SECURECHAT_HISTORY_"))
Job = enum.IntEnum("Job", _constants("SECURECHAT_JOB_"))
Outcome = enum.IntEnum("Outcome", _constants("SECURECHAT_OUTCOME_"))
Cipher = enum.IntEnum("Cipher", _constants("SECURECHAT_CIPHER_"))
Proof = enum.IntEnum("Proof", _constants("SECURECHAT_PROOF_"))
Change = enum.IntEnum("Change", _constants("SECURECHAT_CHANGE_"))
TransferState = enum.IntEnum("TransferState", _constants("SECURECHAT_TRANSFER_"))



def words(kinds: type[enum.IntEnum], number: int) -> str:
    """The name of a number in words, such as "name taken"; the number itself where a newer library has more of them."""
    return next((kind.name.lower().replace("_", " ") for kind in kinds if kind == number), str(number))


LINK_DATA_MAX: int = lib.SECURECHAT_LINK_DATA_MAX
CHUNK_SIZE: int = lib.SECURECHAT_CHUNK_SIZE


class Error(Exception):
    """A call that failed. `status` says why, as a number to decide by; the text is for people."""

    def __init__(self, status: int, detail: str = "") -> None:
        super().__init__(detail or status_message(status))
        self.status = status
        self.name: str = ffi.string(lib.securechat_status_name(status)).decode()


def status_message(status: int) -> str:
    """What a status means, in a sentence."""
    return ffi.string(lib.securechat_status_message(status)).decode()


def _check(status: int, detail: Callable[[], str] = str) -> None:
    if status != 0:
        raise Error(status, detail())


_NO_CODE = constant("SECURECHAT_NO_CODE")


def _text(value: str) -> tuple[bytes, int]:
    data = value.encode()
    return data, len(data)


def _data(value: Any) -> tuple[Any, int]:
    """Any bytes-like object, lent to the library for the call and not copied."""
    view = ffi.from_buffer(value)
    return view, len(view)


def _exactly(size: int, value: bytes | None) -> Any:
    """The library reads `size` bytes whatever it is given; here is where their number is checked."""
    if value is None:
        return ffi.NULL
    if len(value) != size:
        raise ValueError(f"{size} bytes are wanted, not {len(value)}")
    return ffi.from_buffer(value)


def _bytes(pointer: Any, length: int) -> bytes:
    return bytes(ffi.buffer(pointer, length)) if length else b""


def _rows(pointer: Any, count: int, size: int) -> list[bytes]:
    """`count` values of `size` bytes each, one behind the other."""
    together = _bytes(pointer, count * size)
    return [together[start:start + size] for start in range(0, len(together), size)]


def _each(get: Callable[[int], Any]) -> Iterator[Any]:
    """What `get` gives for 0, 1 and so on, up to the last."""
    for index in range(2**32):
        try:
            yield get(index)
        except Error as error:
            if error.status == Status.NOT_FOUND:
                return
            raise


_last = 0


def clock() -> int:
    """Unix milliseconds that never run backwards, as the library wants them."""
    global _last
    _last = max(_last, time.time_ns() // 1_000_000)
    return _last


def config(suites: Iterable[int] | None = None, **bounds: int) -> Any:
    """The defaults with changes: `config([Suite.HYBRID_GCM], file_size=10_000_000)`. The names are those of the struct."""
    made = ffi.new("securechat_config *")
    _check(lib.securechat_config_default(made, ffi.sizeof(made[0])))
    if suites is not None:
        chosen = list(suites)
        if len(chosen) > len(made.suites):
            raise ValueError(f"{len(made.suites)} suites at most")
        made.suites[0:len(chosen)] = chosen
        made.suite_count = len(chosen)
    for name, value in bounds.items():
        setattr(made, name, value)
    return made


# ---- events ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. Each kind has a class with the fields that it sets; this one is for a kind that is not known here."""

    KINDS: ClassVar[dict[int, tuple[type[Event], tuple[str, ...]]]] = {}


def _event(made: Any) -> Event | None:
    if made.kind == 0:
        return None
    kind, names = Event.KINDS.get(made.kind, (Event, ()))
    return kind(*(_FIELDS[name](made) if name in _FIELDS else getattr(made, name) for name in names))


def _flag(name: str) -> Callable[[Any], bool]:
    bit = getattr(lib, f"SECURECHAT_FLAG_{name}")
    return lambda made: bool(made.flags & bit)


def _known(kinds: Any, name: str) -> Callable[[Any], int]:
    """A number as its enumeration, or as it is where the enumeration does not know it."""
    numbers = {int(member): member for member in kinds}
    return lambda made: numbers.get(getattr(made, name), getattr(made, name))


_FIELDS: dict[str, Callable[[Any], Any]] = {
    "user": lambda made: _bytes(made.user, made.user_len).decode(),
    "name": lambda made: _bytes(made.name, made.name_len).decode(),
    "media_type": lambda made: _bytes(made.media_type, made.media_type_len).decode(),
    "data": lambda made: _bytes(made.data, made.data_len),
    "ids": lambda made: _rows(made.ids, made.ids_count, 16),
    "devices": lambda made: _rows(made.devices, made.devices_count, 32),
    "removed": lambda made: _rows(made.removed, made.removed_count, 32),
    "status": _known(Status, "status"),
    "trust": _known(Trust, "trust"),
    "presence": _known(Presence, "presence"),
    "message": _known(Kind, "message"),
    "request": _known(Request, "request"),
    "expected": lambda made: bytes(made.expected) if _flag("EXPECTED")(made) else None,
    "listed": _flag("LISTED"),
    "last": _flag("LAST"),
    "active": _flag("ACTIVE"),
    "expired": _flag("EXPIRED"),
    "taken_back": _flag("REMOVED"),
    "ours": _flag("OURS"),
    "transient": _flag("TRANSIENT"),
    "group": lambda made: ffi.string(made.group).decode(),
    "before_removal": _flag("BEFORE_REMOVAL"),
} | {name: lambda made, name=name: bytes(getattr(made, name)) for name in ("id", "file", "target", "device", "fingerprint")}


def _kind(name: str) -> Callable[[type[Event]], type[Event]]:
    """Declares the class of a kind of event: what stands in it is what the header says that the kind sets."""
    def declare(cls: type[Event]) -> type[Event]:
        made = dataclass(frozen=True, slots=True)(cls)
        Event.KINDS[getattr(lib, f"SECURECHAT_EVENT_{name}")] = made, tuple(field.name for field in fields(made))
        return made
    return declare


@_kind("VERIFY")
class Verify(Event):
    link: int
    user: str
    fingerprint: bytes
    expected: bytes | None
    expired: bool


@_kind("OPEN")
class Open(Event):
    link: int
    code: int
    user: str
    fingerprint: bytes
    data: bytes


@_kind("DATA")
class Data(Event):
    data: bytes


@_kind("CLOSED_BY_PEER")
class ClosedByPeer(Event):
    link: int
    code: int


@_kind("LINK_CLOSED")
class LinkClosed(Event):
    link: int
    status: int


@_kind("DONE")
class Done(Event):
    request: int


@_kind("LOGGED_IN")
class LoggedIn(Event):
    listed: bool


@_kind("REFUSED")
class Refused(Event):
    request: int
    code: int
    seconds: int


@_kind("CODE_SECRET")
class CodeSecret(Event):
    data: bytes


@_kind("USER")
class User(Event):
    user: str
    presence: int
    last: bool


@_kind("PRESENCE")
class PresenceChanged(Event):
    user: str
    presence: int


@_kind("USER_FOUND")
class UserFound(Event):
    user: str
    trust: int


@_kind("USER_UNKNOWN")
class UserUnknown(Event):
    user: str


@_kind("LISTS_REFUSED")
class ListsRefused(Event):
    user: str
    status: int


@_kind("DEVICES_CHANGED")
class DevicesChanged(Event):
    user: str
    devices: list[bytes]
    removed: list[bytes]


@_kind("KEYS_CHANGED")
class KeysChanged(Event):
    user: str


@_kind("SUITE_DROPPED")
class SuiteDropped(Event):
    user: str
    device: bytes
    code: int


@_kind("BUNDLE_EXPIRED")
class BundleExpired(Event):
    user: str
    device: bytes


@_kind("DEVICE_UNREACHABLE")
class DeviceUnreachable(Event):
    user: str
    device: bytes
    status: int


@_kind("LISTS_AGREE")
class ListsAgree(Event):
    user: str


@_kind("DEVICE_PROPOSED")
class DeviceProposed(Event):
    device: bytes
    fingerprint: bytes


@_kind("DEVICE_REVOKED")
class DeviceRevoked(Event):
    pass


@_kind("MESSAGE")
class Message(Event):
    user: str
    device: bytes
    trust: int
    id: bytes
    time: int
    seconds: int
    message: int
    data: bytes
    target: bytes
    taken_back: bool
    group: str = ""
    before_removal: bool = False


@_kind("SENT_COPY")
class SentCopy(Event):
    user: str
    device: bytes
    id: bytes
    time: int
    seconds: int
    message: int
    data: bytes
    target: bytes
    taken_back: bool
    name: str
    total: int


@_kind("SENT")
class Sent(Event):
    id: bytes


@_kind("DELIVERED")
class Delivered(Event):
    user: str
    ids: list[bytes]


@_kind("READ")
class Read(Event):
    user: str
    ids: list[bytes]


@_kind("FAILED")
class Failed(Event):
    id: bytes
    status: int


@_kind("TYPING")
class Typing(Event):
    user: str
    active: bool


@_kind("UNOPENED")
class Unopened(Event):
    user: str


@_kind("FORK")
class Fork(Event):
    user: str


@_kind("RESTORED")
class Restored(Event):
    pass


@_kind("FILE_OFFERED")
class FileOffered(Event):
    user: str
    trust: int
    file: bytes
    id: bytes
    name: str
    total: int
    media_type: str
    group: str = ""
    before_removal: bool = False


@_kind("FILE_NEED")
class FileNeed(Event):
    file: bytes
    chunk: int
    offset: int
    length: int


@_kind("FILE_CHUNK")
class FileChunk(Event):
    file: bytes
    offset: int
    data: bytes


@_kind("FILE_PROGRESS")
class FileProgress(Event):
    file: bytes
    offset: int
    total: int


@_kind("FILE_SENT")
class FileSent(Event):
    file: bytes


@_kind("FILE_RECEIVED")
class FileReceived(Event):
    file: bytes


@_kind("FILE_FAILED")
class FileFailed(Event):
    file: bytes
    status: int


@_kind("FILE_RESUMED")
class FileResumed(Event):
    file: bytes
    user: str
    name: str
    offset: int
    total: int
    ours: bool


@_kind("GROUP_JOINED")
class GroupJoined(Event):
    group: str


@_kind("LOBBY")
class Lobby(Event):
    group: str


@_kind("GROUP_CHANGED")
class GroupChanged(Event):
    group: str
    user: str
    code: int
    data: bytes


@_kind("GROUP_FORKED")
class GroupForked(Event):
    group: str
    user: str
    total: int


@_kind("GROUP_REFUSED")
class GroupRefused(Event):
    group: str
    status: int


@_kind("RELAY_CONNECTED")
class RelayConnected(Event):
    connection: int
    code: int


@_kind("RELAY_ENDED")
class RelayEnded(Event):
    connection: int
    code: int
    status: int
    ours: bool


@_kind("RELAY_REGISTERED")
class RelayRegistered(Event):
    connection: int
    user: str


@_kind("RELAY_LOGGED_IN")
class RelayLoggedIn(Event):
    connection: int
    user: str
    device: bytes
    listed: bool


@_kind("RELAY_LOGIN_REFUSED")
class RelayLoginRefused(Event):
    connection: int
    user: str
    code: int


@_kind("RELAY_REFUSED")
class RelayRefused(Event):
    connection: int
    request: int
    code: int


@_kind("RELAY_ROUTED")
class RelayRouted(Event):
    device: bytes
    devices: list[bytes]
    length: int
    transient: bool


@_kind("RELAY_LIST_PUBLISHED")
class RelayListPublished(Event):
    user: str
    total: int
    length: int


@_kind("RELAY_LIST_PROPOSED")
class RelayListProposed(Event):
    user: str
    device: bytes


@_kind("RELAY_JOB_FAILED")
class RelayJobFailed(Event):
    pass


@_kind("RELAY_GROUP_ROUTED")
class RelayGroupRouted(Event):
    device: bytes
    group: str
    total: int
    length: int
    transient: bool


@_kind("RELAY_GROUP_CHANGED")
class RelayGroupChanged(Event):
    group: str
    user: str
    device: bytes
    total: int
    code: int


@_kind("RELAY_READY")
class RelayReady(Event):
    connection: int


# ---- handles --------------------------------------------------------------------------------------------------------


class _Handle:
    """A handle of the library: freed at the end of its `with`, by `free`, or when it is collected."""

    TYPE: ClassVar[str]

    def __init__(self, make: Callable[[Any], int]) -> None:
        place = ffi.new(f"securechat_{self.TYPE} **")
        _check(make(place))
        self._handle = ffi.gc(place[0], getattr(lib, f"securechat_{self.TYPE}_free"))

    def free(self) -> None:
        """Frees the handle. Nothing works on it afterwards."""
        if self._handle:
            ffi.release(self._handle)
            self._handle = ffi.NULL

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.free()

    def _call(self, function: str, *arguments: Any) -> None:
        _check(getattr(lib, f"securechat_{self.TYPE}_{function}")(self._handle, *arguments), self._detail)

    def _detail(self) -> str:
        detail = getattr(lib, f"securechat_{self.TYPE}_error", None) if self.TYPE in ("link", "client", "relay") else None
        return ffi.string(detail(self._handle)).decode() if detail and self._handle else ""

    def _copied(self, function: str, *arguments: Any, at_most: int | None = None) -> bytes:
        """What a function with a buffer gives. Where no bound is known, its size is asked for first."""
        length = ffi.new("size_t *", at_most or 0)
        if at_most is None:
            try:
                self._call(function, *arguments, ffi.NULL, 0, length)
            except Error as error:
                if error.status != Status.BUFFER:
                    raise
        size = length[0]
        buffer = ffi.new("uint8_t[]", size)
        self._call(function, *arguments, buffer, size, length)
        return _bytes(buffer, length[0])

    def _next_event(self) -> Event | None:
        made = ffi.new("securechat_event *")
        self._call("next_event", made, ffi.sizeof(made[0]))
        return _event(made)

    def _output(self, write: Callable[[memoryview], int], *which: int) -> int:
        """Lends the output to `write`, which says how much of it it took; gives that number."""
        data, length = ffi.new("const uint8_t **"), ffi.new("size_t *")
        self._call("output", *which, data, length)
        if length[0] == 0:
            return 0
        with memoryview(ffi.buffer(data[0], length[0])).toreadonly() as lent:
            count = write(lent)
        self._call("output_consume", *which, count)
        return count

    def _read_output(self, size: int, *which: int) -> bytes:
        buffer, length = ffi.new("uint8_t[]", size), ffi.new("size_t *")
        self._call("read_output", *which, buffer, size, length)
        return _bytes(buffer, length[0])

    def _tick(self, now: int | None) -> int:
        due = ffi.new("uint64_t *")
        self._call("tick", clock() if now is None else now, due)
        return due[0]


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a signed bundle says."""

    fingerprint: bytes
    identity: bytes
    user: str
    serial: int
    not_before: int
    not_after: int
    device: int

    @classmethod
    def read(cls, bundle: bytes) -> Self:
        """Checks the signature of a bundle."""
        info = ffi.new("securechat_bundle *")
        _check(lib.securechat_bundle_read(*_data(bundle), info, ffi.sizeof(info[0])))
        return cls(bytes(info.fingerprint), bytes(info.identity), ffi.string(info.user).decode(), info.serial,
                   info.not_before, info.not_after, info.device)


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a relay, `host:port#fingerprint`."""

    host: str
    port: int
    fingerprint: bytes | None

    @classmethod
    def parse(cls, text: str) -> Self:
        made = ffi.new("securechat_address *")
        _check(lib.securechat_address_parse(*_text(text), made, ffi.sizeof(made[0])))
        return cls(ffi.string(made.host).decode(), made.port, bytes(made.fingerprint) if made.pinned else None)


def safety_number(user_a: str, devices_a: list[bytes], user_b: str, devices_b: list[bytes]) -> str:
    """The safety number of two users by the identities of their devices."""
    digits = ffi.new("char[61]")
    sides: list[Any] = []
    for user, devices in ((user_a, devices_a), (user_b, devices_b)):
        sides += [*_text(user), _exactly(32 * len(devices), b"".join(devices)), len(devices)]
    _check(lib.securechat_safety_number(*sides, digits))
    return ffi.string(digits).decode()


class Identity(_Handle):
    """The long-term keys of a server or of one end of a link."""

    TYPE = "identity"

    @classmethod
    def generate(cls, config: Any = None, now: int | None = None) -> Self:
        return cls(lambda place: lib.securechat_identity_generate(config or ffi.NULL, clock() if now is None else now, place))

    @classmethod
    def load(cls, exported: bytes, config: Any = None, now: int | None = None) -> Self:
        """Reads what `export` gave; `securechat_identity_import` of the header."""
        return cls(lambda place: lib.securechat_identity_import(
            config or ffi.NULL, *_data(exported), clock() if now is None else now, place))

    def export(self) -> bytes:
        """The private keys: keep them secret."""
        return self._copied("export")

    def bundle(self) -> bytes:
        return self._copied("bundle")

    def fingerprint(self) -> bytes:
        return Bundle.read(self.bundle()).fingerprint


class Link(_Handle):
    """One end of a secure channel."""

    TYPE = "link"

    def __init__(self, role: int, purpose: int, identity: Identity | None = None, pin: bytes | None = None,
                 config: Any = None, now: int | None = None) -> None:
        super().__init__(lambda place: lib.securechat_link_new(
            config or ffi.NULL, role, purpose, identity._handle if identity else ffi.NULL, _exactly(32, pin),
            clock() if now is None else now, place))

    def input(self, data: bytes, now: int | None = None) -> None:
        self._call("input", *_data(data), clock() if now is None else now)

    def end(self) -> None:
        self._call("end")

    def output(self, write: Callable[[memoryview], int]) -> int:
        """Lends what is to be written to `write`, such as `socket.send`; gives how much it took."""
        return self._output(write)

    def read_output(self, size: int = 65536) -> bytes:
        return self._read_output(size)

    def events(self) -> Iterator[Event]:
        """What happened, one after the other until there is nothing more."""
        while event := self._next_event():
            yield event

    def tick(self, now: int | None = None) -> int:
        return self._tick(now)

    def send(self, data: bytes) -> None:
        self._call("send", *_data(data))

    def accept(self, fingerprint: bytes, now: int | None = None) -> None:
        self._call("accept", _exactly(32, fingerprint), clock() if now is None else now)

    def close(self, code: int = Close.DONE) -> None:
        self._call("close", code)


@dataclass(frozen=True, slots=True)
class Contact:
    """What is known of a user."""

    user: str
    trust: int
    epoch: int
    devices: list[bytes]
    kept_aside: bytes | None


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a client itself."""

    identity: bytes
    fingerprint: bytes
    generation: int
    unsent: int
    registered: bool


@dataclass(frozen=True, slots=True)
class Group:
    """What is known of a group. `group` is how it is called: to whom `send_text` and all others send."""

    group: str
    name: str
    sequence: int
    members: list[str]
    admins: list[str]
    open: bool
    member: bool
    admin: bool
    forked: bool
    waits: bool


@dataclass(frozen=True, slots=True)
class Transfer:
    """A file on its way. `to_or_from` is a user or a group."""

    file: bytes
    to_or_from: str
    name: str
    size: int
    done: int
    state: int
    ours: bool


class Client(_Handle):
    """One device of one user: see "Client" in the header for the order of saving, writing and handling.

    Every method that changes something takes `now` as its last argument, which is the clock if it is left out.
    """

    TYPE = "client"

    def __init__(self, user: str, key: bytes, records: Iterable[tuple[bytes, bytes]] = (), config: Any = None,
                 history: int = History.CONTINUED, generation: int = 0, now: int | None = None) -> None:
        kept = [(ffi.from_buffer("char[]", name), ffi.from_buffer("uint8_t[]", value)) for name, value in records]
        array = ffi.new("securechat_record[]", [(name, len(name), value, len(value)) for name, value in kept])
        super().__init__(lambda place: lib.securechat_client_new(
            config or ffi.NULL, *_text(user), _exactly(32, key), array, len(kept), history, generation,
            clock() if now is None else now, place))

    def _timed(self, function: str, *arguments: Any, now: int | None) -> None:
        self._call(function, *arguments, clock() if now is None else now)

    # What is saved.

    def save(self, store: Callable[[list[tuple[bytes, bytes | None]]], None]) -> bool:
        """Hands what is to be saved to `store`, if there is anything, and takes its return for "it is durable".

        One call is one transaction: put each value under its key, delete where it is None. What `store` raises comes through, and
        nothing leaves.
        """
        record, records = ffi.new("securechat_record *"), []
        self._call("next_save", record)
        while record.key:
            value = None if record.value == ffi.NULL else _bytes(record.value, record.value_len)
            records.append((_bytes(record.key, record.key_len), value))
            self._call("next_save", record)
        if records:
            store(records)
            self._call("save_done")
        return bool(records)

    def rekey(self, key: bytes) -> None:
        self._call("rekey", _exactly(32, key))

    def seal(self, name: str, data: bytes) -> bytes:
        """Seals what the application keeps beside the records."""
        return self._copied("seal", *_text(name), *_data(data))

    def open(self, name: str, data: bytes) -> bytes:
        """Opens what `seal` sealed under the same name."""
        return self._copied("open", *_text(name), *_data(data))

    # Links and their bytes.

    def connect_relay(self, address: str, now: int | None = None) -> int:
        link = ffi.new("uint32_t *")
        self._call("connect_relay", *_text(address), clock() if now is None else now, link)
        return link[0]

    def connect_peer(self, role: int, pin: bytes | None = None, now: int | None = None) -> int:
        link = ffi.new("uint32_t *")
        self._call("connect_peer", role, _exactly(32, pin), clock() if now is None else now, link)
        return link[0]

    def accept_link(self, link: int, fingerprint: bytes, now: int | None = None) -> None:
        self._timed("accept_link", link, _exactly(32, fingerprint), now=now)

    def close_link(self, link: int, now: int | None = None) -> None:
        self._timed("close_link", link, now=now)

    def input(self, link: int, data: bytes, now: int | None = None) -> None:
        self._timed("input", link, *_data(data), now=now)

    def end(self, link: int, now: int | None = None) -> None:
        self._timed("end", link, now=now)

    def output(self, link: int, write: Callable[[memoryview], int]) -> int:
        """Lends what is to be written to `write`, such as `socket.send`; gives how much it took."""
        return self._output(write, link)

    def has_output(self, link: int) -> bool:
        data, length = ffi.new("const uint8_t **"), ffi.new("size_t *")
        self._call("output", link, data, length)
        return length[0] > 0

    def read_output(self, link: int, size: int = 65536) -> bytes:
        return self._read_output(size, link)

    def tick(self, now: int | None = None) -> int:
        return self._tick(now)

    def next_event(self) -> Event | None:
        return self._next_event()

    # The account.

    def enter(self, password: str, now: int | None = None) -> None:
        self._timed("enter", *_text(password), now=now)

    def register(self, password: str, now: int | None = None) -> None:
        self._timed("register", *_text(password), now=now)

    def log_in(self, password: str, code: int | None = None, now: int | None = None) -> None:
        self._timed("log_in", *_text(password), _NO_CODE if code is None else code, now=now)

    def change_password(self, old: str, new: str, now: int | None = None) -> None:
        self._timed("change_password", *_text(old), *_text(new), now=now)

    def set_up_code(self, password: str, code: int | None = None, now: int | None = None) -> None:
        self._timed("set_up_code", *_text(password), _NO_CODE if code is None else code, now=now)

    def confirm_code(self, code: int, now: int | None = None) -> None:
        self._timed("confirm_code", code, now=now)

    def list_users(self, now: int | None = None) -> None:
        self._timed("list_users", now=now)

    def set_presence(self, presence: int, now: int | None = None) -> None:
        self._timed("set_presence", presence, now=now)

    def list_device(self, device: bytes, listed: bool, now: int | None = None) -> None:
        self._timed("list_device", _exactly(32, device), int(listed), now=now)

    def start_over(self, now: int | None = None) -> None:
        self._timed("start_over", now=now)

    def about(self) -> About:
        info = ffi.new("securechat_client_info *")
        self._call("about", info, ffi.sizeof(info[0]))
        return About(bytes(info.identity), bytes(info.fingerprint), info.generation, info.unsent, bool(info.registered))

    # Whom it knows.

    def look_up(self, name: str, now: int | None = None) -> None:
        self._timed("look_up", *_text(name), now=now)

    def contact(self, name: str) -> Contact:
        return self._contact(*_text(name), 0)

    def contacts(self) -> Iterator[Contact]:
        """All users of whom something is known, in the order of their names."""
        return _each(lambda index: self._contact(ffi.NULL, 0, index))

    def _contact(self, *which: Any) -> Contact:
        made = ffi.new("securechat_contact *")
        self._call("contact", *which, made, ffi.sizeof(made[0]))
        return Contact(ffi.string(made.user).decode(), made.trust, made.epoch,
                       _rows(made.devices, made.devices_count, 32),
                       bytes(made.kept_aside) if made.has_kept_aside else None)

    def safety_number(self, name: str, now: int | None = None) -> str:
        digits = ffi.new("char[61]")
        self._call("safety_number", *_text(name), clock() if now is None else now, digits)
        return ffi.string(digits).decode()

    def mark_verified(self, name: str, now: int | None = None) -> None:
        self._timed("mark_verified", *_text(name), now=now)

    def accept_keys(self, name: str, kept_aside: bytes, now: int | None = None) -> None:
        self._timed("accept_keys", *_text(name), _exactly(32, kept_aside), now=now)

    # Groups.

    def create_group(self, name: str, open: bool = False, now: int | None = None) -> str:
        """Creates a group, and gives how it is called. In an open one whoever can register at the relay can read."""
        made = ffi.new("char[]", lib.SECURECHAT_GROUP_SIZE)
        self._call("create_group", *_text(name), int(open), clock() if now is None else now, made)
        return ffi.string(made).decode()

    def change_group(self, group: str, change: int, value: str = "", now: int | None = None) -> None:
        """Changes a group: `value` is names with one space between, or a new name, as the header says of each `Change`."""
        self._timed("change_group", *_text(group), change, *_text(value), now=now)

    def group(self, group: str) -> Group:
        return self._group(*_text(group), 0)

    def groups(self) -> Iterator[Group]:
        """All groups that are known, also those that this user has left."""
        return _each(lambda index: self._group(ffi.NULL, 0, index))

    def _group(self, *which: Any) -> Group:
        made = ffi.new("securechat_group *")
        self._call("group", *which, made, ffi.sizeof(made[0]))
        flags = [bool(made.flags & getattr(lib, f"SECURECHAT_GROUP_{name}")) for name in ("OPEN", "MEMBER", "ADMIN", "FORKED", "WAITS")]
        return Group(ffi.string(made.group).decode(), _bytes(made.name, made.name_len).decode(), made.sequence,
                     _bytes(made.members, made.members_len).decode().split(), _bytes(made.admins, made.admins_len).decode().split(),
                     *flags)

    # Messages and files, to users and groups.

    def send(self, to: str, data: bytes, kind: int = Kind.TEXT, target: bytes | None = None, now: int | None = None) -> bytes:
        """Sends a message of any kind, and gives its id."""
        made = ffi.new("uint8_t[16]")
        self._call("send", *_text(to), kind, _exactly(16, target), *_data(data), clock() if now is None else now, made)
        return bytes(made)

    def send_text(self, to: str, text: str, now: int | None = None) -> bytes:
        return self.send(to, text.encode(), now=now)

    def send_file(self, to: str, name: str, size: int, media_type: str = "", now: int | None = None) -> tuple[bytes, bytes]:
        """Offers a file, and gives its number and that of the message with the offer."""
        file, message = ffi.new("uint8_t[16]"), ffi.new("uint8_t[16]")
        self._call("send_file", *_text(to), *_text(name), size, *_text(media_type), clock() if now is None else now,
                   file, message)
        return bytes(file), bytes(message)

    def supply_file(self, file: bytes, chunk: int, data: bytes, now: int | None = None) -> None:
        self._timed("supply_file", _exactly(16, file), chunk, *_data(data), now=now)

    def accept_file(self, file: bytes, now: int | None = None) -> None:
        self._timed("accept_file", _exactly(16, file), now=now)

    def cancel_file(self, file: bytes, now: int | None = None) -> None:
        self._timed("cancel_file", _exactly(16, file), now=now)

    def pause_file(self, file: bytes, paused: bool = True, now: int | None = None) -> None:
        self._timed("pause_file", _exactly(16, file), int(paused), now=now)

    def transfer(self, file: bytes) -> Transfer:
        return self._transfer(_exactly(16, file), 0)

    def transfers(self) -> Iterator[Transfer]:
        """All files on their way, in either direction."""
        return _each(lambda index: self._transfer(ffi.NULL, index))

    def _transfer(self, *which: Any) -> Transfer:
        made = ffi.new("securechat_transfer *")
        self._call("transfer", *which, made, ffi.sizeof(made[0]))
        # A keyword of Python stands for one field.
        other = _bytes(getattr(made, "with"), made.with_len).decode()
        return Transfer(bytes(made.file), other, _bytes(made.name, made.name_len).decode(), made.size, made.done, made.state,
                        bool(made.flags & lib.SECURECHAT_FLAG_OURS))


# ---- files on their own ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What is known of a file."""

    id: bytes
    root: bytes
    size: int
    count: int
    present: int
    complete: bool
    name: str
    media_type: str


class File(_Handle):
    """A file in sealed chunks, over any transport. A client does this by itself."""

    TYPE = "file"

    @classmethod
    def new(cls, size: int, name: str, media_type: str = "", cipher: int = Cipher.AES_GCM, proof: int = Proof.TAGS,
            config: Any = None) -> Self:
        """Begins a file as its sender."""
        return cls(lambda place: lib.securechat_file_new(
            config or ffi.NULL, cipher, proof, size, *_text(name), *_text(media_type), place))

    @classmethod
    def open(cls, role: int, offer: bytes, state: bytes = b"", config: Any = None) -> Self:
        """Takes part in a file that was offered: FILE_RECEIVER, or FILE_SENDER after a restart."""
        return cls(lambda place: lib.securechat_file_open(config or ffi.NULL, role, *_data(offer), *_data(state), place))

    def about(self) -> FileInfo:
        info = ffi.new("securechat_file_info *")
        self._call("about", info, ffi.sizeof(info[0]))
        return FileInfo(bytes(info.id), bytes(info.root), info.size, info.count, info.present, bool(info.complete),
                        ffi.string(info.name).decode(), ffi.string(info.media_type).decode())

    def offer(self) -> bytes:
        """All that is needed to open the file, its key included: send it end to end."""
        return self._copied("offer")

    def seal_chunk(self, index: int, data: bytes) -> bytes:
        return self._copied("seal_chunk", index, *_data(data), at_most=lib.SECURECHAT_SEALED_CHUNK_MAX)

    def open_chunk(self, index: int, data: bytes) -> bytes:
        return self._copied("open_chunk", index, *_data(data), at_most=CHUNK_SIZE)

    def next_missing(self, start: int = 0) -> range:
        """The first row of chunks that were not sealed or opened yet."""
        first, count = ffi.new("uint64_t *"), ffi.new("uint64_t *")
        self._call("next_missing", start, first, count)
        return range(first[0], first[0] + count[0])

    def finish(self, root: bytes) -> None:
        self._call("finish", _exactly(32, root))

    def save(self, page: int) -> bytes:
        return self._copied("save", page)


FILE_SENDER: int = lib.SECURECHAT_FILE_SENDER
FILE_RECEIVER: int = lib.SECURECHAT_FILE_RECEIVER


# ---- a relay --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RelayJob:
    """Something that a relay wants done."""

    kind: int
    id: int
    password: str
    hash: str
    key: bytes
    records: list[tuple[bytes, bytes | None]]


class Relay(_Handle):
    """What a server holds: see "Relay" in the header."""

    TYPE = "relay"

    def __init__(self, identity: Identity, dummy_password: str, records: Iterable[tuple[bytes, bytes]] = (),
                 server_password: str | None = None, registration_open: bool = True, config: Any = None,
                 now: int | None = None, lobby: bool = False) -> None:
        kept = [(ffi.from_buffer("char[]", name), ffi.from_buffer("uint8_t[]", value)) for name, value in records]
        array = ffi.new("securechat_record[]", [(name, len(name), value, len(value)) for name, value in kept])
        texts = [ffi.NULL if text is None else ffi.from_buffer("char[]", text.encode()) for text in (server_password, dummy_password)]
        options = ffi.new("securechat_relay_options *", {
            "size": ffi.sizeof("securechat_relay_options"), "registration_open": int(registration_open),
            "server_password": texts[0], "server_password_len": len(texts[0]) if server_password is not None else 0,
            "dummy_password": texts[1], "dummy_password_len": len(texts[1]), "lobby": int(lobby)})
        super().__init__(lambda place: lib.securechat_relay_new(
            config or ffi.NULL, identity._handle, options, array, len(kept), clock() if now is None else now, place))

    def connect(self, address: bytes, now: int | None = None) -> int:
        connection = ffi.new("uint64_t *")
        self._call("connect", _exactly(16, address), clock() if now is None else now, connection)
        return connection[0]

    def input(self, connection: int, data: bytes, now: int | None = None) -> None:
        self._call("input", connection, *_data(data), clock() if now is None else now)

    def end(self, connection: int, now: int | None = None) -> None:
        self._call("end", connection, clock() if now is None else now)

    def output(self, connection: int, write: Callable[[memoryview], int]) -> int:
        return self._output(write, connection)

    def read_output(self, connection: int, size: int = 65536) -> bytes:
        return self._read_output(size, connection)

    def tick(self, now: int | None = None) -> int:
        return self._tick(now)

    def shutdown(self, now: int | None = None) -> None:
        self._call("shutdown", clock() if now is None else now)

    def next_event(self) -> Event | None:
        return self._next_event()

    def next_job(self) -> RelayJob | None:
        job = ffi.new("securechat_job *")
        self._call("next_job", job, ffi.sizeof(job[0]))
        if job.kind == Job.NONE:
            return None
        records = [(_bytes(record.key, record.key_len),
                    None if record.value == ffi.NULL else _bytes(record.value, record.value_len))
                   for record in (job.records[index] for index in range(job.records_count))]
        return RelayJob(job.kind, job.id, _bytes(job.password, job.password_len).decode(),
                        _bytes(job.hash, job.hash_len).decode(), _bytes(job.key, job.key_len), records)

    def complete_job(self, job: int, outcome: int, data: bytes = b"", now: int | None = None) -> None:
        self._call("complete_job", job, outcome, *_data(data), clock() if now is None else now)
