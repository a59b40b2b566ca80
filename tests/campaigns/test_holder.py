"""Two people want the same rover at the same time: it obeys one, and stands before it obeys the other.

Each does at random what people do, as fast as he is answered. The oracle is the robot's own record: whose
number it marks, and whose set-points its output follows (alice's are odd, bob's are even).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.world import Record

from .figures import note
from .rig import ROBOTS, Desk, Rig, seeded

CONF = """\
user bob {
    role = operator
}
"""
STEPS = (
    ("steer",) * 20 + ("act",) * 4 + ("move",) * 2 + ("call",) * 4 + ("hang up",) * 3 + ("take over", "rearm")
)
PAUSE_S = 0.02
MOTION = 100
"""The output while a motion runs; set-points are less."""

SHORT = pytest.param(2000, id="short", marks=[pytest.mark.contract, pytest.mark.timeout(180)])
LONG = pytest.param(10_000, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3600)])
"""Steps of the two together."""


@dataclass
class Driver:
    """One of the two, at his desk."""

    desk: Desk
    parity: int
    numbers: Iterator[int]
    """Of his commands: odd or even, too."""
    chance: random.Random
    steps: Counter[str] = field(default_factory=Counter)
    said: dict[int, float] = field(default_factory=dict)
    """When he gave his commands, by number."""
    call: str = ""

    async def play(self, steps: int) -> None:
        """So many steps."""
        for _ in range(steps):
            step = self.chance.choice(STEPS)
            if step == "steer" and not self.call:
                step = self.chance.choice(("call", "act"))
            self.steps[step] += 1
            await getattr(self, f"_{step.replace(' ', '_')}")()
            await asyncio.sleep(self.chance.uniform(0, PAUSE_S))  # or who is refused would do most steps
        await self._hang_up()

    @property
    def held(self) -> list[tuple[float, float]]:
        """From when until when he had calls, as he was told, on this machine's monotonic clock."""
        began = {each["call"]: each["heard"] for each in self.desk.calls if each["state"] == "answered"}
        ended = {each["call"]: each["at"] for each in self.desk.calls if each["state"] == "ended"}
        since = time.time() - time.monotonic()
        return [(at, ended[each] - since) for each, at in began.items() if each in ended]

    async def _steer(self) -> None:
        value = 2 * self.chance.randrange(1, 45) + self.parity
        self.desk.send(op="set", call=self.call, values=f"y={value}")

    async def _act(self) -> None:
        await self._command("mark {number}")

    async def _move(self) -> None:
        await self._command("move {number} 0.05")

    async def _command(self, body: str) -> None:
        number = next(self.numbers)
        self.said[number] = time.monotonic()
        await self.desk.do("bot", body.format(number=number))

    async def _call(self) -> None:
        self.call = await self.desk.ring("bot") or self.call

    async def _hang_up(self) -> None:
        self.desk.send(op="hang up", call=self.call)
        self.call = ""

    async def _take_over(self) -> None:
        self.call = ""
        if await self.desk.do("bot", "take over") == "done":
            self.steps["taken over"] += 1
            await self.desk.do("bot", "rearm")

    async def _rearm(self) -> None:
        await self.desk.do("bot", "rearm")


def mixed(outputs: list[Record]) -> list[str]:
    """Where the output followed the other one without having been off."""
    found, whose, mark = [], None, 0
    for record in outputs:
        mark = record.state.get("mark", mark)
        power = record.state.get("power")
        if power == 0:
            whose = None
        elif power is not None:
            now = int(mark if power == MOTION else power) % 2
            if whose not in (None, now):
                found.append(f"{record}")
            whose = now
    return found


def intruded(outputs: list[Record], drivers: list[Driver]) -> list[str]:
    """Commands that one gave while the other had a call, and that were executed before it ended."""
    found = []
    for record in outputs:
        number = record.state.get("mark")
        for driver in drivers if number is not None else ():
            other = drivers[1 - driver.parity]
            if number in other.said:
                found += [
                    f"{record} said {other.said[number]} during {began} … {ended}"
                    for began, ended in driver.held
                    if began < other.said[number] and record.at < ended
                ]
    return found


@pytest.mark.parametrize("steps", [SHORT, LONG])
async def test_c11_of_two_who_want_the_same_robot_one_has_it_and_it_stands_before_the_other_has_it(
    tmp_path: Path, steps: int
) -> None:
    chance = seeded()
    board = EmulatedBoard(ROBOTS / "ledger")
    async with Rig(tmp_path, {"bot": board}, CONF) as rig, rig.desk("alice") as alice, rig.desk("bob") as bob:
        await rig.ready()
        drivers = [
            Driver(desk, parity, count(2 + parity, 2), random.Random(chance.random()))
            for parity, desk in enumerate((bob, alice))
        ]
        await asyncio.gather(*(driver.play(steps // 2) for driver in drivers))
        await alice.do("bot", "ping")
        outputs = board.outputs
        log = rig.log
    done = sum((driver.steps for driver in drivers), Counter[str]())
    powers = [record.state["power"] for record in outputs if record.state.get("power")]
    print(f"{dict(done)}; {len(powers)} set-points and motions obeyed")
    assert not mixed(outputs)
    assert not intruded(outputs, drivers)
    for parity in (0, 1):
        assert sum(power % 2 == parity and power != MOTION for power in powers) > steps / 40, "both steered"
    assert done["taken over"] >= steps / 100
    assert log.count("taken over") >= done["taken over"], "logged"
    told = f"{done['taken over']} take-overs, {len(powers)} times moved, 0 commands interleaved"
    note("C11", f"{steps} steps of two people", told)
