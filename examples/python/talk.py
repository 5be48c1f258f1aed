#!/usr/bin/env python3
"""Connects to a running relay with the reference implementation, and talks with its users.

    python talk.py link HOST:PORT#FINGERPRINT --suite 0x0101
    python talk.py chat HOST:PORT#FINGERPRINT --user carol --with alice

`link` opens a link and ends it in order. `chat` registers a new user, sends each line of its input
to the other one, prints what comes from anybody, and ends when the input has ended and the other's
devices have confirmed every line. The user lives as long as the program: nothing is kept.
"""

from __future__ import annotations

import argparse
import os
import secrets
import select
import sys
from collections.abc import Sequence
from typing import Any

from reference import (DAY, SUITES, Device, Handshake, Link, Session, check_time, fingerprint,
                       label, now, open_bundle, open_list, open_prekey, safety_number,
                       session_prologue, sha256)
from structs import (ACKNOWLEDGE, BODIES, BODY, CONTENT, DELIVER, FETCH_KEYS, FETCH_LISTS, LISTS,
                     MESSAGE, NAME, OPENING, PACKET, PUBLISH_PREKEYS, PUSHES, RECEIPT, REFUSAL,
                     REFUSED, REGISTER, REQUESTS, SEND, TEXT, Reader, Refused, Value, require)


class Chat:
    """A new user at a relay, with one device."""

    def __init__(self, address: str, user: str, suites: Sequence[int]) -> None:
        self.user, self.device, self.link = user, Device(user, suites), Link(address, SUITES)
        self.requests = 0
        self.pushes: list[Value] = []
        self.lists: dict[str, Value] = {}  # the newest device list of each user
        self.sessions: dict[bytes, list[Session]] = {}  # by the other device's identity
        self.unconfirmed: set[bytes] = set()  # texts that the other does not have yet
        self.told: dict[str, bytes] = {}  # the device list that each user knows to be known here
        self.own_list = self.device.first_list()
        claim = (label("login") + self.link.relay.identity + NAME.encode(user)
                 + self.device.identity + self.link.binding)
        self.request(REGISTER, user=user, password=secrets.token_hex(16), list=self.own_list,
                     bundle=self.device.bundle.signed, signature=self.device.signer.sign(claim))
        self.link.longest = 65_535
        self.request(PUBLISH_PREKEYS, replace=0, prekeys=self.device.one_time_prekeys())

    # What goes over the link (section 10).

    def request(self, kind: int, /, **fields: Any) -> Any:
        """The reply to a request. Pushes that come before it wait for `chat`."""
        self.requests += 1
        body = REQUESTS[kind][0].encode(Value(**fields))
        self.link.send(PACKET.encode(Value(id=self.requests, kind=kind, body=body)))
        while (packet := PACKET.read(self.link.receive())).id == 0:
            self.pushes.append(packet)
        require(packet.id == self.requests, "the relay answers what was not asked")
        if packet.kind == REFUSED:
            code = REFUSAL.decode(Reader(packet.body)).code
            raise Refused(f"the relay refuses request {kind:#06x} with code {code}")
        require(packet.kind == kind + 0x8000, "the relay answers something else")
        return REQUESTS[kind][1].decode(Reader(packet.body))

    def fetch_list(self, user: str) -> Value:
        """The user's newest device list, which follows from the one known here (I6, I9)."""
        newest = self.lists.get(user)
        while True:
            first = newest.epoch + 1 if newest else 0
            reply = self.request(FETCH_LISTS, user=user, first=first)
            for signed in reply.lists:
                newest = open_list(signed, newest)
            if not reply.next:
                break
        if newest is None or newest.user != user or newest.epoch < reply.epoch:
            raise Refused("the relay does not give the device lists of that user")
        self.lists[user] = newest
        return newest

    def fetch_keys(self, user: str, identity: bytes) -> tuple[Value, Value]:
        """The bundle of a device, and the prekey to open a session with (I3 to I5, I7)."""
        devices = self.request(FETCH_KEYS, user=user, devices=[identity], kind=1).devices
        require([device.identity for device in devices] == [identity], "the relay lacks the keys")
        bundle = open_bundle(devices[0].bundle)
        check_time(bundle, now())
        require((bundle.user, bundle.identity) == (user, identity), "a bundle is somebody else's")
        prekeys = [prekey for prekey in bundle.prekeys if prekey.kind == 1]
        if devices[0].prekey is not None:
            prekeys.insert(0, open_prekey(devices[0].prekey, bundle))
        require(prekeys and prekeys[0].kind == 1, "there is no prekey to use")
        return bundle, prekeys[0]

    # Sessions (section 6).

    def open_session(self, user: str, identity: bytes) -> Session:
        bundle, prekey = self.fetch_keys(user, identity)
        common = [suite for suite in self.device.suites if suite in bundle.suites]
        require(common, "there is no suite in common")
        suite, order = common[0], 1 + self.highest_order(identity)
        prologue = session_prologue(suite, identity, prekey.id, order)
        handshake = Handshake("session", suite, True, prologue, self.device,
                              remote_e=prekey.x25519, remote=bundle)
        message = handshake.write(self.device.bundle.signed)
        session = Session(suite, order, handshake.ck, handshake.h, self.device.identity, identity)
        session.begin(OPENING.encode(
            Value(suite=suite, prekey=prekey.id, order=order, handshake=message)))
        self.sessions.setdefault(identity, []).append(session)
        return session

    def answer_session(self, opening: Value, message: bytes) -> tuple[str, bytes]:
        """The user who opens a session, and the content of the first message in it (S5)."""
        suite, number, order = opening.suite, opening.prekey, opening.order
        require(suite in self.device.suites, "a session is in another suite")
        require(number in self.device.prekeys, "a prekey is unknown or used up")
        prologue = session_prologue(suite, self.device.identity, number, order)
        handshake = Handshake("session", suite, False, prologue, self.device,
                              e=self.device.prekeys[number])
        bundle = handshake.bind(handshake.read(opening.handshake))
        identity = bundle.identity
        check_time(bundle, now(), grace=30 * DAY)
        require(bundle.user and bundle.prekeys, "a bundle is not for sessions")
        require(identity in self.fetch_list(bundle.user).identities, "a device is not listed")
        require(order <= self.highest_order(identity) + 100_000, "an order is too high")
        session = Session(suite, order, handshake.ck, handshake.h, identity, self.device.identity)
        session.answer(MESSAGE.decode(Reader(message)).key)
        content = session.open(message)
        self.sessions.setdefault(identity, []).append(session)
        if number > 1:
            del self.device.prekeys[number]
        return bundle.user, content

    def highest_order(self, identity: bytes) -> int:
        return max((session.order for session in self.sessions.get(identity, [])), default=0)

    def open_envelope(self, envelope: bytes) -> tuple[str, bytes]:
        """Whose device sealed it, and the content."""
        reader = Reader(envelope)
        kind = reader.take(1)
        require(kind in (b"\1", b"\2"), "an envelope is of an unknown kind")
        opening = OPENING.decode(reader) if kind == b"\1" else None
        for user, devices in self.lists.items():
            for identity in devices.identities:
                for session in self.sessions.get(identity, []):
                    if session.id == reader.data[:16]:
                        return user, session.open(reader.data)
        if opening is None:
            raise Refused("a message is of an unknown session")
        return self.answer_session(opening, reader.data)

    def send(self, user: str, kind: int, **body: Any) -> None:
        """Sends a content to every device of a user, and to those that come to light then (L3)."""
        content = Value(id=os.urandom(16), sent_at=now(), expiry=0, kind=kind,
                        body=BODIES[kind].encode(Value(**body)))
        if kind == TEXT:
            self.unconfirmed.add(content.id)
        devices = self.lists.get(user) or self.fetch_list(user)
        done: set[bytes] = set()
        while missing := [one for one in devices.identities if one not in done]:
            for identity in missing:
                # The newest session in which a message opened, else the newest.
                known = sorted(self.sessions.get(identity, []),
                               key=lambda one: (bool(one.opened), one.order, one.id))
                session = known[-1] if known else self.open_session(user, identity)
                result, = self.request(SEND, items=[Value(
                    id=os.urandom(16), kind=0, recipient=identity, transient=0,
                    envelope=session.seal(CONTENT.encode(content)))]).results
                require(result.outcome == 0, "the relay does not take a message")
                done.add(identity)
                if result.epoch > devices.epoch:
                    devices = self.fetch_list(user)

    # Contents (section 7).

    def handle(self, push: Value) -> None:
        """Opens what is delivered, acts on it, and acknowledges it."""
        if push.kind != DELIVER:
            return
        delivered = PUSHES[DELIVER].decode(Reader(push.body))
        try:
            user, content = self.open_envelope(delivered.envelope)
            self.act(user, CONTENT.read(content))
        except Refused as reason:
            print(f"refused: {reason}", flush=True)
        self.request(ACKNOWLEDGE, envelopes=[delivered])

    def act(self, user: str, content: Value) -> None:
        if content.kind not in BODIES:
            print(f"{user} sends a content of kind {content.kind}", flush=True)
            return
        body = BODIES[content.kind].decode(Reader(content.body))
        if content.kind == TEXT:
            print(f"{user}: {body.text}", flush=True)
            self.send(user, RECEIPT, read=0, messages=[content.id])
        elif content.kind == RECEIPT:
            self.unconfirmed -= set(body.messages)
            print(f"{user} {'read' if body.read else 'received'} {len(body.messages)}", flush=True)
        elif content.kind == LISTS:
            self.compare_lists(user, body)

    def compare_lists(self, user: str, told: Value) -> None:
        """Shows the safety number when both sides hold the same device lists (I10)."""
        theirs = self.fetch_list(user)
        own_hash = sha256(BODY.decode(Reader(self.own_list)))
        if self.told.get(user) != theirs.hash:
            self.told[user] = theirs.hash
            self.send(user, LISTS, own=self.own_list, yours=theirs.hash)
        if (sha256(BODY.decode(Reader(told.own))), told.yours) != (theirs.hash, own_hash):
            print(f"safety number with {user}: list out of date", flush=True)
            return
        number = safety_number((self.user, [self.device.identity]), (user, theirs.identities))
        print(f"safety number with {user}: {number}", flush=True)

    def chat(self, other: str) -> None:
        """Sends lines until the input has ended and the other confirmed them."""
        typed, ended = b"", False
        while True:
            while self.pushes:
                self.handle(self.pushes.pop(0))
            if ended and not self.unconfirmed:
                return
            inputs = [self.link.socket] + ([] if ended else [sys.stdin])
            ready, _, _ = select.select(inputs, [], [])
            if self.link.socket in ready:
                self.pushes.append(PACKET.read(self.link.receive()))
            elif ready:
                more = os.read(sys.stdin.fileno(), 65_536)
                ended = not more
                *lines, typed = (typed + more).split(b"\n")
                for line in lines:
                    self.send(other, TEXT, text=line.decode())


def suite(argument: str) -> int:
    if int(argument, 16) not in SUITES:
        known = ", ".join(f"{one:#06x}" for one in SUITES)
        raise argparse.ArgumentTypeError(f"the suites are {known}")
    return int(argument, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description="Links and sessions in the reference's words.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, help_text in (("link", "open a link and end it"), ("chat", "talk with a user")):
        command = commands.add_parser(name, help=help_text)
        command.add_argument("relay", metavar="HOST:PORT#FINGERPRINT")
        command.add_argument("--suite", type=suite, action="append", metavar="SUITE",
                             help="one to use; again for more, the best first")
        if name == "chat":
            command.add_argument("--user", required=True, help="a name that is free at the relay")
            command.add_argument("--with", required=True, dest="other", metavar="USER")
    given = parser.parse_args()
    try:
        if given.command == "link":
            link = Link(given.relay, given.suite or SUITES)
            print(f"open in {link.suite:#06x}, channel binding {link.binding.hex()}")
        else:
            chat = Chat(given.relay, given.user, given.suite or SUITES[:1])
            link = chat.link
            device = fingerprint(chat.device.identity).hex()
            print(f"registered as {given.user}, device {device}", flush=True)
            chat.chat(given.other)
        link.close()
    except (Refused, OSError) as reason:
        sys.exit(f"ended: {reason}")


if __name__ == "__main__":
    main()
