"""The emulated boards that `boardtalk hil board` starts, by name."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

from boardtalk.hil.firmware import assemble
from boardtalk.hil.micropython.board import MicroPythonBoard

Factory = Callable[[Sequence[Path]], AbstractAsyncContextManager[str]]
"""Starts a board with these files; gives its port, or its folder."""


@asynccontextmanager
async def micropython(paths: Sequence[Path]) -> AsyncIterator[str]:
    """Real MicroPython; without files its flash is empty."""
    with tempfile.TemporaryDirectory(prefix="boardtalk-board-") as folder:
        async with MicroPythonBoard(assemble(paths, Path(folder)) if paths else None) as board:
            yield board.port


KINDS: Final[dict[str, Factory]] = {"micropython": micropython}
