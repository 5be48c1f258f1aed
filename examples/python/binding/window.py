"""A small window for the chat: users on the left, what was said beside it. It uses the same client as `chat.py`.

    python window.py
"""

from __future__ import annotations

import sqlite3
import time
import tkinter as tk
from collections.abc import Callable
from pathlib import Path
from tkinter import filedialog, messagebox, ttk
from typing import Any

import securechat
from messenger import FileDelivered, FileLost, FileSaved, Messenger, Unreached, plain
from securechat import Error, Kind, Presence, Refusal, Trust, words

POLLED = 40  # milliseconds between two looks at the socket


class Form(ttk.Frame):
    """Who, and where to."""

    FIELDS = (("name", "Name", ""), ("relay", "Relay (host:port#fingerprint)", ""),
              ("password", "Password of the account", "•"), ("passphrase", "Passphrase of this device", "•"))

    def __init__(self, root: tk.Tk, start: Callable[..., None]) -> None:
        super().__init__(root, padding=24)
        self.root, self.start = root, start
        self.values: dict[str, tk.StringVar] = {}
        for row, (name, label, shown) in enumerate(self.FIELDS):
            ttk.Label(self, text=label).grid(row=row, column=0, sticky="w", padx=(0, 12), pady=4)
            self.values[name] = tk.StringVar()
            ttk.Entry(self, textvariable=self.values[name], show=shown, width=48).grid(row=row, column=1, pady=4)
        ttk.Button(self, text="Connect", command=self.connect).grid(row=len(self.FIELDS), column=1, sticky="e", pady=(12, 0))
        root.bind("<Return>", lambda _: self.connect())
        self.pack()

    def connect(self) -> None:
        values = {name: value.get().strip() for name, value in self.values.items()}
        try:
            messenger = Messenger(values["name"], values["relay"], Path(f"{values['name']}.db"), values["passphrase"],
                                  values["password"], Path("downloads"))
        except (Error, OSError, sqlite3.Error) as error:
            messagebox.showerror("securechat", str(error))
            return
        self.root.unbind("<Return>")
        self.destroy()
        self.start(messenger)


class Window(ttk.Frame):
    """The chat of a messenger."""

    def __init__(self, root: tk.Tk, messenger: Messenger) -> None:
        super().__init__(root, padding=8)
        self.root, self.messenger, self.client = root, messenger, messenger.client
        self.users: dict[str, bool] = {}  # and whether they are there
        self.unread: set[str] = set()
        self.talks: dict[str, list[tuple[str, str]]] = {}  # the lines of each, with whose they are
        self.offers: dict[str, list[securechat.FileOffered]] = {}
        self.partner = ""
        self.warning = ""
        messenger.tell = self.show
        root.title(f"securechat: {messenger.user}")

        self.list = tk.Listbox(self, width=20, exportselection=False, borderwidth=0, font=("TkDefaultFont", 11))
        self.text = tk.Text(self, width=64, height=18, wrap="word", state="disabled", borderwidth=0, padx=10, pady=8,
                            font=("TkDefaultFont", 11), spacing1=3, spacing3=3)
        self.text.tag_configure("ours", justify="right", lmargin1=120, lmargin2=120, foreground="#0b4f8a")
        self.text.tag_configure("theirs", justify="left", rmargin=120)
        self.text.tag_configure("note", justify="center", foreground="#777777")
        self.field = ttk.Entry(self)
        self.status = ttk.Label(self, text="connecting …", foreground="#777777")
        self.list.grid(row=0, column=0, sticky="ns", padx=(0, 8))
        self.text.grid(row=0, column=1, columnspan=3, sticky="nsew")
        self.status.grid(row=1, column=0, sticky="w")
        self.field.grid(row=1, column=1, sticky="ew", pady=(8, 0))
        ttk.Button(self, text="Send", command=self.send).grid(row=1, column=2, padx=4, pady=(8, 0))
        ttk.Button(self, text="File …", command=self.send_file).grid(row=1, column=3, pady=(8, 0))
        self.columnconfigure(1, weight=1)
        self.rowconfigure(0, weight=1)
        self.list.bind("<<ListboxSelect>>", lambda _: self.choose(self.names()[self.list.curselection()[0]]))
        self.field.bind("<Return>", lambda _: self.send())
        root.protocol("WM_DELETE_WINDOW", self.close)
        self.pack(fill="both", expand=True)
        self.field.focus()
        self.polling = self.after(0, self.poll)

    def poll(self) -> None:
        try:
            self.messenger.step(0)
        except sqlite3.Error as error:  # nothing leaves that could not be saved
            messagebox.showerror("securechat", f"the state cannot be saved: {error}")
            self.root.destroy()
            return
        self.polling = self.after(POLLED, self.poll)

    def close(self) -> None:
        self.after_cancel(self.polling)
        self.messenger.close()
        self.root.destroy()

    # ---- what people do

    def names(self) -> list[str]:
        return sorted(self.users)

    def choose(self, user: str) -> None:
        self.partner = user
        self.unread.discard(user)
        self.refresh()

    def attempt(self, work: Callable[[], Any]) -> bool:
        try:
            work()
        except (Error, OSError) as error:
            self.note(self.partner, str(error))
            return False
        return True

    def send(self) -> None:
        text = self.field.get()
        if text and self.partner and self.attempt(lambda: self.messenger.send(self.partner, text)):
            self.say(self.partner, "ours", text)
            self.field.delete(0, "end")

    def send_file(self) -> None:
        path = filedialog.askopenfilename() if self.partner else ""
        if path and self.attempt(lambda: self.messenger.send_file(self.partner, Path(path))):
            self.say(self.partner, "ours", f"[{Path(path).name}]")

    def accept(self, offer: securechat.FileOffered) -> None:
        if self.attempt(lambda: self.messenger.accept(offer)):
            self.offers[offer.user].remove(offer)
            self.refresh()

    def accept_keys(self, user: str) -> None:
        question = f"The keys of {user} have changed. Ask {user} by another way whether that was them.\n\nAccept the new keys?"
        kept_aside = self.client.contact(user).kept_aside
        if kept_aside and messagebox.askyesno("securechat", question, default="no"):
            self.attempt(lambda: self.client.accept_keys(user, kept_aside))

    # ---- what is shown

    def say(self, user: str, whose: str, text: str) -> None:
        self.users.setdefault(user, False)
        self.talks.setdefault(user, []).append((whose, "\n".join(map(plain, text.split("\n")))))
        if whose == "theirs" and user != self.partner:
            self.unread.add(user)
        self.refresh()

    def note(self, user: str, text: str) -> None:
        self.say(user, "note", text) if user else self.status.configure(text=plain(text))

    def refresh(self) -> None:
        self.list.delete(0, "end")
        for name in self.names():
            self.list.insert("end", f" {'●' if self.users[name] else '○'} {name}{'  *' if name in self.unread else ''}")
            if name == self.partner:
                self.list.selection_set("end")
        self.text.configure(state="normal")
        self.text.delete("1.0", "end")
        for whose, line in self.talks.get(self.partner, []):
            self.text.insert("end", line + "\n", whose)
        for offer in self.offers.get(self.partner, []):
            self.text.insert("end", f"offers {offer.name} ({offer.total:,} bytes) ", "theirs")
            self.text.window_create("end", window=ttk.Button(
                self.text, text="Accept", command=lambda offer=offer: self.accept(offer)))
            self.text.insert("end", "\n")
        self.text.configure(state="disabled")
        self.text.see("end")

    def show(self, event: Any) -> None:
        match event:
            case securechat.LoggedIn(listed=listed):
                self.status.configure(text="connected" if listed else "not approved yet")
                self.client.list_users()
            case securechat.User(user=user, presence=presence) | securechat.PresenceChanged(user=user, presence=presence):
                if user and user != self.messenger.user:
                    self.users[user] = presence != Presence.OFFLINE
                    self.refresh()
            case securechat.Message(message=Kind.TEXT, user=user, data=data, trust=trust, time=sent):
                changed = "KEYS CHANGED  " if trust == Trust.VIOLATION else ""
                self.say(user, "theirs", f"{changed}{data.decode()}   {time.strftime('%H:%M', time.localtime(sent / 1000))}")
            case securechat.SentCopy(message=Kind.TEXT, user=user, data=data):
                self.say(user, "ours", data.decode())
            case securechat.FileOffered(user=user):
                self.offers.setdefault(user, []).append(event)
                self.note(user, f"{user} offers a file")
            case FileSaved(user=user, path=path):
                self.note(user, f"saved: {path}")
            case FileDelivered(user=user, name=name):
                self.note(user, f"{name} is sent")
            case FileLost(user=user, name=name, reason=reason):
                self.note(user, f"{name} did not get through: {reason}")
            case securechat.KeysChanged(user=user):
                self.note(user, f"the keys of {user} HAVE CHANGED: nothing is sent")
                self.after_idle(self.accept_keys, user)
            case securechat.Verify(fingerprint=fingerprint, expected=expected):
                what = "The key of the relay HAS CHANGED" if expected else "The address has no fingerprint"
                self.after_idle(messagebox.showwarning, "securechat", f"{what}. The relay shows\n\n{fingerprint.hex()}")
            case securechat.Refused(code=code):
                self.status.configure(text=f"refused: {words(Refusal, code)}")
            case securechat.Failed(status=status):
                self.note(self.partner, f"a message cannot be sent: {securechat.status_message(status)}")
            case Unreached(reason=reason):
                self.status.configure(text="not connected")
                self.note("", "not connected")


def main() -> None:
    root = tk.Tk()
    root.title("securechat")
    Form(root, lambda messenger: Window(root, messenger))
    root.mainloop()


if __name__ == "__main__":
    main()
