"""`boardtalk hil`: a project with tests of your own to begin with, and emulated boards for any tool."""

from __future__ import annotations

import asyncio
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Final

from cyclopts import App
from rich.console import Console

from boardtalk.sdk import BoardtalkError

UNWANTED: Final = shutil.ignore_patterns("__pycache__", "*.pyc")

hil = App(name="hil", help="Hardware in the loop: tests of your own robot, emulated boards.")


class HilError(BoardtalkError):
    """That can't be begun, or started."""


@hil.command
def new(folder: Path, /) -> int:
    """Begin a project: a robot's program, a command of its own, and tests that pass.

    Example: boardtalk hil new lamp

    Args:
        folder: where; made, or empty.
    """
    target = folder.absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise HilError(f"{target}: there is something already; choose another folder")
    source = Path(str(files("boardtalk.hil").joinpath("cli.py"))).parent / "examples" / "lamp"
    try:
        shutil.copytree(source, target, ignore=UNWANTED, dirs_exist_ok=True)
    except OSError as error:
        raise HilError(f"{target}: can't be written: {error.strerror}") from error
    made = ", ".join(sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()))
    console = Console(highlight=False)
    for line in (
        f"{target}: {made}",
        "next:",
        f"  1. cd {target} && pytest   # needs boardtalk[hil]",
        "  2. pytest --board=/dev/ttyACM0   # the same on the real board",
    ):
        console.print(line, markup=False, soft_wrap=True)
    return 0


@hil.command
def board(kind: str, /, *paths: Path) -> int:
    """Start one emulated board, say where it is, and wait.

    Ctrl-C or SIGTERM ends it, and leaves nothing behind.

    Example: boardtalk hil board micropython robot

    Args:
        kind: micropython (real MicroPython with a prompt), microbit (in QEMU), or one that waits for a
            flashing tool: esp32, esp32c3, esp32c6, esp32s3, esp8266, stm32, uf2 (a folder that is a drive).
        paths: programs for its flash, of micropython and microbit: a folder, or files. For micropython also
            a robot that comes with boardtalk: rover, explorer, arm, station.
    """
    from boardtalk.cli.common import await_

    return await_(_board(kind, paths))


async def _board(kind: str, paths: tuple[Path, ...]) -> int:
    from boardtalk.hil.firmware import find
    from boardtalk.hil.kinds import KINDS

    if kind not in KINDS:
        raise HilError(f"there is no board {kind!r}; there are {', '.join(KINDS)}")
    found = []
    for path in paths:
        if (there := find(path, [Path()])) is None:
            raise HilError(f"{path}: there is no such file")
        found.append(there)
    async with KINDS[kind](found) as where:
        print(f"ready {where}", flush=True)
        await asyncio.Event().wait()  # until Ctrl-C
    return 0
