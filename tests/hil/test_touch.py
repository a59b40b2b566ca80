"""The 1200-baud touch, by tools that people use for it."""

from __future__ import annotations

import asyncio
import os
import sys
import termios

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.loaders.touch import touched
from boardtalk.hil.loaders.uf2 import Uf2Drive
from boardtalk.hil.loaders.wire import PtyWire
from tests.hil.flashing import run

IMPORTS = "import serial, sys"
PYSERIAL = f"{IMPORTS}; serial.Serial(sys.argv[1], int(sys.argv[2])).close()"


async def open_at(port: str, rate: int, tool: str = "pyserial") -> None:
    command = (
        ("stty", "-F", port, str(rate))
        if tool == "stty"
        else (sys.executable, "-c", PYSERIAL, port, str(rate))
    )
    assert (await run(*command)).code == 0


@pytest.mark.parametrize("tool", ["stty", "pyserial"])
async def test_only_opening_and_closing_at_1200_baud_is_a_touch(tool: str) -> None:
    async with PtyWire() as wire:
        waiting = asyncio.create_task(touched(wire.port))
        await open_at(wire.port, 115200, tool)
        assert not waiting.done()
        await open_at(wire.port, 1200, tool)
        async with asyncio.timeout(5):
            await waiting


async def test_two_that_close_it_at_once_have_closed_it() -> None:
    """inotify merges what is alike and was not read yet."""
    async with PtyWire() as wire:
        waiting = asyncio.create_task(touched(wire.port))
        await asyncio.sleep(0)
        fds = []
        for _ in range(2):
            fds.append(os.open(wire.port, os.O_RDWR | os.O_NOCTTY))
            await asyncio.sleep(0.05)
        attributes = termios.tcgetattr(fds[0])
        attributes[4] = attributes[5] = termios.B1200
        termios.tcsetattr(fds[0], termios.TCSANOW, attributes)
        for fd in fds:
            os.close(fd)
        async with asyncio.timeout(5):
            await waiting


async def test_it_is_closing_that_counts() -> None:
    async with PtyWire() as wire:
        waiting = asyncio.create_task(touched(wire.port))
        await asyncio.sleep(0)
        script = f"{IMPORTS}; port = serial.Serial(sys.argv[1], 1200); print(1, flush=True); input()"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            script,
            wire.port,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        await process.stdout.readline()
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await process.communicate(b"\n")
        async with asyncio.timeout(5):
            await waiting


async def test_a_board_that_is_touched_gives_way_to_its_drive() -> None:
    async with EmulatedBoard("rover") as board:

        async def loader() -> None:
            await touched(board.port)
            await board.unplug()

        waiting = asyncio.create_task(loader())
        await asyncio.sleep(0)
        await open_at(board.port, 1200)
        async with asyncio.timeout(5):
            await waiting
        async with Uf2Drive() as drive:
            assert drive.mounted


async def test_a_port_that_is_not_there() -> None:
    with pytest.raises(OSError, match="No such file"):
        await touched("/dev/nowhere")
