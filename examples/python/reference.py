"""The securechat protocol, version 1, once more: an independent implementation to test against.

Written from securechat-core/PROTOCOL.md alone, whose sections the headings below name, with the
`cryptography` package and nothing of the project's own code. This file has what everything else
rests on: ciphers and key agreement, identities, the handshake, and the ratchet of a session, in
suites 0x0101 and 0x0102 (X25519), 0x0201 and 0x0202 (RSA-wrapped). README.md has the rest.

It is for reading and for tests, not for use: Python can neither erase keys nor promise constant
time, and nothing is kept on a disk.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import os
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


def mgf1(seed: bytes, length: int) -> bytes:
    blocks = (sha256(seed + i.to_bytes(4, "big")) for i in range(-(-length // 32)))
    return b"".join(blocks)[:length]


def xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def encapsulate(public: bytes, random: Random) -> tuple[bytes, bytes]:
    """A ciphertext, and the secret that is in it.

    The library has OAEP, but no way to give it a seed: the vectors state all that is random.
    """
    numbers = rsa_public(public).public_numbers()
    length = (numbers.n.bit_length() + 7) // 8
    message, seed = random(32), random(32)
    block = sha256(label("rsa-kem")) + bytes(length - 98) + b"\1" + message
    masked = xor(block, mgf1(seed, len(block)))
    padded = xor(seed, mgf1(masked, 32)) + masked
    encrypted = pow(int.from_bytes(padded, "big"), numbers.e, numbers.n)
    ciphertext = encrypted.to_bytes(length, "big")
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


def check_life(bundle: Value, at: int) -> None:
    """I4, of one that has not expired, or about which somebody is asked."""
    life = bundle.not_after - bundle.not_before
    require(0 <= life <= 90 * DAY, "a bundle lives for too long, or not at all")
    require(bundle.not_before <= at + DAY, "a bundle is not valid yet")


def check_time(bundle: Value, at: int, grace: int = 0) -> None:
    check_life(bundle, at)
    require(at <= bundle.not_after + grace, "a bundle has expired")


def open_prekey(signed: bytes, bundle: Value) -> Value:
    """Takes a one-time prekey of the device that the bundle is of (I5)."""
    body, _ = open_signed("prekey", signed, 0)
    signed_prekey = ONE_TIME_PREKEY.read(body)
    require((signed_prekey.identity, signed_prekey.device) == (bundle.identity, bundle.device),
            "a prekey is another device's")
    prekey: Value = signed_prekey.prekey
    return prekey


def read_list(signed: bytes) -> Value:
    """Takes a device list apart, and checks what can be checked of it alone (I6)."""
    reader = Reader(signed)
    body, signatures = BODY.decode(reader), SIGNATURES.decode(reader)
    reader.end()
    devices: Value = DEVICE_LIST.read(body)
    devices.hash = sha256(body)
    devices.signers = [one.identity for one in signatures]
    for one in signatures:
        check_signature(one.identity, one.signature, label("device list") + body)
    require(0 < len(set(devices.signers)) == len(devices.signers),
            "the signers of a list are wrong")
    require(0 < len(set(devices.identities)) == len(devices.identities),
            "the devices of a list are wrong")
    if devices.epoch == 0:
        require(devices.before == bytes(32), "a first device list follows another")
        require(len(devices.identities) == 1 and devices.signers == devices.identities,
                "a first device list is not of one device")
    return devices


def open_list(signed: bytes, before: Value | None) -> Value:
    """Takes the device list that follows another, or one of epoch 0 (I6)."""
    devices = read_list(signed)
    if before is None:
        require(devices.epoch == 0, "a device list is no first one")
        return devices
    require((devices.user, devices.epoch, devices.before)
            == (before.user, before.epoch + 1, before.hash), "a device list does not follow")
    old, listed, signers = set(before.identities), set(devices.identities), set(devices.signers)
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


def login_claim(relay: bytes, user: str, identity: bytes, binding: bytes) -> bytes:
    """What a device signs to log in on the link with this channel binding (10)."""
    return label("login") + relay + blob().encode(user.encode()) + identity + binding


class Device:
    """The private keys of one device, its bundle, and what it signs."""

    def __init__(self, identity: bytes, x25519_private: bytes,
                 rsa_private: rsa.RSAPrivateKey | None, bundle: bytes | None = None) -> None:
        self.signer = ed25519.Ed25519PrivateKey.from_private_bytes(identity)
        self.identity = self.signer.public_key().public_bytes_raw()
        self.x25519, self.rsa = x25519_private, rsa_private
        self.prekeys: dict[int, bytes] = {}
        self.one_time: set[int] = set()  # those that are gone when they have been used
        if bundle:
            self.bundle = open_bundle(bundle)

    @classmethod
    def generate(cls, user: str, suites: Sequence[int]) -> Device:
        """A new device of a user. Of its prekeys the first is the last-resort prekey."""
        wants_rsa = any(suite >> 8 == RSA for suite in suites)
        device = cls(os.urandom(32), os.urandom(32),
                     rsa.generate_private_key(65537, 2048) if wants_rsa else None)
        device.prekeys = {number: os.urandom(32) for number in range(1, 5)}
        device.one_time = {2, 3, 4}
        device.bundle = open_bundle(device.sign("bundle", BUNDLE.encode(Value(
            version=1, identity=device.identity, user=user, device=1, serial=1,
            not_before=now() - HOUR, not_after=now() + 30 * DAY, suites=suites,
            x25519=x25519_public(device.x25519), rsa=rsa_der(device.rsa) if device.rsa else None,
            prekeys=[device.prekey(1)]))))
        return device

    def prekey(self, number: int) -> Value:
        return Value(kind=1, id=number, x25519=x25519_public(self.prekeys[number]), mlkem=None)

    def one_time_prekeys(self) -> list[bytes]:
        return [self.sign("prekey", ONE_TIME_PREKEY.encode(
            Value(identity=self.identity, device=1, prekey=self.prekey(number))))
            for number in sorted(self.one_time)]

    def sign(self, name: str, body: bytes) -> bytes:
        return BODY.encode(body) + self.signer.sign(label(name) + body)

    def first_list(self) -> bytes:
        body = DEVICE_LIST.encode(Value(user=self.bundle.user, epoch=0, before=bytes(32),
                                        identities=[self.identity]))
        signature = self.signer.sign(label("device list") + body)
        return BODY.encode(body) + SIGNATURES.encode([
            Value(identity=self.identity, signature=signature)])


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


def protocol_name(use: str, suite: int) -> bytes:
    group = "25519" if suite >> 8 == X25519 else "25519+RSAOAEP"
    cipher = "AESGCM" if is_gcm(suite) else "AESCBCHMAC"
    return f"Noise_{PATTERNS[use, suite >> 8][0]}_{group}_{cipher}_SHA256".encode()


class Handshake:
    """One side of a handshake: Noise, revision 34, in one of our patterns."""

    def __init__(self, use: str, suite: int, initiator: bool, prologue: bytes,
                 device: Device | None, *, e: bytes = b"", remote_e: bytes = b"",
                 remote: Value | None = None, random: Random = os.urandom) -> None:
        _, known, messages = PATTERNS[use, suite >> 8]
        self.suite, self.initiator, self.random = suite, initiator, random
        # The initiator of a link to a relay has no device here, and no token that needs one.
        self.device = cast(Device, device)
        self.e, self.remote_e, self.remote_s, self.signer = e, remote_e, b"", b""
        self.remote_rsa: bytes = remote.rsa if remote else b""
        self.messages = [message.split() for message in messages]
        name = protocol_name(use, suite)
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


def session_roots(handshake: Handshake, initiator: bytes, responder: bytes) -> bytes:
    """RK, CK and SID."""
    return hkdf(handshake.h, handshake.ck, label("session root") + initiator + responder, 80)


def root_step(root: bytes, agreed: bytes) -> tuple[bytes, bytes]:
    both = hkdf(root, agreed, label("ratchet"), 64)
    return both[:32], both[32:]


def chain_step(chain: bytes) -> tuple[bytes, bytes]:
    """The message key, and the chain after it."""
    return hmac_sha256(chain, b"\1"), hmac_sha256(chain, b"\2")


def message_key(key: bytes, salt: bytes) -> bytes:
    return expand(key, label("message key") + salt, 32)


class Session:
    """One side of a session: the Double Ratchet, from what a handshake left on."""

    def __init__(self, handshake: Handshake, order: int, initiator: bytes, responder: bytes,
                 random: Random = os.urandom) -> None:
        roots = session_roots(handshake, initiator, responder)
        self.handshake, self.suite = handshake, handshake.suite
        self.order, self.random = order, random
        self.root, self.first_chain, self.id = roots[:32], roots[32:64], roots[64:]
        self.opening = b""  # stands before every message until an answer opened
        self.own = self.remote = self.sending = self.receiving = b""
        self.sent = self.received = self.previous = 0
        # By ratchet key and number: keys of messages that did not come yet with the time, and
        # beginnings of the hashes of messages that did.
        self.skipped: dict[tuple[bytes, int], tuple[bytes, int]] = {}
        self.opened: dict[tuple[bytes, int], bytes] = {}
        self.turned = False  # both sides are known to have opened messages of the other
        self.superseded: int | None = None  # when

    def begin(self, opening: bytes) -> None:
        """As the initiator."""
        self.opening, self.own, self.sending = opening, self.random(32), self.first_chain

    def answer(self, remote: bytes) -> None:
        """As the responder, with the ratchet key of the first message."""
        dh(bytes(32), remote)  # fails for a key that every other agrees with to zeros
        self.remote, self.receiving = remote, self.first_chain

    def seal(self, content: bytes) -> bytes:
        """An envelope with this content."""
        if not self.own:
            self.own, self.previous, self.sent = self.random(32), self.sent, 0
            self.root, self.sending = root_step(self.root, dh(self.own, self.remote))
        require(self.sent < 2**32 - 1, "a chain has carried all that it may")
        key, self.sending = chain_step(self.sending)
        at = Value(session=self.id, key=x25519_public(self.own), previous=self.previous,
                   number=self.sent, salt=self.random(16))
        header = MESSAGE.encode(at)
        self.sent += 1
        sealed = seal(self.suite, message_key(key, at.salt), 0, label("message ad") + header,
                      pad(content))
        return (b"\1" + self.opening if self.opening else b"\2") + header + sealed

    def open(self, message: bytes, time: int) -> bytes:
        """The content of a session message. One that fails changes nothing (S2)."""
        trial = copy.copy(self)
        trial.skipped, trial.opened = dict(self.skipped), dict(self.opened)
        content = trial.open_and_change(message, time)
        self.__dict__.update(trial.__dict__)
        return content

    def open_and_change(self, message: bytes, time: int) -> bytes:
        reader = Reader(message)
        at = MESSAGE.decode(reader)
        header, place, digest = message[:72], (at.key, at.number), sha256(message)[:4]
        require(at.session == self.id, "a message is of another session")
        if place in self.opened:
            raise Refused("replay" if self.opened[place] == digest else "fork")
        self.skipped = {one: (key, since) for one, (key, since) in self.skipped.items()
                        if time - since < 30 * DAY}
        if place not in self.skipped:
            self.advance(at, time)
        key = message_key(self.skipped.pop(place)[0], at.salt)
        content = unpad(unseal(self.suite, key, 0, label("message ad") + header, reader.data))
        self.opening = b""
        self.opened[place] = digest
        if len(self.opened) > 256:
            del self.opened[next(iter(self.opened))]
        return content

    def advance(self, at: Value, time: int) -> None:
        """Moves the receiving chain past a message and keeps the keys on the way (S3)."""
        require(at.number < 2**32 - 1, "a chain has carried all that it may")
        if at.key == self.remote:
            require(at.number >= self.received, "replay")
            require(at.number - self.received <= 2000, "too many messages are missing")
        else:
            require(self.own, "a ratchet key came before an answer to the one before")
            missing = max(at.previous - self.received, 0) if self.receiving else 0
            require(missing + at.number <= 2000, "too many messages are missing")
            self.skip(self.received + missing, time)
            self.remote, self.received = at.key, 0
            self.root, self.receiving = root_step(self.root, dh(self.own, at.key))
            self.own, self.turned = b"", True
        self.skip(at.number + 1, time)

    def skip(self, until: int, time: int) -> None:
        while self.received < until:
            key, self.receiving = chain_step(self.receiving)
            self.skipped[self.remote, self.received] = key, time
            self.received += 1
        while len(self.skipped) > 4001:  # the message's own key among them
            del self.skipped[next(iter(self.skipped))]
