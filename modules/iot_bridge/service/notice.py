"""Which stops were carried out, written down for the gateway's audit; no stop waits for that."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from boardtalk.sdk import carried

if TYPE_CHECKING:
    from pathlib import Path

MAX_WAITING: Final = 100
"""Of more that wait for a slow disk, the oldest are dropped."""

log = logging.getLogger(__name__)


class Notice:
    """The stops of one link process.

    Args:
        state: the state folder.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._waiting: deque[carried.Carried] = deque(maxlen=MAX_WAITING)
        self._news = asyncio.Event()

    def put(self, by: str, boards: tuple[str, ...], result: str) -> None:
        """A stop was carried out just now."""
        self._waiting.append(carried.Carried(at=time.time(), by=by, boards=boards, result=result))
        self._news.set()

    async def run(self) -> None:
        """Write them, on and on."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self.flush()

    async def flush(self) -> None:
        """Write what waits."""
        while self._waiting:
            try:
                await asyncio.to_thread(carried.write, self._state, self._waiting.popleft())
            except OSError as error:
                log.error("a stop is not written down for the audit: %s", error)
