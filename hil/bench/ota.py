"""An update over the link, beside `mpremote cp` of the same file on the same board and the same line."""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from boardtalk.hil.bench.rows import Row
from boardtalk.hil.faults import Faults
from boardtalk.hil.gateway import GatewayProcess
from boardtalk.hil.line import FaultyLine
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.hil.paced import BITS_PER_BYTE, PacedLine
from boardtalk.modules.iot_bridge.frames import MAX_PAYLOAD, OVERHEAD_BYTES
from boardtalk.modules.iot_bridge.ota.install import stage
from boardtalk.modules.iot_bridge.ota.push import Push
from boardtalk.modules.iot_bridge.ota.release import File, Release

if TYPE_CHECKING:
    from collections.abc import Iterator

BAUD: Final = 115_200
SIZE: Final = 64 * 1024
SEED: Final = 1
LOSS: Final = 0.05
UID: Final = "0102030405060708"
MAIN: Final = b"from boardtalk import Board\n\nBoard('robot').run()\n"
CONF: Final = """\
log_level = warning
broker {{
    port = 0
}}
module iot_bridge {{
    discover = no
}}
user bench {{
    role = operator
}}
board robot {{
    port = {port}
}}
"""


class Clock:
    """When what was sent."""

    def __init__(self) -> None:
        self.began = 0.0
        self.ended = 0.0

    def total(self, size: int) -> None:
        """It begins."""
        self.began = time.perf_counter()

    def sent(self, size: int) -> None:
        """It may have ended."""
        self.ended = time.perf_counter()

    def say(self, text: str) -> None:
        """Nobody listens."""


def rows() -> Iterator[Row]:
    """Rates of one file of 64 KiB, and what the link makes of the line."""
    yield from asyncio.run(_rows())


async def _rows() -> list[Row]:
    data = random.Random(SEED).randbytes(SIZE)  # noqa: S311 - repeatable, not secret
    allowed = BAUD / BITS_PER_BYTE * MAX_PAYLOAD / (MAX_PAYLOAD + OVERHEAD_BYTES)
    copied = await _copied(data)
    sent, whole = await _updated(data, PacedLine(BAUD))
    lossy = FaultyLine(SEED, Faults(lose=LOSS), baud=BAUD)
    spoilt, spoilt_whole = await _updated(data, lossy)
    where = f"paced pty, {BAUD} baud"
    return [
        Row.against(
            f"{where}, update, begin to end, against mpremote cp", whole / 1000, "kB/s", 1, copied / 1000
        ),
        Row.against(
            f"{where}, update, its data, against what frames allow", sent / 1000, "kB/s", 1, allowed / 1000
        ),
        Row.against(
            f"{where}, update, its data, {LOSS:.0%} of frames lost",
            spoilt / 1000,
            "kB/s",
            lossy.fired["lose"],
            sent / 1000,
        ),
        Row.against(
            f"{where}, update with {LOSS:.0%} lost, begin to end, against mpremote cp without",
            spoilt_whole / 1000,
            "kB/s",
            lossy.fired["lose"],
            copied / 1000,
        ),
    ]


async def _copied(data: bytes) -> float:
    """Bytes a second of mpremote, its start and its connection left out."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "data.bin"
        path.write_bytes(data)
        async with MicroPythonBoard(flash="littlefs", line=PacedLine(BAUD)) as board:
            connected = await _mpremote(board.port, "eval", "1")
            took = await _mpremote(board.port, "cp", str(path), ":data.bin")
            if board.files.read("data.bin") != data:
                raise AssertionError("mpremote copied something else")
    return len(data) / (took - connected)


async def _mpremote(port: str, *words: str) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mpremote", "connect", port, *words), stdout=asyncio.subprocess.DEVNULL
    )
    if await process.wait():
        raise AssertionError("mpremote failed")
    return time.perf_counter() - began


async def _updated(data: bytes, line: Any) -> tuple[float, float]:
    """Bytes a second: while the data go, and from the first question to the start of the trial."""
    with tempfile.TemporaryDirectory() as name:
        state, flash = Path(name) / "state", Path(name) / "flash"
        state.mkdir()
        flash.mkdir()
        stage(flash, state, UID, Release((File("main.py", MAIN),), "before"))
        release = Release((File("data.bin", data), File("main.py", MAIN)), "after")
        async with (
            MicroPythonBoard(flash, uid=UID, heap="192k", flash="littlefs", line=line) as board,
            GatewayProcess(state, CONF.format(port=board.port)) as gateway,
        ):
            await gateway.online("robot", "bench")
            clock = Clock()
            began = time.perf_counter()
            await Push(state, "robot", release, clock).transfer()
            whole = time.perf_counter() - began
            if board.files.read("b/data.bin") != data:
                raise AssertionError("something else has arrived")
    return len(data) / (clock.ended - clock.began), len(data) / whole
