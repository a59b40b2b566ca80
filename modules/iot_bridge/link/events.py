"""What a link tells of: what came, what has arrived, and how its session goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from boardtalk.modules.iot_bridge.link.framing import Frame, Text

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.errors import SessionError
    from boardtalk.modules.iot_bridge.link.hello import Hello


class Opened(NamedTuple):
    """A session began; numbers start anew in both directions."""

    hello: Hello


class Timed(NamedTuple):
    """The board's clock is known: deadlines can be sent."""


class Delivered(NamedTuple):
    """The peer has the frame that `send` returned this token for."""

    token: int
    tries: int
    """How often it was sent."""
    wire: bytes
    """The last time, as it was on the line."""
    took_s: float
    """From the first time to the acknowledgement."""


class Expired(NamedTuple):
    """The frame of this token was dropped unsent: its time is over."""

    token: int


class Undelivered(NamedTuple):
    """The frame that `send` returned this token for was on the line, and the peer has not acknowledged it."""

    token: int
    tries: int
    wire: bytes


class Ended(NamedTuple):
    """The session, or the attempt to open one, is over."""

    error: SessionError
    undelivered: tuple[Undelivered, ...] = ()


Event: TypeAlias = Frame | Text | Opened | Timed | Delivered | Expired | Ended


@dataclass(slots=True)
class Counters:
    """What happened on the line since the link was made."""

    sent: int = 0
    resent: int = 0
    received: int = 0
    bad: int = 0
    lost: int = 0
    """Unreliable frames of the peer that have not come."""
    missed: int = 0
    """Ours that have not come to the board, as it says; those dropped unsent too."""
