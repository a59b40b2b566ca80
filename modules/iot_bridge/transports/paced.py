"""What ports have in common that find room in something larger than the line: a socket, a broker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge.transports.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable

READ_BYTES: Final = 1024
"""Taken at once: boards get their turns in small helpings."""


class PacedPort:
    """Most of a `Transport`'s writing half.

    Args:
        baud: bits per second of the line at the far end.
    """

    _loop: asyncio.AbstractEventLoop

    def __init__(self, baud: int) -> None:
        self._pace = Pace(baud)

    @property
    def _held(self) -> int:
        """Bytes that have found no room yet."""
        return 0

    @property
    def frame_bytes(self) -> int:
        """See `Transport.frame_bytes`."""
        return self._pace.frame_bytes

    @property
    def room(self) -> int:
        """See `Transport.room`."""
        return self._pace.room(self._held, self._loop.time())

    def when_room(self, callback: Callable[[], None]) -> None:
        """See `Transport.when_room`."""
        self._loop.call_later(self._pace.wait_s(self._held, self._loop.time()), callback)

    async def appears(self) -> None:
        """See `Port.appears`."""
        await asyncio.Event().wait()  # nobody tells: only trying does


class FedPort(PacedPort):
    """The reading half too, of a port that is told what comes."""

    def __init__(self, baud: int) -> None:
        super().__init__(baud)
        self._input = bytearray()
        self._arrived = asyncio.Event()
        self._lost = False

    async def read(self) -> bytes:
        """See `Transport.read`."""
        while not self._input and not self._lost:
            self._arrived.clear()
            await self._arrived.wait()
        data = bytes(self._input[:READ_BYTES])
        del self._input[:READ_BYTES]
        return data

    def lose(self) -> None:
        """The board has gone, or the way to it."""
        self._lost = True
        self._arrived.set()
