"""A line with faults between a board and its gateway: slow, cut, or with what `faults` does to bytes."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from typing import TYPE_CHECKING, Final

from boardtalk.hil.faults import Faults, Spoiler

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK_BYTES: Final = 256
"""Copied at a time; small, so that a delay holds little back."""
BITS_PER_BYTE: Final = 10
"""With start and stop bit."""

TO_GATEWAY: Final = "to the gateway"
TO_BOARD: Final = "to the board"


class FaultyLine:
    """Copies bytes both ways and spoils some of them. What is said of it may be changed at any time.

    Args:
        seed: of the random numbers; print it, and the same faults come again.
        faults: what happens to bytes and frames.
        delay_s: seconds that everything takes longer.
        baud: bits per second; 0: as fast as it gets.
        split: whether what comes at once arrives in pieces.
        merge_s: what comes within so many seconds arrives at once.
    """

    def __init__(
        self,
        seed: int,
        faults: Faults | None = None,
        *,
        delay_s: float = 0.0,
        baud: int = 0,
        split: bool = False,
        merge_s: float = 0.0,
    ) -> None:
        self.faults = faults or Faults()
        self.delay_s = delay_s
        self.baud = baud
        self.split = split
        self.merge_s = merge_s
        self.cut: set[str] = set()
        """The directions in which nothing gets through."""
        self.fired: Counter[str] = Counter()
        """How often each fault has happened."""
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret

    async def join(self, near: int, far: int) -> None:
        """Copy between two descriptors that don't block, until one of them is gone."""
        tasks = {
            asyncio.create_task(self._copy(near, far, TO_GATEWAY), name="line to the gateway"),
            asyncio.create_task(self._copy(far, near, TO_BOARD), name="line to the board"),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def spoiler(self) -> Spoiler:
        """What spoils one direction."""
        return Spoiler(self.faults, self._random, self.fired)

    async def _copy(self, source: int, sink: int, direction: str) -> None:
        loop = asyncio.get_running_loop()
        spoiler = self.spoiler()
        while True:
            await _possible(source, loop.add_reader, loop.remove_reader)
            if self.merge_s:
                self.fired["merge"] += 1
                await asyncio.sleep(self.merge_s)
            try:
                data = os.read(source, CHUNK_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                return
            if not data:
                return
            if self.delay_s:
                self.fired["delay"] += 1
                await asyncio.sleep(self.delay_s)
            data = spoiler.spoil(data)
            if direction in self.cut:
                self.fired["cut"] += 1
                continue
            await self._write(sink, data)

    async def _write(self, sink: int, data: bytes) -> None:
        """At the speed of the line; in pieces, if so wanted."""
        while data:
            size = self._random.randrange(1, len(data) + 1) if self.split else len(data)
            self.fired["split"] += size < len(data)
            await _write(sink, data[:size])
            data = data[size:]
            if self.baud:
                self.fired["pace"] += 1
                await asyncio.sleep(size * BITS_PER_BYTE / self.baud)
            elif self.split:
                await asyncio.sleep(0)


async def _write(sink: int, data: bytes) -> None:
    loop = asyncio.get_running_loop()
    while data:
        await _possible(sink, loop.add_writer, loop.remove_writer)
        try:
            data = data[os.write(sink, data) :]
        except BlockingIOError:
            continue


async def _possible(descriptor: int, watch: Callable[..., None], unwatch: Callable[[int], bool]) -> None:
    """Wait until reading or writing is possible."""
    ready = asyncio.Event()
    watch(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        unwatch(descriptor)
