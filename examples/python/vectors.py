#!/usr/bin/env python3
"""Runs the project's vectors through the reference implementation.

    python vectors.py ../../securechat-core/tests/vectors

For each file it prints how many cases passed, and how many were skipped and why. The page beside
the vectors says what a case is. What fails there has to fail here, whatever the words.
"""

from __future__ import annotations

import functools
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import files
import groups
import link
import pins
import reference
import sessions
import structs
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key
from reference import label, sha256
from structs import Reader, Refused, Value, require

CIPHERS = {"AESGCM": 1, "AESCBCHMAC": 2}
CLOSE_CODES = dict(enumerate((
    "Done", "LoginTimeout", "Idle", "Stalled", "Misbehaved", "Shutdown", "Replaced", "Revoked",
    "Busy")))
NO_HYBRID = "hybrid suites are not in the reference"
NO_NAMES = "how far a name is reduced is for each program to say"

Operation = Callable[[Any], Any]
KEYS = Path(__file__).resolve().parents[2] / "securechat-core" / "tests" / "keys"


class Skipped(Exception):
    """A case that the reference leaves out."""


class Inputs(SimpleNamespace):
    """The inputs of a case: strings of hex digits as bytes, unless they are texts."""

    TEXTS = frozenset({"name", "user", "cipher", "address", "label", "private_key", "use", "role",
                       "purpose", "rsa_private_key", "code", "of", "sender", "received"})

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Inputs:
        return cls(**{name + "_" * (name in {"in", "from"}): cls.value(name, value)
                      for name, value in fields.items()})

    @classmethod
    def value(cls, name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return cls.of(value)
        if isinstance(value, list):
            return [cls.value(name, one) for one in value]
        return bytes.fromhex(value) if isinstance(value, str) and name not in cls.TEXTS else value


def outputs(value: Any) -> Any:
    """What a case states: bytes in hex, fields by name."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, SimpleNamespace):
        return outputs(vars(value))
    if isinstance(value, dict):
        return {name.rstrip("_"): outputs(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [outputs(one) for one in value]
    return value


def number(value: int | bytes) -> int:
    """Numbers that JSON does not hold exactly are given as bytes."""
    return value if isinstance(value, int) else int.from_bytes(value, "big")


def suite(value: bytes) -> int:
    return int.from_bytes(value, "big")


def spoken(suites: list[bytes]) -> list[int]:
    """The suites of a case, if they are among those of the reference."""
    if any(suite(one) not in reference.SUITES for one in suites):
        raise Skipped(NO_HYBRID)
    return [suite(one) for one in suites]


def suite_hex(value: int) -> str:
    return f"{value:04x}"


def cipher(given: Any) -> int:
    return CIPHERS[given.cipher]


def skip(reason: str) -> Operation:
    def skipped(_: Any) -> Any:
        raise Skipped(reason)

    return skipped


@functools.cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    key = load_der_private_key((KEYS / f"{name}.der").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


class Draws:
    """The randomness that a case states."""

    def __init__(self, draws: list[Any]) -> None:
        self.draws = [draw.bytes for draw in draws]

    def __call__(self, length: int) -> bytes:
        draw: bytes = self.draws.pop(0)
        assert len(draw) == length, "a draw is of another length than stated"
        return draw


def own_device(own: Any) -> reference.Device | None:
    if own is None:
        return None
    rsa_private = private_key(own.rsa_private_key) if own.rsa_private_key else None
    return reference.Device(own.identity_private, own.x25519_private, rsa_private, own.bundle)


# --- Operations that take more than a line -------------------------------------------------------

def cbc_keys(given: Any) -> Any:
    keys = reference.expand(given.key, label("cbc-hmac"), 96)
    return {"mac_key": keys[:32], "enc_key": keys[32:64], "iv_key": keys[64:],
            "iv": reference.cbc(given.key, number(given.n))[1]}


def sign(given: Any) -> Any:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(given.private)
    return {"public": key.public_key().public_bytes_raw(),
            "signature": key.sign(label(given.label) + given.message)}


def verify(given: Any) -> Any:
    reference.check_signature(given.public, given.signature, label(given.label) + given.message)
    return {}


def rsa_wrap(given: Any) -> Any:
    draws = Draws([SimpleNamespace(bytes=given.m), SimpleNamespace(bytes=given.oaep_seed)])
    ciphertext, secret = reference.encapsulate(given.public, draws)
    return {"ciphertext": ciphertext, "secret": secret}


def rsa_unwrap(given: Any) -> Any:
    key = private_key(given.private_key)
    return {"public": reference.rsa_der(key),
            "secret": reference.decapsulate(key, given.ciphertext)}


def check_code(given: Any) -> Any:
    present = number(given.time) // 30_000
    for step in (present, present - 1, present + 1):
        if step >= 0 and files.one_time_code(given.secret, step) == given.code:
            return {"step": step}
    raise Refused("a code is wrong")


def open_offer(given: Any) -> Any:
    offered, message = link.open_offer(given.content)
    return {"suites": [suite_hex(one) for one in offered.suites], "chosen": offered.chosen,
            "purpose": link.PURPOSES[offered.purpose], "message": message}


def open_answer(given: Any) -> Any:
    kind, content = link.open_answer(given.content)
    name = {link.ACCEPT: "accepted", link.RETRY: "retry", link.REFUSE: "refused"}[kind]
    return {name: suite_hex(content) if kind == link.RETRY else content}


def link_prologue(given: Any) -> Any:
    retry = b""
    if hasattr(given, "answer"):
        retry = link.framed(given.first_offer) + link.framed(given.answer)
    return {"prologue": link.prologue(given.offer_header, retry)}


def respond(given: Any) -> Any:
    end = link.Link(given.purpose, False, [suite(one) for one in given.policy],
                    own_device(given.own), busy=given.busy)
    try:
        for offer in given.offers:
            end.receive(link.framed(offer))
    except link.BadOffer:
        pass
    return {"answers": list(link.Deframer().take(end.output))}


def records(given: Any) -> link.Records:
    """A direction as far as the record of this number; `prepare` takes the last step itself."""
    key, n = given.key, number(given.number)
    for _ in range(max(n - 1, 0) // 2**20):
        key = reference.rekey(CIPHERS[given.cipher], key)
    return link.Records(CIPHERS[given.cipher], key, n)


def open_link_record(given: Any) -> Any:
    kind, data = records(given).open(given.content)
    return {"plaintext": bytes([kind]) + data}


def run_link(given: Any) -> Any:
    policy = spoken(given.policy)
    draws = Draws(given.draws)
    end = link.Link(given.purpose, given.role == "initiator", policy, own_device(given.own),
                    given.pin, random=draws, clock=lambda: int(given.now))
    steps = [link_step(end)]
    for place, step in enumerate(given.steps):
        (name, argument), = vars(step).items()
        try:
            getattr(end, name)(*(() if name == "end" else (argument,)))
        except Refused:
            assert place == len(given.steps) - 1, "it fails before its last step"
            raise
        steps.append(link_step(end))
    assert not draws.draws, "a draw was not taken"
    return {"steps": steps, "handshake_end": handshake_end(end.handshake)}


def link_step(end: link.Link) -> Any:
    writes, end.output = end.output, b""
    events, end.events = end.events, []
    return {"writes": writes, "events": [link_event(*event) for event in events]}


def link_event(name: str, content: Any) -> Any:
    if name == "open":
        return {"open": suite_hex(content[0]), "channel_binding": content[1], "remote": content[2]}
    if name == "verify":
        return dict(zip(("verify", "changed", "expired"), content, strict=True))
    return {name: content}


def handshake_end(handshake: reference.Handshake | None) -> Any:
    if handshake is None or handshake.messages:
        return None
    keys = handshake.split()
    first, second = keys if handshake.initiator else reversed(keys)
    return {"chaining_key": handshake.ck, "hash": handshake.h,
            "initiator_key": first, "responder_key": second}


def check_name(given: Any) -> Any:
    encoded = given.name.encode()
    require(len(encoded) < 128, "a name is too long")
    structs.NAME.read(structs.blob().encode(encoded))
    return {}


def open_address(given: Any) -> Any:
    host, port, pin = link.open_address(given.address)
    return {"host": host, "port": port, "fingerprint": pin}


def sign_bundle(given: Any) -> Any:
    device = reference.Device(given.identity_private, bytes(32), None)
    for prekey in given.prekeys:
        prekey.kind = 2 if prekey.mlkem else 1
    body = structs.BUNDLE.encode(Value(
        version=1, identity=device.identity, user=given.user or "", device=given.device,
        serial=number(given.serial), not_before=given.not_before, not_after=given.not_after,
        suites=[suite(one) for one in given.suites], x25519=given.x25519, rsa=given.rsa,
        prekeys=given.prekeys))
    signed = device.sign("bundle", body)
    bundle = reference.open_bundle(signed)
    reference.check_life(bundle, bundle.not_before)
    return {"bundle": signed}


def open_bundle(given: Any) -> Any:
    bundle = reference.open_bundle(given.bundle)
    reference.check_life(bundle, bundle.not_before)
    if hasattr(given, "now"):
        reference.check_time(bundle, number(given.now), getattr(given, "grace", 0))
    fields = dict(vars(bundle))
    assert bundle.signed[2:-64] == structs.BUNDLE.encode(bundle), "it is written otherwise"
    del fields["version"], fields["signed"]
    return fields | {
        "user": bundle.user or None, "suites": [suite_hex(one) for one in bundle.suites],
        "fingerprint": reference.fingerprint(bundle.identity),
        "session_peer": bool(bundle.user and bundle.prekeys)}


def next_bundle(given: Any) -> Any:
    seen, bundle = reference.open_bundle(given.seen), reference.open_bundle(given.bundle)
    pins.follow_bundle(seen, bundle, given.in_a_first_message)
    if given.in_a_first_message:
        return {}
    dropped = [suite_hex(one) for one in seen.suites if one not in bundle.suites]
    return {"newer": bundle.serial > seen.serial, "dropped": dropped}


def sign_prekey(given: Any) -> Any:
    device = reference.Device(given.identity_private, bytes(32), None)
    mlkem = getattr(given, "mlkem", None)
    prekey = Value(kind=2 if mlkem else 1, id=given.id, x25519=given.x25519, mlkem=mlkem)
    return {"prekey": device.sign("prekey", structs.ONE_TIME_PREKEY.encode(
        Value(identity=device.identity, device=given.device, prekey=prekey)))}


def open_prekey(given: Any) -> Any:
    body, signature = reference.open_signed("prekey", given.prekey, 0)
    if hasattr(given, "bundle"):
        prekey = reference.open_prekey(given.prekey, reference.open_bundle(given.bundle))
        kind = 2 if suite(given.suite) >> 8 == 3 else 1
        require(prekey.kind == kind, "a prekey is of another kind than the suite's")
    fields = structs.ONE_TIME_PREKEY.read(body)
    assert body == structs.ONE_TIME_PREKEY.encode(fields), "it is written otherwise"
    return vars(fields) | {"hash": sha256(body + signature)}


def open_list(given: Any) -> Any:
    fields = dict(vars(reference.read_list(given.list)))
    body = structs.DEVICE_LIST.encode(Value(**fields))
    assert given.list[2:].startswith(body), "it is written otherwise"
    fields["previous"] = fields.pop("before")
    return fields


def open_chain(given: Any) -> Any:
    chain = pins.Chain(given.lists)
    return {"epoch": chain.newest.epoch, "hash": chain.newest.hash, "first": chain.first}


def run_pin(given: Any) -> Any:
    pin = pins.Pin(given.user, given.chain)
    steps = []
    for step in given.steps:
        result = pin_step(pin, step)
        newest = pin.chain.newest
        steps.append({"result": result, "mark": pin.mark, "epoch": newest.epoch,
                      "hash": newest.hash})
    return {"steps": steps}


def pin_step(pin: pins.Pin, step: Any) -> Any:
    (name, argument), = vars(step).items()
    before = pin.chain.newest.identities
    seen = dict(pin.bundles)
    try:
        match name:
            case "list" | "chain":
                unchanged = pin.chain.newest.hash
                (pin.offer if name == "list" else pin.offer_chain)(argument)
                after = pin.chain.newest.identities
                if pin.chain.newest.hash == unchanged:
                    return "same"
                return {"added": [one for one in after if one not in before],
                        "removed": [one for one in before if one not in after]}
            case "verify":
                pin.verify()
                return "verified"
            case "accept":
                pin.accept(argument)
                return "accepted"
            case "bundle":
                pin.take_bundle(argument)
                bundle = reference.open_bundle(argument)
                newer = bundle.identity not in seen or bundle.hash != seen[bundle.identity].hash
                return {"newer": newer}
            case "first_message_bundle":
                return "KeptAside" if pin.take_bundle(argument, True) else "Current"
    except pins.Violation as violation:
        return {"violation": str(violation)}
    except pins.MissingLists as missing:
        return {"fetch_from": missing.first, "fetch_to": missing.last}
    except Refused:
        return {"fails": True}
    raise AssertionError(f"a step of an unknown kind: {name}")


def session_roots(given: Any) -> Any:
    end: Any = SimpleNamespace(h=given.hash, ck=given.chaining_key)
    roots = reference.session_roots(end, given.initiator, given.responder)
    return {"root": roots[:32], "chain": roots[32:64], "session": roots[64:]}


def open_envelope(given: Any) -> Any:
    reader = Reader(given.envelope)
    kind = reader.take(1)
    require(kind in (b"\1", b"\2"), "an envelope is of an unknown kind")
    fields = {}
    if kind == b"\1":
        fields = dict(vars(structs.OPENING.decode(reader)))
        fields["suite"] = suite_hex(fields["suite"])
    message = dict(vars(structs.MESSAGE.decode(reader)))
    message["ratchet_key"], message["ciphertext"] = message.pop("key"), reader.data
    return fields | {"message": message}


def run_device(given: Any) -> Any:
    policy = spoken(given.policy)
    device = own_device(given.own)
    assert device
    ours = [prekey for prekey in given.prekeys if prekey.kind == 1]
    device.prekeys = {prekey.id: prekey.x25519_private for prekey in ours}
    device.one_time = {prekey.id for prekey in ours if prekey.one_time}
    run = DeviceRun(device, policy, number(given.now))
    return {"steps": [run.step(step) for step in given.steps]}


class DeviceRun:
    """A device that goes through the steps of a case."""

    def __init__(self, device: reference.Device, policy: list[int], at: int) -> None:
        self.draws, self.time = Draws([]), at
        self.sessions = sessions.Sessions(device, policy, lambda length: self.draws(length),
                                          lambda: self.time)

    def step(self, step: Any) -> Any:
        self.draws = Draws(getattr(step, "draws", []))
        try:
            out = self.outcome(step)
        except sessions.ListMissing:
            return {"fails": "sender to be looked up"}
        except Refused as refusal:
            return {"fails": str(refusal) if str(refusal) in ("replay", "fork") else "not opened"}
        assert not self.draws.draws, "a draw was not taken"
        return out

    def outcome(self, step: Any) -> Any:
        if hasattr(step, "wait"):
            self.time += step.wait
            return {}
        if hasattr(step, "open_to"):
            bundle = reference.open_bundle(step.open_to)
            session = self.sessions.open_to(bundle, getattr(step, "one_time", None))
            return {"session": session.id, "handshake_end": {
                "chaining_key": session.handshake.ck, "hash": session.handshake.h}}
        if hasattr(step, "seal"):
            return {"envelope": self.sessions.seal(step.to, step.seal,
                                                   getattr(step, "transient", False))}
        listed = {"unknown": None, "refused": False}.get(getattr(step, "sender", ""), True)
        opened = self.sessions.open(step.open, lambda _: listed)
        return {"content": opened.content, "sender": opened.sender, "session": opened.session.id,
                "suite": suite_hex(opened.session.suite), "new_session": opened.is_new}


def open_content(given: Any) -> Any:
    content = structs.open_content(given.bytes)
    if content.kind in structs.BODIES:
        encoded = structs.BODIES[content.kind].encode(content.body)
        assert given.bytes[32:].startswith(encoded), "it is written otherwise"
        if content.kind == structs.SENT:
            kind, to = content.body.to
            content.body.to = "#" + to.hex() if kind == "group" else to
        if content.kind == structs.GROUP_CONTROL:
            content.body.control = dict([content.body.control])
    else:
        content.body = {"application" if content.kind >= 0x8000 else "unknown": content.body}
    return content


def open_message(given: Any) -> Any:
    packet = structs.open_packet(given.bytes)
    _, field = structs.packet_class(packet.kind)
    if field is None:
        return {"class": "unknown", "id": packet.id, "kind": f"{packet.kind:04x}", "fields": {}}
    assert packet.body.startswith(field.encode(packet.fields)), "it is written otherwise"
    named(packet.fields)
    return {"class": packet.name, "id": packet.id, "kind": f"{packet.kind:04x}",
            "fields": packet.fields}


def named(fields: Any) -> None:
    """Puts the vectors' names in the place of numbers, all the way down."""
    for name, value in vars(fields).items():
        match name:
            case "presence":
                setattr(fields, name, ("Offline", "Away", "Online")[value])
            case "outcome":
                setattr(fields, name, ("Taken", "Unknown", "Full")[value])
            case "recipient":
                setattr(fields, name, dict([value]))
        for one in value if isinstance(value, list) else []:
            if isinstance(one, SimpleNamespace):
                named(one)


def login(given: Any) -> Any:
    device = reference.Device(given.private, bytes(32), None)
    claim = reference.login_claim(given.relay, given.user, device.identity, given.channel_binding)
    return {"identity": device.identity, "signature": device.signer.sign(claim)}


def check_login(given: Any) -> Any:
    claim = reference.login_claim(given.relay, given.user, given.identity, given.channel_binding)
    reference.check_signature(given.identity, given.signature, claim)
    return {}


def open_entry(given: Any) -> Any:
    entry = groups.open_entry(given.entry)
    body = structs.ENTRY.encode(entry)
    assert given.entry == structs.BODY.encode(body) + given.entry[-64:], "it is written otherwise"
    entry.action = dict([entry.action])
    return entry


def run_roster(given: Any) -> Any:
    first, *others = given.entries
    roster = groups.Roster(groups.open_entry(first))
    verdicts = []
    for signed in others:
        try:
            entry = groups.open_entry(signed)
        except Refused:
            verdicts.append("malformed")
            continue
        try:
            roster.push(entry)
            verdicts.append("taken")
        except groups.Order:
            verdicts.append("order")
        except Refused:
            verdicts.append("rules")
    return {"verdicts": verdicts, "group": roster.id, "called": roster.name,
            "open": roster.is_open, "sequence": roster.newest.sequence,
            "hash": roster.newest.hash,
            "members": [{"user": user, "is_admin": user in roster.admins}
                        for user in roster.members()]}


def seal_group_messages(given: Any) -> Any:
    key = groups.SenderKey(given.identity, groups.open_log(given.log), cipher(given),
                           given.signing_private, given.chain)
    envelopes = [key.seal(message.content, message.salt) for message in given.messages]
    handed = [key.handed(since) for since in given.hand_from]
    return {"key": key.id, "signing": key.signing, "envelopes": envelopes,
            "handed": [dict(zip(("number", "chain"), one, strict=True)) for one in handed]}


def receive_group_messages(given: Any) -> Any:
    key = groups.ReceiverKey(given.identity, given.group, given.signing, cipher(given),
                             given.number, given.chain)
    steps, at = [], 20_000 * reference.DAY
    for step in given.steps:
        if hasattr(step, "wait"):
            at += step.wait
            steps.append({})
            continue
        try:
            steps.append({"content": key.open(step.open, at)})
        except Refused as refusal:
            known = ("another key", "signature", "replay", "too many skipped")
            steps.append({"fails": str(refusal) if str(refusal) in known else "not opened"})
    return {"steps": steps}


def standing(given: Any) -> Any:
    roster = groups.open_log(given.log)
    return {"standing": groups.standing(roster, given.learned, given.user, given.sequence,
                                        given.hash, given.now)}


def file_of(given: Any) -> files.File:
    return files.File(given.file, given.key, CIPHERS[given.cipher], given.proof,
                      number(given.size))


def seal_chunk(given: Any) -> Any:
    file = file_of(given)
    repeated = hasattr(given, "repeated")
    plaintext = given.repeated * given.length if repeated else given.plaintext
    sealed, tag = file.seal(given.chunk, plaintext, getattr(given, "salt", None),
                            getattr(given, "known", None))
    key, _ = file.chunk_keys(sealed[:16])
    out = {"t": tag, "chunk_key": key, "sealed_sha256": sha256(sealed)}
    return out | ({"sealed": sealed} if len(sealed) < 1000 else {})


def open_chunk(given: Any) -> Any:
    plaintext, tag = file_of(given).open(given.chunk, given.sealed)
    return {"plaintext": plaintext, "t": tag}


def receive_file(given: Any) -> Any:
    file = file_of(given)
    tags = {one.chunk: file.open(one.chunk, one.sealed)[1] for one in given.come}
    require(file.root(tags) == given.root, "a file is not what its sender says")
    return {}


def unwrap(given: Any) -> Any:
    key = files.open_record(given.passphrase_key, "vault key", given.wrapped)
    require(len(key) == 32, "a vault key has another length")
    return {"vault_key": key}


def deframe(given: Any) -> Any:
    deframer = link.Deframer(given.limit)
    return {"frames": [frame for piece in given.pieces for frame in deframer.take(piece)]}


def file_keys(given: Any) -> Any:
    file = file_of(given)
    return {"salt": file.salt, "commit": file.commit, "chunks": file.count,
            "last_length": file.length(file.count - 1)}


# --- The table -----------------------------------------------------------------------------------

def shown(name: str, function: Callable[..., Any], *fields: str) -> Operation:
    """An operation with one output, which a function computes from these inputs."""
    return lambda given: {name: function(*(getattr(given, field) for field in fields))}


OPERATIONS: dict[str, dict[str, Operation]] = {
    "crypto": {
        "label": shown("label", label, "name"),
        "hkdf": shown("okm", reference.hkdf, "salt", "ikm", "info", "length"),
        "hkdf expand": shown("okm", reference.expand, "prk", "info", "length"),
        "hmac": shown("tag", reference.hmac_sha256, "key", "data"),
        "cbc keys": cbc_keys,
        "seal": lambda given: {"ciphertext": reference.seal(
            cipher(given), given.key, number(given.n), given.ad, given.plaintext)},
        "open": lambda given: {"plaintext": reference.unseal(
            cipher(given), given.key, number(given.n), given.ad, given.ciphertext)},
        "rekey": lambda given: {"rekeyed": reference.rekey(cipher(given), given.key)},
        "x25519": lambda given: {"own_public": reference.x25519_public(given.private),
                                 "secret": reference.dh(given.private, given.public)},
        "sign": sign,
        "verify": verify,
        "rsa public key": lambda given: {
            "id": sha256(given.der),
            "ciphertext_length": (reference.rsa_public(given.der).key_size + 7) // 8},
        "rsa wrap": rsa_wrap,
        "rsa unwrap": rsa_unwrap,
        "mlkem key": skip(NO_HYBRID),
        "mlkem wrap": skip(NO_HYBRID),
        "mlkem unwrap": skip(NO_HYBRID),
        "one-time code": lambda given: {
            "code": files.one_time_code(given.secret, number(given.time) // 30_000)},
        "one-time code check": check_code,
    },
    "link": {
        "frame": shown("bytes", link.framed, "content"),
        "deframe": deframe,
        "offer": open_offer,
        "answer": open_answer,
        "prologue": link_prologue,
        "protocol name": lambda given: {
            "name": reference.protocol_name(given.use, spoken([given.suite])[0]).decode()},
        "respond": respond,
        "seal record": lambda given: {
            "content": records(given).seal(given.plaintext[0], given.plaintext[1:])},
        "open record": open_link_record,
        "link": run_link,
    },
    "identity": {
        "fingerprint": shown("fingerprint", reference.fingerprint, "identity"),
        "user name": check_name,
        "relay address": open_address,
        "safety number": lambda given: {"digits": reference.safety_number(
            (given.a.name, given.a.identities), (given.b.name, given.b.identities))},
        "sign bundle": sign_bundle,
        "bundle": open_bundle,
        "bundle after bundle": next_bundle,
        "sign prekey": sign_prekey,
        "prekey": open_prekey,
        "device list": open_list,
        "list chain": open_chain,
        "proposal": lambda given: {
            "new": pins.open_proposal(given.proposed, reference.read_list(given.current))},
        "pin": run_pin,
    },
    "session": {
        "session prologue": lambda given: {"prologue": reference.session_prologue(
            suite(given.suite), given.responder, given.prekey, given.order)},
        "session roots": session_roots,
        "root step": lambda given: dict(zip(
            ("root", "chain"), reference.root_step(given.root, given.agreed), strict=True)),
        "chain step": lambda given: dict(zip(
            ("message_key", "chain"), reference.chain_step(given.chain), strict=True)),
        "message key": shown("key", reference.message_key, "message_key", "salt"),
        "envelope": open_envelope,
        "device": run_device,
    },
    "content": {
        "content": open_content,
        "pad": shown("padded", reference.pad, "content"),
        "unpad": shown("content", reference.unpad, "padded"),
        "padded length": lambda given: {"padded_length": len(reference.pad(bytes(given.length)))},
    },
    "group": {
        "roster entry": open_entry,
        "roster": run_roster,
        "key id": lambda given: {"key": groups.key_id(given.identity, given.group, given.signing,
                                                      cipher(given))},
        "seal group messages": seal_group_messages,
        "group message": lambda given: groups.open_message(given.envelope),
        "receive group messages": receive_group_messages,
        "standing": standing,
        "compare logs": lambda given: dict(zip(
            ("fork", "sequence"), groups.compare(given.log, given.shown), strict=True)),
    },
    "wire": {
        "message": open_message,
        "close code": lambda given: {"meaning": CLOSE_CODES.get(given.code)},
        "login signature": login,
        "login signature check": check_login,
    },
    "file": {
        "file keys": file_keys,
        "seal chunk": seal_chunk,
        "open chunk": open_chunk,
        "file root": lambda given: {"root": file_of(given).root(dict(enumerate(given.t)))},
        "receive file": receive_file,
        "safe name": skip(NO_NAMES),
    },
    "vault": {
        "seal record": shown("record", files.seal_record,
                             "vault_key", "name", "salt", "plaintext"),
        "open record": shown("plaintext", files.open_record, "vault_key", "name", "record"),
        "record place": shown("place", files.record_place, "vault_key", "name"),
        "wrap vault key": lambda given: {"wrapped": files.seal_record(
            given.passphrase_key, "vault key", given.salt, given.vault_key)},
        "unwrap vault key": unwrap,
    },
}


def run_case(file: str, case: Mapping[str, Any]) -> str | None:
    """What is wrong, if anything is."""
    name = f"{case['operation']}, {case['case']}"
    try:
        out = outputs(OPERATIONS[file][case["operation"]](Inputs.of(case["in"])))
    except Refused as refusal:
        return None if "fails" in case else f"{name}: {refusal}"
    except AssertionError as error:
        return f"{name}: {error}"
    if "fails" in case:
        return f"{name}: it does not fail"
    differing = [field for field in out.keys() | case["out"].keys()
                 if out.get(field) != case["out"].get(field)]
    return f"{name}: another {', '.join(sorted(differing))}" if differing else None


def run(folder: Path) -> int:
    """Runs all files of a folder, and gives how many cases failed."""
    failures = 0
    for path in sorted(folder.glob("*.json")):
        passed, skipped = 0, Counter[str]()
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
            try:
                wrong = run_case(path.stem, case)
            except Skipped as reason:
                skipped[str(reason)] += 1
                continue
            passed += not wrong
            if wrong:
                failures += 1
                print(f"{path.name}: {wrong}")
        notes = "".join(f", {count} skipped: {reason}" for reason, count in skipped.items())
        print(f"{path.name}: {passed} passed{notes}", flush=True)
    require(failures or any(folder.glob("*.json")), "there are no vectors")
    return failures


if __name__ == "__main__":
    sys.exit(min(run(Path(sys.argv[1]).resolve()), 1))
