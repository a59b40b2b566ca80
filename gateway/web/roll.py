"""Who is logged in, as the stop process reads it: from the file that the page process writes."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.sdk import kept

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE: Final = "sessions.json"
LIFE_S: Final = 30 * 86400.0
"""Longest life of a session, …"""
IDLE_S: Final = 7 * 86400.0
"""… and of one that nobody uses."""


class Kept(msgspec.Struct, kw_only=True):
    """What the file holds of a session. Times are in seconds of UTC."""

    hash: str
    """SHA-256 of its id, in hex."""
    user: str
    role: str
    stamp: str
    """What his account was at login: `control.Stamps`."""
    since: float
    used: float
    address: str = ""
    """From where he logged in."""
    agent: str = ""
    """With which browser, as it says."""

    @property
    def expires(self) -> float:
        """When it ends at the latest if nobody uses it."""
        return min(self.since + LIFE_S, self.used + IDLE_S)


def hashed(session_id: str) -> str:
    """What is kept of an id."""
    return hashlib.sha256(session_id.encode()).hexdigest()


class Roll:
    """Reads the file again whenever it has changed. If it can't be read, what was read last counts.

    Args:
        secrets: the folder of the file.
        clock: seconds of UTC.
    """

    def __init__(self, secrets: Path, clock: Callable[[], float] = time.time) -> None:
        self._file = kept.Watched(secrets / FILE, list[Kept])
        self._clock = clock
        self._members: dict[str, Kept] = {}

    def member(self, session_id: str) -> str:
        """What stands in the file for an id that a browser shows; "" if nothing does."""
        found = hashed(session_id)
        return found if self.user(found) else ""

    def user(self, member: str) -> str:
        """Who that is; "" once he has logged out, or his time is over."""
        if (members := self._file.news()) is not None:
            self._members = {each.hash: each for each in members}
        found = self._members.get(member)
        return found.user if found and found.expires > self._clock() else ""
