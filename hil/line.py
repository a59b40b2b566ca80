"""A line with faults between a board and its gateway: slow, cut, or with what `faults` does to bytes."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from boardtalk.hil.ends import UnderWay, possible, rate_of, read, write
from boardtalk.hil.faults import Faults, Spoiler
from boardtalk.sdk import BoardtalkError
from boardtalk.sdk.tasks import first_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CHUNK_BYTES: Final = 256
"""Copied at a time; small, so that a fault holds little back."""
FIFO_BYTES: Final = 64
"""A line with a speed takes so many ahead of time; the rest waits where it comes from, as before a UART."""
HELD_BYTES: Final = 1 << 16
"""A line with a delay has no more under way."""
BITS_PER_BYTE: Final = 10
"""With start and stop bit."""

TO_GATEWAY: Final = "to the gateway"
TO_BOARD: Final = "to the board"


class LineError(BoardtalkError):
    """The line can't do that."""


class Plug(Protocol):
    """What a line is plugged into, and can be pulled out of."""

    @property
    def port(self) -> str:
        """Where the gateway finds it."""
        ...

    async def unplug(self) -> None:
        """Pull it out."""
        ...

    async def replug(self) -> None:
        """Put it back."""
        ...


class HasPort(Protocol):
    """Another board."""

    @property
    def port(self) -> str:
        """Path of its port."""
        ...


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
        self.seed = seed
        self.faults = faults or Faults()
        self.cut: set[str] = set()
        """The directions in which nothing gets through."""
        self.fired: Counter[str] = Counter()
        """How often each fault has happened."""
        self.passed: Counter[str] = Counter()
        """Bytes that came, by direction."""
        self._delay_s = delay_s
        self._baud = baud
        self._split = split
        self._merge_s = merge_s
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._plug: Plug | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._marks: dict[str, list[tuple[int, Callable[[], None]]]] = {TO_BOARD: [], TO_GATEWAY: []}
        """By direction: faults to come at a byte, the next one last."""
        self._running: set[asyncio.Task[None]] = set()

    # Faults ---------------------------------------------------------------------------------------

    def drop(self, probability: float) -> None:
        """Lose bytes."""
        self.faults.drop = probability

    def flip(self, probability: float) -> None:
        """Flip a bit of bytes."""
        self.faults.flip = probability

    def noise(self, probability: float) -> None:
        """Put random bytes before frames."""
        self.faults.noise = probability

    def lose(self, probability: float) -> None:
        """Lose whole frames."""
        self.faults.lose = probability

    def lose_acks(self, probability: float) -> None:
        """Lose frames that only acknowledge."""
        self.faults.lose_acks = probability

    def corrupt(self, probability: float) -> None:
        """Flip a bit of frames."""
        self.faults.corrupt = probability

    def duplicate(self, probability: float) -> None:
        """Have frames come twice."""
        self.faults.duplicate = probability

    def reorder(self, probability: float) -> None:
        """Have frames come after those that follow them."""
        self.faults.reorder = probability

    def split(self, on: bool = True) -> None:
        """Have what comes at once arrive in pieces."""
        self._split = on

    def merge(self, seconds: float) -> None:
        """Have what comes within this time arrive at once."""
        self._merge_s = seconds

    def delay(self, seconds: float) -> None:
        """Have everything take longer."""
        self._delay_s = seconds

    def baud(self, rate: int) -> None:
        """Have both ways take the time of so many bits per second; 0: as fast as it gets.

        Who has set another rate at his end of the line gets garbage, and sends it.
        """
        self._baud = rate

    def freeze(self) -> None:
        """Hold everything; what comes waits."""
        self.fired["freeze"] += 1
        self._thawed.clear()

    def thaw(self) -> None:
        """Let it go on."""
        self._thawed.set()

    async def unplug(self) -> None:
        """Pull the plug: the gateway's port vanishes."""
        self.fired["unplug"] += 1
        await self._plugged().unplug()

    async def plug(self) -> None:
        """Plug it in again."""
        await self._plugged().replug()

    async def swap(self, other: HasPort) -> None:
        """Put another board in its place, by a line of its own; `plug` brings back the old one."""
        self.fired["swap"] += 1
        plug = self._plugged()
        await plug.unplug()
        Path(plug.port).symlink_to(other.port)

    def clear(self) -> None:
        """End all faults, and forget those that were to come. A plug that is out stays out."""
        self.faults.clear()
        self.cut.clear()
        self._delay_s = self._merge_s = 0.0
        self._baud = 0
        self._split = False
        self.thaw()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for marks in self._marks.values():
            marks.clear()

    # Scripts --------------------------------------------------------------------------------------

    def at(self, seconds: float, fault: Callable[..., Awaitable[object] | None], *args: Any) -> None:
        """Let a fault begin (or end) after a time: `line.at(1.5, line.drop, 0.1)`."""
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(seconds, self._begin, fault, args))

    def after(
        self,
        count: int,
        fault: Callable[..., Awaitable[object] | None],
        *args: Any,
        direction: str = TO_BOARD,
    ) -> None:
        """Let a fault begin (or end) after so many more bytes, exactly: `line.after(700, line.unplug)`."""
        marks = self._marks[direction]
        marks.append((self.passed[direction] + count, lambda: self._begin(fault, args)))
        marks.sort(key=lambda mark: -mark[0])

    def _begin(self, fault: Callable[..., Awaitable[object] | None], args: tuple[Any, ...]) -> None:
        done = fault(*args)
        if inspect.iscoroutine(done):
            task = asyncio.create_task(done, name="fault of a line")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    # Copying --------------------------------------------------------------------------------------

    def plugged_into(self, plug: Plug) -> None:
        """Say what `unplug` pulls it out of."""
        self._plug = plug

    async def join(self, near: int, far: int) -> None:
        """Copy between two descriptors that don't block, until one of them is gone.

        `near` is the board's end, `far` the gateway's. A mistake in a direction ends both, and is raised.
        """
        await first_of(
            asyncio.create_task(self._copy(near, far, TO_GATEWAY), name="line to the gateway"),
            asyncio.create_task(self._copy(far, near, TO_BOARD), name="line to the board"),
        )

    def spoiler(self) -> Spoiler:
        """What spoils one direction."""
        return Spoiler(self.faults, self._random, self.fired)

    def _plugged(self) -> Plug:
        if self._plug is None:
            raise LineError("this line has no plug")
        return self._plug

    async def _copy(self, source: int, sink: int, direction: str) -> None:
        loop = asyncio.get_running_loop()
        spoiler = self.spoiler()
        way = UnderWay()
        while True:
            await self._thawed.wait()
            if way.bytes < (FIFO_BYTES if self._baud else HELD_BYTES):
                await possible(source, loop.add_reader, loop.remove_reader, way.due)
                if self._merge_s:
                    self.fired["merge"] += 1
                    await asyncio.sleep(self._merge_s)
                data = read(source, FIFO_BYTES if self._baud else CHUNK_BYTES)
                if data == b"":
                    return
                if data:
                    self._put(way, data, loop.time())
            else:
                await asyncio.sleep(way.due - loop.time())
            await self._thawed.wait()
            while way.due <= loop.time():
                await self._arrive(way.take(), source, sink, direction, spoiler)

    def _put(self, way: UnderWay, data: bytes, now: float) -> None:
        self.fired["delay"] += self._delay_s > 0
        if not self._baud:
            way.put(data, now, 0.0, self._delay_s)
            return
        self.fired["pace"] += 1
        while data:  # a frame is there when its last byte is
            size = data.find(b"\0", 1) + 1 or len(data)
            way.put(data[:size], now, size * BITS_PER_BYTE / self._baud, self._delay_s)
            data = data[size:]

    async def _arrive(self, data: bytes, source: int, sink: int, direction: str, spoiler: Spoiler) -> None:
        if self._baud and any(rate not in (0, self._baud) for rate in map(rate_of, (source, sink))):
            self.fired["garbage"] += 1
            data = self._random.randbytes(len(data))
        marks = self._marks[direction]
        while data:
            size = min(len(data), marks[-1][0] - self.passed[direction]) if marks else len(data)
            self.passed[direction] += size
            spoilt = spoiler.spoil(data[:size])
            if direction in self.cut:
                self.fired["cut"] += 1
            else:
                await self._write(sink, spoilt)
            data = data[size:]
            while marks and marks[-1][0] <= self.passed[direction]:
                marks.pop()[1]()
                await self._settle()

    async def _settle(self) -> None:
        """Let a fault that has begun take hold before the next byte; it may end us."""
        if self._running:
            await asyncio.wait(self._running)
        await self._thawed.wait()

    async def _write(self, sink: int, data: bytes) -> None:
        """In pieces, if so wanted."""
        while data:
            size = self._random.randrange(1, len(data) + 1) if self._split else len(data)
            self.fired["split"] += size < len(data)
            await write(sink, data[:size])
            data = data[size:]
            if self._split:
                await asyncio.sleep(0)
