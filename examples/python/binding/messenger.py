"""One client of one relay: its socket, its records in SQLite, its files. `chat.py` and `window.py` show it to people."""

from __future__ import annotations

import hashlib
import os
import select
import socket
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import securechat
from securechat import Client, Error

RETRY_MAX = 60_000  # milliseconds between two attempts to reach the relay


def plain(text: str) -> str:
    """What others wrote may hold control characters that a terminal obeys, or that turn the direction of writing: replaced."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


@dataclass(frozen=True, slots=True)
class Unreached:
    """The relay cannot be reached, or the connection broke; there will be another attempt."""

    reason: str


@dataclass(frozen=True, slots=True)
class FileSaved:
    """A file arrived whole."""

    user: str
    path: Path


@dataclass(frozen=True, slots=True)
class FileDelivered:
    """A file is with the relay, completely."""

    user: str
    name: str


@dataclass(frozen=True, slots=True)
class FileLost:
    """A transfer ended without success."""

    user: str
    name: str
    reason: str


class Store:
    """The records of a client in SQLite, one transaction for each save; and the key that protects them."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self.database = sqlite3.connect(path, timeout=1)
        # Two programs on one state would use the same keys twice: the first one locks it.
        self.database.executescript("""
            PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL; BEGIN EXCLUSIVE;
            CREATE TABLE IF NOT EXISTS record (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS salt (value BLOB NOT NULL);
            INSERT INTO salt SELECT randomblob(16) WHERE NOT EXISTS (SELECT * FROM salt); COMMIT;""")

    def key(self, passphrase: str) -> bytes:
        """The passphrase made into a key, slowly: whoever has the file has to pay for each guess."""
        salt, = self.database.execute("SELECT value FROM salt").fetchone()
        return hashlib.scrypt(passphrase.encode(), salt=salt, n=2**16, r=8, p=1, maxmem=2**27, dklen=32)

    def records(self) -> list[tuple[bytes, bytes]]:
        return self.database.execute("SELECT key, value FROM record").fetchall()

    def save(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        with self.database:
            for key, value in records:
                if value is None:
                    self.database.execute("DELETE FROM record WHERE key = ?", (key,))
                else:
                    self.database.execute("INSERT OR REPLACE INTO record VALUES (?, ?)", (key, value))


class Outgoing:
    """A file that is being sent, read where it lies."""

    def __init__(self, user: str, path: Path) -> None:
        self.user, self.name = user, path.name
        if not path.is_file():  # opening a pipe would wait for its other end
            raise FileNotFoundError(f"{path} is not a file")
        self.file: BinaryIO = path.open("rb")
        self.size = os.fstat(self.file.fileno()).st_size

    def read(self, offset: int, length: int) -> bytes:
        self.file.seek(offset)
        return self.file.read(length)

    def close(self) -> None:
        self.file.close()


class Incoming:
    """A file that is arriving: `NAME.part` until it is whole. Nothing that exists is touched."""

    def __init__(self, user: str, name: str, size: int, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.user, self.name, self.size, self.folder = user, name, size, folder
        self.part = self.claim(".part")
        self.file: BinaryIO = self.part.open("r+b")

    def claim(self, ending: str) -> Path:
        """A new empty file of the name, or of the first free one like it."""
        # The library made the name of an offer a safe one: no folder, no device, nothing that a shell or a terminal minds.
        stem, suffix = os.path.splitext(self.name)
        for number in range(1000):
            path = self.folder / f"{stem}{f' ({number})' if number else ''}{suffix}{ending}"
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            except FileExistsError:
                continue
            return path
        raise FileExistsError(f"there are too many files like {self.name} in {self.folder}")

    def write(self, offset: int, data: bytes) -> None:
        if offset + len(data) > self.size:
            raise OSError("more bytes came than were announced")
        self.file.seek(offset)
        self.file.write(data)

    def finish(self) -> Path:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        path = self.claim("")
        os.replace(self.part, path)
        return path

    def close(self) -> None:
        self.file.close()
        self.part.unlink(missing_ok=True)


class Messenger:
    """Keeps a client connected. Set `tell`: it gets every event that is not about the bytes of files, and what is declared above."""

    def __init__(self, user: str, relay: str, state: Path, passphrase: str, password: str, downloads: Path) -> None:
        self.user, self.relay, self.password, self.downloads = user, relay, password, downloads
        self.tell: Callable[[Any], None] = lambda event: None
        self.place = securechat.Address.parse(relay)
        self.store = Store(state)
        try:
            self.client = Client(user, self.store.key(passphrase), self.store.records())
        except Error:
            self.store.database.close()
            raise
        self.socket: socket.socket | None = None
        self.link = 0
        self.failures, self.dial_at = 0, 0
        self.files: dict[bytes, Outgoing | Incoming] = {}
        self.offers: dict[bytes, securechat.FileOffered] = {}

    # ---- what people do

    def send(self, to: str, text: str) -> bytes:
        return self.client.send_text(to, text)

    def send_file(self, to: str, path: Path) -> None:
        file = Outgoing(to, path)
        try:
            number, _ = self.client.send_file(to, file.name, file.size, "application/octet-stream")
        except Error:
            file.close()
            raise
        self.files[number] = file

    def accept(self, offer: securechat.FileOffered) -> None:
        """Takes a file that was offered."""
        file = Incoming(offer.user, offer.name, offer.total, self.downloads)
        self.files[offer.file] = file
        try:
            self.client.accept_file(offer.file)
        except Error:
            self.drop(offer.file)
            raise
        self.offers.pop(offer.file, None)

    def idle(self) -> bool:
        """Whether nothing waits: there is an account, and everything is sent or has arrived."""
        about = self.client.about()
        return about.registered and about.unsent == 0 and not self.files

    def close(self) -> None:
        """Ends the connection in order, and tells nothing more."""
        self.tell = lambda event: None
        if self.socket:
            self.client.close_link(self.link)
            self.pump()
            self.hang_up()
        for file in list(self.files):
            self.drop(file)
        self.pump()
        self.client.free()
        self.store.database.close()

    # ---- the loop

    def step(self, timeout: float, also: Iterable[Any] = ()) -> bool:
        """Waits for `timeout` seconds at most and does what there is to do. True when one of `also` can be read."""
        if not self.socket and securechat.clock() >= self.dial_at:
            self.dial()
        due = self.client.tick()
        self.pump()
        if not self.socket:
            due = min(due, self.dial_at)
        wait = min(timeout, max(0, due - securechat.clock()) / 1000)
        reads = [*also, *([self.socket] if self.socket else [])]
        writes = [self.socket] if self.socket and self.client.has_output(self.link) else []
        readable, _, _ = select.select(reads, writes, [], wait)
        if self.socket in readable:
            self.read()
        self.pump()
        return any(ready is not self.socket for ready in readable)

    def pump(self) -> None:
        """Saves, writes and handles events until there is nothing of either; in this order, so that nothing leaves unsaved."""
        while True:
            busy = self.client.save(self.store.save)
            if self.socket:
                busy |= self.client.output(self.link, self.write) > 0
            if event := self.client.next_event():
                self.handle(event)
            elif not busy:
                return

    def dial(self) -> None:
        try:
            self.socket = socket.create_connection((self.place.host, self.place.port), timeout=10)
        except OSError as error:
            self.unreached(error)
            return
        self.socket.setblocking(False)
        self.link = self.client.connect_relay(self.relay)

    def read(self) -> None:
        assert self.socket
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.client.input(self.link, data)
        else:
            self.client.end(self.link)

    def write(self, data: memoryview) -> int:
        assert self.socket
        try:
            return self.socket.send(data)
        except OSError:  # what broke shows when it is read from
            return 0

    def hang_up(self) -> None:
        if self.socket:
            self.socket.close()
            self.socket = None
            self.client.end(self.link)

    def unreached(self, reason: object) -> None:
        pause = min(1000 << min(self.failures, 16), RETRY_MAX)
        self.failures += 1
        self.dial_at = securechat.clock() + pause
        self.tell(Unreached(str(reason)))

    # ---- events

    def handle(self, event: securechat.Event) -> None:
        match event:
            case securechat.Verify(link=link):
                # No fingerprint came with the address, or another one was expected: it is for a person to compare.
                self.tell(event)
                self.client.close_link(link)
                return
            case securechat.Open():
                self.failures = 0
                if not self.client.about().registered:
                    self.client.register(self.password)
            case securechat.LinkClosed(status=status):
                self.hang_up()
                self.unreached(securechat.status_message(status) if status else "the relay ended the connection")
            case securechat.FileOffered(file=number):
                self.offers[number] = event
            case securechat.FileNeed(file=number) | securechat.FileChunk(file=number):
                self.move(event, number)
                return
            case securechat.FileReceived(file=number):
                self.finish(number)
                return
            case securechat.FileSent(file=number):
                if file := self.drop(number):
                    self.tell(FileDelivered(file.user, file.name))
                return
            case securechat.FileFailed(file=number, status=status):
                self.offers.pop(number, None)
                if file := self.drop(number):
                    self.tell(FileLost(file.user, file.name, securechat.status_message(status)))
                return
        self.tell(event)

    def move(self, event: securechat.FileNeed | securechat.FileChunk, number: bytes) -> None:
        """Reads or writes the bytes of a file. One from before a restart is not open any more and has to be offered again."""
        try:
            match event, self.files.get(number):
                case securechat.FileNeed(), Outgoing() as file:
                    self.client.supply_file(number, event.chunk, file.read(event.offset, event.length))
                case securechat.FileChunk(), Incoming() as file:
                    file.write(event.offset, event.data)
                case _:
                    self.client.cancel_file(number)
        except (OSError, Error) as error:
            self.client.cancel_file(number)
            if lost := self.drop(number):
                self.tell(FileLost(lost.user, lost.name, str(error)))

    def finish(self, number: bytes) -> None:
        file = self.files.pop(number, None)
        if isinstance(file, Incoming):
            try:
                self.tell(FileSaved(file.user, file.finish()))
            except OSError as error:
                file.close()
                self.tell(FileLost(file.user, file.name, str(error)))

    def drop(self, number: bytes) -> Outgoing | Incoming | None:
        file = self.files.pop(number, None)
        if file:
            file.close()
        return file
