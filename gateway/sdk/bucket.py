"""How often something may be done: some times at once, then so many a second."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Bucket:
    """A token bucket, full at first.

    Args:
        size: how many at once.
        per_s: how many more a second.
        clock: monotonic seconds.
    """

    def __init__(self, size: float, per_s: float, clock: Callable[[], float] = monotonic) -> None:
        self._size = self._left = size
        self._per_s = per_s
        self._clock = clock
        self._at = clock()

    def take(self, cost: float = 1.0) -> bool:
        """Whether there are so many; if so, they are gone."""
        now = self._clock()
        self._left = min(self._size, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < cost:
            return False
        self._left -= cost
        return True
