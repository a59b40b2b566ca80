"""A line with faults: what goes wrong between a board and its gateway, on purpose and repeatably."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK_BYTES: Final = 256
"""Copied at a time; small, so that a delay holds little back."""


class FaultyLine:
    """Copies bytes both ways and spoils some of them.

    Args:
        seed: of the random numbers; print it, and the same faults come again.
        drop: probability that a byte is lost.
        flip: probability that a bit of a byte is wrong.
        delay_s: seconds that everything takes longer.
    """

    def __init__(self, seed: int, *, drop: float = 0.0, flip: float = 0.0, delay_s: float = 0.0) -> None:
        self.drop = drop
        self.flip = flip
        self.delay_s = delay_s
        self.fired: Counter[str] = Counter()
        """How often each fault has happened."""
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret

    async def join(self, near: int, far: int) -> None:
        """Copy between two descriptors that don't block, until one of them is gone."""
        tasks = {
            asyncio.create_task(self._copy(near, far), name="line to the gateway"),
            asyncio.create_task(self._copy(far, near), name="line to the board"),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def spoil(self, data: bytes) -> bytes:
        """The bytes as they arrive."""
        spoilt = bytearray()
        for byte in data:
            if self._hits("drop", self.drop):
                continue
            wrong = 1 << self._random.randrange(8) if self._hits("flip", self.flip) else 0
            spoilt.append(byte ^ wrong)
        return bytes(spoilt)

    def _hits(self, fault: str, probability: float) -> bool:
        hit = probability > 0 and self._random.random() < probability
        self.fired[fault] += hit
        return hit

    async def _copy(self, source: int, sink: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await _possible(source, loop.add_reader, loop.remove_reader)
            try:
                data = os.read(source, CHUNK_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                return
            if not data:
                return
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            await _write(sink, self.spoil(data))


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
