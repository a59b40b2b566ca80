"""A board with MicroPython and nothing else, a robot's program, and orders for them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from boardtalk.flash import fleet
from boardtalk.flash.events import Ended
from boardtalk.flash.provision import ClientJob
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.sdk.provision import Order
from tests.flash.bench import Told
from tests.ota.rig import HEAP

PROGRAM = """\
from boardtalk import Board
from part import VERSION

lamp = Board("lamp", version=VERSION)

@lamp.telemetry("V")
def battery():
    return 8.2

lamp.run()
"""


def program(folder: Path, version: str = "1.0", filler: int = 4000) -> Path:
    """A robot's program, and a file of so many bytes."""
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text(PROGRAM)
    (folder / "part.py").write_text(f"VERSION = {version!r}\n")
    (folder / "filler.bin").write_bytes(bytes(at * 7 % 251 for at in range(filler)))
    return folder


@asynccontextmanager
async def empty(uid: str = "") -> AsyncIterator[MicroPythonBoard]:
    """A board that has MicroPython, with an empty LittleFS."""
    async with MicroPythonBoard(None, uid=uid, flash="littlefs", heap=HEAP) as board:
        yield board


async def provision(order: Order, **more: object) -> Told:
    """Do it; what was said."""
    job = ClientJob(replace(order, **more))  # type: ignore[arg-type]
    async with aclosing(fleet.run([job], 1)) as events:
        return Told([event async for event in events])


async def started(*words: str | Path, **environment: str) -> asyncio.subprocess.Process:
    """`boardtalk`, begun."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "boardtalk", *map(str, words)),
        stdin=subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environment},
    )


async def boardtalk(*words: str | Path, rc: int = 0, **environment: str) -> str:
    """Run a command; what it says."""
    process = await started(*words, **environment)
    said = (await asyncio.wait_for(process.communicate(), 50))[0].decode()
    print(said)
    assert process.returncode == rc, said
    return said


def right(board: MicroPythonBoard, robot: Path) -> bool:
    """Whether the board has that program, and nothing that was left lying."""
    names = board.files.names()
    same = all(board.files.read(path.name) == path.read_bytes() for path in robot.iterdir())
    return same and "ota.key" in names and not any(name.startswith("boardtalk.new") for name in names)


def ended(told: Told) -> Ended:
    """How it ended; it must be well."""
    assert told.end.ok, told.end
    return told.end
