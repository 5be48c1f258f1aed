"""Files in chunks, a device's sealed records, and one-time codes: sections 9, 10 and 11."""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping

from reference import expand, hmac_sha256, label, seal, sha256, unseal
from structs import require

CHUNK = 61_440
LARGEST = 64 * 2**30


BY_TAGS, BY_CONTENTS = 0, 1
TAGS = {1: 16, 2: 32}


class File:
    """The keys of a file, and where its chunks begin and end."""

    def __init__(self, file: bytes, key: bytes, cipher: int, proof: int, size: int) -> None:
        require(size <= LARGEST, "a file is too large")
        require(proof in (BY_TAGS, BY_CONTENTS), "a file has an unknown proof")
        self.file, self.cipher, self.proof, self.size = file, cipher, proof, size
        self.count = max(1, -(-size // CHUNK))
        info = label("file") + file + size.to_bytes(8, "big") + bytes([cipher, proof])
        both = expand(key, info, 64)
        self.salt, self.commit, self.key = both[:32], both[32:], key

    def length(self, chunk: int) -> int:
        require(0 <= chunk < self.count, "a file has no such chunk")
        return CHUNK if chunk < self.count - 1 else self.size - chunk * CHUNK

    def place(self, chunk: int) -> bytes:
        return chunk.to_bytes(8, "big") + bytes([chunk == self.count - 1])

    def tag(self, chunk: int, plaintext: bytes, sealed: bytes) -> bytes:
        """t_i: over place and plaintext, or of the sealed chunk's salt and tag."""
        if self.proof == BY_CONTENTS:
            return hmac_sha256(self.salt, self.place(chunk) + plaintext)
        return sealed[:16] + sealed[-TAGS[self.cipher]:][:16]

    def chunk_keys(self, salt: bytes) -> tuple[bytes, bytes]:
        """The key of a chunk, and the commitment to it."""
        both = expand(self.key, label("chunk") + salt, 64)
        return both[:32], both[32:]

    def ad(self, chunk: int) -> bytes:
        return (label("chunk ad") + self.commit + self.file + self.place(chunk)
                + self.size.to_bytes(8, "big"))

    def seal(self, chunk: int, plaintext: bytes, salt: bytes | None = None,
             known: bytes | None = None) -> tuple[bytes, bytes]:
        """A chunk and its t_i: by tags under this salt, or that of the t_i it had before."""
        require(len(plaintext) == self.length(chunk), "a chunk is of another length")
        if self.proof == BY_CONTENTS:
            salt = self.tag(chunk, plaintext, b"")[:16]
        elif known is not None:
            salt = known[:16]
        elif salt is None:
            salt = os.urandom(16)
        key, commit = self.chunk_keys(salt)
        sealed = salt + commit + seal(self.cipher, key, 0, self.ad(chunk), plaintext)
        tag = self.tag(chunk, plaintext, sealed)
        require(known in (None, tag), "a file has changed since it was sealed")
        return sealed, tag

    def open(self, chunk: int, sealed: bytes) -> tuple[bytes, bytes]:
        """What is in a chunk, and its t_i."""
        length = self.length(chunk)
        salt, commit, ciphertext = sealed[:16], sealed[16:48], sealed[48:]
        key, expected = self.chunk_keys(salt)
        require(hmac.compare_digest(commit, expected), "a chunk is sealed under another key")
        plaintext = unseal(self.cipher, key, 0, self.ad(chunk), ciphertext)
        require(len(plaintext) == length, "a chunk is of another length")
        tag = self.tag(chunk, plaintext, sealed)
        require(hmac.compare_digest(tag[:16], salt),
                "a chunk is sealed under another salt than its own")
        return plaintext, tag

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
