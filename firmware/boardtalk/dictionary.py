"""The data dictionary: all that a board declares about itself, for the gateway."""

import json
from collections import namedtuple
from hashlib import sha256

from boardtalk.values import declared

KINDS = ("commands", "telemetry", "events", "controls")

Entry = namedtuple("Entry", ("name", "code", "args", "returns", "cls", "limit"))
"""Something declared. `returns` is also what a report or event tells, `limit` also a rate."""


class Dictionary:
    """All entries, each kind in the order of declaration, and the JSON text about them."""

    def __init__(self, name, about):
        self.name = name
        self.entries = {}
        self.texts = {"": json.dumps({"name": name, "about": about})[:-1].encode()}
        """The text, in pieces."""
        for kind in KINDS:
            self.entries[kind] = []

    def add(self, kind, name, code, args, returns, cls="", limit=0, **facts):
        """Add an entry to its kind, where a name can be once. `facts` stand in the text as they are."""
        entries = self.entries[kind]
        for entry in entries:
            if entry.name == name:
                raise ValueError("'%s' is declared twice" % name)
        facts["name"] = name
        facts["args"], args = declared(args)
        facts["returns" if kind == "commands" else "values"], returns = declared(returns)
        entries.append(Entry(name, code, args, returns, cls, limit))
        text = self.texts.get(kind)
        text = text + b"," if text else b',"%s":[' % kind.encode()
        self.texts[kind] = text + json.dumps(facts).encode()
