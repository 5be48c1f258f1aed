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
import socket
import sys
from collections.abc import Sequence
from typing import Any

from link import Link, open_address
from reference import (SUITES, Device, fingerprint, login_claim, now, open_bundle, open_list,
                       safety_number, sha256)
from sessions import Sessions
from structs import (ACKNOWLEDGE, BODIES, BODY, CONTENT, DELIVER, FETCH_KEYS, FETCH_LISTS, LISTS,
                     PACKET, PUBLISH_PREKEYS, RECEIPT, REFUSED, REGISTER, REQUESTS, SEND, TEXT,
                     Reader, Refused, Value, open_content, open_packet, require)


class Connection:
    """A link over a socket to the relay at `host:port#fingerprint`."""

    def __init__(self, address: str, suites: Sequence[int]) -> None:
        host, port, pin = open_address(address)
        require(pin, "give the fingerprint of the relay after a #")
        self.link = Link("relay", True, suites, pin=pin)
        self.waiting: list[bytes] = []
        self.relay = self.binding = b""
        self.suite, self.closing = 0, False
        self.socket = socket.create_connection((host, port), timeout=60)
        try:
            self.flush()
            while not self.link.is_open:
                self.pump()
        except Exception:
            self.socket.close()
            raise

    def flush(self) -> None:
        output, self.link.output = self.link.output, b""
        self.socket.sendall(output)

    def pump(self) -> None:
        """Waits for bytes, and for what the link makes of them."""
        data = self.socket.recv(65_536)
        self.link.receive(data) if data else self.link.end()
        self.flush()
        events, self.link.events = self.link.events, []
        for name, content in events:
            if name == "open":
                self.suite, self.binding, self.relay = content
            elif name == "data":
                self.waiting.append(content)
            elif name == "verify":
                raise Refused("the relay has another fingerprint, or its bundle has expired")
            elif name == "closed" and not self.closing:
                raise Refused(f"the relay closed the link with code {content}")

    def send(self, data: bytes) -> None:
        self.link.send(data)
        self.flush()

    def receive(self) -> bytes:
        while not self.waiting:
            self.pump()
        return self.waiting.pop(0)

    def close(self) -> None:
        """Ends the link in order; what is still on its way here is passed over."""
        self.closing = True
        self.link.close()
        self.flush()
        while not self.link.remote_closed:
            self.pump()
        self.socket.close()


class Chat:
    """A new user at a relay, with one device."""

    def __init__(self, address: str, user: str, suites: Sequence[int]) -> None:
        self.user, self.device = user, Device.generate(user, suites)
        self.connection = Connection(address, SUITES)
        self.requests = 0
        self.pushes: list[Value] = []
        self.lists: dict[str, Value] = {}  # the newest device list of each user
        self.sessions = Sessions(self.device, suites)
        self.unconfirmed: set[bytes] = set()  # texts that the other does not have yet
        self.told: dict[str, bytes] = {}  # the device list that each user knows to be known here
        self.own_list = self.device.first_list()
        claim = login_claim(self.connection.relay, user, self.device.identity,
                            self.connection.binding)
        self.request(REGISTER, user=user, password=secrets.token_hex(16), list=self.own_list,
                     bundle=self.device.bundle.signed, signature=self.device.signer.sign(claim))
        self.connection.link.admit()
        self.request(PUBLISH_PREKEYS, replace=False, prekeys=self.device.one_time_prekeys())

    # What goes over the link (section 10).

    def request(self, kind: int, /, **fields: Any) -> Any:
        """The reply to a request. Pushes that come before it wait for `chat`."""
        self.requests += 1
        body = REQUESTS[kind][0].encode(Value(**fields))
        self.connection.send(PACKET.encode(Value(id=self.requests, kind=kind, body=body)))
        while (packet := open_packet(self.connection.receive())).name == "push":
            self.pushes.append(packet)
        require(packet.id == self.requests, "the relay answers what was not asked")
        if packet.kind == REFUSED:
            raise Refused(f"the relay refuses request {kind:#06x}: code {packet.fields.code}")
        require(packet.kind == kind + 0x8000, "the relay answers something else")
        return packet.fields

    def fetch_list(self, user: str) -> Value:
        """The user's newest device list, which follows from the one known here (I6, I9)."""
        newest = self.lists.get(user)
        while True:
            first = newest.epoch + 1 if newest else 0
            reply = self.request(FETCH_LISTS, user=user, from_=first)
            for signed in reply.lists:
                newest = open_list(signed, newest)
            if not reply.next:
                break
        if newest is None or newest.user != user or newest.epoch < reply.epoch:
            raise Refused("the relay does not give the device lists of that user")
        self.lists[user] = newest
        return newest

    def open_session(self, user: str, identity: bytes) -> None:
        """Opens a session with the keys that the relay has of a device (I7)."""
        devices = self.request(FETCH_KEYS, user=user, devices=[identity], prekey_kind=1).devices
        require([device.identity for device in devices] == [identity], "the relay lacks the keys")
        bundle = open_bundle(devices[0].bundle)
        require((bundle.user, bundle.identity) == (user, identity), "a bundle is somebody else's")
        self.sessions.open_to(bundle, devices[0].prekey)

    def is_listed(self, bundle: Value) -> bool:
        return bundle.identity in self.fetch_list(bundle.user).identities

    def open_envelope(self, envelope: bytes) -> tuple[str, Value]:
        """Whose device sealed it, and the content."""
        opened = self.sessions.open(envelope, self.is_listed)
        for user, devices in self.lists.items():
            if opened.sender in devices.identities:
                return user, open_content(opened.content)
        raise Refused("a device is in no list any more")

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
                if identity not in self.sessions.known:
                    self.open_session(user, identity)
                envelope = self.sessions.seal(identity, CONTENT.encode(content))
                result, = self.request(SEND, items=[Value(
                    id=os.urandom(16), recipient=("Device", identity), transient=False,
                    envelope=envelope)]).results
                require(result.outcome == 0, "the relay does not take a message")
                done.add(identity)
                if result.epoch > devices.epoch:
                    devices = self.fetch_list(user)

    # Contents (section 7).

    def handle(self, push: Value) -> None:
        """Opens what is delivered, acts on it, and acknowledges it."""
        if push.kind != DELIVER:
            return
        try:
            user, content = self.open_envelope(push.fields.envelope)
            self.act(user, content)
        except Refused as reason:
            print(f"refused: {reason}", flush=True)
        self.request(ACKNOWLEDGE, envelopes=[push.fields])

    def act(self, user: str, content: Value) -> None:
        body = content.body
        if content.kind == TEXT:
            print(f"{user}: {body.text}", flush=True)
            self.send(user, RECEIPT, read=False, messages=[content.id])
        elif content.kind == RECEIPT:
            self.unconfirmed -= set(body.messages)
            print(f"{user} {'read' if body.read else 'received'} {len(body.messages)}", flush=True)
        elif content.kind == LISTS:
            self.compare_lists(user, body)
        else:
            print(f"{user} sends a content of kind {content.kind}", flush=True)

    def compare_lists(self, user: str, told: Value) -> None:
        """Shows the safety number when both sides hold the same device lists (I10)."""
        theirs = self.fetch_list(user)
        own_hash = sha256(BODY.decode(Reader(self.own_list)))
        if self.told.get(user) != theirs.hash:
            self.told[user] = theirs.hash
            self.send(user, LISTS, list=self.own_list, yours=theirs.hash)
        if (sha256(BODY.decode(Reader(told.list))), told.yours) != (theirs.hash, own_hash):
            print(f"safety number with {user}: list out of date", flush=True)
            return
        number = safety_number((self.user, [self.device.identity]), (user, theirs.identities))
        print(f"safety number with {user}: {number}", flush=True)

    def chat(self, other: str) -> None:
        """Sends lines until the input has ended and the other confirmed them."""
        typed, ended = b"", False
        while not ended or self.unconfirmed or self.pushes or self.connection.waiting:
            if self.connection.waiting:
                self.pushes.append(open_packet(self.connection.receive()))
            if self.pushes:
                self.handle(self.pushes.pop(0))
                continue
            inputs = [self.connection.socket] + ([] if ended else [sys.stdin])
            ready, _, _ = select.select(inputs, [], [])
            if self.connection.socket in ready:
                self.connection.pump()
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
            connection = Connection(given.relay, given.suite or SUITES)
            print(f"open in {connection.suite:#06x}, channel binding {connection.binding.hex()}")
        else:
            chat = Chat(given.relay, given.user, given.suite or SUITES[:1])
            connection = chat.connection
            device = fingerprint(chat.device.identity).hex()
            print(f"registered as {given.user}, device {device}", flush=True)
            chat.chat(given.other)
        connection.close()
    except (Refused, OSError) as reason:
        sys.exit(f"ended: {reason}")


if __name__ == "__main__":
    main()
