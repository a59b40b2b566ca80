"""Nothing goes on by itself: motion ends within 10 s, and what heats for longer must be renewed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.line import FaultyLine

from .figures import note, spread
from .load import Echo
from .rig import ROBOTS, Rig, ids
from .test_deadman import Loss, close_tty, freeze_gateway, freeze_link, kill_gateway, kill_link

MOTION_S = 10.0
RENEWED_S = 3.0
"""Promised: longest motion, and how long an output stays on that nobody renews."""
TICK_S = 0.1
"""The board looks each 10 ms."""
STANDS_S = 3.2
"""Longer than any lease: what is on until then has been renewed."""
STOVES = 3
LOSSES: dict[str, Loss] = {
    "kill -9 of the gateway": kill_gateway,
    "SIGSTOP of the gateway": freeze_gateway,
    "kill -9 of the link process": kill_link,
    "SIGSTOP of the link process": freeze_link,
    "closed tty": close_tty,
}

SHORT = pytest.param(1, id="short", marks=[pytest.mark.contract, pytest.mark.timeout(180)])
LONG = pytest.param(30, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3600)])
"""Rounds; each is a loss for all stoves."""


def stoves(folder: Path) -> Rig:
    """Each has power of its own: it runs on while unplugged."""
    boards = {
        f"stove{number}": EmulatedBoard(ROBOTS / "stove", line=FaultyLine(number)) for number in range(STOVES)
    }
    return Rig(folder, boards)


async def off(board: EmulatedBoard, output: str, since: float) -> float:
    """When an output went off that is on."""
    async with asyncio.timeout(2 * MOTION_S):
        while True:
            for record in board.outputs:
                if record.at > since and record.state.get(output) == 0:
                    return record.at
            await asyncio.sleep(0.02)


@pytest.mark.timeout(90)
async def test_c10_a_motion_that_would_never_end_ends_within_10_s(tmp_path: Path) -> None:
    echo, names, times = Echo(), ids("m"), list[float]()
    async with stoves(tmp_path) as rig, echo.measured():
        await rig.ready()
        async with rig.desk() as desk:
            said = {next(names): name for name in rig.boards}
            for name, robot in said.items():
                desk.say(robot, "spin", name)
            for name in said:
                await desk.begun(name)
            for name, robot in said.items():
                began = next(each.at for each in rig.boards[robot].outputs if each.state.get("motor"))
                times.append(await off(rig.boards[robot], "motor", began) - began)
                assert await desk.end_of(name) == "failed"
                assert desk.details[name] == "it took too long"
    note("C10", "a motion that would never end: outputs off", spread(times))
    echo.judge(times, MOTION_S + TICK_S, "outputs off")


@pytest.mark.parametrize("rounds", [SHORT, LONG])
async def test_c10_a_heater_stays_on_while_it_is_renewed_and_goes_off_when_that_ceases(
    tmp_path: Path, rounds: int
) -> None:
    echo, names, slowest = Echo(), ids("h"), list[float]()
    async with stoves(tmp_path) as rig, echo.measured():
        for what, lose in LOSSES.items():
            times: list[float] = []
            for _ in range(rounds):
                await rig.ready()
                async with rig.desk() as desk:
                    for robot in rig.boards:
                        name = next(names)
                        desk.say(robot, "heat", name)
                        await desk.begun(name)
                    await asyncio.sleep(STANDS_S)
                    on = {robot: board.outputs[-1].state for robot, board in rig.boards.items()}
                    assert all(state.get("heater") == 1 for state in on.values()), f"renewed: {on}"
                    lost = time.monotonic()
                    mend = await lose(rig, desk)
                    times += [await off(board, "heater", lost) - lost for board in rig.boards.values()]
                await mend()
            note("C10", f"{what}: heater off", spread(times))
            slowest.append(max(times))
    echo.judge(slowest, RENEWED_S, "heater off")
