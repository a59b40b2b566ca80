"""The data dictionary: all that a board declares about itself, for the gateway."""

import json
from collections import namedtuple
from hashlib import sha256

from boardtalk.values import declared

Entry = namedtuple("Entry", ("name", "code", "cls", "limit", "args", "returns"))
"""A command, channel, event or control.

`limit` is the longest time of a command in seconds, or telemetry's rate; `returns` is what a
command returns or what a report or event tells.
"""


class Dictionary:
    """All entries, each kind in the order of declaration, and the JSON text about them."""

    def __init__(self, name, about):
        self.name = name
        self.commands = []
        self.telemetry = []
        self.events = []
        self.controls = []
        self.size = 0
        """Of the text, bytes."""
        self._pieces = {"": json.dumps({"name": name, "about": about})[:-1]}

    def add(self, kind, name, code, facts, args=None, returns=None):
        """Add an entry to its kind, where a name can be once. `facts` stand in the text as they are."""
        entries = getattr(self, kind)
        for entry in entries:
            if entry.name == name:
                raise ValueError("'%s' is declared twice" % name)
        facts["name"] = name
        for key in ("args","returns"):
            ...
