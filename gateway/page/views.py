"""Which robots each user may know of, written down for the stop process: it asks nobody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from boardtalk.page.settings import VIEWS
from boardtalk.sdk import kept

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from boardtalk.people.directory import Directory
    from boardtalk.people.users import Account

log = structlog.get_logger()


class ViewsFile:
    """Writes the file with them.

    Args:
        state: the state folder.
        directory: knows the rules.
        users: all of them, at each time.
    """

    def __init__(self, state: Path, directory: Directory, users: Iterable[Account]) -> None:
        self._path = state / VIEWS
        self._directory = directory
        self._users = users
        self._written: dict[str, tuple[str, ...]] | None = None
        self._changed = asyncio.Event()
        directory.subscribe(self._changed.set)

    async def write(self) -> None:
        """Write it, in a thread, when it is another one than the last time."""
        views = {each.address: self._directory.view(each.address) for each in self._users}
        if views == self._written:
            return
        try:
            await asyncio.to_thread(kept.save, self._path, views)
        except OSError as error:
            log.error("the stop button does not know who may see which robots", reason=error.strerror)
        else:
            self._written = views

    async def keep_up(self) -> None:
        """Write it after each change: one after the other, the last one at the end."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.write()
