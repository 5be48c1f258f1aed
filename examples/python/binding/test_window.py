"""The window, on whatever display there is: the form, what is shown of events, and what is sent."""

from __future__ import annotations

import os
import tempfile
import tkinter as tk
import unittest
from pathlib import Path

import securechat
import window
from securechat import Kind, Presence, Trust

NOBODY = "127.0.0.1:9"  # nothing listens there: what is sent waits


@unittest.skipUnless(os.environ.get("DISPLAY"), "there is no display: run it under xvfb-run")
class Window(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(place.name)
        self.root = tk.Tk()
        made: list[window.Window] = []
        form = window.Form(self.root, lambda messenger: made.append(window.Window(self.root, messenger)))
        for name, value in (("name", "carol"), ("relay", NOBODY), ("password", "secret"), ("passphrase", "secret")):
            form.values[name].set(value)
        form.connect()
        self.window = made[0]
        self.addCleanup(self.window.close)
        self.root.update()

    def message(self, text: str) -> securechat.Message:
        return securechat.Message("alice", bytes(32), Trust.SEEN, bytes(16), 0, 0, Kind.TEXT, text.encode(), bytes(16), False)

    def lines(self, tag: str) -> list[str]:
        ends = list(map(str, self.window.text.tag_ranges(tag)))
        return [self.window.text.get(*ends[at:at + 2]).strip() for at in range(0, len(ends), 2)]

    def test_what_is_said_stands_on_its_side(self) -> None:
        self.window.show(securechat.User("alice", Presence.ONLINE, True))
        self.window.show(self.message("hello\x1b[31m\u202e"))
        self.assertEqual(self.window.list.get(0, "end"), (" ● alice  *",))
        self.window.choose("alice")
        self.window.field.insert(0, "hello alice")
        self.window.send()
        self.root.update()
        self.assertEqual(self.lines("ours"), ["hello alice"])
        self.assertTrue(self.lines("theirs")[0].startswith("hello\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}"))
        self.assertEqual(self.window.client.about().unsent, 1)
        self.assertEqual(self.window.text.tag_cget("ours", "justify"), "right")

    def test_an_offer_has_a_button_and_what_fails_is_told(self) -> None:
        offer = securechat.FileOffered("alice", Trust.SEEN, bytes(16), bytes(16), "plan.txt", 14, "")
        self.window.choose("alice")
        self.window.show(offer)
        self.assertEqual(len(self.window.text.window_names()), 1)
        self.window.accept(offer)  # which the library does not know
        self.assertIn("alice offers a file", self.lines("note")[0])
        self.assertEqual(list(Path("downloads").iterdir()), [], "no part is left")


if __name__ == "__main__":
    unittest.main()
