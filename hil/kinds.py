"""The emulated boards that `boardtalk hil board` starts, by name."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from boardtalk.hil.board import BoardError
from boardtalk.hil.firmware import assemble
from boardtalk.hil.loaders.esp import EspBoard
from boardtalk.hil.loaders.esp_chips import CHIPS
from boardtalk.hil.loaders.stm32 import Stm32Board
from boardtalk.hil.loaders.uf2 import Uf2Drive
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.hil.qemu import tiny
from boardtalk.hil.qemu.microbit import Microbit

Factory = Callable[[Sequence[Path]], AbstractAsyncContextManager[str]]
"""Starts a board with these files; gives its port, or its folder."""


@asynccontextmanager
async def micropython(paths: Sequence[Path]) -> AsyncIterator[str]:
    """Real MicroPython; without files its flash is empty."""
    with tempfile.TemporaryDirectory(prefix="boardtalk-board-") as folder:
        async with MicroPythonBoard(assemble(paths, Path(folder)) if paths else None) as board:
            yield board.port


@asynccontextmanager
async def esp(kind: str, paths: Sequence[Path]) -> AsyncIterator[str]:
    """An ESP chip that waits for esptool."""
    _take_no_files(kind, paths)
    async with EspBoard(kind) as board:
        yield board.port


@asynccontextmanager
async def uf2(paths: Sequence[Path]) -> AsyncIterator[str]:
    """A Pico's drive, which takes UF2 files: a folder."""
    _take_no_files("uf2", paths)
    async with Uf2Drive() as drive:
        yield str(drive.folder)


@asynccontextmanager
async def stm32(paths: Sequence[Path]) -> AsyncIterator[str]:
    """An STM32's system loader, for stm32loader."""
    _take_no_files("stm32", paths)
    async with Stm32Board() as board:
        yield board.port


@asynccontextmanager
async def microbit(paths: Sequence[Path]) -> AsyncIterator[str]:
    """A micro:bit in QEMU, with these programs on its flash; without any it is at its prompt."""
    async with Microbit(microbit_files(paths)) as board:
        yield board.port


def microbit_files(paths: Sequence[Path]) -> dict[str, bytes]:
    """What goes on its flash, which has no folders; a robot for the tiny client comes with that."""
    files: dict[str, bytes] = {}
    for path in paths:
        if (path / "dictionary.json").is_file():
            files |= tiny.files(path)
            continue
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        files |= {each.name: each.read_bytes() for each in inside if each.is_file()}
    return files


def _take_no_files(kind: str, paths: Sequence[Path]) -> None:
    if paths:
        raise BoardError(f"a board {kind!r} gets its firmware from a tool; start it without files")


KINDS: Final[dict[str, Factory]] = {
    "micropython": micropython,
    **{name: partial(esp, name) for name in CHIPS},
    "uf2": uf2,
    "stm32": stm32,
    "microbit": microbit,
}
