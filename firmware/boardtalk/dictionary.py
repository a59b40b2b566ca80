"""The data dictionary: all that a board declares about itself, for the gateway."""

import json
from collections import namedtuple

from boardtalk.values import described, ordered

KINDS = (
    ("commands", "limit", "returns"),
    ("telemetry", "rate", "values"),
    ("events", "rate", "values"),
    ("controls", "lease", ""),
)
"""What can be declared, and what the gateway calls an entry's `limit` and `returns` there."""

Entry = namedtuple("Entry", ("name", "code", "args", "returns", "help", "limit", "cls"))
"""Something declared. `returns` is also what a report or event tells, `limit` also a rate."""


class Dictionary:
    """All entries, each kind in the order of declaration."""

    def __init__(self, name, about):
        self.name = name
        self.about = about
        self.commands = []
        self.telemetry = []
        self.events = []
        self.controls = []

    def add(self, kind, name, code, args, returns, help="", limit=0, cls=""):
        """Add an entry to its kind, where a name can be once."""
        if cls == "motion" and limit > 10:
            raise ValueError("motion '%s' takes 10 s at most" % name)
        entries = getattr(self, kind)
        for entry in entries:
            if entry.name == name:
                raise ValueError("'%s' is declared twice" % name)
        entries.append(Entry(name, code, ordered(args), ordered(returns), help, limit, cls))

    def text(self):
        """The JSON text, made in small pieces: there may be no memory for larger ones."""
        yield json.dumps({"name": self.name, "about": self.about})[:-1]
        for kind, limit, returns in KINDS:
            yield ',"%s":[' % kind
            comma = ""
            for entry in getattr(self, kind):
                facts = {"name": entry.name, "help": entry.help, limit: entry.limit}
                if entry.cls:
                    facts["class"] = entry.cls
                yield comma + json.dumps(facts)[:-1]
                comma = ","
                for key, values in (("args", entry.args), (returns, entry.returns)):
                    start = ',"%s":[' % key
                    for value in values:
                        yield start + json.dumps(described(*value))
                        start = ","
                    yield "]" if values else ""
                yield "}"
            yield "]"
        yield "}"

    def piece(self, offset, size):
        """At most `size` bytes of the text, from `offset`."""
        data = b""
        for text in self.text():
            piece = text.encode()
            data += piece[offset : offset + size - len(data)]
            if len(data) == size:
                break
            offset = max(0, offset - len(piece))
        return data
