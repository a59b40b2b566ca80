"""Tells when a program has closed a port: the pseudo-terminal itself does not, while we hold it open too.

That is inotify(7), as for ports that come (`transports/hotplug.py`), but on the port. It says that there was
a closing, not how many: it merges what is alike and was not read yet. Who has it open stands in `/proc`.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

IN_CLOSE_WRITE, IN_CLOSE_NOWRITE, IN_OPEN = 0x8, 0x10, 0x20
EVENT: Final = struct.Struct("iIII")
EVENTS_BYTES: Final = 4096


class Closings:
    """A port under watch while entered; who had it open before does not count."""

    def __init__(self, port: str) -> None:
        self._port = os.path.realpath(port)
        self._before = self._holders()
        self._closed = asyncio.Event()

    def __enter__(self) -> Self:
        library = ctypes.CDLL(None, use_errno=True)
        self._fd = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        mask = IN_OPEN | IN_CLOSE_WRITE | IN_CLOSE_NOWRITE
        if self._fd < 0 or library.inotify_add_watch(self._fd, os.fsencode(self._port), mask) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), self._port)
        asyncio.get_running_loop().add_reader(self._fd, self._on_events)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    async def next(self) -> None:
        """Wait until the last program that had it open has closed it."""
        self._closed.clear()
        await self._closed.wait()

    @property
    def in_use(self) -> bool:
        """Whether some program has it open."""
        return bool(self._holders() - self._before)

    def _on_events(self) -> None:
        with suppress(BlockingIOError):
            *_, (_, mask, _, _) = EVENT.iter_unpack(os.read(self._fd, EVENTS_BYTES))
            if mask & IN_OPEN or self.in_use:
                self._closed.clear()
            else:
                self._closed.set()

    def _holders(self) -> set[Path]:
        """The descriptors of all processes that are of this port."""
        found: set[Path] = set()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended meanwhile, or is somebody else's
                found.update(each for each in (process / "fd").iterdir() if self._is_there(each))
        return found

    def _is_there(self, descriptor: Path) -> bool:
        with suppress(OSError):
            return str(descriptor.readlink()) == self._port
        return False
