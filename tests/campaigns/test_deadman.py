"""Motion stops when somebody on the way to it is gone, by the board's own clock, and does not resume.

Rovers drive, one half by finite commands, the other by live control; then a part dies. Measured is the
board's own record of its outputs, on this machine's monotonic clock, and how far the rover rolled.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.line import TO_BOARD, FaultyLine
from boardtalk.hil.world import Record

from .figures import note, spread
from .load import Echo
from .rig import Desk, Rig, ids, seeded

LEASE_S = 0.5
MARGIN_S = 0.1
"""Promised: outputs are off so soon after the lease."""
SPEED = 20
CM_PER_S = 28.0
"""What that is in the simulated chassis, which brakes with 400 cm/s²."""
BRAKE = 400.0
OVERRUN_CM = CM_PER_S * (LEASE_S + MARGIN_S) + CM_PER_S**2 / (2 * BRAKE)
"""Published: so far a rover rolls at most after a loss."""
RUN_UP_S = 0.8
"""Until it has its speed."""
HELD_S = 0.3
"""How long a line holds back what comes."""
HALF = 5
"""Rovers that drive by commands, and as many by live control."""

SHORT = pytest.param(1, id="short", marks=pytest.mark.timeout(120))
LONG = pytest.param(20, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3600)])
"""Rounds; each is a loss for all rovers. There are twice as many where only one half of them suffers it."""


@dataclass
class Fleet:
    """Rovers of one gateway, and the person who drives them."""

    rig: Rig
    names: Callable[[], str]
    off_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By kind of motion: seconds from the loss to outputs off."""
    rolled_cm: list[float] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)

    @property
    def finite(self) -> list[str]:
        """Those that drive by commands."""
        return list(self.rig.boards)[:HALF]

    @property
    def live(self) -> list[str]:
        """Those that are steered."""
        return list(self.rig.boards)[HALF:]

    async def drive(self, desk: Desk) -> asyncio.Task[None]:
        """Set all in motion; the task is the hand on the stick."""
        calls = [await desk.call(robot) for robot in self.live]
        holding = asyncio.create_task(self._hold(desk, calls), name="hold the stick")
        for robot in self.finite:
            name = self.names()
            desk.say(robot, f"forward 250 speed={SPEED}", name)
            await desk.begun(name)
        await asyncio.sleep(RUN_UP_S)
        return holding

    @staticmethod
    async def _hold(desk: Desk, calls: list[str]) -> None:
        while desk.open:
            for call in calls:
                desk.send(op="set", call=call, values=f"x=0 y={SPEED}")
            await asyncio.sleep(LEASE_S / 5)

    async def watch(self, lost: float, robots: list[str]) -> None:
        """Wait until the outputs are off, and note how long that took since the loss."""
        for robot in robots:
            board = self.rig.boards[robot]
            assert not _is_off(_last(board.outputs, lost)), f"{robot} drives when the part dies"
            async with asyncio.timeout(5):
                while not (off := [each for each in board.outputs if each.at > lost and _is_off(each)]):
                    await asyncio.sleep(0.01)
            kind = "finite" if robot in self.finite else "live"
            self.off_s[kind].append(off[0].at - lost)
            self.rolled_cm.append((off[0].at - lost) * CM_PER_S - off[0].state["x"])

    async def settle(self, lost: float, robots: list[str], desk: Desk) -> None:
        """When all is back: nothing has moved since, and so far it has rolled."""
        for number, robot in enumerate(robots, -len(robots)):
            records = self.rig.boards[robot].outputs
            off = next(each for each in records if each.at > lost and _is_off(each))
            later = [each for each in records if each.at > off.at and "left" in each.state]
            self.resumed += [f"{robot}: {each}" for each in later if not _is_off(each)]
            name = self.names()
            desk.say(robot, "position", name)
            answer = await desk.wait(partial(desk.answers.get, name), f"{robot} tells where it is")
            self.rolled_cm[number] += float(re.findall(r"-?[\d.]+", answer)[0])


def _is_off(record: Record | None) -> bool:
    return record is None or (record.state.get("left"), record.state.get("right")) == (0, 0)


def _last(records: list[Record], before: float) -> Record | None:
    return next((each for each in reversed(records) if each.at < before and "left" in each.state), None)


Loss = Callable[[Rig, Desk], Awaitable[Callable[[], Awaitable[object]]]]
"""Lets a part die; returns what brings it back."""


async def nothing() -> None:
    """It comes back by itself."""


async def kill_gateway(rig: Rig, desk: Desk) -> Callable[[], Awaitable[object]]:
    await rig.kill()
    return rig.start


async def freeze_gateway(rig: Rig, desk: Desk) -> Callable[[], Awaitable[object]]:
    return _freeze(rig.gateway)


async def kill_link(rig: Rig, desk: Desk) -> Callable[[], Awaitable[object]]:
    rig.kill_link()
    return nothing


async def freeze_link(rig: Rig, desk: Desk) -> Callable[[], Awaitable[object]]:
    pid = rig.link()
    assert pid
    return _freeze(pid)


async def close_tty(rig: Rig, desk: Desk) -> Callable[[], Awaitable[object]]:
    await asyncio.gather(*(board.unplug() for board in rig.boards.values()))

    async def replug() -> None:
        await asyncio.gather(*(board.replug() for board in rig.boards.values()))

    return replug


async def drop_frames(rig: Rig, desk: Desk) -> Callable[[], Awaitable[object]]:
    for line in LINES:
        line.cut.add(TO_BOARD)

    async def mend() -> None:
        for line in LINES:
            line.cut.clear()

    return mend


async def hold_and_kill_gateway(rig: Rig, desk: Desk) -> Callable[[], Awaitable[object]]:
    """What was renewed last is still under way when the gateway dies, and comes later."""
    for line in LINES:
        line.delay(HELD_S)
    await asyncio.sleep(HELD_S / 6)
    await rig.kill()

    async def mend() -> None:
        for line in LINES:
            line.delay(0.0)
        await rig.start()

    return mend


async def close_socket(rig: Rig, desk: Desk) -> Callable[[], Awaitable[object]]:
    desk.cut()
    return nothing


def _freeze(pid: int) -> Callable[[], Awaitable[object]]:
    os.kill(pid, signal.SIGSTOP)

    async def thaw() -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    return thaw


LOSSES: dict[str, Loss] = {
    "kill -9 of the gateway": kill_gateway,
    "SIGSTOP of the gateway": freeze_gateway,
    "kill -9 of the link process": kill_link,
    "SIGSTOP of the link process": freeze_link,
    "closed tty": close_tty,
    "dropped frames": drop_frames,
    "a line that holds back, and kill -9 of the gateway": hold_and_kill_gateway,
    "closed socket": close_socket,
}
LINES: list[FaultyLine] = []


@pytest.mark.parametrize("rounds", [SHORT, LONG])
async def test_c09_c12_motion_ends_within_its_lease_whatever_dies_and_never_resumes(
    tmp_path: Path, rounds: int
) -> None:
    chance = seeded()
    LINES[:] = [FaultyLine(chance.randrange(1 << 32)) for _ in range(2 * HALF)]
    rovers = {f"rover{number}": EmulatedBoard("rover", line=line) for number, line in enumerate(LINES)}
    names = ids("m")
    echo = Echo()
    slowest: list[float] = []
    async with Rig(tmp_path, rovers) as rig, echo.measured():
        for what, lose in LOSSES.items():
            fleet = Fleet(rig, names.__next__)
            for _ in range(2 * rounds if lose is close_socket else rounds):
                await rig.ready()
                await one(fleet, lose, chance.uniform(0, LEASE_S / 5))
            for kind, times in fleet.off_s.items():
                note("C9", f"{what}, {kind} motion: outputs off", spread(times))
            note("C9", f"{what}: rolled on", f"max {max(fleet.rolled_cm):.1f} cm of {OVERRUN_CM:.1f} cm")
            slowest += [max(times) for times in fleet.off_s.values()]
            late = max(0.0, max(slowest) - LEASE_S - MARGIN_S)
            assert max(fleet.rolled_cm) <= OVERRUN_CM + late * CM_PER_S, what
            assert not fleet.resumed, f"{what}: {fleet.resumed}"
    echo.judge(slowest, LEASE_S + MARGIN_S, "outputs off")


async def one(fleet: Fleet, lose: Loss, phase: float) -> None:
    """One loss, and its mending."""
    robots = fleet.live if lose is close_socket else [*fleet.finite, *fleet.live]
    rig = fleet.rig
    async with rig.desk() as desk:
        holding = await fleet.drive(desk)
        await asyncio.sleep(phase)
        lost = time.monotonic()
        mend = await lose(rig, desk)
        await fleet.watch(lost, robots)
        desk.cut()  # whoever held the stick lets it go while he sees nothing happen
        await holding
    await mend()
    await rig.ready()
    async with rig.desk() as desk:
        await asyncio.sleep(LEASE_S)
        await fleet.settle(lost, robots, desk)
        for robot in fleet.finite if lose is close_socket else ():
            assert await desk.do(robot, "stop")
