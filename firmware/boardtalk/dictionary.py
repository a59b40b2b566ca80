"""The data dictionary: all that a board declares about itself, for the gateway."""

import json

from micropython import const

_TAKEN = ("stop", "rearm", "help")  # what people say to every robot
_MAX_ENTRIES = const(224)  # of one kind: their number must fit into a frame's type


class Entry:
    """Something declared: its name, its values and the code behind it."""

    def __init__(self, name, code, values, returns=()):
        self.name = name
        self.code = code
        self.values = values
        self.returns = returns
        self.number = 0
        self.part = None
        """What stands about it in the dictionary, until that is written."""
        self.due = None
        """A report, or the end of a lease, in ticks."""
        self.complaint = ""


class Dictionary:
    """All entries, each kind in the order of declaration."""

    def __init__(self, name, about):
        self.name = name
        self.about = about
        self.commands = []
        self.telemetry = []
        self.events = []
        self.controls = []

    def add(self, kind, entry, **part):
        """Add an entry to its kind, where a name can be once; `part`: more about it."""
        entries = getattr(self, kind)
        name = entry.name
        if not _is_name(name) or (kind == "commands" and name in _TAKEN):
            raise ValueError("'%s' can't be a name" % name)
        if len(entries) >= _MAX_ENTRIES or any(other.name == name for other in entries):
            raise ValueError("'%s' is declared twice, or one too many" % name)
        part["name"] = name
        part["args" if kind in ("commands", "controls") else "values"] = entry.values
        entry.part = part
        entry.number = len(entries)
        entries.append(entry)

    def text(self):
        """The dictionary as JSON bytes. Can be had once."""
        whole = {"name": self.name, "about": self.about}
        for kind in ("commands", "telemetry", "events", "controls"):
            whole[kind] = [entry.part for entry in getattr(self, kind)]
            for entry in getattr(self, kind):
                entry.part = None
        return json.dumps(whole).encode()


def _is_name(text):
    if not 0 < len(text) <= 32 or not "a" <= text[0] <= "z":
        return False
    return all("a" <= c <= "z" or "0" <= c <= "9" or c == "_" for c in text)
