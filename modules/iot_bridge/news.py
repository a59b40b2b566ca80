"""What goes down to a board and what comes up from it, as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from boardtalk.modules.iot_bridge.frames import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE_CHARS: Final = 400
"""A longer line is cut."""


class Order(msgspec.Struct, frozen=True):
    """A command for a board."""

    id: int
    """1 … 2³²-1; the board executes an id at most once."""
    index: int
    """In its dictionary."""
    ttl_s: float
    """Seconds within which it must start; 0 only asks what became of an earlier copy."""
    epoch: int = 0
    lease_ms: int = 0
    args: bytes = b""


class Sent(msgspec.Struct, frozen=True):
    """The board has a command."""

    id: int
    tries: int
    """How often it was sent."""
    wire: bytes
    """As it was on the line."""
    took_s: float
    """Until it was acknowledged."""


class Started(msgspec.Struct, frozen=True):
    """A command began."""

    id: int


class Progress(msgspec.Struct, frozen=True):
    """How far a command is."""

    id: int
    percent: int


class Result(msgspec.Struct, frozen=True):
    """A command ended."""

    id: int
    outcome: Outcome
    data: bytes = b""
    """DONE: the returned values. Otherwise: why, UTF-8."""

    @property
    def reason(self) -> str:
        """Why it was not done."""
        return " ".join(lines(self.data.decode(errors="replace")))


class Telemetry(msgspec.Struct, frozen=True):
    """Values of a telemetry channel."""

    index: int
    data: bytes


class BoardEvent(msgspec.Struct, frozen=True):
    """An event, with its values."""

    index: int
    data: bytes


class LogLine(msgspec.Struct, frozen=True):
    """A line that the board logged, or printed (level 0). Control characters are gone."""

    level: int
    text: str


class Stopped(msgspec.Struct, frozen=True):
    """The board's epoch, and whether it is stopped; whenever it says so."""

    epoch: int
    latched: bool


class Dropped(msgspec.Struct, frozen=True):
    """So many reports and log lines were thrown away: the board sends more than it may."""

    count: int


News: TypeAlias = Sent | Started | Progress | Result | Telemetry | BoardEvent | LogLine | Stopped | Dropped


def lines(text: str) -> Iterator[str]:
    """The lines of what a board says, without control characters, blank ones left out."""
    for line in text.splitlines():
        clean = printable(line)
        if clean.strip():
            yield clean.rstrip()


def printable(text: str) -> str:
    """What a board says, as one line of limited length that does nothing to a terminal."""
    return "".join(char if char.isprintable() else " " for char in text[:MAX_LINE_CHARS])
