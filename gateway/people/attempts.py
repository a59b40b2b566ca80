"""How often somebody may try: for what must not be guessed. Who fails waits longer and longer, to a limit."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_KEPT: Final = 10_000
"""Of more, who has waited longest is forgotten: names come from strangers."""


class _Bucket(NamedTuple):
    left: float
    at: float


class Attempts:
    """Attempts that each key has: some at once, then one every so many seconds. Successes cost none.

    Args:
        at_once: how many.
        every_s: seconds until there is one more.
        clock: monotonic seconds.
    """

    def __init__(self, at_once: int, every_s: float, clock: Callable[[], float] = monotonic) -> None:
        self._at_once = at_once
        self._every_s = every_s
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def wait(self, key: str) -> float:
        """Seconds until the next attempt; 0: now."""
        return max(0.0, (1 - self._left(key)) * self._every_s)

    def take(self, key: str) -> None:
        """Note an attempt, before its outcome is known: many at once must not all be free."""
        self._put(key, self._left(key) - 1)

    def give_back(self, key: str) -> None:
        """Note that it succeeded."""
        self._put(key, self._left(key) + 1)

    def _left(self, key: str) -> float:
        now = self._clock()
        left, at = self._buckets.get(key, (self._at_once, now))
        return min(self._at_once, left + (now - at) / self._every_s)

    def _put(self, key: str, left: float) -> None:
        self._buckets.pop(key, None)  # the newest stand last
        if left < self._at_once:
            self._buckets[key] = _Bucket(left, self._clock())
        while len(self._buckets) > MAX_KEPT:
            del self._buckets[next(iter(self._buckets))]
