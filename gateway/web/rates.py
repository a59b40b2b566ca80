"""How much one user may say a second, over all his pages."""

from __future__ import annotations

from typing import Final
from weakref import WeakValueDictionary

from boardtalk.sdk.bucket import Bucket

MESSAGES_PER_S: Final = 20
SET_POINTS_PER_S: Final = 50


class Rates:
    """Those of one kind, by user; who has no page open any more has none."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._of: WeakValueDictionary[str, Bucket] = WeakValueDictionary()

    def of(self, user: str) -> Bucket:
        """A user's: hold it as long as his page is open."""
        bucket = self._of.get(user)
        if bucket is None:
            bucket = self._of[user] = Bucket(self._per_s, self._per_s)
        return bucket
