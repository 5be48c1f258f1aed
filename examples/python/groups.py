"""Groups: the log of who is a member, sender keys, and messages (8)."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import ed25519

from reference import (DAY, chain_step, check_signature, expand, label, open_signed, pad, seal,
                       sha256, unpad, unseal)
from structs import ENTRY, GROUP_MESSAGE, Reader, Refused, Value, require

NONE = bytes(16)
HEADER = 120


# --- G1 to G3: the roster ------------------------------------------------------------------------

def open_entry(signed: bytes) -> Value:
    """Takes an entry apart, and checks what can be checked of it alone."""
    body, signature = open_signed("roster", signed, 0)
    entry: Value = ENTRY.read(body)
    kind, what = entry.action
    require(kind not in ("add", "remove") or len(set(what)) == len(what),
            "an entry names a user twice")
    entry.hash = sha256(body + signature)
    entry.of_group = entry.group
    if entry.sequence == 0:
        entry.of_group = sha256(label("group id") + body + signature)[:16]
    return entry


class Order(Refused):
    """An entry that does not stand after the newest one."""


class Roster:
    """The log of a group, each entry checked when it is pushed."""

    def __init__(self, first: Value) -> None:
        kind, begun = first.action
        require(kind == "create" and (first.sequence, first.group, first.previous)
                == (0, NONE, bytes(32)), "an entry begins no group")
        self.id, self.name, self.is_open = first.of_group, begun.name, begun.open
        self.entries = [first]
        self.admins = {first.actor}
        # Of each user the entries that added and removed them, in turns.
        self.stays: dict[str, list[int]] = {first.actor: [0]}
        self.epochs = {first.actor: first.epoch}

    @property
    def newest(self) -> Value:
        return self.entries[-1]

    def is_member(self, user: str) -> bool:
        return len(self.stays.get(user, [])) % 2 == 1

    def members(self) -> list[str]:
        return sorted((user for user in self.stays if self.is_member(user)), key=str.encode)

    def was_member_at(self, user: str, sequence: int) -> bool:
        return sum(turn <= sequence for turn in self.stays.get(user, [])) % 2 == 1

    def removals(self) -> list[int]:
        return sorted(turn for turns in self.stays.values() for turn in turns[1::2])

    def check(self, entry: Value) -> None:
        if ((entry.group, entry.sequence, entry.previous)
                != (self.id, self.newest.sequence + 1, self.newest.hash)):
            raise Order("an entry does not follow")
        require(entry.epoch >= self.epochs.get(entry.actor, 0), "an epoch falls")
        require(self.permits(entry), "an entry is not allowed there")

    def permits(self, entry: Value) -> bool:
        actor, (kind, what) = entry.actor, entry.action
        is_admin, members = actor in self.admins, set(self.members())
        match kind:
            case "add":
                stays = sum((len(turns) + 1) // 2 for turns in self.stays.values())
                came = (len(self.stays.get(actor, [])) + 1) // 2
                comes = self.is_open and what == [actor] and came < 16 and bool(self.admins)
                return ((is_admin or comes)
                        and not members & set(what)
                        and len(members) + len(what) <= 256 and stays + len(what) <= 4096)
            case "remove":
                left = members - set(what)
                return ((is_admin or what == [actor]) and set(what) <= members
                        and (not left or bool(self.admins & left)))
            case "admin":
                changes = what.user in members and (what.user in self.admins) != what.is_one
                return is_admin and changes and (what.is_one or len(self.admins) > 1)
            case "rename":
                return is_admin and self.name != what
            case "epoch":
                return is_admin and entry.epoch > self.epochs.get(actor, -1)
        return False

    def push(self, entry: Value) -> None:
        self.check(entry)
        kind, what = entry.action
        match kind:
            case "add" | "remove":
                for user in what:
                    self.stays.setdefault(user, []).append(entry.sequence)
                if kind == "remove":
                    self.admins -= set(what)
            case "admin":
                (self.admins.add if what.is_one else self.admins.remove)(what.user)
            case "rename":
                self.name = what
        self.epochs[entry.actor] = entry.epoch
        self.entries.append(entry)


def open_log(entries: Sequence[bytes]) -> Roster:
    """A log all of whose entries count."""
    first, *others = map(open_entry, entries)
    roster = Roster(first)
    for entry in others:
        roster.push(entry)
    return roster


def standing(roster: Roster, learned: Sequence[int], user: str, sequence: int, named: bytes,
             at: int) -> str:
    """What a log says of a message that names this entry (G5 to G7)."""
    if sequence > roster.newest.sequence:
        return "ahead"
    if roster.entries[sequence].hash != named:
        return "elsewhere"
    if not roster.was_member_at(user, sequence):
        return "not a member"
    later = [removal for removal in roster.removals() if removal > sequence]
    if not later:
        return "counts"
    return "before removal" if at - learned[later[0]] < DAY else "too late"


def compare(own: Sequence[bytes], shown: Sequence[bytes]) -> tuple[str, int | None]:
    """Whether entries that somebody shows are of another log than one's own (G6)."""
    ours, theirs = [open_entry(entry) for entry in own], [open_entry(entry) for entry in shown]
    for place, entry in enumerate(theirs):
        at = entry.sequence
        if at >= len(ours) or ours[at].hash == entry.hash:
            continue
        if at == 0 or entry.of_group != ours[0].of_group:
            return "invalid", None
        if entry.previous != ours[at - 1].hash:
            return ("before", at) if place == 0 else ("invalid", None)
        try:
            open_log(own[:at]).check(entry)
        except Refused:
            return "invalid", None
        return "at", at
    return "none", None


# --- G4 and G5: sender keys and messages ---------------------------------------------------------

def key_id(sender: bytes, group: bytes, signing: bytes, cipher: int) -> bytes:
    return sha256(label("sender key id") + sender + group + signing + bytes([cipher]))[:16]


def message_keys(message_key: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """The key of a message and its commitment."""
    both = expand(message_key, label("group key") + salt, 64)
    return both[:32], both[32:]


class SenderKey:
    """What a device sends under in one group."""

    def __init__(self, sender: bytes, roster: Roster, cipher: int, private: bytes,
                 chain: bytes) -> None:
        self.sender, self.roster, self.cipher = sender, roster, cipher
        self.signer = ed25519.Ed25519PrivateKey.from_private_bytes(private)
        self.signing = self.signer.public_key().public_bytes_raw()
        self.id = key_id(sender, roster.id, self.signing, cipher)
        self.first, self.chain, self.number = chain, chain, 0

    def handed(self, since: int) -> tuple[int, bytes]:
        """The number from which it opens messages when it is handed over, and the chain there."""
        number, chain = min(since, self.number), self.first
        for _ in range(number):
            _, chain = chain_step(chain)
        return number, chain

    def seal(self, content: bytes, salt: bytes) -> bytes:
        """An envelope with this content."""
        require(len(content) <= 55_000, "a content is too long")
        message_key, self.chain = chain_step(self.chain)
        key, commit = message_keys(message_key, salt)
        newest = self.roster.newest
        header = GROUP_MESSAGE.encode(Value(
            group=self.roster.id, key=self.id, number=self.number, sequence=newest.sequence,
            hash=newest.hash, salt=salt, commit=commit))
        self.number += 1
        message = header + seal(self.cipher, key, 0, label("group ad") + self.sender + header,
                                pad(content))
        return b"\3" + message + self.signer.sign(label("group message") + self.sender + message)


def open_message(envelope: bytes) -> Value:
    """Takes an envelope apart; nothing in it is to be believed yet."""
    require(len(envelope) <= 61_440, "an envelope is too long")
    require(envelope[:1] == b"\3", "an envelope is of another kind")
    require(len(envelope) >= 1 + HEADER + 64, "something ends too early")
    message: Value = GROUP_MESSAGE.decode(Reader(envelope[1:]))
    message.ciphertext, message.signature = envelope[1 + HEADER:-64], envelope[-64:]
    return message


class ReceiverKey:
    """What another device sends under, from where it handed that over."""

    def __init__(self, sender: bytes, group: bytes, signing: bytes, cipher: int, number: int,
                 chain: bytes) -> None:
        self.sender, self.group, self.signing, self.cipher = sender, group, signing, cipher
        self.id = key_id(sender, group, signing, cipher)
        self.number, self.chain = number, chain
        self.skipped: dict[int, tuple[bytes, int]] = {}  # keys, and since when they are kept

    def open(self, envelope: bytes, at: int) -> bytes:
        """The content of a message; whether it counts is for the log to say."""
        message = open_message(envelope)
        require((message.group, message.key) == (self.group, self.id), "another key")
        try:
            check_signature(self.signing, message.signature,
                            label("group message") + self.sender + envelope[1:-64])
        except Refused:
            raise Refused("signature") from None
        self.skipped = {number: (key, since) for number, (key, since) in self.skipped.items()
                        if at - since < 30 * DAY}
        if message.number < self.number:
            require(message.number in self.skipped, "replay")
            content = self.unseal(message, envelope, self.skipped[message.number][0])
            del self.skipped[message.number]
            return content
        require(message.number - self.number <= 2000, "too many skipped")
        number, chain, skipped = self.number, self.chain, dict(self.skipped)
        while True:
            key, chain = chain_step(chain)
            if number == message.number:
                break
            skipped[number] = key, at
            number += 1
        content = self.unseal(message, envelope, key)
        self.number, self.chain, self.skipped = number + 1, chain, skipped
        while len(self.skipped) > 4000:
            del self.skipped[next(iter(self.skipped))]
        return content

    def unseal(self, message: Value, envelope: bytes, message_key: bytes) -> bytes:
        key, commit = message_keys(message_key, message.salt)
        require(commit == message.commit, "a message is under another key than it says")
        ad = label("group ad") + self.sender + envelope[1:1 + HEADER]
        return unpad(unseal(self.cipher, key, 0, ad, message.ciphertext))
