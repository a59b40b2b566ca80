"""Live control: whoever is silent for longer than his lease has lost it, and must take it anew.

The board stops by itself when the lease runs out. What comes later may have waited somewhere, in a
process that was frozen, while the hand let go: it must not set the board in motion again.
"""

from __future__ import annotations

import math


class Helm:
    """The controls of one board, by index."""

    def __init__(self) -> None:
        self._until: dict[int, float] = {}

    def take(self, index: int) -> None:
        """Somebody takes a control, or lets it go: its lease begins with his first set-point."""
        self._until[index] = math.inf

    def hold(self, index: int, lease_s: float, now: float) -> bool:
        """A set-point has come; whether it counts."""
        if lease_s <= 0 or now > self._until.get(index, math.inf):
            return False
        self._until[index] = now + lease_s
        return True
