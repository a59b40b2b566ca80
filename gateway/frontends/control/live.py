"""Live control and measured values over ``control.sock``."""

from __future__ import annotations

from typing import Annotated

import msgspec

from boardtalk.events import Sample


class OpenCall(msgspec.Struct, tag_field="op", tag="call"):
    """Ask for live control of a robot."""

    to: str
    control: str = ""


class AskCall(msgspec.Struct, tag_field="op", tag="ask call"):
    """Ask who controls a robot to hand it over. What he says comes as `CallDecided`."""

    to: str


class HandOver(msgspec.Struct, tag_field="op", tag="hand over"):
    """Answer a `CallAsked`. Not answered."""

    ask: str
    yes: bool


class SetPoint(msgspec.Struct, tag_field="op", tag="set"):
    """Live values for a call. Not answered."""

    call: str
    values: Annotated[str, msgspec.Meta(max_length=1024)]
    """Like the arguments of a command: `x=20 y=-50`."""


class HangUp(msgspec.Struct, tag_field="op", tag="hang up"):
    """End a call. Not answered."""

    call: str


class Watch(msgspec.Struct, tag_field="op", tag="watch"):
    """Ask to be told by `Values` what is measured at an address, until the connection ends, or `Unwatch`."""

    address: str
    series: list[str] = []
    """Only these; none: all. Asked again, the last one counts."""


class Unwatch(msgspec.Struct, tag_field="op", tag="unwatch"):
    """No longer. Not answered."""

    address: str


Request = OpenCall | AskCall | HandOver | HangUp | Watch | Unwatch


class CallOpened(msgspec.Struct, tag="called"):
    """Answers `OpenCall`."""

    call: str


class Asked(msgspec.Struct, tag="asked"):
    """Answers `AskCall`."""

    ask: str
    holder: str
    """Who is asked."""
    until: float
    """UTC seconds: how long he has for it."""


class Watching(msgspec.Struct, tag="watching"):
    """Answers `Watch`."""

    address: str
    past: dict[str, list[Sample]]
    """What is kept of the recent past, by the names of the series, oldest first."""
