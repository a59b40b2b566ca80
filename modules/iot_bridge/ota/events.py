"""What happens while robots get a release: one JSON object each, for programs too."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """What became of a robot's update."""

    UPDATED = "updated"
    """It runs the release, which has proved itself."""
    HAS = "has it"
    """It ran the release already."""
    ON_TRIAL = "on trial"
    """It runs the release, or is about to; nobody waited for the proof."""
    PLANNED = "to be updated"
    """It would be; nothing was begun."""
    UNREACHABLE = "unreachable"
    """It was not there: nothing was begun."""
    ROLLED_BACK = "rolled back"
    """The release did not prove itself; the one before runs again."""
    REFUSED = "refused"
    """The board does not take it; nothing has changed."""
    LOST = "lost"
    """It went away and did not come back."""
    BROKEN_OFF = "broken off"
    """Another one was unhealthy, or a person ended it; what was sent is there."""
    NOT_BEGUN = "not begun"
    """Its turn did not come."""

    @property
    def good(self) -> bool:
        """Whether all is as it should be."""
        return self in {Outcome.UPDATED, Outcome.HAS, Outcome.ON_TRIAL, Outcome.PLANNED}

    @property
    def unhealthy(self) -> bool:
        """Whether others should not get the release."""
        return self in {Outcome.ROLLED_BACK, Outcome.REFUSED, Outcome.LOST}


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of all."""


class Stage(Event, frozen=True, tag="stage"):
    """A stage begins."""

    number: int
    """From 1."""
    robots: tuple[str, ...]
    left: int
    """Robots whose turn comes later."""


class Said(Event, frozen=True, tag="said"):
    """Something for people."""

    robot: str
    text: str


class Total(Event, frozen=True, tag="total"):
    """Bytes that are to be sent to a robot, from now on; what it has is not among them."""

    robot: str
    size: int


class Sent(Event, frozen=True, tag="sent"):
    """So many bytes more have arrived."""

    robot: str
    size: int


class Ended(Event, frozen=True, tag="ended"):
    """The last of a robot."""

    robot: str
    outcome: Outcome
    runs: str = ""
    """The release that runs; "": not known."""
    sent: int = 0
    """Bytes of files."""
    seconds: float = 0.0
    reason: str = ""


AnyEvent = Stage | Said | Total | Sent | Ended
