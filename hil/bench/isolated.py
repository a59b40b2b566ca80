"""What it costs that a module runs in a process of its own: a message's way there and back, and the rate.

The modules let everything go on. The baseline is a process that echoes a line of the same length over pipes.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk import conf, loader
from boardtalk.chain.chain import Chain
from boardtalk.hil.bench.rows import Row
from boardtalk.hub.calls import Calls
from boardtalk.hub.context import contexts
from boardtalk.hub.hub import Hub
from boardtalk.people.directory import Directory
from boardtalk.people.users import Users
from boardtalk.sdk import Message, Refused
from boardtalk.store.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

MODULES: Final = (1, 5, 10, 20)
FOLDER: Final = Path(__file__).parent / "modules"
HOPS: Final = 2_000
PAUSES: Final = {"one after the other": 0.0, "200 a second": 0.005}
"""Between two hops: a process that rested has to wake up first."""
WARM_UP: Final = 200
CALLS: Final = 10_000
"""Messages of a run, times modules that each of them passes."""
CONVERSATIONS: Final = (1, 100)
"""Under way at once."""
MESSAGE: Final = Message(sender="alice", to="bob", body="forward 20", id="1", row=1)
ECHO: Final = (
    "import sys\nfor line in sys.stdin.buffer:\n sys.stdout.buffer.write(line)\n sys.stdout.buffer.flush()"
)


def rows() -> Iterator[Row]:
    """Percentiles of one hop, then rates for several numbers of modules."""
    yield from asyncio.run(_measure())


async def _measure() -> list[Row]:
    found = []
    async with isolated(1) as chain, _echo() as echo:
        for how, pause in PAUSES.items():
            bare = await hops(echo, pause)
            times = await hops(partial(pass_on, chain), pause)
            for percent in (50, 99):
                ours, theirs = (percentile(each, percent) * 1e3 for each in (times, bare))
                found.append(Row.against(f"isolated hop, {how}, p{percent}", ours, "ms", HOPS, theirs))
    for count in MODULES:
        async with isolated(count) as chain:
            for at_once in CONVERSATIONS:
                name = f"isolated, {count} modules, {at_once} conversations"
                found_rate = await rate(chain, CALLS // count, at_once)
                found.append(Row(name=name, value=found_rate, unit="messages/s", n=CALLS // count))
    return found


@asynccontextmanager
async def isolated(count: int) -> AsyncIterator[Chain]:
    """A chain of so many isolated modules that let everything go on."""
    blocks = "module passing {\n isolate = yes\n required = yes\n}\n" * count
    async with in_service(f"module_folders = {FOLDER}\n{blocks}") as chain:
        yield chain


@asynccontextmanager
async def in_service(configuration: str) -> AsyncIterator[Chain]:
    """The chain that a configuration asks for."""
    plan = loader.plan(conf.parse(configuration))
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="boardtalk-bench-")))
        store = await stack.enter_async_context(Store.open(folder / "store.db"))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        hub = await stack.enter_async_context(Hub(store, Directory(Users.load(folder / "secrets"), {})))
        calls = await stack.enter_async_context(Calls(hub))
        runner = await stack.enter_async_context(loader.Runner(contexts(hub, tasks, folder, calls)))
        await runner.start(plan.instances)
        yield Chain(runner.stages)


async def pass_on(chain: Chain) -> None:
    """Send a message through."""
    outcome = chain.run(MESSAGE)
    if not (outcome is None or isinstance(outcome, Message | Refused)):
        outcome = await outcome
    if outcome is not MESSAGE:
        raise RuntimeError(f"the message did not come through: {outcome}")


async def rate(chain: Chain, messages: int, at_once: int) -> float:
    """Messages a second, with so many conversations at once."""

    async def converse() -> None:
        for _ in range(messages // at_once):
            await pass_on(chain)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(converse())
    return messages / (time.perf_counter() - began)


async def hops(hop: Callable[[], Awaitable[object]], pause: float) -> list[float]:
    """Seconds that each hop takes, one after the other, after a warm-up."""
    times = []
    for _ in range(WARM_UP + HOPS):
        await asyncio.sleep(pause)
        began = time.perf_counter()
        await hop()
        times.append(time.perf_counter() - began)
    return times[WARM_UP:]


@asynccontextmanager
async def _echo() -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """A hop to a process that only echoes."""
    line = msgspec.json.encode(MESSAGE) + b"\n"
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", ECHO, stdin=pipe, stdout=pipe)
    lines, back = process.stdin, process.stdout
    if lines is None or back is None:
        raise RuntimeError("there are no pipes")

    def hop() -> Awaitable[bytes]:
        lines.write(line)
        return back.readline()

    try:
        yield hop
    finally:
        lines.close()
        await process.wait()


def percentile(values: list[float], percent: int) -> float:
    """The value that so many percent are below."""
    return sorted(values)[len(values) * percent // 100]
