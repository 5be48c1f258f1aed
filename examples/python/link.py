"""Links: sections 3, 4.1 to 4.3 of PROTOCOL.md. One end of a connection, without a socket."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from reference import (Device, Handshake, Random, check_life, fingerprint, label, now,
                       rekey, seal, unseal)
from structs import Reader, Refused, Value, fixed, require, several, struct, uint

SMALL, LARGE = 8192, 65_535  # the longest frame, before admission and after it
READY, DATA, CLOSE = 0, 1, 2
ACCEPT, RETRY, REFUSE = 1, 2, 3
NO_SUITE, VERSION, PURPOSE, MALFORMED, BUSY = 1, 2, 3, 4, 5
PURPOSES = ("relay", "peer")

OFFER = struct(magic=fixed(4), version=uint(1), suites=several(uint(2), 16, uint(1)),
               chosen=uint(1), purpose=uint(1))


def open_address(address: str) -> tuple[str, int, bytes | None]:
    """Host, port and fingerprint of an address as it is handed out (4.2)."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+)):([0-9]+)(#[0-9a-f]{64})?",
                         address)
    if found is None or not 0 < int(found[3]) < 2**16:
        raise Refused("an address is not written as host:port#fingerprint")
    try:
        host = str(ipaddress.IPv6Address(found[1])) if found[1] else found[2].lower()
    except ValueError:
        raise Refused("an address in brackets is not one of IPv6") from None
    return host, int(found[3]), bytes.fromhex(found[4][1:]) if found[4] else None


def framed(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


class Deframer:
    """Cuts frames out of what arrives."""

    def __init__(self, longest: int = SMALL) -> None:
        self.longest, self.data = longest, b""

    def take(self, data: bytes) -> Iterator[bytes]:
        self.data += data
        while len(self.data) >= 4:
            length = int.from_bytes(self.data[:4], "big")
            require(0 < length <= self.longest, "a frame is empty or too long")
            if len(self.data) < 4 + length:
                return
            content, self.data = self.data[4:4 + length], self.data[4 + length:]
            yield content


class Records:
    """One direction of a link that is past its handshake (4.3)."""

    def __init__(self, suite: int, key: bytes, n: int = 0) -> None:
        self.suite, self.key, self.n = suite, key, n

    def prepare(self) -> None:
        require(self.n < 2**48, "a link has carried all that it may")
        if self.n and self.n % 2**20 == 0:
            self.key = rekey(self.suite, self.key)

    def seal(self, kind: int, data: bytes) -> bytes:
        self.prepare()
        record = seal(self.suite, self.key, self.n, b"", bytes([kind]) + data)
        self.n += 1
        return record

    def open(self, record: bytes) -> tuple[int, bytes]:
        self.prepare()
        plaintext = unseal(self.suite, self.key, self.n, b"", record)
        require(plaintext, "a record has no type")
        self.n += 1
        return plaintext[0], plaintext[1:]


def offer(suites: Sequence[int], chosen: int, purpose: str) -> bytes:
    """The header of an offer: what stands before the first Noise message."""
    return OFFER.encode(Value(magic=b"SCHT", version=1, suites=suites, chosen=chosen,
                              purpose=PURPOSES.index(purpose)))


class BadOffer(Refused):
    """An offer that is answered with a refusal."""

    def __init__(self, code: int) -> None:
        super().__init__(f"an offer is refused with code {code}")
        self.code = code


def open_offer(content: bytes) -> tuple[Value, bytes]:
    """An offer, and the Noise message after it."""
    if content[:4] != b"SCHT" or len(content) < 5:
        raise BadOffer(MALFORMED)
    if content[4] != 1:
        raise BadOffer(VERSION)
    reader = Reader(content)
    try:
        offered: Value = OFFER.decode(reader)
        require(offered.chosen < len(offered.suites), "an offer chooses what it does not offer")
    except Refused:
        raise BadOffer(MALFORMED) from None
    if offered.purpose >= len(PURPOSES):
        raise BadOffer(PURPOSE)
    offered.header = content[:len(content) - len(reader.data)]
    return offered, reader.data


def open_answer(content: bytes) -> tuple[int, Any]:
    """What kind of answer it is, and the Noise message, the suite or the code in it."""
    reader = Reader(content)
    kind = reader.take(1)[0]
    require(kind in (ACCEPT, RETRY, REFUSE), "an answer is of no known kind")
    if kind == ACCEPT:
        return kind, reader.data
    return kind, uint(2 if kind == RETRY else 1).read(reader.data)


def prologue(header: bytes, retry: bytes = b"") -> bytes:
    """`retry` is the first offer and the answer to it, both framed (N3)."""
    return label("link") + retry + header


class Link:
    """One end of a link. Bytes go in; `output` and `events` collect what comes of them."""

    def __init__(self, purpose: str, initiator: bool, suites: Sequence[int],
                 device: Device | None = None, pin: bytes | None = None, busy: bool = False,
                 random: Random = os.urandom, clock: Callable[[], int] = now) -> None:
        self.purpose, self.initiator, self.suites = purpose, initiator, suites
        self.device, self.pin, self.busy = device, pin, busy
        self.random, self.clock = random, clock
        self.output = b""
        self.events: list[tuple[str, Any]] = []
        self.failed: Refused | None = None
        self.deframer = Deframer()
        self.handshake: Handshake | None = None
        self.turns = 0  # how many messages of the handshake there were
        self.offered = self.retry = b""
        self.chosen = 0
        self.remote: Value | None = None
        self.outgoing: Records | None = None
        self.incoming: Records | None = None
        # Of each side: whether it has sent `Ready`, and `Close`.
        self.ready = self.remote_ready = self.closed = self.remote_closed = False
        self.stopped = self.ended = False
        if initiator:
            self.send_offer()

    # What the program does.

    def receive(self, data: bytes) -> None:
        """Takes bytes of the other side. Raises when the link is over for a reason (R5)."""
        if self.failed:
            raise self.failed
        try:
            for frame in self.deframer.take(data):
                self.take(frame)
        except Refused as reason:
            self.failed = reason
            raise

    def accept(self, accepted: bytes) -> None:
        """The host accepts the identity with this fingerprint, at which the link stopped."""
        require(self.stopped and not self.remote_closed, "there is nothing to accept")
        assert self.remote
        require(fingerprint(self.remote.identity) == accepted, "another identity was accepted")
        self.stopped = False
        self.go_on()

    def send(self, data: bytes) -> None:
        require(self.is_open and not self.closed, "the link is not open")
        self.write_record(DATA, data)

    def close(self, code: int = 0) -> None:
        if self.is_open and not self.closed:
            self.write_record(CLOSE, bytes([code]))
            self.closed = True
        self.ended = self.ended or not self.is_open

    def end(self) -> None:
        """The connection has ended."""
        require(self.remote_closed or self.ended, "the link was cut off")

    def admit(self) -> None:
        """Takes long frames from now on: a relay does when the login succeeded (3)."""
        self.deframer.longest = LARGE

    @property
    def is_open(self) -> bool:
        return self.ready and self.remote_ready

    # Negotiation (4.1).

    def take(self, frame: bytes) -> None:
        require(not self.remote_closed and not self.ended, "something comes after the end")
        if self.incoming:
            self.take_record(frame)
        elif self.turns == 0:
            self.take_offer(frame)
        elif self.initiator and self.turns == 1:
            self.take_answer(frame)
        else:
            self.take_message(frame)

    def begin(self, suite: int, header: bytes) -> Handshake:
        return Handshake(self.purpose, suite, self.initiator, prologue(header, self.retry),
                         self.device, random=self.random)

    def send_offer(self) -> None:
        header = offer(self.suites, self.chosen, self.purpose)
        self.handshake = self.begin(self.suites[self.chosen], header)
        self.offered, self.turns = header + self.handshake.write(), 1
        self.output += framed(self.offered)

    def take_answer(self, frame: bytes) -> None:
        kind, content = open_answer(frame)
        if kind == ACCEPT:
            self.take_message(content)
            return
        require(kind == RETRY and not self.retry, f"the other side refuses the offer: {content}")
        require(content in self.suites and content != self.suites[self.chosen],
                "the other side wants a suite that it may not want")
        self.chosen, self.retry = self.suites.index(content), framed(self.offered) + framed(frame)
        self.send_offer()

    def take_offer(self, frame: bytes) -> None:
        try:
            self.answer_offer(frame)
        except BadOffer as refusal:
            self.output += framed(bytes([REFUSE, refusal.code]))
            raise

    def answer_offer(self, frame: bytes) -> None:
        offered, message = open_offer(frame)
        if PURPOSES[offered.purpose] != self.purpose:
            raise BadOffer(PURPOSE)
        if self.busy:
            raise BadOffer(BUSY)
        common = [suite for suite in self.suites if suite in offered.suites]
        if not common:
            raise BadOffer(NO_SUITE)
        right = offered.suites[offered.chosen] == common[0]
        # A second offer has the suite that was asked for, and no other byte but the index differs.
        again = offered.header[:-2], offered.header[-1:]
        if self.retry and not (right and again == (self.offered[:-2], self.offered[-1:])):
            raise BadOffer(MALFORMED)
        if not right:
            answer = framed(bytes([RETRY]) + common[0].to_bytes(2, "big"))
            self.offered, self.retry = offered.header, framed(frame) + answer
            self.output += answer
            return
        self.handshake = self.begin(common[0], offered.header)
        self.take_message(message)

    # The handshake (4.2).

    def take_message(self, message: bytes) -> None:
        handshake = self.handshake
        require(handshake and not self.stopped, "a frame comes out of its turn")
        assert handshake
        shows_identity = "s" in handshake.messages[0]
        payload = handshake.read(message)
        self.turns += 1
        if shows_identity:
            self.check_identity(handshake.bind(payload))
        else:
            require(payload == b"", "a message has a payload that does not belong there")
        self.go_on()

    def check_identity(self, bundle: Value) -> None:
        check_life(bundle, self.clock())
        shown = fingerprint(bundle.identity)
        changed = self.pin is not None and self.pin != shown
        expired = self.clock() > bundle.not_after
        self.remote, self.stopped = bundle, shown != self.pin or expired
        if self.stopped:
            self.events.append(("verify", (shown, changed, expired)))

    def go_on(self) -> None:
        """Writes what it is this side's turn to write."""
        handshake = self.handshake
        assert handshake
        if handshake.messages and not self.stopped:
            shows_identity = "s" in handshake.messages[0]
            payload = self.device.bundle.signed if self.device and shows_identity else b""
            answer = b"" if self.initiator or self.turns > 1 else bytes([ACCEPT])
            self.output += framed(answer + handshake.write(payload))
            self.turns += 1
        if not handshake.messages:
            if self.incoming is None:
                keys = handshake.split()
                self.outgoing, self.incoming = (Records(handshake.suite, key) for key in keys)
            if not self.ready and not self.stopped:
                self.write_record(READY, b"")
                self.ready = True
                self.open_if_ready()

    # Records (4.3).

    def write_record(self, kind: int, data: bytes) -> None:
        assert self.outgoing
        self.output += framed(self.outgoing.seal(kind, data))

    def take_record(self, frame: bytes) -> None:
        assert self.incoming
        kind, data = self.incoming.open(frame)
        if not self.remote_ready:
            require((kind, data) == (READY, b""), "the first record is not Ready")
            self.remote_ready = True
            self.open_if_ready()
        elif kind == DATA and self.is_open:
            self.events.append(("data", data))
        else:
            require(kind == CLOSE and len(data) == 1, "a record stands where it must not")
            self.remote_closed = True
            self.events.append(("closed", data[0]))
            self.close()

    def open_if_ready(self) -> None:
        if not self.is_open:
            return
        assert self.handshake
        if self.initiator or self.purpose == "peer":
            self.admit()
        remote = self.remote.identity if self.remote else None
        self.events.append(("open", (self.handshake.suite, self.handshake.h, remote)))
