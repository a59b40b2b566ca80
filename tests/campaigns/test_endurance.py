"""A gateway in use, to which something happens again and again: nothing is lost, and nothing piles up."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.line import FaultyLine

from .figures import counted, note
from .rig import ROBOTS, Rig, insist, seeded

PAUSE_S = 0.15
"""Between two commands."""
HARM_S = 1.0
WITHIN_S = 40.0
"""Everything has an end by then, whatever happened: an action's 10 s, waiting for the board, and room."""
WARM_S = 120.0
"""Memory counts from then on: caches are full, libraries loaded."""
GROWTH = 0.02
"""Of the gateway's memory in an hour, at most."""

SHORT = pytest.param(30.0, 3.0, id="short", marks=[pytest.mark.contract, pytest.mark.timeout(180)])
LONG = pytest.param(3600.0, 10.0, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(4200)])


@pytest.mark.parametrize(("seconds", "every_s"), [SHORT, LONG])
async def test_c02_c05_with_a_fault_again_and_again_each_command_has_its_end_and_memory_does_not_grow(
    tmp_path: Path, seconds: float, every_s: float
) -> None:
    chance = seeded()
    line = FaultyLine(chance.randrange(1 << 32))
    fired, ends, sizes = Counter[str](), Counter[str](), list[tuple[float, int, int]]()
    async with Rig(tmp_path, {"bot": EmulatedBoard(ROBOTS / "ledger", line=line)}) as rig:
        await rig.ready()
        faults = harms(rig, line)
        began = time.monotonic()
        harming = asyncio.create_task(harm(fired, faults, chance.choice, every_s))
        async with rig.desk() as desk:
            number = 0
            waiting: set[asyncio.Task[str]] = set()
            while time.monotonic() < began + seconds:
                number += 1
                waiting.add(asyncio.create_task(desk.do("bot", f"mark {number}", f"{number}")))
                await asyncio.sleep(PAUSE_S)
                ended = {task for task in waiting if task.done()}
                ends.update(task.result() for task in ended)
                waiting -= ended
                if number % 100 == 1:
                    sizes.append((time.monotonic() - began, memory_kb(rig.gateway), descriptors(rig.gateway)))
            harming.cancel()
            with suppress(asyncio.CancelledError):
                await harming
            async with asyncio.timeout(WITHIN_S):
                ends.update(await asyncio.gather(*waiting))
            await insist(desk, "bot", "ping")
        executed = Counter(each.state["mark"] for each in rig.boards["bot"].outputs if "mark" in each.state)
    assert max(executed.values()) == 1, "executed twice"
    assert ends.total() == number, "some have no end"
    assert ends["done"] > number / 2, "it works most of the time"
    assert fired.total() > 0.5 * seconds / (every_s + HARM_S)
    warm = [size for at, size, _ in sizes if at >= WARM_S] or [size for _, size, _ in sizes]
    growth = warm[-1] / warm[0] - 1
    note(
        "C2",
        f"{seconds / 60:.3g} minutes, a fault each {every_s:g} s",
        f"{number} commands: {counted(ends)}; faults: {counted(fired)}; memory {growth:+.1%}, "
        f"descriptors {sizes[0][2]} to {sizes[-1][2]}",
    )
    assert seconds < WARM_S or growth < GROWTH


def harms(rig: Rig, line: FaultyLine) -> dict[str, Callable[[], Awaitable[object]]]:
    """What may happen; each is over when it returns."""
    board = rig.boards["bot"]

    async def for_a_while(begin: Callable[[], object], end: Callable[[], object]) -> None:
        begin()
        await asyncio.sleep(HARM_S)
        end()

    def frozen(pid: Callable[[], int | None]) -> Callable[[], Awaitable[object]]:
        def tell(number: int) -> None:
            if (found := pid()) is not None:
                os.kill(found, number)

        return lambda: for_a_while(lambda: tell(signal.SIGSTOP), lambda: tell(signal.SIGCONT))

    async def unplugged() -> None:
        await board.unplug()
        await asyncio.sleep(HARM_S)
        await board.replug()

    async def killed() -> None:
        rig.kill_link()

    return {
        "board reset": board.reset,
        "unplugged": unplugged,
        "board frozen": lambda: for_a_while(board.freeze, board.thaw),
        "gateway frozen": frozen(lambda: rig.gateway),
        "link process frozen": frozen(rig.link),
        "link process killed": killed,
        "losses": lambda: for_a_while(lambda: line.lose(0.3), line.clear),
        "garbage": lambda: for_a_while(lambda: line.flip(0.02), line.clear),
    }


async def harm(
    fired: Counter[str],
    faults: dict[str, Callable[[], Awaitable[object]]],
    choose: Callable[[list[str]], str],
    every_s: float,
) -> None:
    while True:
        await asyncio.sleep(every_s)
        what = choose(sorted(faults))
        await faults[what]()
        fired[what] += 1


def memory_kb(pid: int) -> int:
    """Resident memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(row.split()[1] for row in status.splitlines() if row.startswith("VmRSS:")))


def descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
