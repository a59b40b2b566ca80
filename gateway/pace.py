"""How fast one module may send: a burst at once, then so many a second; the rest waits in order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from boardtalk.sdk import Code, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

BURST: Final = 200
RATE: Final = 1000.0
"""A second. More than people read and boards report; little enough to leave the others in peace."""
MAX_WAITING: Final = 5_000
TURN_S: Final = 0.01


class Pace:
    """Calls what is given to `do`: at once while there is room, otherwise a moment later."""

    def __init__(self) -> None:
        self._room = float(BURST)
        self._at = time.monotonic()
        self._waiting: deque[Callable[[], None]] = deque()
        self.sending: asyncio.Task[None] | None = None
        """Sends what waits; None: nothing does."""

    def do(self, send: Callable[[], None]) -> None:
        """Send now or soon.

        Raises:
            Refused: too much waits already.
        """
        if not self._waiting and self._take():
            send()
            return
        if len(self._waiting) >= MAX_WAITING:
            raise Refused(
                Code.BUSY, f"{len(self._waiting)} messages of this module wait: it sends more than {RATE:g}/s"
            )
        self._waiting.append(send)
        if self.sending is None:
            self.sending = asyncio.create_task(self._send_waiting(), name="messages of a module that wait")

    def close(self) -> None:
        """Send no more."""
        if self.sending:
            self.sending.cancel()

    def _take(self) -> bool:
        now = time.monotonic()
        self._room = min(BURST, self._room + (now - self._at) * RATE)
        self._at = now
        if self._room < 1:
            return False
        self._room -= 1
        return True

    async def _send_waiting(self) -> None:
        while self._waiting:
            await asyncio.sleep(TURN_S)
            while self._waiting and self._take():
                self._waiting.popleft()()
        self.sending = None
