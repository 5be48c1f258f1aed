"""A small chat for the terminal, on the C library: texts, files, groups, safety numbers.

    SECURECHAT_PASSPHRASE=… SECURECHAT_PASSWORD=… python chat.py --user carol --relay 'host:port#fingerprint'

The passphrase protects the saved state, the password is that of the account; what is not in the environment is asked for.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

import securechat
from messenger import FileDelivered, FileLost, FileSaved, Messenger, Unreached, plain
from securechat import Change, Error, Kind, Presence, Refusal, Request, Trust, words

HELP = """/pm USER TEXT      a text to a user; a line without a command goes to the same user again
/file USER PATH    offer a file
/accept [NUMBER]   take an offered file
/users             who is there
/verify USER       the safety number, to be compared with what the other one sees; /verified USER says that it was
/trust USER        accept the keys of a user that have changed
/new NAME          a group; it is called #…, and goes wherever a USER does. /open NAME: one that everyone can come into and read
/invite #… USERS   bring others in; /remove #… USERS and /rename #… NAME change it too, /join #… comes into an open one
/groups            all groups and who is in them
/quit              as the end of the input: when everything is sent"""


OPEN_TO_ALL = "open: whoever can register at the relay reads it, its operator included"

CHANGES = {"/invite": Change.ADD, "/remove": Change.REMOVE, "/admin": Change.ADMIN, "/rename": Change.RENAME, "/join": Change.JOIN}


def say(*parts: object) -> None:
    """Prints a line, with nothing in it that a terminal obeys."""
    print(plain(" ".join(map(str, parts))), flush=True)


def where(event: Any) -> str:
    """In which group it came, and what has to be said of that."""
    late = " (who did not know yet of a removal: who was removed may read this)" if event.before_removal else ""
    return f" in {event.group}{late}" if event.group else ""


class Chat:
    def __init__(self, messenger: Messenger) -> None:
        self.messenger, self.client = messenger, messenger.client
        self.partner = ""
        self.offers: list[securechat.FileOffered] = []
        self.status = 0
        messenger.tell = self.show

    def show(self, event: Any) -> None:
        match event:
            case securechat.LoggedIn(listed=True):
                say("logged in as", self.messenger.user)
            case securechat.LoggedIn():
                say("this device is new: another one of yours has to approve it")
            case securechat.Message(message=Kind.TEXT, user=user, data=data, trust=trust):
                say(f"{user}{' (KEYS CHANGED)' if trust == Trust.VIOLATION else ''}{where(event)}: {data.decode()}")
            case securechat.Delivered(user=user, ids=ids):
                say(user, "received", len(ids))
            case securechat.FileOffered(user=user, name=name, total=size):
                self.offers.append(event)
                say(f"{user}{where(event)} offers {name} ({size:,} bytes): /accept {len(self.offers)} takes it")
            case FileSaved(user=user, path=path):
                say(f"saved from {user}: {path}")
            case FileDelivered(user=user, name=name):
                say(name, "is sent to", user)
            case FileLost(user=user, name=name, reason=reason):
                say(f"{name} ({user}) did not get through: {reason}")
            case securechat.User(user=user, presence=presence) if user:
                say(f"{user} is {'offline' if presence == Presence.OFFLINE else 'there'}")
            case securechat.UserUnknown(user=user):
                say("there is no user", user, "here")
            case securechat.KeysChanged(user=user):
                say(f"the keys of {user} HAVE CHANGED: nothing is sent until you have asked them and typed /trust {user}")
            case securechat.ListsAgree(user=user):
                say(f"/verify {user} can show the safety number now")
            case securechat.Verify(fingerprint=fingerprint, expected=None):
                say(f"the relay shows the fingerprint {fingerprint.hex()}: if that is right, put it behind the address, after a #")
                self.status = 6
            case securechat.Verify(fingerprint=fingerprint, expected=expected):
                say(f"the key of the relay HAS CHANGED: expected {expected.hex()}, shown {fingerprint.hex()}")
                self.status = 6
            case securechat.Refused(request=request, code=code):
                say(f"the relay refused ({words(Request, request)}): {words(Refusal, code)}")
                self.status = 4 if request == Request.REGISTER else self.status
            case securechat.Failed(status=status):
                say("a message cannot be sent:", securechat.status_message(status))
            case securechat.GroupJoined(group=group):
                self.show_group(self.client.group(group), "you are in ")
            case securechat.Lobby(group=group):
                say(f"the relay offers a lobby ({OPEN_TO_ALL}): /join {group}")
            case securechat.GroupChanged(group=group, user=user, code=code, data=data):
                say(f"{user} in {group}: {words(Change, code)} {data.decode()}")
            case securechat.GroupForked(group=group, user=user):
                say(f"WARNING: {user}, or who has their key, showed members of {group} different things: nothing is sent there")
            case securechat.GroupRefused(group=group, status=status):
                say(f"not done in {group}: {securechat.status_message(status)}")
            case Unreached(reason=reason):
                say("not connected:", reason)

    def show_group(self, group: securechat.Group, before: str = "") -> None:
        marks = [(not group.member, "you are not in it"), (group.open, OPEN_TO_ALL), (group.forked, "FORKED")]
        say(f"{before}{group.group} {group.name}: {', '.join(group.members)}", *(f"({text})" for so, text in marks if so))

    def obey(self, line: str) -> None:
        command, _, rest = line.partition(" ")
        name, _, more = rest.partition(" ")
        match command:
            case "/pm":
                self.partner = name
                self.messenger.send(name, more)
            case "/file":
                self.messenger.send_file(name, Path(more).expanduser())
            case "/accept":
                number = int(name or len(self.offers))
                if not 0 < number <= len(self.offers):
                    raise ValueError("there is no such offer")
                self.messenger.accept(self.offers[number - 1])
            case "/users":
                self.client.list_users()
            case "/new" | "/open":
                say("the group is called", self.client.create_group(rest, command == "/open"))
            case "/groups":
                for group in self.client.groups():
                    self.show_group(group)
            case _ if command in CHANGES:
                self.client.change_group(name, CHANGES[command], more)
            case "/verify":
                number = self.client.safety_number(name)
                say(f"safety number with {name}:", *(number[at:at + 5] for at in range(0, 60, 5)))
            case "/verified":
                self.client.mark_verified(name)
            case "/trust":
                self.client.accept_keys(name, self.client.contact(name).kept_aside or bytes(32))
                say("the new keys of", name, "are accepted")
            case "/help":
                print(HELP)
            case _ if command.startswith("/"):
                say("no such command: /help lists them")
            case _ if self.partner:
                self.messenger.send(self.partner, line)
            case _:
                say("to whom? /pm USER TEXT")

    def run(self) -> int:
        """Until the end of the input, and then until everything is sent."""
        waiting, ended = b"", False
        while not self.status and not (ended and self.messenger.idle()):
            if not self.messenger.step(1.0, [] if ended else [sys.stdin]):
                continue
            # Not through `sys.stdin`, whose own buffer `select` does not see.
            data = os.read(sys.stdin.fileno(), 65536)
            ended = not data
            *lines, waiting = (waiting + data).split(b"\n")
            for line in lines:
                if line == b"/quit":
                    ended = True
                elif line:
                    try:
                        self.obey(line.decode(errors="replace"))
                    except (Error, OSError, ValueError) as error:
                        say(error)
        self.messenger.close()
        return self.status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--user", required=True)
    parser.add_argument("--relay", required=True, metavar="HOST:PORT#FINGERPRINT")
    parser.add_argument("--state", type=Path, help="the file of the saved state (USER.db)")
    parser.add_argument("--downloads", type=Path, default=Path("downloads"), help="the folder for files that come")
    arguments = parser.parse_args()
    secrets = [os.environ.get(f"SECURECHAT_{name.upper()}") or getpass.getpass(f"{name}: ") for name in ("passphrase", "password")]
    state = arguments.state or Path(f"{arguments.user}.db")
    try:
        messenger = Messenger(arguments.user, arguments.relay, state, *secrets, arguments.downloads)
    except (Error, OSError, sqlite3.Error) as error:
        say("cannot start:", error)
        return 5
    return Chat(messenger).run()


if __name__ == "__main__":
    sys.exit(main())
