"""Whether the gateway stood still: then what comes next may have waited for it, nobody knows how long.

A frozen process, or a module that holds the interpreter, leaves what people say in sockets and at the broker.
It counts as old as the standstill, so that no motion begins long after it was asked for, and what was said
before a stop is not taken for newer.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

BEAT_S: Final = 0.1
STILL_S: Final = 0.5
"""A shorter standstill makes nothing late."""
BACKLOG: Final = 0.1
"""Of a standstill, for so much longer what is read may have waited …"""
MAX_BACKLOG_S: Final = 1.0
"""… but not for more."""


class Pulse:
    """One event loop's."""

    def __init__(self) -> None:
        self._beat: float | None = None
        self._age_s = 0.0
        self._until = 0.0

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self._feel()
            await asyncio.sleep(BEAT_S)

    def age_s(self) -> float:
        """How many seconds old what is read now may be."""
        if self._beat is None:
            return 0.0
        self._feel()
        return self._age_s if self._beat < self._until else 0.0

    def _feel(self) -> None:
        now = time.monotonic()
        still = now - self._beat - BEAT_S if self._beat is not None else 0.0
        if still > STILL_S:
            self._age_s = still + (self._age_s if now - still < self._until else 0.0)
            self._until = now + min(still * BACKLOG, MAX_BACKLOG_S)
        self._beat = now
