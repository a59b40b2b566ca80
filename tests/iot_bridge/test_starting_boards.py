"""A board that starts is not interrupted by frames for the session that its reset has ended.

Real MicroPython, whose console takes a 0x03 for Ctrl-C until the client runs; the gateway goes on sending,
since nobody tells it of the reset.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import secrets
from functools import partial
from pathlib import Path

import pytest

from boardtalk.hil.firmware import example
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.fleet import Fleet
from tests.iot_bridge.test_fleet import fleet, until

COUNTING = b"""\
try:
    import time
    time.sleep(0.5)
    import robot
except KeyboardInterrupt:
    with open("interrupted", "a") as file:
        file.write("x")
    import machine
    machine.reset()
"""
"""Starts the robot's program as slowly as a microcontroller, and counts how often that was interrupted."""
EVERY_S = 0.005
"""A command."""
SHORT = pytest.param(8, id="short")
LONG = pytest.param(400, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1800)])


@pytest.mark.parametrize("resets", [SHORT, LONG])
async def test_c12_a_board_that_is_reset_under_commands_is_never_interrupted_while_it_starts(
    tmp_path: Path, resets: int
) -> None:
    seed = int(os.environ.get("SEED") or secrets.randbelow(1 << 32))
    print(f"seed {seed}: again with SEED={seed}")
    chance = random.Random(seed)
    async with MicroPythonBoard(example("rover")) as board:
        board.files.write("robot.py", board.files.read("main.py"))
        board.files.write("main.py", COUNTING)
        await board.reset()
        async with fleet(tmp_path, api.WantedBoard(name="rover", port=board.port)) as boards:
            await until(boards["rover"].ready.is_set)
            sending = asyncio.create_task(send(boards, chance))
            for _ in range(resets):
                boot = boards.describe()[0].boot
                await asyncio.sleep(chance.uniform(0.1, 0.3))
                await board.reset()
                await until(partial(started_anew, boards, boot), within_s=30.0)
            sending.cancel()
            await asyncio.wait({sending})
        interrupted = len(board.files.read("interrupted")) if "interrupted" in board.files.names() else 0
    print(f"{resets} resets, {interrupted} starts interrupted")
    assert not interrupted


def started_anew(boards: Fleet, before: int) -> bool:
    return boards["rover"].ready.is_set() and boards.describe()[0].boot != before


async def send(boards: Fleet, chance: random.Random) -> None:
    """Commands, as fast as somebody's program might."""
    for id_ in itertools.count(1):
        request = api.Command(board="rover", id=id_, index=chance.randrange(4), ttl_ms=1000)
        boards["rover"].orders.begin(request)
        await asyncio.sleep(EVERY_S)
