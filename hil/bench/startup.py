"""Time from `boardtalk run` to `ready`, memory of each process, size of what is installed."""

from __future__ import annotations

import asyncio
import re
import statistics
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boardtalk.hil.bench.rows import Row
from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.demo import CONF
from boardtalk.hil.gateway import GatewayProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

STARTS: Final = 5
PROCESSES: Final = {"gateway": "boardtalk run", "link process": "iot_bridge", "broker": "nats-server"}
"""How each process of a gateway is recognised by its command line."""


def rows() -> Iterator[Row]:
    """Start-up time beside that of a bare interpreter, resident memory, installed size."""
    times, memory = asyncio.run(_measure())
    bare = asyncio.run(_bare_start())
    yield Row.against("start to ready, median", statistics.median(times) * 1000, "ms", STARTS, bare * 1000)
    for name, kilobytes in memory.items():
        yield Row(name=f"resident memory, {name}", value=kilobytes / 1024, unit="MB", n=1)
    total, count = _installed("boardtalk")
    yield Row(name="installed size, with dependencies", value=total / 2**20, unit="MB", n=count)


async def _measure() -> tuple[list[float], dict[str, int]]:
    times = []
    memory: dict[str, int] = {}
    async with EmulatedBoard("rover") as board:
        for _ in range(STARTS):
            with tempfile.TemporaryDirectory(prefix="boardtalk-bench-") as folder:
                began = time.perf_counter()
                async with GatewayProcess(Path(folder), CONF.format(port=board.port)):
                    times.append(time.perf_counter() - began)
                    memory = {name: _resident_kb(mark, folder) for name, mark in PROCESSES.items()}
    return times, memory


async def _bare_start() -> float:
    """Median time of an interpreter that imports nothing but asyncio."""
    times = []
    for _ in range(STARTS):
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import asyncio")
        await process.wait()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _resident_kb(mark: str, folder: str) -> int:
    """Resident memory of the process whose command line has `mark` and `folder`."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if mark in line and folder in line:
                return int((entry / "status").read_text().split("VmRSS:")[1].split()[0])
        except (OSError, IndexError):
            continue
    return 0


def _installed(name: str) -> tuple[int, int]:
    """Bytes and number of distributions that `name` needs, itself included; extras left out."""
    waiting, seen, total = [name], set[str](), 0
    while waiting:
        each = re.split(r"[^A-Za-z0-9._-]", waiting.pop())[0].lower()
        if each in seen:
            continue
        try:
            found = distribution(each)
        except PackageNotFoundError:
            continue
        seen.add(each)
        files = (Path(str(path.locate())) for path in found.files or ())
        total += sum(path.stat().st_size for path in files if path.is_file())
        waiting += [need for need in found.requires or () if "extra ==" not in need]
    return total, len(seen)
