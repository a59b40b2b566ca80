"""How much a board may say."""

from __future__ import annotations

from typing import Final

REPORTS_PER_S: Final = 500.0
"""Telemetry, events and log lines of one board together, on average."""
BURST: Final = 500.0


class Limiter:
    """A token bucket that counts what it refuses."""

    def __init__(self) -> None:
        self._tokens = BURST
        self._at = 0.0
        self._refused = 0

    def admit(self, now: float) -> bool:
        """Whether one more is allowed at `now`, monotonic seconds."""
        self._tokens = min(BURST, self._tokens + (now - self._at) * REPORTS_PER_S)
        self._at = now
        if self._tokens < 1:
            self._refused += 1
            return False
        self._tokens -= 1
        return True

    def take_refused(self) -> int:
        """How many were refused since this was asked last."""
        refused, self._refused = self._refused, 0
        return refused
