"""Load on the machine and on the gateway, and how the machine itself bears it."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from .figures import spread

HOG = "while True: pass"
TALK = """
import json, socket, sys, time
said, began = 0, time.monotonic()

def come():
    line = socket.socket(socket.AF_UNIX)
    line.connect(sys.argv[1])
    line.sendall(json.dumps({"op": "login", "user": "carol"}).encode() + b"\\n")
    line.setblocking(False)
    return line, b""

line, text = come()
while True:
    time.sleep(0.01)
    due = int((time.monotonic() - began) * float(sys.argv[2]))
    for said in range(said, due):
        payload = json.dumps({"to": "carol", "body": f"message {said}"})
        text += json.dumps({"op": "send", "payload": payload}).encode() + b"\\n"
    said = max(said, due)
    try:
        text = text[line.send(text):]
    except BlockingIOError:
        pass
    except OSError:
        line, text = come()
    try:
        line.recv(1 << 20)
    except BlockingIOError:
        pass
"""
"""Says so many messages a second to herself, through store and chain, and back; cut off, she comes again."""
HANGING = """
import asyncio
import os
from boardtalk.sdk import PASS, Message, Module, Verdict

class Hanging(Module):
    name = "hanging"

    async def on_message(self, message: Message) -> Verdict:
        if message.body == "hang":
            await asyncio.sleep(3600)
        return PASS
"""


@asynccontextmanager
async def running(*programs: tuple[str, ...]) -> AsyncIterator[None]:
    """Python programs that run meanwhile."""
    started = [
        await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", *program) for program in programs
    ]
    try:
        yield
        ended = [process.returncode for process in started if process.returncode is not None]
        assert not ended, "they were to run until now"
    finally:
        for process in started:
            if process.returncode is None:
                process.kill()
            await process.wait()


@contextmanager
def refusing_disk(*pids: int) -> Iterator[None]:
    """Processes for which the disk refuses every write, as a full one does; that needs no rights."""
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)


class Echo:
    """A bare echo: what two processes need to pass a byte to and fro, on this machine at this time."""

    EVERY_S = 0.01

    def __init__(self) -> None:
        self.times_s: list[float] = []

    @asynccontextmanager
    async def measured(self) -> AsyncIterator[None]:
        """Measure meanwhile."""
        process = await asyncio.create_subprocess_exec(
            "cat", "-u", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        measuring = asyncio.create_task(self._measure(process), name="echo")
        try:
            yield
        finally:
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)
            process.kill()
            await process.wait()

    def excuses(self, late_s: float) -> bool:
        """Whether the machine alone was that late once: then a run says nothing."""
        return late_s <= max(self.times_s)

    def judge(self, times_s: Sequence[float], promised_s: float, what: str = "") -> None:
        """See that a promise was kept; a run in which the machine itself was later than that is invalid."""
        late = max(times_s) - promised_s
        assert self.excuses(late), f"{what} {late:.3f} s later than the {promised_s} s promised"
        if late > 0:
            pytest.xfail(f"the machine itself was disturbed: {spread(self.times_s)}")

    async def _measure(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        while True:
            began = time.monotonic()
            process.stdin.write(b"x")
            await process.stdout.readexactly(1)
            self.times_s.append(time.monotonic() - began)
            await asyncio.sleep(self.EVERY_S)


class Disk:
    """A bare sync: what the disk needs for one page, at this time. It too stalls by itself now and then."""

    EVERY_S = 0.02

    def __init__(self, folder: Path) -> None:
        self.times_s: list[float] = []
        self._path = folder / "bare-sync"

    @asynccontextmanager
    async def measured(self) -> AsyncIterator[None]:
        """Measure meanwhile."""
        measuring = asyncio.create_task(self._measure(), name="bare sync")
        try:
            yield
        finally:
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)

    def excuses(self, late_s: float) -> bool:
        """Whether the disk alone was that late once, as far as looks so far apart can tell."""
        return late_s <= max(self.times_s) + 2 * self.EVERY_S

    async def _measure(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.to_thread(self._sync)
            self.times_s.append(time.monotonic() - began)
            await asyncio.sleep(self.EVERY_S)

    def _sync(self) -> None:
        with self._path.open("wb") as file:
            file.write(bytes(4096))
            file.flush()
            os.fdatasync(file.fileno())
