"""The data dictionary: all that a board declares about itself, for the gateway."""

import json
from hashlib import sha256

from micropython import const

from boardtalk.values import named

_CLASSES = ("stop", "motion", "action", "config", "query")
_TAKEN = ("stop", "rearm", "help")  # what people say to every robot
_LONGEST_MOTION_S = const(10)
_MAX_ENTRIES = const(224)  # of one kind: their number must fit into a frame's type
_LEASE_MS = (200, 2000)


class Entry:
    """Something declared: its name, its values and the code behind it."""

    kind = ""
    """The list of the dictionary that it belongs to."""
    key = ""
    """What its values are called there."""

    def __init__(self, name, values, help="", code=None):
        if not _is_name(name):
            raise ValueError("'%s' can't be a name: use a-z, 0-9 and _, at most 32" % name)
        self.name = name
        self.values = named(name, values)
        self.help = help
        self.code = code
        self.number = 0

    def describe(self):
        """Its part of the dictionary."""
        part = {"name": self.name, self.key: [value.describe() for value in self.values]}
        if self.help:
            part["help"] = self.help
        return part


class Event(Entry):
    """Something that the robot tells of its own accord."""

    kind = "events"
    key = "values"


class Channel(Entry):
    """Telemetry. `rate` is in reports per second; 0: when it changes."""

    kind = "telemetry"
    key = "values"

    def __init__(self, name, values, help, code, rate):
        super().__init__(name, values, help, code)
        self.rate = rate
        self.due = None
        """When it is reported next, in ticks."""
        self.last = None
        """What was reported last."""

    def describe(self):
        part = super().describe()
        part["rate"] = self.rate
        return part


class Control(Entry):
    """A live control; outputs go off if no set-point comes within `lease` ms."""

    kind = "controls"
    key = "args"

    def __init__(self, name, values, help, code, lease):
        super().__init__(name, values, help, code)
        if not _LEASE_MS[0] <= lease <= _LEASE_MS[1]:
            raise ValueError("%s: the lease must be 200 to 2000 ms" % name)
        self.lease = lease
        self.ends = None
        """While it is live: when its lease runs out, in ticks."""

    def describe(self):
        part = super().describe()
        part["lease"] = self.lease
        return part


class Command(Entry):
    """A command of class `cls`; it may run for `limit` seconds."""

    kind = "commands"
    key = "args"

    def __init__(self, name, values, help, code, cls, returns, limit):
        super().__init__(name, values, help, code)
        if name in _TAKEN:
            raise ValueError("'%s' can't be a command: every robot has it" % name)
        if cls not in _CLASSES:
            raise ValueError("%s: the class must be one of %s" % (name, ", ".join(_CLASSES)))
        if not 0 < limit or (cls == "motion" and limit > _LONGEST_MOTION_S):
            raise ValueError("%s: motion must end by itself, so limit is at most 10 s" % name)
        self.cls = cls
        self.returns = returns if isinstance(returns, list) else named(name, returns or {})
        self.limit = limit

    def describe(self):
        part = super().describe()
        part["class"] = self.cls
        part["limit"] = self.limit
        if self.returns:
            part["returns"] = [value.describe() for value in self.returns]
        return part


class Dictionary:
    """All entries, each kind in the order of its declaration."""

    def __init__(self, name, about):
        self.name = name
        self.about = about
        self.commands = []
        self.telemetry = []
        self.events = []
        self.controls = []

    def add(self, entry):
        """Add an entry to its kind, where a name can be once."""
        entries = getattr(self, entry.kind)
        if any(other.name == entry.name for other in entries):
            raise ValueError("'%s' is declared twice" % entry.name)
        if len(entries) >= _MAX_ENTRIES:
            raise ValueError("'%s' is one too many" % entry.name)
        entry.number = len(entries)
        entries.append(entry)

    def text(self):
        """The dictionary as JSON bytes."""
        whole = {"name": self.name, "about": self.about}
        for kind in ("commands", "telemetry", "events", "controls"):
            whole[kind] = [entry.describe() for entry in getattr(self, kind)]
        return json.dumps(whole).encode()


def digest(text):
    """The 8 bytes by which a dictionary is known."""
    return sha256(text).digest()[:8]


def _is_name(text):
    if not 0 < len(text) <= 32 or not "a" <= text[0] <= "z":
        return False
    return all("a" <= c <= "z" or "0" <= c <= "9" or c == "_" for c in text)
