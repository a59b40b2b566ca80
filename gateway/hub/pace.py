"""How fast one module may send: a burst at once, then so many a second; the rest waits in order."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from boardtalk.sdk import Code, Refused
from boardtalk.sdk.bucket import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable

BURST: Final = 100
RATE: Final = 1000.0
"""A second. More than people read and boards report; little enough to leave the others in peace."""
STORED: Final = 2
"""What is stored counts so often: the disk is everybody's."""
MAX_WAITING: Final = 1_000
"""To take more of them in one go would keep everybody waiting."""
TURN_S: Final = 0.01


class Pace:
    """Calls what is given to `do`: at once while there is room, otherwise a moment later."""

    def __init__(self) -> None:
        self._room = Bucket(BURST, RATE)
        self._waiting: deque[tuple[Callable[[], None], int]] = deque()
        self.sending: asyncio.Task[None] | None = None
        """Sends what waits; None: nothing does."""

    def do(self, send: Callable[[], None], cost: int = 1) -> None:
        """Send now or soon.

        Raises:
            Refused: too much waits already.
        """
        if not self._waiting and self._room.take(cost):
            send()
            return
        if len(self._waiting) >= MAX_WAITING:
            raise Refused(Code.BUSY, f"{len(self._waiting)} messages of this module wait: it sends too much")
        self._waiting.append((send, cost))
        if self.sending is None:
            self.sending = asyncio.create_task(self._send_waiting(), name="messages of a module that wait")

    def close(self) -> None:
        """Send no more."""
        if self.sending:
            self.sending.cancel()

    async def _send_waiting(self) -> None:
        while self._waiting:
            await asyncio.sleep(TURN_S)
            while self._waiting and self._room.take(self._waiting[0][1]):
                self._waiting.popleft()[0]()
        self.sending = None
