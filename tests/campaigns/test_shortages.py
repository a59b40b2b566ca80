"""What the machine has too little of hurts those who ask for more, not those who are there."""

from __future__ import annotations

import asyncio
import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from boardtalk import stop as stop_door
from boardtalk.hil.board import EmulatedBoard

from .figures import note, spread
from .load import Echo
from .rig import ROBOTS, Rig, insist

STOP_S = 0.1
"""Promised for a stop under load (C7)."""
STORM = 200
"""Clients that come again and again."""
STORM_S = 5.0
OTHERS = 10
"""Descriptors that a gateway has open now and then, such as those of its store."""
CROWD = 40
"""Connections, more than there are descriptors left for."""


def descriptors(pid: int) -> int:
    """How many a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@contextmanager
def no_more_descriptors(*pids: int) -> Iterator[None]:
    """Processes that can open nothing any more, but for a few."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids}
    for pid, (_, most) in before.items():
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(pid) + 2, most))
    try:
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


async def knock(path: Path) -> asyncio.StreamWriter:
    """A connection that says nothing."""
    return (await asyncio.open_unix_connection(path))[1]


async def test_c07_a_gateway_without_descriptors_stops_and_serves_those_who_are_there_and_others_afterwards(
    tmp_path: Path,
) -> None:
    echo, took = Echo(), list[float]()
    async with (
        Rig(tmp_path, {"bot": EmulatedBoard(ROBOTS / "ledger")}) as rig,
        echo.measured(),
        rig.desk() as desk,
    ):
        await insist(desk, "bot", "rearm")
        with no_more_descriptors(rig.gateway):
            crowd = [await knock(rig.state / "control.sock") for _ in range(CROWD)]
            assert await desk.do("bot", "mark 1") == "done"
            for number in range(3):
                desk.say("bot", "move 1 5", f"move {number}")
                await desk.begun(f"move {number}")
                began = time.monotonic()
                desk.say("bot", "stop", f"stop {number}")
                assert await desk.end_of(f"move {number}") == "cancelled"
                took.append(time.monotonic() - began)
                assert await desk.end_of(f"stop {number}") == "done"
                await insist(desk, "bot", "rearm")
            for writer in crowd:
                writer.transport.abort()
        async with asyncio.timeout(5), rig.desk("alice") as later:
            assert await later.do("bot", "mark 2") == "done"
    note("C7", "the gateway has no descriptors left: stop to the end of the motion", spread(took))
    echo.judge(took, STOP_S)


async def test_two_hundred_clients_that_come_again_and_again_hold_up_no_stop_and_leave_nothing(
    tmp_path: Path,
) -> None:
    """As when the power of an access point fails, and comes back, and fails."""
    came = 0

    async def come_again(until: float) -> None:
        nonlocal came
        while time.monotonic() < until:
            with suppress(OSError):
                reader, writer = await asyncio.open_unix_connection(rig.state / "control.sock")
                writer.write(json.dumps({"op": "login", "user": "alice"}).encode() + b"\n")
                welcome = await reader.readline()
                came += bool(welcome)
                writer.transport.abort()
            await asyncio.sleep(0.2)

    echo, took = Echo(), list[float]()
    async with (
        Rig(tmp_path, {"bot": EmulatedBoard(ROBOTS / "ledger")}) as rig,
        echo.measured(),
        rig.desk() as desk,
    ):
        await insist(desk, "bot", "rearm")
        before = descriptors(rig.gateway)
        end = time.monotonic() + STORM_S
        async with asyncio.TaskGroup() as storm:
            for _ in range(STORM):
                storm.create_task(come_again(end))
            while time.monotonic() < end:
                assert await desk.do("bot", "mark 1") == "done"
                began = time.monotonic()
                (stopped,) = await stop_door.stop(rig.state, ("bot",), "alice")
                took.append(time.monotonic() - began)
                assert stopped.confirmed
                await insist(desk, "bot", "rearm")
                await asyncio.sleep(0.2)
        async with asyncio.timeout(10):
            while descriptors(rig.gateway) > before + OTHERS:
                await asyncio.sleep(0.05)
    assert came > 3 * STORM, "no storm"
    note("C7", f"{STORM} clients that come again and again ({came} times): stop confirmed", spread(took))
    echo.judge(took, STOP_S)
