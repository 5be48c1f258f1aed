"""The reference implementation against the project's own programs, over real sockets.

    cargo build -p securechat-server -p securechat-client
    SECURECHAT_PROGRAMS=target/debug python -m unittest discover -v examples/python

SECURECHAT_PROGRAMS is the folder that holds `securechat-server` and `securechat`.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

import link
import reference
import sessions
import talk
import vectors
from structs import Refused

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROGRAMS = Path(os.environ.get("SECURECHAT_PROGRAMS", ROOT / "target" / "debug"))
PATIENCE = 120  # seconds for anything; a test machine may be busy with other things


class Program:
    """A program of its own, typed to through a pipe."""

    def __init__(self, *command: str | Path) -> None:
        environment = os.environ | {"SECURECHAT_PASSPHRASE": "a passphrase for tests",
                                    "SECURECHAT_PASSWORD": "a password for tests"}
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, encoding="utf-8", env=environment)
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.unexpected: list[str] = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def type(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def expect(self, text: str) -> str:
        """Waits for a line that contains the text; a line is expected once."""
        for line in self.unexpected:
            if text in line:
                self.unexpected.remove(line)
                return line
        while True:
            try:
                came = self.lines.get(timeout=PATIENCE)
            except queue.Empty:
                came = None
            if came is None:
                raise AssertionError(f"no line with {text!r} after {self.unexpected}")
            if text in came:
                return came
            self.unexpected.append(came)

    def end(self) -> int:
        """Ends the input and waits; gives the exit status."""
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            # What could not be written to a program that failed is of no use any more.
            with contextlib.suppress(BrokenPipeError):
                assert pipe
                pipe.close()


class WithARelay(unittest.TestCase):
    """One relay for all tests of the class."""

    place: Path
    address: str

    @classmethod
    def setUpClass(cls) -> None:
        place = tempfile.TemporaryDirectory()
        cls.addClassCleanup(place.cleanup)
        cls.place = Path(place.name)
        config = cls.place / "relay.toml"
        config.write_text(f'listen = "127.0.0.1:0"\ndata = "{cls.place}/relay"\nrsa-bits = 2048\n'
                          'suites = ["0x0301", "0x0101", "0x0102", "0x0201", "0x0202"]\n')
        relay = Program(PROGRAMS / "securechat-server", "--config", config)
        cls.addClassCleanup(relay.kill)
        cls.address = relay.expect("    127.0.0.1:").strip()

    def start(self, *command: str | Path) -> Program:
        program = Program(*command)
        self.addCleanup(program.kill)
        return program


class Links(WithARelay):
    def test_a_link_opens_in_every_suite(self) -> None:
        for suite in reference.SUITES:
            with self.subTest(f"{suite:#06x}"):
                connection = talk.Connection(self.address, [suite])
                self.assertEqual(connection.suite, suite)
                connection.close()

    def test_the_relay_chooses_by_its_own_order(self) -> None:
        connection = talk.Connection(self.address, [0x0202, 0x0102, 0x0101])
        self.assertEqual(connection.suite, 0x0101)
        connection.close()

    def test_a_relay_with_another_fingerprint_is_refused(self) -> None:
        digits = self.address[-64:]
        other = self.address[:-64] + format(int(digits, 16) ^ 1, "064x")
        with self.assertRaisesRegex(Refused, "another fingerprint"):
            talk.Connection(other, [0x0101])

    def test_whoever_changes_a_label_opens_no_link(self) -> None:
        right = reference.label
        for name, suite in (("link", 0x0101), ("cbc-hmac", 0x0102), ("bundle", 0x0101),
                            ("rsa-kem ss", 0x0201)):
            def wrong(given: str, name: str = name) -> bytes:
                return right(given.upper() if given == name else given)

            with (self.subTest(name), mock.patch.object(reference, "label", wrong),
                  mock.patch.object(link, "label", wrong), self.assertRaises(Refused)):
                talk.Connection(self.address, [suite])


class Sessions(WithARelay):
    def talk(self, suite: int, client_begins: bool) -> None:
        """Three turns both ways, then the safety number on both sides."""
        alice, carol = f"alice.{suite:x}.{client_begins:d}", f"carol.{suite:x}.{client_begins:d}"
        client = self.start(
            PROGRAMS / "securechat", "--user", alice, "--state", self.place / alice,
            "--downloads", self.place / f"{alice}-downloads", "--relay", self.address,
            "--suites", f"{suite:#06x}")
        client.type("/register")
        client.expect(f"logged in as {alice}")
        ours = self.start(sys.executable, HERE / "talk.py", "chat", self.address, "--user", carol,
                          "--with", alice, "--suite", f"{suite:#06x}")
        ours.expect(f"registered as {carol}")

        for turn in ("one", "two", "three"):
            for client_speaks in (client_begins, not client_begins):
                if client_speaks:
                    client.type(f"/pm {carol} {turn} from the client")
                    ours.expect(f"{alice}: {turn} from the client")
                else:
                    ours.type(f"{turn} from the reference")
                    client.expect(f"{carol}: {turn} from the reference")
                    ours.expect(f"{alice} received 1")

        client.type(f"/verify {carol}")
        shown = client.expect(f"safety number with {carol}").partition(": ")[2]
        number = ours.expect(f"safety number with {alice}").partition(": ")[2]
        self.assertRegex(number, "^[0-9]{60}$")
        self.assertEqual(shown.replace(" ", ""), number)
        self.assertEqual((ours.end(), client.end()), (0, 0))
        printed = ours.unexpected + client.unexpected
        self.assertFalse([line for line in printed if re.search("refused|failed", line)])

    def test_x25519_gcm_the_client_begins(self) -> None:
        self.talk(0x0101, client_begins=True)

    def test_x25519_gcm_the_reference_begins(self) -> None:
        self.talk(0x0101, client_begins=False)

    def test_x25519_cbc_the_client_begins(self) -> None:
        self.talk(0x0102, client_begins=True)

    def test_x25519_cbc_the_reference_begins(self) -> None:
        self.talk(0x0102, client_begins=False)

    def test_rsa_gcm_the_client_begins(self) -> None:
        self.talk(0x0201, client_begins=True)

    def test_rsa_gcm_the_reference_begins(self) -> None:
        self.talk(0x0201, client_begins=False)


class Checks(unittest.TestCase):
    """What the reference refuses and no vector shows."""

    def setUp(self) -> None:
        self.alice, self.bob = (self.device(name, 0x0101) for name in ("alice", "bob"))
        self.here = sessions.Sessions(self.alice, [0x0101])
        self.there = sessions.Sessions(self.bob, [0x0101])

    def device(self, user: str, suite: int) -> reference.Device:
        return reference.Device.generate(user, [suite])

    def open(self, envelope: bytes) -> sessions.Opened:
        return self.there.open(envelope, lambda _: True)

    def test_a_payload_that_does_not_belong_there(self) -> None:
        header = link.offer([0x0101], 0, "relay")
        handshake = reference.Handshake("relay", 0x0101, True, link.prologue(header), None)
        message = handshake.write(b"payload")
        relay = link.Link("relay", False, [0x0101], self.bob)
        with self.assertRaisesRegex(Refused, "payload"):
            relay.receive(link.framed(header + message))

    def test_a_bundle_of_somebody_else_in_a_signed_handshake(self) -> None:
        alice, bob, mallory = (self.device(name, 0x0201) for name in ("alice", "bob", "mallory"))
        mallory.bundle = alice.bundle
        ends = sessions.Sessions(mallory, [0x0201]), sessions.Sessions(bob, [0x0201])
        ends[0].open_to(bob.bundle, None)
        envelope = ends[0].seal(bob.identity, b"")
        with self.assertRaisesRegex(Refused, "signed by somebody else"):
            ends[1].open(envelope, lambda _: True)

    def test_more_than_2000_messages_are_missing(self) -> None:
        self.here.open_to(self.bob.bundle, None)
        envelopes = [self.here.seal(self.bob.identity, b"") for _ in range(2003)]
        self.assertTrue(self.open(envelopes[0]).is_new)
        with self.assertRaisesRegex(Refused, "missing"):
            self.open(envelopes[2002])
        self.assertFalse(self.open(envelopes[2001]).is_new)

    def test_an_order_that_is_too_high(self) -> None:
        for order, opens in ((100_001, False), (100_000, True)):
            self.here.known.clear()
            self.here.orders[self.bob.identity] = order - 1
            self.here.open_to(self.bob.bundle, None)
            envelope = self.here.seal(self.bob.identity, b"")
            if opens:
                self.assertTrue(self.open(envelope).is_new)
            else:
                with self.assertRaisesRegex(Refused, "order"):
                    self.open(envelope)

    def test_typing_opens_no_session(self) -> None:
        self.here.open_to(self.bob.bundle, None)
        with self.assertRaisesRegex(Refused, "begin"):
            self.here.seal(self.bob.identity, b"", transient=True)


class Vectors(unittest.TestCase):
    def test_every_vector_of_these_suites(self) -> None:
        self.assertEqual(vectors.run(ROOT / "securechat-core" / "tests" / "vectors"), 0)


if __name__ == "__main__":
    unittest.main()
