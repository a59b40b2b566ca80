"""Nothing starts after its time, wherever it waited meanwhile and whatever the clock on the wall shows."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.line import TO_BOARD, TO_GATEWAY, FaultyLine

from .figures import note
from .rig import ROBOTS, Rig, insist, seeded
from .simulated import commands

LONGEST_S = 1.5
"""A holdup."""
DAY_S = 86_400.0
SHORT = pytest.param(25, id="short", marks=[pytest.mark.contract, pytest.mark.timeout(180)])
LONG = pytest.param(500, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(7200)])


CLOCK = """
import mmap, struct, time
with open({path!r}, "rb") as file:
    ahead = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)
machine = time.time
time.time = lambda: machine() + struct.unpack_from("d", ahead)[0]
"""


class WallClock:
    """What gateway and link process take for the time of day: a `sitecustomize` that Python loads first.

    Only `time.time` is wrong, as when somebody sets the clock; nothing else there reads the time of day.
    """

    def __init__(self, folder: Path) -> None:
        self._ahead = folder / "ahead"
        self._ahead.write_bytes(bytes(8))
        (folder / "sitecustomize.py").write_text(CLOCK.format(path=str(self._ahead)))
        self.env = {"PYTHONPATH": str(folder)}

    def jump(self, ahead_s: float) -> None:
        """Set it so far ahead of the machine's."""
        with self._ahead.open("r+b") as file:
            file.write(struct.pack("d", ahead_s))


async def freeze_link(rig: Rig, line: FaultyLine, chance: random.Random) -> None:
    pid = rig.link()
    assert pid
    await freeze(pid, chance)


async def freeze_gateway(rig: Rig, line: FaultyLine, chance: random.Random) -> None:
    await freeze(rig.gateway, chance)


async def freeze(pid: int, chance: random.Random) -> None:
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(chance.uniform(0, LONGEST_S))
    os.kill(pid, signal.SIGCONT)


async def freeze_board(rig: Rig, line: FaultyLine, chance: random.Random) -> None:
    rig.boards["bot"].freeze()
    await asyncio.sleep(chance.uniform(0, LONGEST_S))
    rig.boards["bot"].thaw()


async def cut(rig: Rig, line: FaultyLine, chance: random.Random) -> None:
    line.cut.add(chance.choice((TO_BOARD, TO_GATEWAY)))
    await asyncio.sleep(chance.uniform(0, LONGEST_S))
    line.cut.clear()


async def hold(rig: Rig, line: FaultyLine, chance: random.Random) -> None:
    """Everything is held back for a while, both ways, and then comes."""
    line.delay(chance.uniform(0.05, LONGEST_S))
    await asyncio.sleep(chance.uniform(0, LONGEST_S))
    line.delay(0.0)


Holdup = Callable[[Rig, FaultyLine, random.Random], Awaitable[None]]
HOLDUPS: dict[str, Holdup] = {
    "link process frozen": freeze_link,
    "gateway frozen": freeze_gateway,
    "board frozen": freeze_board,
    "line cut": cut,
    "line holds back": hold,
}


@dataclass
class Said:
    """A command."""

    holdup: str
    ttl_s: float
    wall: float = field(default_factory=time.time)


@pytest.mark.parametrize("times", [SHORT, LONG])
async def test_c04_what_waited_somewhere_does_not_start_after_its_time_nor_when_the_clock_is_set(
    tmp_path: Path, times: int
) -> None:
    chance = seeded()
    line = FaultyLine(chance.randrange(1 << 32))
    wall = WallClock(tmp_path)
    said: dict[str, Said] = {}
    async with Rig(tmp_path, {"bot": EmulatedBoard(ROBOTS / "ledger", line=line)}, env=wall.env) as rig:
        await rig.ready()
        async with rig.desk() as desk:
            for number in range(times):
                what = list(HOLDUPS)[number % len(HOLDUPS)]
                holdup = asyncio.create_task(HOLDUPS[what](rig, line, chance))
                jumping = asyncio.create_task(jump(wall, chance))
                for more in range(5):
                    name = f"{number * 10 + more}"
                    said[name] = Said(what, chance.choice((1, 1, 2)))
                    desk.say("bot", f"mark {name}", name, expiry=said[name].ttl_s)
                    await asyncio.sleep(chance.uniform(0, 0.1))
                await asyncio.gather(holdup, jumping)
                await insist(desk, "bot", "ping")
            ends = {name: await desk.end_of(name) for name in said}
        outputs = rig.boards["bot"].outputs
    started = {str(each.state["mark"]): each.at for each in outputs if "mark" in each.state}
    waited = {name: at - desk.heard[name] for name, at in started.items()}
    """Since the gateway told that it had accepted it; its time has counted since before that."""
    spare = {name: said[name].ttl_s - seconds for name, seconds in waited.items()}
    tally = {what: Counter(ends[name] for name in said if said[name].holdup == what) for what in HOLDUPS}
    jumped = sum(abs(desk.wall[name] - each.wall) > 60 for name, each in said.items() if name in desk.wall)
    print(tally, f"{jumped} told by a wrong clock; least time to spare {min(spare.values()):.3f} s")
    assert all(each["done"] for each in tally.values()), "what is in time is done"
    assert sum(each["expired"] for each in tally.values()) >= times / 25, "some had to wait too long"
    assert jumped > len(said) / 2
    late = {name: seconds for name, seconds in spare.items() if seconds < 0}
    assert not late, f"started so many seconds too late: {late}"
    what = "held up by frozen processes, a cut line and one that holds back, the clock set meanwhile"
    longest = 1000 * max(waited.values())
    note("C4", what, f"{len(said)} commands, {len(started)} started, after {longest:.0f} ms at most; 0 late")


async def jump(wall: WallClock, chance: random.Random) -> None:
    """Somebody sets the clock, while commands wait or before."""
    await asyncio.sleep(chance.uniform(0, 0.3))
    wall.jump(chance.uniform(-DAY_S, DAY_S))


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(10_000, id="short", marks=pytest.mark.timeout(180)),
        pytest.param(100_000, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
    ],
)
def test_c04_nothing_is_late_on_a_virtual_clock_whatever_line_and_clocks_do(count: int) -> None:
    tally = commands(seeded().randrange(1 << 32), count)
    print(tally.ends, tally.fired)
    assert not tally.late, f"started so many seconds too late: {tally.late}"
    assert not tally.twice
    assert min(tally.ends["DONE"], tally.ends["EXPIRED"], tally.ends["asked: EXPIRED"]) > count / 20
    assert all(tally.fired[fault] > count / 1000 for fault in ("loss", "flip", "hold", "slept"))
    what = "on a virtual clock: line holds back, loses, spoils; clocks drift, machine sleeps"
    note("C4", what, f"{count} commands, {tally.ends['DONE']} started, 0 late")
