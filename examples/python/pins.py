"""What a device keeps of others: sections I4 (bundles), I8 (proposals) and I9 (pins)."""

from __future__ import annotations

from collections.abc import Sequence

from reference import open_bundle, open_list, read_list
from structs import Refused, Value, require


def follow_bundle(seen: Value, bundle: Value, in_a_first_message: bool = False) -> None:
    """Whether a bundle may come after another that was seen of the device (I4)."""
    require(bundle.identity == seen.identity, "a bundle is another device's")
    require(bundle.x25519 == seen.x25519, "a static key is another one")
    require(None in (bundle.rsa, seen.rsa) or bundle.rsa == seen.rsa,
            "a static key is another one")
    if not (in_a_first_message and bundle.serial < seen.serial):
        require(bundle.serial > seen.serial or bundle.hash == seen.hash,
                "a bundle is older than one seen")


def open_proposal(proposed: bytes, current: Value) -> bytes:
    """The one identity that a proposed list adds, at the end, signed by itself alone (I8)."""
    devices = read_list(proposed)
    require((devices.user, devices.epoch, devices.before)
            == (current.user, current.epoch + 1, current.hash), "a proposal does not follow")
    new: bytes = devices.identities[-1]
    require(devices.identities == [*current.identities, new], "a proposal does more than that")
    require(devices.signers == [new], "a proposal is signed by others than the new device")
    return new


class Chain:
    """Device lists of a user from an epoch 0 on, each following the one before (I6)."""

    def __init__(self, lists: Sequence[bytes]) -> None:
        require(lists, "there is no list")
        self.newest = open_list(lists[0], None)
        self.first: bytes = self.newest.hash
        self.hashes = [self.first]
        for signed in lists[1:]:
            self.follow(signed)

    def follow(self, signed: bytes) -> None:
        self.newest = open_list(signed, self.newest)
        self.hashes.append(self.newest.hash)

    def is_followed_by(self, devices: Value) -> bool:
        return (devices.epoch, devices.before) == (self.newest.epoch + 1, self.newest.hash)


class Violation(Exception):
    """The keys of a user changed against the rules: `fork` or `another chain`."""


class MissingLists(Exception):
    """A list cannot be judged before those of these epochs are there."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__(f"epochs {first} to {last} are missing")
        self.first, self.last = first, last


class Pin:
    """The device list of a user, and what it is worth (I9)."""

    def __init__(self, user: str, lists: Sequence[bytes]) -> None:
        self.chain = Chain(lists)
        require(self.chain.newest.user == user, "a device list is another user's")
        self.user, self.mark = user, "seen"
        self.aside: Chain | None = None
        self.accepted = {self.chain.first}
        self.bundles: dict[bytes, Value] = {}

    def offer(self, signed: bytes) -> None:
        """Takes a list that somebody offers as the newest one."""
        devices = read_list(signed)
        require(devices.user == self.user, "a device list is another user's")
        if devices.hash == self.chain.newest.hash:
            return
        if self.chain.is_followed_by(devices):
            self.chain.follow(signed)
        elif self.aside and self.aside.is_followed_by(devices):
            self.aside.follow(signed)
            raise Violation("another chain" if self.aside.first != self.chain.first else "fork")
        elif devices.epoch == 0:
            self.offer_chain([signed])
        elif devices.epoch > self.chain.newest.epoch + 1:
            raise MissingLists(self.chain.newest.epoch + 1, devices.epoch)
        else:
            raise MissingLists(0, devices.epoch)

    def offer_chain(self, lists: Sequence[bytes]) -> None:
        """Takes lists from epoch 0 on, the last of which is offered as the newest."""
        chain = Chain(lists)
        require(chain.newest.user == self.user, "a device list is another user's")
        if chain.first == self.chain.first:
            require(chain.newest.hash not in self.chain.hashes[:-1], "a device list is older")
            if chain.newest.hash == self.chain.hashes[-1]:
                return
            if self.chain.hashes == chain.hashes[:len(self.chain.hashes)]:
                self.chain = chain
                return
        else:
            require(chain.first not in self.accepted, "an epoch 0 was given up before")
        self.aside, self.mark = chain, "violation"
        raise Violation("fork" if chain.first == self.chain.first else "another chain")

    def verify(self) -> None:
        require(self.mark != "violation", "the keys have changed")
        self.mark = "verified"

    def accept(self, digest: bytes) -> None:
        """The host accepts the list that was kept aside, by its hash."""
        if self.aside is None or self.aside.newest.hash != digest:
            raise Refused("no such list is kept aside")
        self.chain, self.aside, self.mark = self.aside, None, "seen"
        self.accepted.add(self.chain.first)

    def take_bundle(self, signed: bytes, in_a_first_message: bool = False) -> bool:
        """Takes a bundle of a device; says whether only a list that was kept aside has it."""
        bundle = open_bundle(signed)
        current = bundle.identity in self.chain.newest.identities
        aside = self.aside is not None and bundle.identity in self.aside.newest.identities
        require(bundle.user == self.user, "a bundle is another user's")
        require(current or (aside and in_a_first_message), "a bundle is of no listed device")
        if bundle.identity in self.bundles:
            follow_bundle(self.bundles[bundle.identity], bundle, in_a_first_message)
        if not in_a_first_message:
            self.bundles[bundle.identity] = bundle
        return not current
