"""How much one user may say a second, over all his pages."""

from __future__ import annotations

import time
from typing import Final
from weakref import WeakValueDictionary

MESSAGES_PER_S: Final = 20
SET_POINTS_PER_S: Final = 50


class Rate:
    """So many a second, and a second's worth at once."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._left = float(per_s)
        self._at = time.monotonic()

    def take(self) -> bool:
        """Whether one more may pass; if so, it is counted."""
        now = time.monotonic()
        self._left = min(self._per_s, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Rates:
    """Those of one kind, by user; who has no page open any more has none."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._of: WeakValueDictionary[str, Rate] = WeakValueDictionary()

    def of(self, user: str) -> Rate:
        """A user's: hold it as long as his page is open."""
        rate = self._of.get(user)
        if rate is None:
            rate = self._of[user] = Rate(self._per_s)
        return rate
