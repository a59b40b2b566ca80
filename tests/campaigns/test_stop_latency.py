"""How long a stop takes, from its receipt to outputs off on the board's own record."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from boardtalk import stop as stop_door
from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.line import FaultyLine

from .figures import note, spread
from .load import HANGING, HOG, TALK, Echo, running
from .rig import ROBOTS, Desk, Rig, ids, insist, seeded

HOGS = 8
MESSAGES_PER_S = {50: 300, 500: 1000}
"""In the short form less, by the number of stops: with hogs and whatever else runs on a developer's two
cores, more would be accepted than is carried out, and no motion would begin in time."""
FULL = 60
"""Commands put before each stop: more than a board's queue takes."""
LEASE_MS = 2000
"""Long, so that the robots do not stop by themselves."""
IDLE_S, HOGS_S = 0.010, 0.060
"""The longest bare echo on these two cores if nobody else disturbs, without and with the hogs."""
ATTEMPTS = 3
"""At a measurement that the machine itself disturbs."""

SHORT = pytest.param(50, id="short", marks=pytest.mark.timeout(240))
LONG = pytest.param(500, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3600)])
BUSY = """\
module_folders = {folder}
module hanging {{
}}
user bob {{
}}
user carol {{
}}
user dora {{
    role = operator
}}
"""


@asynccontextmanager
async def robot(folder: Path, line: FaultyLine | None = None) -> AsyncIterator[Rig]:
    (folder / "modules").mkdir(exist_ok=True)
    (folder / "modules" / "hanging.py").write_text(HANGING)
    board = EmulatedBoard(ROBOTS / "ledger", line=line)
    async with Rig(folder, {"bot": board}, BUSY.format(folder=folder / "modules"), LEASE_MS) as rig:
        yield rig


async def stops(rig: Rig, count: int, *, full: bool) -> list[float]:
    """Stop a running motion so often, by turns at the gateway and at the link process."""
    chance, names, times = seeded(), ids(secrets.token_hex(4)), list[float]()
    board = rig.boards["bot"]
    async with rig.desk() as desk:
        for number in range(count):
            name, flood = next(names), [next(names) for _ in range(FULL if full else 0)]
            await insist(desk, "bot", "rearm")
            desk.say("bot", f"move {number} 9", name, expiry=10)
            await desk.begun(name)
            for each in flood:
                desk.say("bot", f"work {number} 50", each)
            await asyncio.sleep(chance.uniform(0, 0.1))
            assert _power(board) == 100, "it moves"
            seen = len(board.outputs)
            began = time.monotonic()
            await _stop(rig, desk, at_gateway=bool(number % 2))
            async with asyncio.timeout(5):
                while not (off := [each for each in board.outputs[seen:] if each.state.get("power") == 0]):
                    await asyncio.sleep(0.005)
            times.append(off[0].at - began)
            for each in flood:  # else they pile up, and the next motion begins too late
                await desk.end_of(each)
    return times


async def _stop(rig: Rig, desk: Desk, *, at_gateway: bool) -> None:
    if at_gateway:
        desk.send(op="stop", robot="bot")
    else:
        await stop_door.stop(rig.state, "bot", "alice")


def _power(board: EmulatedBoard) -> int:
    return next(each.state["power"] for each in reversed(board.outputs) if "power" in each.state)


async def measured(
    what: str, measure: Callable[[], Awaitable[list[float]]], p99_s: float, max_s: float, quiet_s: float
) -> None:
    """Measure until the machine itself has not disturbed it, and see that the promise holds."""
    for _ in range(ATTEMPTS):
        echo = Echo()
        async with echo.measured():
            times = await measure()
        note("C7", f"stop to outputs off, {what}", spread(times), echo=spread(echo.times_s))
        print(f"bare echo meanwhile: {spread(echo.times_s)}")
        late = sum(each > p99_s for each in times)
        if late <= max(1, len(times) // 100) and max(times) <= max_s:
            return
        disturbed = max(echo.times_s) > quiet_s
        assert disturbed, f"{late} of {len(times)} above {p99_s} s; max {max(times)} s"
    pytest.xfail("the machine itself was disturbed each time")


@pytest.mark.parametrize("count", [SHORT, LONG])
async def test_c07_an_idle_gateway_stops_a_robot_within_20_ms(tmp_path: Path, count: int) -> None:
    async with robot(tmp_path, FaultyLine(1, baud=115_200)) as rig:
        await measured("idle", lambda: stops(rig, count, full=False), 0.020, 0.250, IDLE_S)


@pytest.mark.parametrize("count", [SHORT, LONG])
async def test_c07_stop_preempts_hogs_floods_a_hung_module_and_a_full_queue(
    tmp_path: Path, count: int
) -> None:
    async with AsyncExitStack() as stack:
        rig = await stack.enter_async_context(robot(tmp_path))
        dora = await stack.enter_async_context(rig.desk("dora"))
        for number in range(5):
            dora.say("bob", "hang", f"hang {number}")
        talk = (TALK, str(rig.state / "control.sock"), str(MESSAGES_PER_S[count]))
        await stack.enter_async_context(running(*((HOG,) for _ in range(HOGS)), talk))
        await measured(
            f"{HOGS} hogs, {MESSAGES_PER_S[count]} messages/s, a hung module, a full queue",
            lambda: stops(rig, count, full=True),
            0.100,
            0.250,
            HOGS_S,
        )
