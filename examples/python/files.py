"""Files in chunks, a device's sealed records, and one-time codes: sections 9, 10 and 11."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from reference import expand, hmac_sha256, label, seal, sha256, unseal
from structs import require

CHUNK = 61_440
LARGEST = 64 * 2**30


class File:
    """The keys of a file, and where its chunks begin and end."""

    def __init__(self, file: bytes, key: bytes, cipher: int, size: int) -> None:
        require(size <= LARGEST, "a file is too large")
        self.file, self.cipher, self.size = file, cipher, size
        self.count = max(1, -(-size // CHUNK))
        both = expand(key, label("file") + file + size.to_bytes(8, "big") + bytes([cipher]), 64)
        self.salt, self.commit, self.key = both[:32], both[32:], key

    def length(self, chunk: int) -> int:
        require(0 <= chunk < self.count, "a file has no such chunk")
        return CHUNK if chunk < self.count - 1 else self.size - chunk * CHUNK

    def place(self, chunk: int) -> bytes:
        return chunk.to_bytes(8, "big") + bytes([chunk == self.count - 1])

    def tag(self, chunk: int, plaintext: bytes) -> bytes:
        """t_i, over place and plaintext."""
        require(len(plaintext) == self.length(chunk), "a chunk is of another length")
        return hmac_sha256(self.salt, self.place(chunk) + plaintext)

    def chunk_key(self, salt: bytes) -> bytes:
        return expand(self.key, label("chunk") + salt, 32)

    def ad(self, chunk: int) -> bytes:
        return (label("chunk ad") + self.commit + self.file + self.place(chunk)
                + self.size.to_bytes(8, "big"))

    def seal(self, chunk: int, plaintext: bytes) -> bytes:
        salt = self.tag(chunk, plaintext)[:16]
        return salt + seal(self.cipher, self.chunk_key(salt), 0, self.ad(chunk), plaintext)

    def open(self, chunk: int, sealed: bytes) -> bytes:
        self.length(chunk)
        salt, ciphertext = sealed[:16], sealed[16:]
        plaintext = unseal(self.cipher, self.chunk_key(salt), 0, self.ad(chunk), ciphertext)
        require(hmac.compare_digest(self.tag(chunk, plaintext)[:16], salt),
                "a chunk is sealed under another salt than its own")
        return plaintext

    def root(self, tags: Mapping[int, bytes]) -> bytes:
        """What `complete` names, when all chunks are there (F2)."""
        require(sorted(tags) == list(range(self.count)), "chunks are missing")
        return sha256(label("file root") + self.commit + self.file + self.size.to_bytes(8, "big")
                      + bytes([self.cipher]) + b"".join(tags[i] for i in range(self.count)))


def seal_record(vault: bytes, name: str, salt: bytes, plaintext: bytes) -> bytes:
    """A record of a device's store (11), in AES-256-GCM."""
    key = expand(vault, label("vault") + salt, 32)
    return salt + seal(1, key, 0, label("vault ad") + name.encode(), plaintext)


def open_record(vault: bytes, name: str, record: bytes) -> bytes:
    key = expand(vault, label("vault") + record[:16], 32)
    return unseal(1, key, 0, label("vault ad") + name.encode(), record[16:])


def record_place(vault: bytes, name: str) -> bytes:
    return expand(vault, label("vault place") + name.encode(), 16)


def one_time_code(secret: bytes, step: int) -> str:
    """RFC 6238 with SHA-1, six digits and steps of 30 seconds."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    at = digest[-1] & 15
    number = int.from_bytes(digest[at:at + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"
