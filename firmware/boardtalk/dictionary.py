"""The data dictionary: all that a board declares about itself, for the gateway."""

import json
from collections import namedtuple

from boardtalk.values import described, packing

KINDS = ("commands", "telemetry", "events", "controls")

Entry = namedtuple("Entry", ("name", "code", "args", "returns", "cls", "limit"))
"""Something declared. `returns` is also what a report or event tells, `limit` also a rate."""


class Dictionary:
    """All entries, each kind in the order of declaration, and the JSON text about them."""

    def __init__(self, name, about):
        self.name = name
        self._entries = self.commands, self.telemetry, self.events, self.controls = [], [], [], []
        self._head = json.dumps({"name": name, "about": about})[:-1].encode()
        self._pieces = [], [], [], []  # of the text, one for each entry
        self._returns = self._told = None

    def add(self, kind, name, code, args, returns, facts, cls="", limit=0):
        """Add an entry to its kind, where a name can be once. `facts` go into the text."""
        number = KINDS.index(kind)
        for entry in self._entries[number]:
            if entry.name == name:
                raise ValueError("'%s' is declared twice" % name)
        facts["name"] = name
        args = described(args)
        told = described(returns)
        if args:
            facts["args"] = args
        if told:
            facts["returns" if kind == "commands" else "values"] = told
        if returns is not self._returns:  # the same are often declared several times
            self._returns = returns
            self._told = packing(told)
        entry = Entry(name, code, packing(args), self._told, cls, limit)
        self._entries[number].append(entry)
        self._pieces[number].append(json.dumps(facts, separators=(",", ":")).encode())

    def text(self):
        """The text, in pieces: there may be no memory for the whole."""
        yield self._head
        for kind, pieces in zip(KINDS, self._pieces):
            yield b',"' + kind.encode() + b'":['
            for place, piece in enumerate(pieces):
                if place:
                    yield b","
                yield piece
            yield b"]"
        yield b"}"

    def piece(self, offset, size):
        """At most `size` bytes of the text, from `offset`."""
        data = b""
        for text in self.text():
            if offset < len(text):
                data += text[offset : offset + size - len(data)]
            offset = max(0, offset - len(text))
        return data
