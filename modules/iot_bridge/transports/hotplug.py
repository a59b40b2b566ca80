"""Tells when something appears in a folder, such as a port in /dev, without looking again and again.

That is inotify(7), two functions of the C library. udev's own events would need its daemon, which
containers lack.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

CHANGES: Final = 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
"""IN_ATTRIB (udev hands a port over to its group), IN_MOVED_…, IN_CREATE, IN_DELETE, IN_…_SELF."""
EVENTS_BYTES: Final = 65536


class Folders:
    """Folders under watch while entered.

    Where the system refuses (it has limits), nothing is ever told: look again now and then anyway.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)
        self._changed = asyncio.Event()

    def __enter__(self) -> Self:
        library = ctypes.CDLL(None)
        self._fd = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd >= 0:
            for folder in self._folders:
                library.inotify_add_watch(self._fd, os.fsencode(folder), CHANGES)
            asyncio.get_running_loop().add_reader(self._fd, self._on_events)
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)

    async def changed(self, within: float | None = None) -> None:
        """Wait for the next change, at most so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._changed.wait()
        self._changed.clear()

    def _on_events(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._fd, EVENTS_BYTES)
        self._changed.set()


async def appears(path: str) -> None:
    """Wait until a port is there and may be opened; `path` may be a link that udev makes."""
    while not usable(path):
        folders = _folders(path)
        with Folders(folders) as watched:
            if not usable(path) and _folders(path) == folders:  # else it came while we looked
                await watched.changed()


def usable(path: str) -> bool:
    """Whether it is there and may be opened."""
    return os.access(path, os.R_OK | os.W_OK)


def _folders(path: str) -> set[Path]:
    """Where it would appear: the nearest folders that there are, of a link and of what it leads to."""
    return {
        next(folder for folder in Path(each).parents if folder.is_dir())
        for each in (Path(path).absolute(), os.path.realpath(path))
    }
