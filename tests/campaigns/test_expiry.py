"""Nothing starts after its time, wherever it waited meanwhile."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.line import TO_BOARD, FaultyLine

from .figures import note
from .rig import ROBOTS, Rig, seeded

IN_FLIGHT_S = 0.05
"""What is on the wire already may come so much later."""
SHORT = pytest.param(20, id="short", marks=pytest.mark.timeout(120))
LONG = pytest.param(400, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(7200)])


async def freeze_link(rig: Rig, chance: random.Random) -> None:
    pid = rig.link()
    assert pid
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(chance.uniform(0, 1.5))
    os.kill(pid, signal.SIGCONT)


async def freeze_board(rig: Rig, chance: random.Random) -> None:
    rig.boards["bot"].freeze()
    await asyncio.sleep(chance.uniform(0, 1.5))
    rig.boards["bot"].thaw()


async def cut(rig: Rig, chance: random.Random) -> None:
    LINE[0].cut.add(TO_BOARD)
    await asyncio.sleep(chance.uniform(0, 1.5))
    LINE[0].cut.clear()


LINE: list[FaultyLine] = []
HOLDUPS: dict[str, Callable[[Rig, random.Random], Awaitable[None]]] = {
    "link process frozen": freeze_link,
    "board frozen": freeze_board,
    "line cut": cut,
}


@pytest.mark.parametrize("times", [SHORT, LONG])
async def test_c04_what_waited_somewhere_does_not_start_after_its_time(tmp_path: Path, times: int) -> None:
    chance = seeded()
    LINE[:] = [FaultyLine(chance.randrange(1 << 32))]
    said: dict[int, tuple[float, float]] = {}
    async with Rig(tmp_path, {"bot": EmulatedBoard(ROBOTS / "ledger", line=LINE[0])}) as rig:
        await rig.ready()
        async with rig.desk() as desk:
            for number in range(times):
                what = list(HOLDUPS)[number % len(HOLDUPS)]
                holdup = asyncio.create_task(HOLDUPS[what](rig, chance))
                await asyncio.sleep(0.01)
                for more in range(5):
                    ttl = chance.choice((1, 1, 2))
                    said[number * 10 + more] = time.monotonic(), ttl
                    desk.say("bot", f"mark {number * 10 + more}", f"{number * 10 + more}", expiry=ttl)
                    await asyncio.sleep(chance.uniform(0, 0.1))
                await holdup
            ends = Counter([await desk.end_of(str(number)) for number in said])
        outputs = rig.boards["bot"].outputs
    started = {each.state["mark"]: each.at for each in outputs if "mark" in each.state}
    late = {
        number: started[number] - at - ttl
        for number, (at, ttl) in said.items()
        if number in started and started[number] > at + ttl + IN_FLIGHT_S
    }
    print(dict(ends))
    assert ends["done"]
    assert ends["expired"], "some had to wait too long"
    assert not late, f"so many seconds too late: {late}"
    note("C4", "commands held up by frozen processes and a cut line", f"{len(said)}, 0 started late")
