"""Who sends too much is told so at once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard

from .figures import note, spread
from .load import Echo
from .rig import ROBOTS, Desk, Rig

BOARDS = 21
A_DEVICE, IN_ALL = 50, 1000
"""Commands that may be under way."""
MORE = 10
TOLD_S = 0.1
"""Promised: so soon who is refused knows it."""


@pytest.mark.timeout(120)
async def test_c17_a_flood_is_refused_as_busy_at_once_beyond_50_commands_a_device_and_1000_in_all(
    tmp_path: Path,
) -> None:
    boards = {f"bot{number}": EmulatedBoard(ROBOTS / "ledger") for number in range(BOARDS)}
    async with Rig(tmp_path, boards) as rig:
        await rig.ready()
        for board in boards.values():
            board.freeze()  # so that nothing ends
        async with rig.desk() as desk:
            echo = Echo()
            async with echo.measured():
                one = await flood(desk, "bot0", A_DEVICE)
                for number in range(1, IN_ALL // A_DEVICE):
                    assert not await flood(desk, f"bot{number}", A_DEVICE, more=0)
                all_ = await flood(desk, f"bot{BOARDS - 1}", 0)
            states = Counter(states[-1] for states in desk.states.values())
    assert len(one) == len(all_) == MORE
    assert states["rejected"] == 2 * MORE
    note("C17", f"refused as busy beyond {A_DEVICE} a device, {IN_ALL} in all", spread([*one, *all_]))
    echo.judge([*one, *all_], TOLD_S)


async def flood(desk: Desk, robot: str, limit: int, more: int = MORE) -> list[float]:
    """Say so much, and more; how long each refusal took. The rest is under way."""
    names = [f"{robot}-{number}" for number in range(limit)]
    for name in names:
        desk.say(robot, "mark 1", name, expiry=30)
    await desk.wait(lambda: all(desk.state(name) for name in names), f"{robot} is full")
    assert {desk.state(name) for name in names} <= {"accepted"}, desk.details
    refused = []
    for number in range(more):
        name = f"{robot}-more-{number}"
        began = time.monotonic()
        desk.say(robot, "mark 1", name, expiry=30)
        try:
            assert await desk.end_of(name, 2) == "rejected", (robot, desk.states[name])
        except AssertionError:
            raise AssertionError(f"{robot}: {desk.states[name]}, not refused") from None
        refused.append(time.monotonic() - began)
        assert "busy" in desk.details[name] or "under way" in desk.details[name]
        await asyncio.sleep(0)
    return refused
