"""The sessions of a device with others: which is opened, used and given up (6, S1 to S7)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from reference import (DAY, Device, Handshake, Random, Session, check_time, now, open_prekey,
                       session_prologue)
from structs import MESSAGE, OPENING, Reader, Refused, Value, require

X25519_PREKEY = 1  # the kind, of the suites that are spoken here


class ListMissing(Refused):
    """The device list of who opens a session has to be fetched first; then again."""


class Opened(Value):
    """A content, who sealed it, and the session."""

    content: bytes
    sender: bytes
    session: Session
    is_new: bool


class Sessions:
    def __init__(self, device: Device, suites: Sequence[int], random: Random = os.urandom,
                 clock: Callable[[], int] = now) -> None:
        self.device, self.suites, self.random, self.clock = device, suites, random, clock
        self.known: dict[bytes, list[Session]] = {}  # by the other device's identity
        self.orders: dict[bytes, int] = {}  # the highest there was
        # Of each last-resort prekey the sessions that were opened with it, and by whom.
        self.taken: dict[int, dict[bytes, bytes]] = {}

    def open_to(self, bundle: Value, one_time: bytes | None) -> Session:
        """Opens a session to a device (S1). Nothing is sent by that."""
        check_time(bundle, self.clock())
        require(bundle.identity != self.device.identity, "that is this device itself")
        common = [suite for suite in self.suites if suite in bundle.suites]
        prekeys = [prekey for prekey in bundle.prekeys if prekey.kind == X25519_PREKEY]
        require(bundle.user and common and prekeys, "a device cannot be talked to")
        prekey = open_prekey(one_time, bundle) if one_time else prekeys[0]
        if prekey.kind != X25519_PREKEY:  # it is none for these suites
            prekey = prekeys[0]
        suite, order = common[0], 1 + self.orders.get(bundle.identity, 0)
        prologue = session_prologue(suite, bundle.identity, prekey.id, order)
        handshake = Handshake("session", suite, True, prologue, self.device,
                              remote_e=prekey.x25519, remote=bundle, random=self.random)
        message = handshake.write(self.device.bundle.signed)
        session = Session(handshake, order, self.device.identity, bundle.identity, self.random)
        session.begin(OPENING.encode(
            Value(suite=suite, prekey=prekey.id, order=order, handshake=message)))
        self.keep(bundle.identity, session)
        return session

    def seal(self, identity: bytes, content: bytes, transient: bool = False) -> bytes:
        """An envelope for a device to which there is a session."""
        usable = [one for one in self.known.get(identity, []) if one.superseded is None]
        require(usable, "there is no session with that device")
        session = max(usable, key=lambda one: (bool(one.opened), one.order, one.id))
        require(not transient or not session.opening, "a session does not begin with that")
        return session.seal(content)

    def open(self, envelope: bytes, is_listed: Callable[[Value], bool | None]) -> Opened:
        """Opens an envelope. `is_listed` says whether the device of a bundle is in the list of its
        user, or None if that list is not here yet."""
        require(len(envelope) <= 61_440, "an envelope is too long")
        reader = Reader(envelope)
        kind = reader.take(1)
        require(kind in (b"\1", b"\2"), "an envelope is of an unknown kind")
        opening = OPENING.decode(reader) if kind == b"\1" else None
        for identity, sessions in self.known.items():
            for session in sessions:
                if session.id == reader.data[:16]:
                    content = session.open(reader.data, self.clock())
                    self.supersede(identity)
                    return Opened(content=content, sender=identity, session=session, is_new=False)
        if opening is None:
            raise Refused("a message is of an unknown session")
        return self.answer(opening, reader.data, is_listed)

    def answer(self, opening: Value, message: bytes,
               is_listed: Callable[[Value], bool | None]) -> Opened:
        """Opens the first message of a session that is not here yet (S5)."""
        suite, number, order = opening.suite, opening.prekey, opening.order
        at = MESSAGE.decode(Reader(message))
        require(suite in self.suites and suite in self.device.bundle.suites,
                "a session is in another suite")
        require(number in self.device.prekeys, "a prekey is unknown or used up")
        if at.session in self.taken.get(number, {}):
            raise Refused("replay")
        prologue = session_prologue(suite, self.device.identity, number, order)
        handshake = Handshake("session", suite, False, prologue, self.device,
                              e=self.device.prekeys[number])
        bundle = handshake.bind(handshake.read(opening.handshake))
        identity = bundle.identity
        check_time(bundle, self.clock(), grace=30 * DAY)
        require(bundle.user and bundle.prekeys, "a bundle is not for sessions")
        listed = is_listed(bundle)
        if listed is None:
            raise ListMissing(bundle.user)
        require(listed, "a device is not in the list of its user")
        opened = list(self.taken.get(number, {}).values()).count(identity)
        require(opened < 1000, "a prekey has opened too many sessions of one device")
        require(order <= self.orders.get(identity, 0) + 100_000, "an order is too high")
        session = Session(handshake, order, identity, self.device.identity, self.random)
        session.answer(at.key)
        content = session.open(message, self.clock())
        self.keep(identity, session)
        if number in self.device.one_time:
            del self.device.prekeys[number]
        else:
            self.taken.setdefault(number, {})[session.id] = identity
        return Opened(content=content, sender=identity, session=session, is_new=True)

    def keep(self, identity: bytes, session: Session) -> None:
        """At most 8 sessions with a device: superseded ones go first, then the oldest (S7)."""
        sessions = self.known.setdefault(identity, [])
        sessions.append(session)
        self.orders[identity] = max(self.orders.get(identity, 0), session.order)
        if len(sessions) > 8:
            sessions.remove(min(sessions, key=lambda one: (
                one.superseded is None, one.order, one.id)))

    def supersede(self, identity: bytes) -> None:
        """Of those in which both sides have opened messages only the newest goes on (S7)."""
        at = self.clock()
        both = [one for one in self.known[identity] if one.turned and one.superseded is None]
        for session in sorted(both, key=lambda one: (one.order, one.id))[:-1]:
            session.superseded = at
        self.known[identity] = [one for one in self.known[identity]
                                if one.superseded is None or at - one.superseded < 7 * DAY]
