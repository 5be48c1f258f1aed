"""The binding by itself: what it raises, what it copies, and that every function of the header is there."""

from __future__ import annotations

import re
import unittest
from pathlib import Path

import securechat
from securechat import (CHUNK_SIZE, FILE_RECEIVER, Client, Error, File, Identity, Job, Kind, Link, Outcome, Purpose, Relay, Role,
                        Status)


class Binding(unittest.TestCase):
    def saved(self, client: Client) -> dict[bytes, bytes]:
        records: dict[bytes, bytes] = {}

        def store(changes: list[tuple[bytes, bytes | None]]) -> None:
            for key, value in changes:
                if value is None:
                    records.pop(key, None)
                else:
                    records[key] = value

        while client.save(store):
            pass
        return records

    def test_every_function_and_every_kind_of_event_is_there(self) -> None:
        source = Path(securechat.__file__).read_text(encoding="utf-8")
        for name in dir(securechat.lib):
            if match := re.fullmatch("securechat_(link|client|file|relay)_(.+)", name):
                if match[2] not in ("new", "free", "error", "output_consume", "next_save", "save_done"):
                    self.assertTrue(re.search(rf'"{match[2]}"|lib\.{name}\b|_{match[2]}\(', source), name)
            if name.startswith("SECURECHAT_EVENT_") and name != "SECURECHAT_EVENT_NONE":
                self.assertIn(getattr(securechat.lib, name), securechat.Event.KINDS, name)

    def test_a_client_is_restored_from_its_records(self) -> None:
        with Client("alice", bytes(32)) as client:
            client.send_text("bob", "hello")
            records, about = self.saved(client), client.about()
        with Client("alice", bytes(32), records.items()) as client:
            self.assertEqual(client.about().identity, about.identity)
            self.assertEqual(client.about().unsent, 1)
        with self.assertRaises(Error) as raised:
            Client("alice", bytes(31) + b"\1", records.items())
        self.assertEqual(raised.exception.status, Status.DECRYPT)

    def test_what_fails_says_why(self) -> None:
        with Client("alice", bytes(32)) as client:
            with self.assertRaises(Error) as raised:
                client.send("bob", b"", 12)
            self.assertEqual(raised.exception.name, "SECURECHAT_ERR_" + Status(raised.exception.status).name)
            with self.assertRaises(ValueError):
                client.accept_file(b"too short")
        with self.assertRaises(Error) as raised:
            client.list_users()
        self.assertEqual(raised.exception.status, Status.NULL)

    def test_a_store_that_fails_lets_nothing_leave(self) -> None:
        def full(_: object) -> None:
            raise OSError("the disk is full")

        with Client("alice", bytes(32)) as client:
            link = client.connect_relay("relay.example:7441")
            with self.assertRaises(OSError):
                client.save(full)
            self.assertFalse(client.has_output(link))

    def test_seal_and_open(self) -> None:
        with Client("alice", bytes(32)) as client:
            sealed = client.seal("history", b"what was said")
            self.assertEqual(client.open("history", sealed), b"what was said")
            with self.assertRaises(Error) as raised:
                client.open("another", sealed)
            self.assertEqual(raised.exception.status, Status.DECRYPT)

    def test_two_peers_without_a_relay_talk(self) -> None:
        with Client("alice", bytes(32)) as alice, Client("bob", bytes(32)) as bob:
            ends = [(alice, alice.connect_peer(Role.INITIATOR)), (bob, bob.connect_peer(Role.RESPONDER))]
            alice.send_text("bob", "hello")
            heard: list[securechat.Message] = []

            def exchange() -> None:
                for (here, link), (there, other) in (ends, ends[::-1]) * 20:
                    self.saved(here)
                    here.output(link, lambda data, there=there, other=other: there.input(other, data) or len(data))
                    while event := here.next_event():
                        match event:
                            case securechat.Verify():
                                here.accept_link(event.link, event.fingerprint)
                            case securechat.Message():
                                heard.append(event)
            exchange()
            self.assertEqual([(event.user, event.data, event.message) for event in heard], [("alice", b"hello", Kind.TEXT)])
            self.assertEqual([contact.user for contact in alice.contacts()], ["alice", "bob"])
            with self.assertRaises(Error) as raised:
                alice.safety_number("bob")  # which asks whether both hold the same device lists
            self.assertEqual(raised.exception.status, Status.DEVICE_LIST_OUT_OF_DATE)
            exchange()
            self.assertEqual(alice.safety_number("bob"), bob.safety_number("alice"))
            self.assertEqual(alice.safety_number("bob"), securechat.safety_number(
                "bob", alice.contact("bob").devices, "alice", alice.contact("alice").devices))

    def test_a_link_with_another_key_than_the_pinned_one(self) -> None:
        with Identity.generate() as identity, Identity.load(identity.export()) as same:
            self.assertEqual(same.fingerprint(), identity.fingerprint())
            here = Link(Role.INITIATOR, Purpose.RELAY, pin=bytes(32))
            there = Link(Role.RESPONDER, Purpose.RELAY, same)
            for _ in range(10):
                there.input(here.read_output())
                here.input(there.read_output())
            # It waits for a decision; nothing can be sent.
            event, = here.events()
            self.assertIsInstance(event, securechat.Verify)
            self.assertEqual((event.fingerprint, event.expected), (identity.fingerprint(), bytes(32)))
            with self.assertRaises(Error) as raised:
                here.send(b"a secret")
            self.assertEqual(raised.exception.status, Status.WRONG_STATE)

    def test_a_file_in_chunks(self) -> None:
        contents = bytes(range(256)) * 300
        with File.new(len(contents), "../notes.txt", "text/plain") as sender:
            with File.open(FILE_RECEIVER, sender.offer()) as receiver:
                self.assertEqual((receiver.about().name, receiver.next_missing()), ("notes.txt", range(2)))
                for index in (1, 0):
                    start = index * CHUNK_SIZE
                    chunk = contents[start:start + CHUNK_SIZE]
                    self.assertEqual(receiver.open_chunk(index, sender.seal_chunk(index, chunk)), chunk)
                receiver.finish(sender.about().root)
                with self.assertRaises(Error) as raised:
                    receiver.finish(bytes(32))
                self.assertEqual(raised.exception.status, Status.FILE_MISMATCH)
                self.assertNotEqual(receiver.save(0), b"")

    def test_a_relay_and_a_client_that_registers(self) -> None:
        with Identity.generate() as identity, Client("alice", bytes(32)) as alice, Relay(identity, "a dummy") as relay:
            link = alice.connect_relay(f"relay.example:7441#{identity.fingerprint().hex()}")
            connection, records, seen = relay.connect(bytes(16)), {}, []
            for _ in range(50):
                self.saved(alice)
                relay.input(connection, alice.read_output(link))
                while job := relay.next_job():
                    match job.kind:
                        case Job.HASH:
                            relay.complete_job(job.id, Outcome.OK, f"hash of {job.password}".encode())
                        case Job.COMMIT:
                            records.update(job.records)
                            relay.complete_job(job.id, Outcome.OK)
                while event := relay.next_event():
                    seen.append(type(event))
                alice.input(link, relay.read_output(connection))
                while event := alice.next_event():
                    seen.append(type(event))
                    if isinstance(event, securechat.Open):
                        alice.register("a password")
            for kind in (securechat.RelayRegistered, securechat.RelayLoggedIn, securechat.LoggedIn):
                self.assertIn(kind, seen)
            self.assertTrue(alice.about().registered)
            # Made anew from its records.
            Relay(identity, "a dummy", [(key, value) for key, value in records.items() if value is not None]).free()

    def test_addresses(self) -> None:
        address = securechat.Address.parse("[::1]:7441#" + "ab" * 32)
        self.assertEqual(address, securechat.Address("::1", 7441, b"\xab" * 32))
        with self.assertRaises(Error):
            securechat.Address.parse("nowhere")


if __name__ == "__main__":
    unittest.main()
