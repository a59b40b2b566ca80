"""What happened to an emulated loader, in order, and a way to wait for it."""

from __future__ import annotations

import asyncio
import time
from typing import Final, NamedTuple

from boardtalk.sdk import BoardtalkError

TIMEOUT_S: Final = 5.0


class NotSeen(BoardtalkError):
    """What a test waits for did not happen in time."""


class Event(NamedTuple):
    """One thing that happened."""

    at: float
    """Seconds of this machine's monotonic clock."""
    what: str
    """Such as `reset`, `sync`, `erase`, `write`, `power lost`."""
    detail: str


class Events:
    """A list that grows for the board's whole life."""

    def __init__(self) -> None:
        self.all: list[Event] = []
        self._found = 0
        self._more = asyncio.Event()

    def note(self, what: str, detail: str = "") -> None:
        """Add one."""
        self.all.append(Event(time.monotonic(), what, detail))
        self._more.set()

    def named(self, what: str) -> list[str]:
        """The details of all of a kind."""
        return [event.detail for event in self.all if event.what == what]

    async def until(self, what: str, within: float = TIMEOUT_S) -> Event:
        """The next of a kind, after the one that was found last; waits for it.

        Raises:
            NotSeen: there is none in time.
        """
        try:
            async with asyncio.timeout(within):
                while True:
                    for index in range(self._found, len(self.all)):
                        if self.all[index].what == what:
                            self._found = index + 1
                            return self.all[index]
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            last = [f"{event.what} {event.detail}".rstrip() for event in self.all[-3:]]
            raise NotSeen(f"no {what!r} within {within:g} s; the last were {last}") from None
