"""A robot drives, the disk fills up, and then what renews its motion dies: it stands all the same."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.line import FaultyLine

from .figures import note, spread
from .load import Echo
from .rig import ROBOTS, Rig, insist
from .test_deadman import Loss, freeze_gateway, freeze_link, kill_gateway, kill_link

LEASE_S = 0.5
MARGIN_S = 0.1
"""Promised: outputs are off so soon after the lease."""
STANDS_S = 1.0
"""Longer than the lease: what still moves is renewed, on a full disk."""
BOTS = 5
LOSSES: dict[str, Loss] = {
    "kill -9 of the gateway": kill_gateway,
    "SIGSTOP of the gateway": freeze_gateway,
    "kill -9 of the link process": kill_link,
    "SIGSTOP of the link process": freeze_link,
}

SHORT = pytest.param(2, id="short", marks=pytest.mark.timeout(240))
LONG = pytest.param(20, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3600)])
"""Rounds; each is a loss for all robots."""


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own in this folder, with room for more than the store writes in all rounds."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "none", folder], check=False).returncode:
        pytest.skip("can't mount a tmpfs here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """No room on its disk, until the end."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(b"x" * 4096)
    try:
        yield
    finally:
        ballast.unlink()


@pytest.mark.privileged
@pytest.mark.parametrize("rounds", [SHORT, LONG])
async def test_c09_c18_on_a_full_disk_motion_goes_on_and_ends_within_its_lease_whatever_dies(
    tmp_path: Path, rounds: int
) -> None:
    echo, slowest = Echo(), list[float]()
    bots = {
        f"bot{number}": EmulatedBoard(ROBOTS / "ledger", line=FaultyLine(number)) for number in range(BOTS)
    }
    with small_disk(tmp_path / "state"):
        async with Rig(tmp_path, bots) as rig, echo.measured():
            for what, lose in LOSSES.items():
                times: list[float] = []
                for _ in range(rounds):
                    times += await one(rig, lose)
                note("C18", f"full disk, {what}: outputs off", spread(times))
                slowest.append(max(times))
    echo.judge(slowest, LEASE_S + MARGIN_S, "outputs off")


async def one(rig: Rig, lose: Loss) -> list[float]:
    """One loss on a full disk, and its mending; the seconds until each robot's outputs were off."""
    await rig.ready()
    async with rig.desk() as desk:
        names = [f"{robot}-{time.monotonic_ns()}" for robot in rig.boards]
        for number, (name, robot) in enumerate(zip(names, rig.boards, strict=True)):
            desk.say(robot, f"move {number} 9", name)
        for name in names:
            await desk.begun(name)
        with full(rig.state):
            while await desk.do("bot0", "mark 1") != "rejected":
                pass
            await asyncio.sleep(STANDS_S)
            lost = time.monotonic()
            assert all(power(board, lost) for board in rig.boards.values()), "it still drives"
            mend = await lose(rig, desk)
            times = [await off(board, lost) - lost for board in rig.boards.values()]
    await mend()
    async with rig.desk() as desk:
        await asyncio.gather(*(insist(desk, robot, "ping") for robot in rig.boards))
    assert not any(power(board, time.monotonic()) for board in rig.boards.values()), "and stands"
    return times


def power(board: EmulatedBoard, at: float) -> float:
    """The output at this time."""
    told = [each.state["power"] for each in board.outputs if each.at < at and "power" in each.state]
    return float(told[-1])


async def off(board: EmulatedBoard, since: float) -> float:
    """When the output went off."""
    async with asyncio.timeout(5):
        while True:
            for record in board.outputs:
                if record.at > since and record.state.get("power") == 0:
                    return record.at
            await asyncio.sleep(0.01)
