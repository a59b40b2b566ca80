"""Flashing 1 MiB over a line of 921,600 baud, to one emulated board and to four, beside esptool alone."""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk import boards
from boardtalk.flash import firmware, fleet
from boardtalk.flash.events import Ended
from boardtalk.flash.job import Job
from boardtalk.hil.bench.rows import Row
from boardtalk.hil.loaders.esp import EspBoard
from boardtalk.hil.loaders.wire import PtyWire
from boardtalk.hil.paced import PacedLine
from boardtalk.sdk import BoardtalkError

if TYPE_CHECKING:
    from collections.abc import Iterator

KIND: Final = "emulated-esp32c3"
BAUD: Final = 921_600
IMAGE_BYTES: Final = 1 << 20
"""Half of it can be compressed, as with firmware."""
ROUNDS: Final = 3


def rows() -> Iterator[Row]:
    """Seconds from the command to the verified end: ours, and esptool's of the same run."""
    ones, fours, alones = [], [], []
    for number in range(ROUNDS):
        alones.append(asyncio.run(_alone(number)))
        ones.append(asyncio.run(_ours(1, number)))
        fours.append(asyncio.run(_ours(4, number)))
    alone = statistics.median(alones)
    yield Row.against("1 MiB to one board, median", statistics.median(ones), "s", ROUNDS, alone)
    yield Row.against("1 MiB to each of four boards, median", statistics.median(fours), "s", ROUNDS, alone)


async def _alone(seed: int) -> float:
    """Esptool on its own."""
    async with AsyncExitStack() as stack:
        folder, board = await _bench(stack, 1, seed)
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "esptool", "--port", board[0].port, "--baud", str(BAUD)),
            *("--before", "no-reset", "--after", "no-reset", "write-flash", "0", str(folder / "image.bin")),
            stdout=asyncio.subprocess.DEVNULL,
        )
        if await process.wait():
            raise BoardtalkError("esptool failed")
        return time.perf_counter() - began


async def _ours(count: int, seed: int) -> float:
    """So many boards at once; an image without header goes the way of a backup."""
    async with AsyncExitStack() as stack:
        folder, rig = await _bench(stack, count, seed)
        definition = boards.definition(KIND)
        how = msgspec.structs.replace(definition.definition.flash, baud=BAUD)
        fast = msgspec.structs.replace(definition.definition, flash=how)
        kind = msgspec.structs.replace(definition, definition=fast)
        began = time.perf_counter()
        image = firmware.from_file(folder / "image.bin", kind)
        jobs = [
            Job(what="restore", port=board.port, boards=[kind], state=folder, firmware=image) for board in rig
        ]
        async with aclosing(fleet.run(jobs, count)) as events:
            ended = [event async for event in events if isinstance(event, Ended)]
        took = time.perf_counter() - began
        for each in ended:
            if not each.ok:
                raise BoardtalkError(each.reason)
        for board in rig:
            if bytes(board.flash)[:IMAGE_BYTES] != image.data:
                raise BoardtalkError("what is on the flash is not what was written")
        return took


async def _bench(stack: AsyncExitStack, count: int, seed: int) -> tuple[Path, list[EspBoard]]:
    """A folder with an image, and boards on lines with a speed."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="boardtalk-bench-")))
    noise = random.Random(seed).randbytes(IMAGE_BYTES // 2)  # noqa: S311 - repeatable, not secret
    (folder / "image.bin").write_bytes(noise + b"boardtalk".ljust(16) * (IMAGE_BYTES // 32))
    rig = [
        await stack.enter_async_context(EspBoard("esp32c3", PtyWire(PacedLine(BAUD)), mac=number.to_bytes(6)))
        for number in range(count)
    ]
    return folder, rig
