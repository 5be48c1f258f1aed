"""The securechat protocol, version 1, once more: an independent implementation to test against.

Written from securechat-core/PROTOCOL.md alone, whose sections the headings below name, with the
`cryptography` package and nothing of the project's own code. It speaks suites 0x0101 and 0x0102
(X25519), 0x0201 and 0x0202 (RSA-wrapped): a link to a relay, identities, and sessions with the
Double Ratchet. It leaves out the hybrid suites, groups, files and links between peers, and keeps
nothing on a disk.

It is for reading and for tests, not for use: Python can neither erase keys nor promise constant
time. structs.py has the byte layouts; talk.py connects to a relay and talks with its users.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import cast

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from structs import (BODY, BUNDLE, DEVICE_LIST, KEY, MESSAGE, ONE_TIME_PREKEY, SIGNATURES, Reader,
                     Refused, Value, blob, require, several)

Random = Callable[[int], bytes]

HOUR, DAY = 3_600_000, 86_400_000
X25519, RSA = 1, 2  # the high byte of a suite
SUITES = (0x0101, 0x0102, 0x0201, 0x0202)


def label(name: str) -> bytes:
    return b"securechat1 " + name.encode() + b"\0"


def now() -> int:
    return time.time_ns() // 1_000_000


# --- 2.1: ciphers --------------------------------------------------------------------------------

def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def hkdf(salt: bytes, ikm: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(ikm)


def expand(key: bytes, info: bytes, length: int) -> bytes:
    return HKDFExpand(hashes.SHA256(), length, info).derive(key)


def is_gcm(suite: int) -> bool:
    return suite & 0xFF == 1


def cbc(key: bytes, n: int) -> tuple[bytes, bytes, Cipher[modes.CBC]]:
    """The MAC key, the IV of counter n, and AES-256-CBC with both keys in place."""
    keys = expand(key, label("cbc-hmac"), 96)
    iv = Cipher(algorithms.AES(keys[64:]), modes.ECB()).encryptor().update(n.to_bytes(16, "big"))
    return keys[:32], iv, Cipher(algorithms.AES(keys[32:64]), modes.CBC(iv))


def cbc_tag(mac_key: bytes, ad: bytes, iv: bytes, encrypted: bytes) -> bytes:
    return hmac_sha256(mac_key, ad + iv + encrypted + (8 * len(ad)).to_bytes(8, "big"))


def seal(suite: int, key: bytes, n: int, ad: bytes, plaintext: bytes) -> bytes:
    """Encrypts under the cipher of the suite, with counter n."""
    if is_gcm(suite):
        return AESGCM(key).encrypt(n.to_bytes(12, "big"), plaintext, ad)
    mac_key, iv, cipher = cbc(key, n)
    padder, encryptor = padding.PKCS7(128).padder(), cipher.encryptor()
    encrypted = encryptor.update(padder.update(plaintext) + padder.finalize())
    return encrypted + cbc_tag(mac_key, ad, iv, encrypted)


def unseal(suite: int, key: bytes, n: int, ad: bytes, sealed: bytes) -> bytes:
    """Undoes `seal`. The tag is compared before anything is decrypted."""
    try:
        if is_gcm(suite):
            return AESGCM(key).decrypt(n.to_bytes(12, "big"), sealed, ad)
        mac_key, iv, cipher = cbc(key, n)
        encrypted, tag = sealed[:-32], sealed[-32:]
        if not hmac.compare_digest(tag, cbc_tag(mac_key, ad, iv, encrypted)):
            raise InvalidTag
        decryptor, unpadder = cipher.decryptor(), padding.PKCS7(128).unpadder()
        padded = decryptor.update(encrypted) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except (InvalidTag, ValueError):
        raise Refused("a ciphertext does not authenticate") from None


def sealed_length(suite: int, length: int) -> int:
    return length + 16 if is_gcm(suite) else 16 * (length // 16 + 1) + 32


def rekey(suite: int, key: bytes) -> bytes:
    return seal(suite, key, 2**64 - 1, b"", bytes(32))[:32]


# --- 2.2 and 2.3: key agreement ------------------------------------------------------------------

def x25519_public(private: bytes) -> bytes:
    key = x25519.X25519PrivateKey.from_private_bytes(private)
    return key.public_key().public_bytes_raw()


def dh(private: bytes, public: bytes) -> bytes:
    theirs = x25519.X25519PublicKey.from_public_bytes(public)
    try:
        return x25519.X25519PrivateKey.from_private_bytes(private).exchange(theirs)
    except ValueError:
        raise Refused("an X25519 secret is zero") from None


OAEP = rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA256()), hashes.SHA256(), label("rsa-kem"))


def rsa_public(der: bytes) -> rsa.RSAPublicKey:
    """Takes the one encoding of an RSA key and no other."""
    n = int.from_bytes(der[8:-5], "big")
    require(2048 <= n.bit_length() <= 4096 and n % 2, "an RSA modulus is not allowed")
    integer = n.to_bytes(n.bit_length() // 8 + 1, "big")
    inner = b"\x02\x82" + len(integer).to_bytes(2, "big") + integer + b"\x02\x03\x01\x00\x01"
    require(der == b"\x30\x82" + len(inner).to_bytes(2, "big") + inner,
            "an RSA key is in another encoding")
    return rsa.RSAPublicNumbers(65537, n).public_key()


def rsa_der(private: rsa.RSAPrivateKey) -> bytes:
    """The public key of a private one."""
    return private.public_key().public_bytes(serialization.Encoding.DER,
                                             serialization.PublicFormat.PKCS1)


def rsa_secret(public: bytes, ciphertext: bytes, message: bytes) -> bytes:
    return hkdf(sha256(public + ciphertext), message, label("rsa-kem ss"), 32)


def encapsulate(public: bytes, random: Random) -> tuple[bytes, bytes]:
    """A ciphertext, and the secret that is in it."""
    message = random(32)
    ciphertext = rsa_public(public).encrypt(message, OAEP)
    return ciphertext, rsa_secret(public, ciphertext, message)


def decapsulate(private: rsa.RSAPrivateKey, ciphertext: bytes) -> bytes:
    """The secret in a ciphertext; if there is none, one that nobody else can know."""
    der = private.private_bytes(serialization.Encoding.DER,
                                serialization.PrivateFormat.TraditionalOpenSSL,
                                serialization.NoEncryption())
    message = hmac_sha256(hkdf(b"", der, label("rsa-kem reject"), 32), ciphertext)
    try:
        opened = private.decrypt(ciphertext, OAEP)
        message = opened if len(opened) == 32 else message
    except ValueError:
        pass
    return rsa_secret(rsa_der(private), ciphertext, message)


# --- 5: identities -------------------------------------------------------------------------------

P = 2**255 - 19
D = -121665 * pow(121666, -1, P)


def check_signature(identity: bytes, signature: bytes, signed: bytes) -> None:
    """Ed25519 as I1 wants it. The library itself checks S, and compares R as bytes."""
    for point in (identity, signature[:32]):
        y = int.from_bytes(point, "little") % 2**255
        # Of order 1, of order 2, of order 4, and the four points of order 8.
        small = y in (1, P - 1, 0) or (D * y**4 + 2 * y**2 - 1) % P == 0
        require(y < P and not small, "a signature or its key is a point that is not allowed")
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(identity).verify(signature, signed)
    except (InvalidSignature, ValueError):
        raise Refused("a signature is wrong") from None


def fingerprint(identity: bytes) -> bytes:
    return hashlib.sha512(label("identity") + identity).digest()[:32]


def open_signed(name: str, signed: bytes, identity_at: int) -> tuple[bytes, bytes]:
    """The body of a signed object and its signature, which is checked."""
    reader = Reader(signed)
    body, signature = BODY.decode(reader), reader.take(64)
    reader.end()
    identity = body[identity_at:identity_at + 32]
    require(len(identity) == 32, "something ends too early")
    check_signature(identity, signature, label(name) + body)
    return body, signature


def open_bundle(signed: bytes) -> Value:
    """Takes a bundle apart and checks all of it but the time (I3)."""
    body, signature = open_signed("bundle", signed, 1)
    bundle: Value = BUNDLE.read(body)
    bundle.signed, bundle.hash = signed, sha256(body + signature)
    require(bundle.version == 1, "a bundle is of another version")
    require(0 < len(bundle.suites) == len(set(bundle.suites)), "the suites of a bundle are wrong")
    kinds = [prekey.kind for prekey in bundle.prekeys]
    require(kinds == sorted(set(kinds)), "the prekeys of a bundle are out of order")
    families = {suite >> 8 for suite in bundle.suites}
    require(RSA not in families or bundle.rsa is not None, "a bundle lacks its RSA key")
    for family, kind in ((1, 1), (2, 1), (3, 2)):
        require(not kinds or family not in families or kind in kinds, "a bundle lacks a prekey")
    if bundle.rsa is not None:
        rsa_public(bundle.rsa)
    return bundle


def check_time(bundle: Value, at: int, grace: int = 0) -> None:
    """I4. A program with a person before it would ask about one that expired."""
    life = bundle.not_after - bundle.not_before
    require(0 <= life <= 90 * DAY, "a bundle lives for too long, or not at all")
    require(bundle.not_before <= at + DAY, "a bundle is not valid yet")
    require(at <= bundle.not_after + grace, "a bundle has expired")


def open_prekey(signed: bytes, bundle: Value) -> Value:
    """Takes a one-time prekey of the device that the bundle is of (I5)."""
    body, _ = open_signed("prekey", signed, 0)
    signed_prekey = ONE_TIME_PREKEY.read(body)
    require((signed_prekey.identity, signed_prekey.device) == (bundle.identity, bundle.device),
            "a prekey is another device's")
    prekey: Value = signed_prekey.prekey
    return prekey


def open_list(signed: bytes, before: Value | None) -> Value:
    """Takes the device list that follows another, or one of epoch 0 (I6)."""
    reader = Reader(signed)
    body, signatures = BODY.decode(reader), SIGNATURES.decode(reader)
    reader.end()
    devices: Value = DEVICE_LIST.read(body)
    devices.hash = sha256(body)
    for one in signatures:
        check_signature(one.identity, one.signature, label("device list") + body)
    signers, listed = {one.identity for one in signatures}, set(devices.identities)
    require(len(signers) == len(signatures), "a device list is signed twice by somebody")
    require(0 < len(listed) == len(devices.identities), "the devices of a list are wrong")
    if before is None:
        require((devices.epoch, devices.before) == (0, bytes(32)), "a device list is no first one")
        require(len(listed) == 1 and signers == listed, "a first device list has one device")
    else:
        require((devices.user, devices.epoch, devices.before)
                == (before.user, before.epoch + 1, before.hash), "a device list does not follow")
        old = set(before.identities)
        require(signers & old and listed - old <= signers <= listed | old,
                "a device list lacks a signature, or has one too many")
    return devices


def safety_number(one: tuple[str, Sequence[bytes]], other: tuple[str, Sequence[bytes]]) -> str:
    """The 60 digits of two users, each a name and the identities of its devices (I10)."""
    def half(user: str, identities: Sequence[bytes]) -> str:
        start = (label("safety number") + blob().encode(user.encode())
                 + several(KEY).encode(sorted(identities)))
        digest = hashlib.sha512(start).digest()
        for _ in range(5199):
            digest = hashlib.sha512(digest + start).digest()
        groups = (int.from_bytes(digest[i:i + 5], "big") % 100_000 for i in range(0, 30, 5))
        return "".join(f"{group:05}" for group in groups)

    return "".join(sorted([half(*one), half(*other)]))


class Device:
    """The private keys of one device, and what it signs with them."""

    def __init__(self, user: str, suites: Sequence[int]) -> None:
        self.user, self.suites = user, suites
        self.signer = ed25519.Ed25519PrivateKey.generate()
        self.identity = self.signer.public_key().public_bytes_raw()
        self.x25519 = os.urandom(32)
        wants_rsa = any(suite >> 8 == RSA for suite in suites)
        self.rsa = rsa.generate_private_key(65537, 2048) if wants_rsa else None
        # The first is the last-resort prekey; the others are gone when they have been used.
        self.prekeys = {number: os.urandom(32) for number in range(1, 5)}
        self.bundle = open_bundle(self.sign("bundle", BUNDLE.encode(Value(
            version=1, identity=self.identity, user=user, device=1, serial=1,
            not_before=now() - HOUR, not_after=now() + 30 * DAY, suites=suites,
            x25519=x25519_public(self.x25519), rsa=rsa_der(self.rsa) if self.rsa else None,
            prekeys=[self.prekey(1)]))))

    def prekey(self, number: int) -> Value:
        return Value(kind=1, id=number, x25519=x25519_public(self.prekeys[number]), mlkem=b"")

    def sign(self, name: str, body: bytes) -> bytes:
        return BODY.encode(body) + self.signer.sign(label(name) + body)

    def first_list(self) -> bytes:
        body = DEVICE_LIST.encode(Value(user=self.user, epoch=0, before=bytes(32),
                                        identities=[self.identity]))
        signature = self.signer.sign(label("device list") + body)
        return BODY.encode(body) + SIGNATURES.encode([
            Value(identity=self.identity, signature=signature)])

    def one_time_prekeys(self) -> list[bytes]:
        return [self.sign("prekey", ONE_TIME_PREKEY.encode(
            Value(identity=self.identity, device=1, prekey=self.prekey(number))))
            for number in self.prekeys if number > 1]


# --- 4: the handshake ----------------------------------------------------------------------------

# What the initiator knows of the responder beforehand, and the messages, theirs and ours in turn.
PATTERNS = {
    ("relay", X25519): ("NX", "", ["e", "e ee s es"]),
    ("peer", X25519): ("XX", "", ["e", "e ee s es", "s se"]),
    ("session", X25519): ("PK", "e s", ["e ee es s se"]),
    ("relay", RSA): ("NXkem", "", ["e", "e ee s", "skem"]),
    ("peer", RSA): ("XXkem", "", ["e", "e ee s", "skem s", "skem"]),
    ("session", RSA): ("PKkem", "e s", ["e ee skem sig"]),
}


def static(bundle: Value, suite: int) -> bytes:
    """What an `s` token carries of the device that the bundle is of."""
    return cast(bytes, bundle.x25519) if suite >> 8 == X25519 else sha256(bundle.rsa)


def handshake_claim(identity: bytes, h: bytes) -> bytes:
    return label("handshake") + b"\0" + identity + h


class Handshake:
    """One side of a handshake: Noise, revision 34, in one of our patterns."""

    def __init__(self, use: str, suite: int, initiator: bool, prologue: bytes,
                 device: Device | None, *, e: bytes = b"", remote_e: bytes = b"",
                 remote: Value | None = None, random: Random = os.urandom) -> None:
        pattern, known, messages = PATTERNS[use, suite >> 8]
        self.suite, self.initiator, self.random = suite, initiator, random
        # The initiator of a link to a relay has no device here, and no token that needs one.
        self.device = cast(Device, device)
        self.e, self.remote_e, self.remote_s, self.signer = e, remote_e, b"", b""
        self.remote_rsa: bytes = remote.rsa if remote else b""
        self.messages = [message.split() for message in messages]
        group = "25519" if suite >> 8 == X25519 else "25519+RSAOAEP"
        cipher = "AESGCM" if is_gcm(suite) else "AESCBCHMAC"
        name = f"Noise_{pattern}_{group}_{cipher}_SHA256".encode()
        self.h = name.ljust(32, b"\0") if len(name) <= 32 else sha256(name)
        self.ck, self.k, self.n = self.h, b"", 0
        self.mix_hash(prologue)
        if known:
            self.mix_hash(remote_e if initiator else x25519_public(e))
            responder = static(remote if remote else self.device.bundle, suite)
            self.remote_s = responder if initiator else b""
            self.mix_hash(responder)

    def mix_hash(self, data: bytes) -> None:
        self.h = sha256(self.h + data)

    def mix_key(self, secret: bytes) -> None:
        both = hkdf(self.ck, secret, b"", 64)
        self.ck, self.k, self.n = both[:32], both[32:], 0

    def encrypt(self, plaintext: bytes) -> bytes:
        sealed = seal(self.suite, self.k, self.n, self.h, plaintext) if self.k else plaintext
        self.n += 1
        self.mix_hash(sealed)
        return sealed

    def decrypt(self, sealed: bytes) -> bytes:
        plaintext = unseal(self.suite, self.k, self.n, self.h, sealed) if self.k else sealed
        self.n += 1
        self.mix_hash(sealed)
        return plaintext

    def mix_dh(self, token: str) -> None:
        """ee, es or se: the initiator's key is named first."""
        mine, theirs = token[0 if self.initiator else 1], token[1 if self.initiator else 0]
        self.mix_key(dh(self.e if mine == "e" else self.device.x25519,
                        self.remote_e if theirs == "e" else self.remote_s))

    def write(self, payload: bytes = b"") -> bytes:
        """The next message."""
        message = b""
        for token in self.messages.pop(0):
            match token:
                case "e":
                    self.e = self.random(32)
                    message += x25519_public(self.e)
                    self.mix_hash(x25519_public(self.e))
                case "s":
                    message += self.encrypt(static(self.device.bundle, self.suite))
                case "skem":
                    ciphertext, secret = encapsulate(self.remote_rsa, self.random)
                    message += self.encrypt(ciphertext)
                    self.mix_key(secret)
                case "sig":
                    identity = self.device.identity
                    signature = self.device.signer.sign(handshake_claim(identity, self.h))
                    message += self.encrypt(identity + signature)
                case _:
                    self.mix_dh(token)
        return message + self.encrypt(payload)

    def read(self, message: bytes) -> bytes:
        """The payload of the other side's message; if that is a bundle, `bind` comes next."""
        reader = Reader(message)
        for token in self.messages.pop(0):
            match token:
                case "e":
                    self.remote_e = reader.take(32)
                    self.mix_hash(self.remote_e)
                case "s":
                    self.remote_s = self.decrypt(reader.take(sealed_length(self.suite, 32)))
                case "skem":
                    private = cast(rsa.RSAPrivateKey, self.device.rsa)
                    length = sealed_length(self.suite, private.key_size // 8)
                    self.mix_key(decapsulate(private, self.decrypt(reader.take(length))))
                case "sig":
                    h = self.h
                    opened = self.decrypt(reader.take(sealed_length(self.suite, 96)))
                    self.signer = opened[:32]
                    check_signature(self.signer, opened[32:], handshake_claim(self.signer, h))
                case _:
                    self.mix_dh(token)
        return self.decrypt(reader.data)

    def bind(self, payload: bytes) -> Value:
        """The bundle in a payload, held against the keys that the handshake showed (4.2)."""
        bundle = open_bundle(payload)
        if self.suite >> 8 == RSA:
            require(bundle.rsa is not None, "a bundle lacks its RSA key")
            self.remote_rsa = bundle.rsa
        require(self.remote_s in (b"", static(bundle, self.suite)),
                "a static key is not the bundle's")
        require(self.signer in (b"", bundle.identity), "a handshake is signed by somebody else")
        require(self.device is None or bundle.identity != self.device.identity,
                "that is this device's own identity")
        return bundle

    def split(self) -> tuple[bytes, bytes]:
        """The keys to send with and to receive with."""
        both = hkdf(self.ck, b"", b"", 64)
        return (both[:32], both[32:]) if self.initiator else (both[32:], both[:32])


# --- 3, 4.1 and 4.3: a link to a relay -----------------------------------------------------------

def framed(frame: bytes) -> bytes:
    return len(frame).to_bytes(4, "big") + frame


def offer(suites: Sequence[int], chosen: int, purpose: int = 0) -> bytes:
    """What stands before the first Noise message."""
    numbers = b"".join(suite.to_bytes(2, "big") for suite in suites)
    return b"SCHT" + bytes([1, len(suites)]) + numbers + bytes([chosen, purpose])


class Records:
    """One direction of a link."""

    def __init__(self, suite: int, key: bytes) -> None:
        self.suite, self.key, self.n = suite, key, 0

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


READY, DATA, CLOSE = 0, 1, 2


class Link:
    """A link to the relay at `host:port#fingerprint`, open and checked."""

    def __init__(self, address: str, suites: Sequence[int]) -> None:
        place, _, expected = address.partition("#")
        host, _, port = place.rpartition(":")
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=30)
        self.longest = 8192
        try:
            self.open(suites, expected)
        except Exception:
            self.socket.close()
            raise

    def open(self, suites: Sequence[int], expected: str) -> None:
        handshake, payload = self.negotiate(suites)
        self.relay = handshake.bind(payload)
        check_time(self.relay, now())
        require(fingerprint(self.relay.identity).hex() == expected,
                "the relay has another fingerprint")
        if handshake.messages:
            self.send_frame(handshake.write())
        self.suite, self.binding = handshake.suite, handshake.h
        self.outgoing, self.incoming = (Records(self.suite, key) for key in handshake.split())
        self.send_frame(self.outgoing.seal(READY, b""))
        require(self.incoming.open(self.receive_frame()) == (READY, b""), "the relay is not ready")

    def negotiate(self, suites: Sequence[int]) -> tuple[Handshake, bytes]:
        """Offers the first suite, then the one that the relay wants if that is another."""
        chosen, before = 0, b""
        while True:
            header = offer(suites, chosen)
            prologue = label("link") + before + header
            handshake = Handshake("relay", suites[chosen], True, prologue, None)
            frame = header + handshake.write()
            self.send_frame(frame)
            answer = self.receive_frame()
            if answer[0] == 1:
                return handshake, handshake.read(answer[1:])
            require(answer[0] == 2 and len(answer) == 3 and not before, "the relay refuses")
            wanted = int.from_bytes(answer[1:], "big")
            require(wanted in suites and wanted != suites[chosen], "the relay wants no such suite")
            chosen, before = suites.index(wanted), framed(frame) + framed(answer)

    def send_frame(self, frame: bytes) -> None:
        self.socket.sendall(framed(frame))

    def receive_frame(self) -> bytes:
        length = int.from_bytes(self.receive_bytes(4), "big")
        require(0 < length <= self.longest, "a frame is empty or too long")
        return self.receive_bytes(length)

    def receive_bytes(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            require(more, "the link was cut off")
            data += more
        return data

    def send(self, data: bytes) -> None:
        self.send_frame(self.outgoing.seal(DATA, data))

    def receive(self) -> bytes:
        kind, data = self.incoming.open(self.receive_frame())
        if kind == CLOSE and len(data) == 1:
            self.send_frame(self.outgoing.seal(CLOSE, b"\0"))
            raise Refused(f"the relay closed the link with code {data[0]}")
        require(kind == DATA, "a record stands where it must not")
        return data

    def close(self) -> None:
        """Ends the link in order; what is still on its way here is passed over."""
        self.send_frame(self.outgoing.seal(CLOSE, b"\0"))
        while self.incoming.open(self.receive_frame())[0] != CLOSE:
            pass
        self.socket.close()


# --- 6: sessions ---------------------------------------------------------------------------------

def session_prologue(suite: int, responder: bytes, prekey: int, order: int) -> bytes:
    return (label("session") + suite.to_bytes(2, "big") + responder
            + prekey.to_bytes(4, "big") + order.to_bytes(4, "big"))


def pad(content: bytes) -> bytes:
    """Padmé, with 256 bytes at least (S12)."""
    length = len(content) + 1
    exponent = length.bit_length() - 1
    mask = (1 << max(exponent - exponent.bit_length(), 0)) - 1
    return (content + b"\x80").ljust(max((length + mask) & ~mask, 256), b"\0")


def unpad(padded: bytes) -> bytes:
    stripped = padded.rstrip(b"\0")
    require(stripped.endswith(b"\x80"), "padding is wrong")
    return stripped[:-1]


class Session:
    """One side of a session: the Double Ratchet, from what a handshake left on."""

    def __init__(self, suite: int, order: int, ck: bytes, h: bytes, initiator: bytes,
                 responder: bytes, random: Random = os.urandom) -> None:
        keys = hkdf(h, ck, label("session root") + initiator + responder, 80)
        self.suite, self.order, self.random = suite, order, random
        self.root, self.first_chain, self.id = keys[:32], keys[32:64], keys[64:]
        self.opening = b""  # stands before every message until an answer opened
        self.own = self.remote = self.sending = self.receiving = b""
        self.sent = self.received = self.previous = 0
        self.skipped: dict[tuple[bytes, int], bytes] = {}
        self.opened: dict[tuple[bytes, int], bytes] = {}

    def begin(self, opening: bytes) -> None:
        """As the initiator."""
        self.opening, self.own, self.sending = opening, self.random(32), self.first_chain

    def answer(self, remote: bytes) -> None:
        """As the responder, with the ratchet key of the first message."""
        dh(bytes(32), remote)  # fails for a key that every other agrees with to zeros
        self.remote, self.receiving = remote, self.first_chain

    def ratchet(self) -> bytes:
        both = hkdf(self.root, dh(self.own, self.remote), label("ratchet"), 64)
        self.root = both[:32]
        return both[32:]

    def seal(self, content: bytes) -> bytes:
        """An envelope with this content."""
        if not self.own:
            self.own, self.previous, self.sent = self.random(32), self.sent, 0
            self.sending = self.ratchet()
        require(self.sent < 2**32 - 1, "a chain has carried all that it may")
        key, self.sending = hmac_sha256(self.sending, b"\1"), hmac_sha256(self.sending, b"\2")
        header = MESSAGE.encode(Value(session=self.id, key=x25519_public(self.own),
                                      previous=self.previous, number=self.sent,
                                      salt=self.random(16)))
        self.sent += 1
        sealed = seal(self.suite, message_key(key, header), 0, label("message ad") + header,
                      pad(content))
        return (b"\1" + self.opening if self.opening else b"\2") + header + sealed

    def open(self, message: bytes) -> bytes:
        """The content of a session message. One that fails changes nothing (S2)."""
        trial = copy.copy(self)
        trial.skipped, trial.opened = dict(self.skipped), dict(self.opened)
        content = trial.open_and_change(message)
        self.__dict__.update(trial.__dict__)
        return content

    def open_and_change(self, message: bytes) -> bytes:
        reader = Reader(message)
        at = MESSAGE.decode(reader)
        header, place, digest = message[:72], (at.key, at.number), sha256(message)[:16]
        require(at.session == self.id, "a message is of another session")
        if place in self.opened:
            raise Refused("replay" if self.opened[place] == digest else "fork")
        if place not in self.skipped:
            self.advance(at)
        key = message_key(self.skipped.pop(place), header)
        content = unpad(unseal(self.suite, key, 0, label("message ad") + header, reader.data))
        self.opening = b""
        self.opened[place] = digest
        if len(self.opened) > 256:
            del self.opened[next(iter(self.opened))]
        return content

    def advance(self, at: Value) -> None:
        """Moves the receiving chain past a message and keeps the keys on the way (S3)."""
        require(at.number < 2**32 - 1, "a chain has carried all that it may")
        if at.key == self.remote:
            require(at.number >= self.received, "replay")
            require(at.number - self.received <= 2000, "too many messages are missing")
        else:
            require(self.own, "a ratchet key came before an answer to the one before")
            missing = max(at.previous - self.received, 0) if self.receiving else 0
            require(missing + at.number <= 2000, "too many messages are missing")
            self.skip(self.received + missing)
            self.remote, self.received = at.key, 0
            self.receiving, self.own = self.ratchet(), b""
        self.skip(at.number + 1)

    def skip(self, until: int) -> None:
        while self.received < until:
            self.skipped[self.remote, self.received] = hmac_sha256(self.receiving, b"\1")
            self.receiving = hmac_sha256(self.receiving, b"\2")
            self.received += 1
        while len(self.skipped) > 4001:  # the message's own key among them
            del self.skipped[next(iter(self.skipped))]


def message_key(key: bytes, header: bytes) -> bytes:
    return expand(key, label("message key") + header[-16:], 32)
