"""The data dictionary: all that a board declares about itself, for the gateway."""

import json
from collections import namedtuple

from boardtalk.values import declared

KINDS = ("commands", "telemetry", "events", "controls")

Entry = namedtuple("Entry", ("name", "code", "args", "returns", "cls", "limit"))
"""Something declared. `returns` is also what a report or event tells, `limit` also a rate."""


class Dictionary:
    """All entries, each kind in the order of declaration, and the JSON text about them."""

    def __init__(self, name, about):
        self.name = name
        self.entries = self.commands, self.telemetry, self.events, self.controls = [], [], [], []
        self.texts = [json.dumps({"name": name, "about": about})[:-1].encode()]
        """The text in pieces: joined it would need a large piece of memory."""
        for kind in KINDS:
            self.texts.append(b',"%s":[' % kind)

    def add(self, kind, name, code, args, returns, facts, cls="", limit=0):
        """Add an entry to its kind, where a name can be once. `facts` go into the text."""
        entries = self.entries[KINDS.index(kind)]
        for entry in entries:
            if entry.name == name:
                raise ValueError("'%s' is declared twice" % name)
        facts["name"] = name
        if args:
            facts["args"], args = declared(args)
        if returns:
            key = "returns" if kind == "commands" else "values"
            facts[key], returns = declared(returns)
        text = json.dumps(facts).encode()
        self.texts[1 + KINDS.index(kind)] += b"," + text if entries else text
        entries.append(Entry(name, code, args, returns, cls, limit))

    def finish(self):
        """Declare nothing more: the text is complete."""
        for number in range(1, len(self.texts)):
            self.texts[number] += b"]"
        self.texts[-1] += b"}"

    def piece(self, offset, size):
        """At most `size` bytes of the text, from `offset`."""
        data = b""
        for text in self.texts:
            data += text[offset : offset + size - len(data)] if offset < len(text) else b""
            offset = max(0, offset - len(text))
        return data
