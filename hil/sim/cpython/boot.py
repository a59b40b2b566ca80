"""Runs a board's firmware on CPython, for a demo where there is no MicroPython.

It gives CPython the few things that the firmware takes from MicroPython. There is no limit of
memory, and none of MicroPython's quirks: no test runs on this.
"""

import asyncio
import gc
import os
import sys
import time
from types import ModuleType


def ticks_add(ticks: int, delta: int) -> int:
    """The clock's value `delta` later; this clock does not wrap."""
    return ticks + delta


def ticks_diff(end: int, start: int) -> int:
    """The time between two values of the clock."""
    return end - start


def main() -> None:
    """Run the module `main` from the working directory."""
    sys.path.insert(0, "")
    prepare()
    __import__("main")


def prepare() -> None:
    """Give CPython what the firmware takes from MicroPython."""
    micropython = ModuleType("micropython")
    micropython.__dict__.update(const=lambda value: value, opt_level=lambda *_: 0)
    sys.modules["micropython"] = micropython
    time.__dict__.update(
        ticks_ms=lambda: time.monotonic_ns() // 1_000_000,
        ticks_us=lambda: time.monotonic_ns() // 1_000,
        ticks_add=ticks_add,
        ticks_diff=ticks_diff,
    )
    gc.__dict__.update(threshold=lambda amount: None, mem_free=lambda: 0)
    asyncio.__dict__.update(core=None, sleep_ms=lambda ms: asyncio.sleep(ms / 1000))
    hal = __import__("boardtalk.hal").hal
    hal.open_stream = lambda uart=None: Stream()


class Stream:
    """Standard input and output, which do not block."""

    interrupt_ms = 50
    tasks = ()

    async def readable(self) -> None:
        """Wait until there is something to read."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(0, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(0)

    def readinto(self, view: memoryview) -> int:
        """Read what is there."""
        try:
            return os.readv(0, [view])
        except BlockingIOError:
            return 0

    def write(self, data: bytes, size: int) -> int:
        """Write what there is room for."""
        try:
            return os.write(1, memoryview(data)[:size])
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """There is nothing to give back."""


if __name__ == "__main__":
    main()
