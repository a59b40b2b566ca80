"""What happens while boards are flashed: one JSON object each, for programs too."""

from __future__ import annotations

import msgspec

from boardtalk.flash.errors import Code


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of all; `port` tells whose it is."""

    port: str


class Step(Event, frozen=True, tag="step"):
    """A step begins."""

    step: str
    """`check`, `loader`, `match`, `plan`, `backup`, `erase`, `write`, `verify`, `reset`, `wait`, `again`;
    of a client: `ask`, `plan`, `copy`, `install`, `start`, `hello`, `welcome`."""
    detail: str = ""


class Progress(Event, frozen=True, tag="progress"):
    """How far a step is."""

    step: str
    done: int
    total: int
    """Bytes."""


class Ended(Event, frozen=True, tag="ended"):
    """The last of a port."""

    ok: bool
    board: str = ""
    id: str = ""
    """What the loader told, such as a MAC address."""
    device: str = ""
    """Where that board is; "": its port was not got."""
    sha256: str = ""
    """Of what it should get."""
    written: int = 0
    """Bytes that differed, and were written."""
    total: int = 0
    seconds: float = 0.0
    firmware: str = ""
    """What answers now; "": nobody was asked, or did."""
    program: str = ""
    """What its HELLO says, of a board that got a client."""
    dictionary: str = ""
    """Hash of what that can do."""
    code: Code | None = None
    reason: str = ""
    cure: str = ""
    """What to do next."""
    note: str = ""
    """What else there is to say of a success."""


AnyEvent = Step | Progress | Ended
