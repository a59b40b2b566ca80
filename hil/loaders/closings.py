"""Tells when a program has closed a port: the pseudo-terminal itself does not, while we hold it open too.

That is inotify(7), as for ports that come (`transports/hotplug.py`), but on the port.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

IN_CLOSE_WRITE, IN_CLOSE_NOWRITE, IN_OPEN = 0x8, 0x10, 0x20
EVENT: Final = struct.Struct("iIII")
EVENTS_BYTES: Final = 4096


class Closings:
    """A port under watch while entered; who had it open before does not count."""

    def __init__(self, port: str) -> None:
        self._port = port
        self._holders = 0
        self._closed = asyncio.Event()

    def __enter__(self) -> Self:
        library = ctypes.CDLL(None, use_errno=True)
        self._fd = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        mask = IN_OPEN | IN_CLOSE_WRITE | IN_CLOSE_NOWRITE
        if self._fd < 0 or library.inotify_add_watch(self._fd, os.fsencode(self._port), mask) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), self._port)
        asyncio.get_running_loop().add_reader(self._fd, self._on_events)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    async def next(self) -> None:
        """Wait until the last program that had it open has closed it."""
        self._closed.clear()
        await self._closed.wait()

    def _on_events(self) -> None:
        with suppress(BlockingIOError):
            for _, mask, _, _ in EVENT.iter_unpack(os.read(self._fd, EVENTS_BYTES)):
                self._holders = max(0, self._holders + (1 if mask & IN_OPEN else -1))
                if self._holders:
                    self._closed.clear()
                else:
                    self._closed.set()
