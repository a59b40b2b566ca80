"""A line with a speed, for real processes: `python -m boardtalk.hil.paced NEAR FAR BAUD`.

It has a process of its own, since the timers of an event loop are too coarse for a frame of 450 µs.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import select
import sys
import time
from typing import Final

from boardtalk.sdk.leash import leashed

BITS_PER_BYTE: Final = 10
FIFO_BYTES: Final = 64
"""Taken from the sender ahead of time; the rest waits there, as it does before a UART."""
_SET_TIMER_SLACK: Final = 29


class PacedLine:
    """Carries bytes both ways at `baud` bits per second, ten for each byte; joins like a `FaultyLine`."""

    def __init__(self, baud: int) -> None:
        self.baud = baud
        self.pid: int | None = None
        """Of the process that carries, once it does."""

    async def join(self, near: int, far: int) -> None:
        """Carry between two descriptors that don't block, until one of them is gone."""
        command = leashed(sys.executable, "-m", __spec__.name, f"{near}", f"{far}", f"{self.baud}")
        process = await asyncio.create_subprocess_exec(*command, pass_fds=(near, far))
        self.pid = process.pid
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


class _Direction:
    """One direction of the line: what is on it, and since when."""

    def __init__(self, source: int, sink: int, byte_s: float) -> None:
        self.source = source
        self._sink = sink
        self._byte_s = byte_s
        self._data = b""
        self._began = 0.0

    @property
    def room(self) -> bool:
        return len(self._data) < FIFO_BYTES

    def due(self) -> float:
        """When the next frame, or all there is, has gone over the line."""
        return self._began + self._length() * self._byte_s if self._data else float("inf")

    def read(self, now: float) -> None:
        """Take what the sender has. Raises EOFError: it is gone."""
        try:
            data = os.read(self.source, FIFO_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            raise EOFError
        if not self._data:
            self._began = max(self._began, now)
        self._data += data

    def write(self, now: float) -> None:
        """Hand over what has arrived."""
        while self.due() <= now:
            length = self._length()
            self._began += length * self._byte_s
            arrived, self._data = self._data[:length], self._data[length:]
            try:
                os.write(self._sink, arrived)
            except BlockingIOError:  # nobody reads, and a line does not wait
                continue
            except OSError:
                raise EOFError from None

    def _length(self) -> int:
        """Bytes up to the end of the next frame."""
        return self._data.find(b"\0", 1) + 1 or len(self._data)


def carry(near: int, far: int, baud: int) -> None:
    """Carry until one end is gone."""
    ctypes.CDLL(None).prctl(_SET_TIMER_SLACK, 1)  # ns
    byte_s = BITS_PER_BYTE / baud
    directions = _Direction(near, far, byte_s), _Direction(far, near, byte_s)
    while True:
        due = min(direction.due() for direction in directions)
        pause = None if due == float("inf") else max(0.0, due - time.monotonic())
        waiting = [direction.source for direction in directions if direction.room]
        readable = select.select(waiting, (), (), pause)[0]
        now = time.monotonic()
        for direction in directions:
            direction.write(now)
            if direction.source in readable:
                direction.read(now)


def main() -> None:
    """Carry between inherited descriptors."""
    near, far, baud = map(int, sys.argv[1:])
    try:
        carry(near, far, baud)
    except EOFError:
        return


if __name__ == "__main__":
    main()
