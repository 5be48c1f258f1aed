"""The byte layouts of securechat as tables: what stands where, and the bounds of each field.

A `Field` says how one type of field is written and read, and `struct` makes one of several. Struct
bodies are in postcard's encoding: numbers as varints, bytes and lists with their length before
them. Reading fails on whatever writing would not give back. Beside a table stands the section of
securechat-core/PROTOCOL.md that has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple


class Refused(Exception):
    """Something that came does not satisfy the protocol; nothing of it was used."""


def require(condition: object, reason: str) -> None:
    if not condition:
        raise Refused(reason)


class Value(SimpleNamespace):
    """The fields of a struct by their names."""


class Reader:
    """Takes fields off the front of bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, length: int) -> bytes:
        require(length <= len(self.data), "something ends too early")
        taken, self.data = self.data[:length], self.data[length:]
        return taken

    def end(self) -> None:
        require(not self.data, "something has bytes after its end")


class Field(NamedTuple):
    encode: Callable[[Any], bytes]
    decode: Callable[[Reader], Any]

    def read(self, data: bytes) -> Any:
        """The value of these bytes, of which none may be left over."""
        reader = Reader(data)
        value = self.decode(reader)
        reader.end()
        return value


def uint(length: int) -> Field:
    """A number of so many bytes, big-endian."""
    return Field(lambda value: value.to_bytes(length, "big"),
                 lambda reader: int.from_bytes(reader.take(length), "big"))


def varint(bits: int, below: int = 2**64) -> Field:
    """Seven bits per byte, the lowest first, in the shortest form."""
    def encode(value: int) -> bytes:
        high = value >> 7
        return bytes([value & 0x7F | 0x80]) + encode(high) if high else bytes([value])

    def decode(reader: Reader) -> int:
        value = shift = 0
        while (byte := reader.take(1)[0]) & 0x80:
            value, shift = value | (byte & 0x7F) << shift, shift + 7
            require(shift < bits, "a number is too long")
        value |= byte << shift
        require(value < min(below, 2**bits) and (byte or not shift), "a number is out of bounds")
        return value

    return Field(encode, decode)


def fixed(length: int) -> Field:
    return Field(bytes, lambda reader: reader.take(length))


def blob(longest: int = 65_535, size: Field = varint(32), shortest: int = 0) -> Field:
    """Bytes with their length before them."""
    def decode(reader: Reader) -> bytes:
        length = size.decode(reader)
        require(shortest <= length <= longest, "something is too long or too short")
        return reader.take(length)

    return Field(lambda value: size.encode(len(value)) + value, decode)


def text(longest: int, shape: str = r"(?s:.*)", shortest: int = 0) -> Field:
    def decode(reader: Reader) -> str:
        try:
            value = str(blob(longest, shortest=shortest).decode(reader), "utf-8")
        except UnicodeDecodeError:
            raise Refused("a text is not UTF-8") from None
        require(re.fullmatch(shape, value), "a text is not of its shape")
        return value

    return Field(lambda value: blob().encode(value.encode()), decode)


def optional(field: Field) -> Field:
    return Field(lambda value: b"\0" if value is None else b"\1" + field.encode(value),
                 lambda reader: field.decode(reader) if FLAG.decode(reader) else None)


def several(field: Field, most: int = 65_535, size: Field = varint(32), least: int = 0) -> Field:
    """A list with its count before it."""
    def decode(reader: Reader) -> list[Any]:
        count = size.decode(reader)
        require(least <= count <= most, "a list is too long or too short")
        return [field.decode(reader) for _ in range(count)]

    return Field(lambda values: size.encode(len(values)) + b"".join(map(field.encode, values)),
                 decode)


def struct(**fields: Field) -> Field:
    return Field(
        lambda value: b"".join(f.encode(getattr(value, name)) for name, f in fields.items()),
        lambda reader: Value(**{name: f.decode(reader) for name, f in fields.items()}))


def either(**fields: Field) -> Field:
    """One of several things, told by the byte before it: as a pair of its name and itself."""
    def decode(reader: Reader) -> tuple[str, Any]:
        name = list(fields)[one_of(*range(len(fields))).decode(reader)]
        return name, fields[name].decode(reader)

    return Field(lambda value: bytes([list(fields).index(value[0])])
                 + fields[value[0]].encode(value[1]), decode)


def one_of(*values: int) -> Field:
    """A byte that has one of these values."""
    def decode(reader: Reader) -> int:
        value = reader.take(1)[0]
        require(value in values, "a byte has a value that means nothing")
        return value

    return Field(lambda value: bytes([value]), decode)


U8, U16, U32, U64 = uint(1), varint(16), varint(32), varint(64)
BIT = one_of(0, 1)
FLAG = Field(BIT.encode, lambda reader: BIT.decode(reader) == 1)
NO_BYTES = Field(lambda _: b"", lambda _: None)
KEY, SIGNATURE, ID = fixed(32), fixed(64), fixed(16)
NAME_SHAPE = "[a-z0-9][a-z0-9._-]{0,31}"
NAME = text(32, NAME_SHAPE)


# --- 5: identities -------------------------------------------------------------------------------

def prekey(mlkem: Field) -> Field:
    """A prekey, with an ML-KEM-768 key behind it or with none."""
    return struct(id=U32, x25519=KEY, mlkem=mlkem)


def read_prekey(reader: Reader) -> Value:
    kind = U8.decode(reader)
    require(kind in PREKEY_KINDS, "a prekey is of no known kind")
    value: Value = PREKEY_KINDS[kind].decode(reader)
    value.kind = kind
    return value


PREKEY_KINDS = {1: prekey(NO_BYTES), 2: prekey(fixed(1184))}
PREKEY = Field(lambda value: U8.encode(value.kind) + PREKEY_KINDS[value.kind].encode(value),
               read_prekey)
BUNDLE = struct(version=U8, identity=KEY, user=text(32, f"|{NAME_SHAPE}"), device=U32, serial=U64,
                not_before=U64, not_after=U64, suites=several(U16, 16), x25519=KEY,
                rsa=optional(blob(526)), prekeys=several(PREKEY, 2))
ONE_TIME_PREKEY = struct(identity=KEY, device=U32, prekey=PREKEY)
DEVICE_LIST = struct(user=NAME, epoch=varint(64, below=4096), before=KEY,
                     identities=several(KEY, 16))
BODY = blob(size=uint(2))
SIGNATURES = several(struct(identity=KEY, signature=SIGNATURE), 17, uint(1))


# --- 8: groups -----------------------------------------------------------------------------------

GROUP_NAME, SOME_USERS = text(128, shortest=1), several(NAME, 32, least=1)
ENTRY = struct(identity=KEY, group=ID, previous=KEY, sequence=varint(32, below=4096), time=U64,
               epoch=varint(64, below=4096), actor=NAME,
               action=either(create=struct(name=GROUP_NAME, open=FLAG, nonce=ID), add=SOME_USERS,
                             remove=SOME_USERS, admin=struct(user=NAME, is_one=FLAG),
                             rename=GROUP_NAME, epoch=NO_BYTES))
GROUP_MESSAGE = struct(group=ID, key=ID, number=uint(4), sequence=uint(4), hash=KEY, salt=ID,
                       commit=KEY)


# --- 6 and 7: session messages and contents ------------------------------------------------------

MESSAGE = struct(session=ID, key=KEY, previous=uint(4), number=uint(4), salt=ID)
OPENING = struct(suite=uint(2), prekey=uint(4), order=uint(4), handshake=blob(size=uint(2)))
CONTENT = struct(id=ID, sent_at=uint(8), expiry=uint(4), kind=uint(2), body=blob(size=uint(2)))
TEXT, RECEIPT, SENT, GROUP_CONTROL, LISTS = 1, 5, 7, 12, 14
CIPHER, PROOF = one_of(1, 2), one_of(0, 1)
CONVERSATION = either(user=NAME, group=ID)
BODIES = {
    TEXT: struct(text=text(16_384)),
    2: struct(message=ID, text=text(16_384)),
    3: struct(message=ID),
    4: struct(message=ID, reaction=text(64), removed=FLAG),
    RECEIPT: struct(read=FLAG, messages=several(ID, 256)),
    6: struct(active=FLAG),
    SENT: struct(to=CONVERSATION, content=blob(55_000)),
    8: struct(name=text(128)),
    9: struct(file=ID, key=KEY, cipher=CIPHER, proof=PROOF, size=U64, name=text(1024),
              media_type=text(255)),
    10: struct(file=ID, root=KEY),
    11: struct(group=ID, signing=KEY, cipher=CIPHER, number=U32, chain=KEY),
    GROUP_CONTROL: struct(group=ID, control=either(key_wanted=ID, entries_wanted=U32,
                                                   entries=several(blob(1251), 32))),
    13: struct(envelope=ID),
    LISTS: struct(list=blob(), yours=KEY),
}


def open_content(data: bytes) -> Value:
    """A content, with the fields of its body if its kind is known."""
    content: Value = CONTENT.read(data)
    require(len(data) <= (55_295 if content.kind == SENT else 55_000), "a content is too long")
    if content.kind in BODIES:
        content.body = BODIES[content.kind].decode(Reader(content.body))
    return content


# --- 10: requests, replies and pushes ------------------------------------------------------------

PACKET = struct(id=uint(4), kind=uint(2), body=blob(65_478, uint(2)))
NOTHING, CODE = struct(), varint(32, below=1_000_000)
A_BUNDLE, A_LIST = struct(bundle=blob()), struct(list=blob())
PASSWORD, AFTER = text(256, shortest=1), text(32)
STOCK = struct(kinds=several(struct(kind=U8, left=U32, highest=U32)))
LOGGED_IN = struct(listed=FLAG, epoch=optional(U64), serial=U64, stock=STOCK)
PRESENCE, OUTCOME = one_of(0, 1, 2), one_of(0, 1, 2)
PRESENCES = several(struct(user=NAME, presence=PRESENCE), 512)
ENVELOPE = struct(id=ID, recipient=either(Device=KEY, Group=ID), transient=FLAG, envelope=blob())
KEYS = struct(identity=KEY, bundle=blob(), prekey=optional(blob()))
GROUP_HEAD = struct(group=ID, sequence=U32, hash=KEY)

PING, ENTER, REGISTER, PUBLISH_PREKEYS = 0x01, 0x02, 0x03, 0x21
FETCH_LISTS, FETCH_KEYS, SEND, ACKNOWLEDGE = 0x28, 0x29, 0x38, 0x39
REQUESTS = {  # what is asked, and what is answered
    PING: (NOTHING, NOTHING),
    ENTER: (struct(password=PASSWORD), NOTHING),
    REGISTER: (struct(user=NAME, password=PASSWORD, bundle=blob(), list=blob(),
                      signature=SIGNATURE), LOGGED_IN),
    0x04: (struct(user=NAME, password=PASSWORD, code=optional(CODE), identity=KEY,
                  signature=SIGNATURE), LOGGED_IN),
    0x05: (struct(user=NAME, identity=KEY, signature=SIGNATURE), LOGGED_IN),
    0x10: (struct(old=PASSWORD, new=PASSWORD), NOTHING),
    0x11: (struct(password=PASSWORD, code=optional(CODE)), struct(secret=fixed(20))),
    0x12: (struct(code=CODE), NOTHING),
    0x20: (A_BUNDLE, NOTHING),
    PUBLISH_PREKEYS: (struct(replace=FLAG, prekeys=several(blob(), 40)), STOCK),
    0x22: (A_LIST, NOTHING),
    0x23: (A_LIST, NOTHING),
    FETCH_LISTS: (struct(user=NAME, from_=U64),
                  struct(epoch=U64, lists=several(blob(), 16), next=U64)),
    FETCH_KEYS: (struct(user=NAME, devices=several(KEY, 8), prekey_kind=U8),
                 struct(epoch=U64, devices=several(KEYS))),
    0x30: (struct(from_=AFTER), struct(users=PRESENCES, next=AFTER)),
    0x31: (struct(presence=PRESENCE, watch=FLAG), NOTHING),
    SEND: (struct(items=several(ENVELOPE, 128)),
           struct(results=several(struct(outcome=OUTCOME, epoch=U64), 128))),
    ACKNOWLEDGE: (struct(envelopes=several(struct(sender=KEY, id=ID), 256)), NOTHING),
    0x40: (struct(entry=blob()), NOTHING),
    0x41: (struct(group=ID, from_=U32),
           struct(sequence=U32, entries=several(blob(), 32), next=U32)),
    0x42: (struct(from_=ID),
           struct(groups=several(GROUP_HEAD, 512), more=FLAG, lobby=optional(GROUP_HEAD))),
    0x50: (struct(id=ID, size=U64), NOTHING),
    0x51: (struct(id=ID, index=U32, chunk=blob()), NOTHING),
    0x52: (struct(id=ID, from_=U32),
           struct(ranges=several(struct(start=U32, count=U32), 4096), next=U32)),
    0x53: (struct(id=ID, index=U32), struct(chunk=blob())),
    0x54: (struct(id=ID), NOTHING),
}
REFUSED = 0xFFFF
REFUSAL = struct(code=U16, retry_after=U32)
DELIVER = 0x4001
PUSHES = {
    DELIVER: struct(id=ID, sender=KEY, user=NAME, sent_at=U64, transient=FLAG, envelope=blob()),
    0x4002: struct(changes=PRESENCES),
    0x4003: GROUP_HEAD,
    0x4004: A_LIST,
    0x4005: struct(kind=U8, left=U32),
    0x4006: struct(code=U16, epoch=U64),
}


def packet_class(kind: int) -> tuple[str, Field | None]:
    """What a message of this kind is, and its fields if the kind is known."""
    if kind == REFUSED:
        return "refusal", REFUSAL
    if kind < 0x4000:
        return "request", REQUESTS.get(kind, (None, None))[0]
    if kind < 0x8000:
        return "push", PUSHES.get(kind)
    return "reply", REQUESTS.get(kind - 0x8000, (None, None))[1]


def open_packet(data: bytes) -> Value:
    """A message on a link; its fields are None if its kind is not known."""
    packet: Value = PACKET.read(data)
    packet.name, field = packet_class(packet.kind)
    require(packet.kind & 0x7FFF, "a message is of no kind")
    require((packet.id == 0) == (packet.name == "push"), "a message has a wrong id")
    packet.fields = field.decode(Reader(packet.body)) if field else None
    return packet
