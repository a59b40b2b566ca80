"""How fast a line behind a network takes bytes.

What is written to a socket is gone, and waits in somebody's buffers for the UART at the far end, where
a stop can't overtake it. So no more is written than that UART sends.
"""

from __future__ import annotations

import asyncio
from typing import Final

BITS_PER_BYTE: Final = 10
AHEAD_S: Final = 0.020
"""See `Transport.ahead_bytes`."""
SLACK_S: Final = 0.003
"""So much may be under way when more is written."""


class Pace:
    """The far end of a line of so many bits per second."""

    def __init__(self, baud: int) -> None:
        self._byte_s = BITS_PER_BYTE / baud
        self._loop = asyncio.get_running_loop()
        self._idle_at = 0.0

    def sent(self, size: int) -> None:
        """So many bytes more are on their way."""
        self._idle_at = max(self._idle_at, self._loop.time()) + size * self._byte_s

    @property
    def surplus_s(self) -> float:
        """Seconds until more may be sent; not above 0: now."""
        return self._idle_at - self._loop.time() - SLACK_S

    async def wait(self) -> None:
        """Wait until more may be sent."""
        while (surplus := self.surplus_s) > 0:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(surplus)
