"""The ends of a line, which are descriptors that don't block, and what is under way between them."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_TCGETS2: Final = 0x802C542A
_OSPEED_AT: Final = 40
_TERMIOS2_BYTES: Final = 44


class UnderWay:
    """What is on the line in one direction, on an absolute clock: no rounding adds up."""

    def __init__(self) -> None:
        self.bytes = 0
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._free = self._last = 0.0

    @property
    def due(self) -> float:
        """When the next piece arrives."""
        return self._pieces[0][0] if self._pieces else float("inf")

    def put(self, piece: bytes, now: float, takes: float, delay: float) -> None:
        """Send: it `takes` its time, as soon as the line is free, and arrives with a delay."""
        self._free = max(self._free, now) + takes
        self._last = max(self._last, self._free + delay)
        self._pieces.append((self._last, piece))
        self.bytes += len(piece)

    def take(self) -> bytes:
        """What has arrived."""
        piece = self._pieces.popleft()[1]
        self.bytes -= len(piece)
        return piece


def rate_of(descriptor: int) -> int:
    """Bits per second that are set at an end of a line; 0: it has none, such as a socket.

    The master of a pseudo-terminal tells what was set at its other end.
    """
    try:
        settings = fcntl.ioctl(descriptor, _TCGETS2, bytes(_TERMIOS2_BYTES))
    except OSError:
        return 0
    return int(struct.unpack_from("=I", settings, _OSPEED_AT)[0])


def read(source: int, size: int) -> bytes | None:
    """What has come; b"": the end is gone, None: nothing."""
    try:
        return os.read(source, size)
    except BlockingIOError:
        return None
    except OSError:
        return b""


async def write(sink: int, data: bytes) -> None:
    """All of it, as fast as it is taken."""
    loop = asyncio.get_running_loop()
    while data:
        await possible(sink, loop.add_writer, loop.remove_writer)
        try:
            data = data[os.write(sink, data) :]
        except BlockingIOError:
            continue


async def possible(
    descriptor: int,
    watch: Callable[..., None],
    unwatch: Callable[[int], bool],
    until: float = float("inf"),
) -> None:
    """Wait until reading or writing is possible, or until a time."""
    ready = asyncio.Event()
    watch(descriptor, ready.set)
    try:
        if until == float("inf"):
            await ready.wait()
            return
        async with asyncio.timeout_at(until):
            await ready.wait()
    except TimeoutError:
        return
    finally:
        unwatch(descriptor)
