"""The emulated boards that `boardtalk hil board` starts, by name."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.firmware import assemble, example

Factory = Callable[[Sequence[Path]], AbstractAsyncContextManager[str]]
"""Starts a board with these files; gives its port, or its folder."""


@asynccontextmanager
async def micropython(paths: Sequence[Path]) -> AsyncIterator[str]:
    """Real MicroPython with the firmware client; without files it is the rover."""
    with tempfile.TemporaryDirectory(prefix="boardtalk-board-") as folder:
        robot = assemble(paths or [example("rover")], Path(folder))
        async with EmulatedBoard(robot) as board:
            yield board.port


KINDS: Final[dict[str, Factory]] = {"micropython": micropython}
