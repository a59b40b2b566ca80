"""`python -m boardtalk.hil.bench.peers.belay PYTHON`: a command of ours beside a task of Belay's.

Both on an emulated board of the same kind, over the same line, in turn, in one run. Belay is no dependency:
it has an environment of its own, whose Python is named::

    python3 -m venv /tmp/belay && /tmp/belay/bin/pip install belay
    python -m boardtalk.hil.bench.peers.belay /tmp/belay/bin/python
"""

from __future__ import annotations

import asyncio
import itertools
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Final, NamedTuple

import msgspec
from rich.console import Console
from rich.table import Table

from boardtalk.cli.common import me
from boardtalk.events import Delivery
from boardtalk.frontends.client import GatewayClient
from boardtalk.hil.demo import CONF
from boardtalk.hil.gateway import GatewayProcess
from boardtalk.hil.line import FaultyLine
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.hil.paced import PacedLine
from boardtalk.modules.iot_bridge.cache import DictionaryCache
from boardtalk.modules.iot_bridge.device import Device
from boardtalk.modules.iot_bridge.news import Order
from boardtalk.modules.iot_bridge.transports.serial import DEFAULT_BAUD, SerialPort
from boardtalk.sdk import BoardtalkError

ROBOT: Final = Path(__file__).parents[1] / "adder"
NAME: Final = "adder"
BAUDS: Final = (0, 1_000_000, 115_200)
"""0: as fast as a pseudo-terminal is, like USB."""
RUNS: Final = 3
CALLS: Final = 200
WARM_UP: Final = 20
AT_ONCE: Final = 16
TTL_S: Final = 5.0
SETTLE_S: Final = 0.5
FEW: Final = 20
"""Calls of the shorter of two runs, whose difference in bytes is that of the calls."""


class PeerError(BoardtalkError):
    """The other side can't be measured."""


class Figures(msgspec.Struct):
    """What calls on a fresh board took."""

    first_s: float
    """From opening the port, or starting the gateway, to the end of the first call."""
    times: list[float]
    """Seconds of each call, one after the other."""
    together_s: float = 0.0
    """For as many calls, several of them at once; 0: not measured."""
    version: str = ""


class Task(NamedTuple):
    """What each side does."""

    calls: int
    line: FaultyLine | PacedLine | None = None
    baud: int = 0
    together: bool = True
    """Whether as many calls follow with several at once."""


Side = Callable[[Task], Awaitable[Figures]]


async def belay(python: str, task: Task) -> Figures:
    """Tasks of Belay's, by another Python.

    Raises:
        PeerError: it has no Belay, or Belay failed.
    """
    script = Path(__file__).with_name("with_belay.py")
    async with _board(task, None) as board:
        try:
            process = await asyncio.create_subprocess_exec(
                *(python, "-I", str(script), board.port, f"{task.baud or DEFAULT_BAUD}", f"{task.calls}"),
                stdout=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise PeerError(f"{python}: {error.strerror}") from error
        printed, _ = await process.communicate()
    if process.returncode:
        raise PeerError("the other side was not measured; what it said is above")
    return msgspec.json.decode(printed, type=Figures)


async def by_link(task: Task) -> Figures:
    """Commands of ours, by the link alone: one program that has the port, as with Belay."""
    with tempfile.TemporaryDirectory(prefix="boardtalk-bench-") as folder:
        async with _board(task, ROBOT) as board:
            began = time.perf_counter()
            port = SerialPort(board.port, task.baud or DEFAULT_BAUD, paced=bool(task.baud))
            async with Device(port, DictionaryCache(Path(folder))) as device:
                index, command = device.dictionary.by_name["add"]
                ids = itertools.count(1)

                async def add(number: int) -> None:
                    args = command.args_format.pack({"a": number, "b": 1000})
                    result = await device.command(Order(id=next(ids), index=index, ttl_s=TTL_S, args=args))
                    if command.returns_format.unpack(result.data) != {"sum": number + 1000}:
                        raise PeerError(f"{number} and 1000 made {result}")

                await add(1)
                return await _measured(add, time.perf_counter() - began, task)


async def by_gateway(task: Task) -> Figures:
    """The same as people say it: from the local door through hub, store, chain, bridge, and back."""
    async with _board(task, ROBOT) as board:
        with tempfile.TemporaryDirectory(prefix="boardtalk-bench-") as name:
            folder = Path(name)
            conf = CONF.replace("rover", NAME).format(port=board.port)
            began = time.perf_counter()
            async with GatewayProcess(folder, conf) as gateway:
                await gateway.online(NAME, me())
                async with GatewayClient.connect(folder, me()) as client:
                    waiting: dict[str, asyncio.Future[str]] = {}

                    async def listen() -> None:
                        async for event in client.events():
                            if isinstance(event, Delivery) and event.message.refid in waiting:
                                waiting.pop(event.message.refid).set_result(event.message.body)

                    async def add(number: int) -> None:
                        message_id = client.say(NAME, f"add {number} 1000")
                        answer = waiting[message_id] = asyncio.get_running_loop().create_future()
                        if f"{number + 1000}" not in await answer:
                            raise PeerError(f"{number} and 1000 made {answer.result()!r}")

                    listening = asyncio.create_task(listen(), name="answers")
                    try:
                        await add(1)
                        return await _measured(add, time.perf_counter() - began, task)
                    finally:
                        listening.cancel()


@asynccontextmanager
async def _board(task: Task, robot: Path | None) -> AsyncIterator[MicroPythonBoard]:
    """A board, and a line before it, that have started."""
    async with MicroPythonBoard(robot, line=task.line) as board:
        await asyncio.sleep(SETTLE_S)
        yield board


async def _measured(add: Callable[[int], Awaitable[None]], first_s: float, task: Task) -> Figures:
    """Calls one after the other, then as many with several at once."""
    times = []
    for number in range(WARM_UP + task.calls):
        began = time.perf_counter()
        await add(number)
        times.append(time.perf_counter() - began)
    if not task.together:
        return Figures(first_s, times[WARM_UP:])
    numbers = iter(range(task.calls))

    async def some() -> None:
        for number in numbers:
            await add(number)

    began = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return Figures(first_s, times[WARM_UP:], time.perf_counter() - began)


async def bytes_each(side: Side) -> float:
    """What one call puts on the line, both ways."""
    passed = []
    for calls in (FEW, FEW + CALLS):
        line = FaultyLine(seed=1)
        await side(Task(calls, line, together=False))
        passed.append(line.passed.total())
    return (passed[1] - passed[0]) / CALLS


async def measure(python: str) -> None:
    """Measure all sides in turn; print a table for each speed."""
    sides: dict[str, Side] = {
        "Belay": partial(belay, python),
        "boardtalk's link": by_link,
        "boardtalk's chat": by_gateway,
    }
    console = Console()
    for baud in BAUDS:
        found: dict[str, list[Figures]] = {name: [] for name in sides}
        for _ in range(RUNS):
            for name, side in sides.items():
                line = PacedLine(baud) if baud else None
                found[name].append(await side(Task(CALLS, line, baud)))
        console.print(_table(baud, found))
    for name, side in sides.items():
        console.print(f"{name}: {await bytes_each(side):.0f} bytes on the line for a call and its answer")


def _table(baud: int, found: dict[str, list[Figures]]) -> Table:
    where = f"{baud:,} baud" if baud else "no limit of speed"
    table = Table(
        *("", "p50", "p99", "calls/s", f"{AT_ONCE} at once, calls/s", "to 1st answer"),
        title=f"{where}, {RUNS} runs of {CALLS} calls, Python {platform.python_version()}",
    )
    for name, runs in found.items():
        times = sorted(took for run in runs for took in run.times)
        together = [len(run.times) / run.together_s for run in runs if run.together_s]
        table.add_row(
            f"{name} {runs[0].version}".strip(),
            f"{median(times) * 1000:.2f} ms",
            f"{times[len(times) * 99 // 100] * 1000:.2f} ms",
            f"{1 / mean(times):,.0f}",
            f"{median(together):,.0f}" if together else "–",
            f"{median(run.first_s for run in runs) * 1000:,.0f} ms",
        )
    return table


def main(python: str) -> None:
    """Measure, or say why not."""
    try:
        asyncio.run(measure(python))
    except BoardtalkError as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m boardtalk.hil.bench.peers.belay PYTHON_WITH_BELAY")
    main(sys.argv[1])
