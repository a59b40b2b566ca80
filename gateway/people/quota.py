"""How often each user may do what costs the gateway much: some times at once, then so many a second."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from boardtalk.sdk import Code, Refused
from boardtalk.sdk.bucket import Bucket

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
        self._buckets: dict[str, Bucket] = {}

    def take(self, user: str) -> None:
        """Note that a user does it.

        Raises:
            Refused: he does it too often.
        """
        if user not in self._buckets:
            self._buckets[user] = Bucket(BURST, RATE, self._clock)
        if not self._buckets[user].take():
            raise Refused(Code.BUSY, f"{self._what}: {RATE:g} a second at most; try again in a moment")
