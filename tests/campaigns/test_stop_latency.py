"""How long a stop takes, from its receipt to outputs off on the board's own record."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from functools import partial
from itertools import count as numbers
from pathlib import Path

import pytest

from boardtalk import stop as stop_door
from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.line import FaultyLine
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.hil.paced import PacedLine
from tests.ota import rig as ota

from .figures import note, spread
from .load import HANGING, HOG, TALK, Echo, refusing_disk, running
from .rig import ROBOTS, Desk, Rig, ids, insist, seeded

HOGS = 8
MESSAGES_PER_S = 1000
FULL = 60
"""Commands put before each stop: more than a board's queue takes."""
PIECES, PIECE = 4, "piece " + 100 * "x"
"""Of something long that goes to the board all the time, on a line of usual speed: frames as reliable
as those of a program sent over the air, but each a query, which a stopped board takes too."""
UPDATE_BYTES = 50_000
"""Of each program that is sent to another board meanwhile."""
LEASE_MS = 2000
"""Long, so that the robots do not stop by themselves."""
IDLE_S, HOGS_S = 0.010, 0.060
"""The longest bare echo on these two cores if nobody else disturbs, without and with the hogs."""
ATTEMPTS = 3
"""At a measurement that the machine itself disturbs."""

SHORT = pytest.param(50, id="short", marks=pytest.mark.timeout(300))
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
async def robot(folder: Path, line: FaultyLine | PacedLine, **others: EmulatedBoard) -> AsyncIterator[Rig]:
    (folder / "modules").mkdir(exist_ok=True)
    (folder / "modules" / "hanging.py").write_text(HANGING)
    boards = {"bot": EmulatedBoard(ROBOTS / "ledger", line=line), **others}
    async with Rig(folder, boards, BUSY.format(folder=folder / "modules"), LEASE_MS) as rig:
        yield rig


def updatable(folder: Path, line: PacedLine) -> MicroPythonBoard:
    """A board that takes programs over the air."""
    (folder / "state").mkdir()
    flash = ota.flash(folder / "flash", folder / "state")
    return MicroPythonBoard(flash, uid=ota.UID, heap=ota.HEAP, flash="littlefs", line=line)


async def send_updates(folder: Path, ended: Counter[str]) -> None:
    """One program after the other over the air to the board `lamp`, as `boardtalk ota push` does it."""
    for number in numbers(2):
        release = ota.program(folder / f"release {number}", str(number))
        (release / "filler.bin").write_bytes(secrets.token_bytes(UPDATE_BYTES))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "boardtalk", "ota", "push", "lamp", release),
            *("--label", str(number), "--state", folder / "state"),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        ended["done" if process.returncode == 0 else said.decode()[-200:]] += 1


async def stops(rig: Rig, count: int, *, full: bool) -> list[float]:
    """Stop a running motion so often, by turns at the gateway and at the link process.

    Args:
        rig: what is stopped.
        count: how often.
        full: whether the board's queue is full at that time, and the disk refuses.
    """
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
            with ExitStack() as disk:
                if full:
                    await desk.wait(partial(_refused, desk, flood), "a full queue")
                    disk.enter_context(refusing_disk(*filter(None, (rig.gateway, rig.link()))))
                    assert await desk.do("bot", "ping", refused := next(names)) == "rejected"
                    assert "can't store" in desk.details[refused]
                await asyncio.sleep(chance.uniform(0, 0.1))
                assert _power(board) == 100, "it moves"
                seen = len(board.outputs)
                began = time.monotonic()
                await _stop(rig, desk, at_gateway=bool(number % 2))
                async with asyncio.timeout(5):
                    while not (
                        off := [each for each in board.outputs[seen:] if each.state.get("power") == 0]
                    ):
                        await asyncio.sleep(0.005)
            times.append(off[0].at - began)
            for each in flood:  # else they pile up, and the next motion begins too late
                await desk.end_of(each)
    return times


def spare(*pids: int | None) -> None:
    """Keep the hogs from board and line, which are no processes of this machine in truth; if we may."""
    with suppress(PermissionError):
        for pid in filter(None, pids):
            os.setpriority(os.PRIO_PROCESS, pid, -15)


async def send_pieces(desk: Desk, sent: Counter[str]) -> None:
    """Something long to the board: some pieces are always under way, or try to be."""
    names = ids(secrets.token_hex(4))

    async def go_on() -> None:
        while True:
            state = await desk.do("bot", PIECE, next(names))
            sent[state] += 1
            await asyncio.sleep(0.1 if state == "rejected" else 0)

    await asyncio.gather(*(go_on() for _ in range(PIECES)))


async def cancelled(task: asyncio.Task[None]) -> None:
    """End a task."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _stop(rig: Rig, desk: Desk, *, at_gateway: bool) -> None:
    if at_gateway:
        desk.send(op="stop", robot="bot")
    else:
        await stop_door.stop(rig.state, ("bot",), "alice")


def _refused(desk: Desk, names: Sequence[str]) -> bool:
    return any(desk.state(each) == "rejected" for each in names)


async def _off(board: EmulatedBoard, seen: int) -> float:
    """When outputs went off, after so many changes of them."""
    async with asyncio.timeout(5):
        while not (off := [each for each in board.outputs[seen:] if each.state.get("power") == 0]):
            await asyncio.sleep(0.005)
    return off[0].at


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
        ms = [round(each * 1000, 1) for each in times]
        note("C7", f"stop to outputs off, {what}", spread(times), echo=spread(echo.times_s), samples_ms=ms)
        print(f"at the link process {spread(times[::2])}, at the gateway {spread(times[1::2])}")
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
async def test_c07_stop_preempts_hogs_floods_a_hung_module_a_full_queue_transfers_an_update_and_a_full_disk(
    tmp_path: Path, count: int
) -> None:
    sent, updates = Counter[str](), Counter[str]()
    async with AsyncExitStack() as stack:
        line, its_line = PacedLine(115_200), PacedLine(115_200)
        lamp = updatable(tmp_path, its_line)
        rig = await stack.enter_async_context(robot(tmp_path, line, lamp=lamp))
        dora = await stack.enter_async_context(rig.desk("dora"))
        await rig.ready()
        for number in range(5):
            dora.say("bob", "hang", f"hang {number}")
        talk = (TALK, str(rig.state / "control.sock"), str(MESSAGES_PER_S))
        await stack.enter_async_context(running(*((HOG,) for _ in range(HOGS)), talk))
        spare(rig.boards["bot"].pid, line.pid, lamp.pid, its_line.pid)
        for work in (send_pieces(dora, sent), send_updates(tmp_path, updates)):
            stack.push_async_callback(cancelled, asyncio.create_task(work))
        nice = os.getpriority(os.PRIO_PROCESS, rig.gateway)
        await measured(
            f"{HOGS} hogs, {MESSAGES_PER_S} messages/s, a hung module, a full queue, a long transfer to the "
            f"same board, updates over the air of another, a disk that refuses; the gateway at nice {nice}",
            lambda: stops(rig, count, full=True),
            0.100,
            0.250,
            HOGS_S,
        )
    print("pieces:", dict(sent), "updates:", dict(updates))
    assert sent["done"] > count
    assert updates["done"] >= 1
