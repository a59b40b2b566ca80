"""How often each user may do what costs the gateway much: some times at once, then so many a second."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from boardtalk.sdk import Code, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

BURST: Final = 20
RATE: Final = 10.0
"""A second. More than a person asks, and a program that looks after its own messages needs."""


class Quota:
    """A token bucket for each user."""

    def __init__(self, what: str, clock: Callable[[], float] = monotonic) -> None:
        self._what = what
        self._clock = clock
        self._room: dict[str, tuple[float, float]] = {}
        """What each user has left, and when that was."""

    def take(self, user: str) -> None:
        """Note that a user does it.

        Raises:
            Refused: he does it too often.
        """
        now = self._clock()
        left, at = self._room.get(user, (BURST, now))
        left = min(BURST, left + (now - at) * RATE)
        if left < 1:
            raise Refused(Code.BUSY, f"{self._what}: {RATE:g} a second at most; try again in a moment")
        self._room[user] = left - 1, now
