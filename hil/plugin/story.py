"""What the report of a failed test tells beside the test's own error."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

    from boardtalk.hil.plugin.boards import Board
    from boardtalk.hil.plugin.gateways import Gateway
    from boardtalk.hil.plugin.lines import Line

L = TypeVar("L", bound="Line")


class Story:
    """Of one test.

    Args:
        run: the seed of the whole run.
        test: the test's id: each has random numbers of its own, whatever runs before it.
    """

    def __init__(self, run: int, test: str) -> None:
        self.seed = zlib.crc32(test.encode(), run)
        self.board: Board | None = None
        self.gateway: Gateway | None = None
        self.recording: Path | None = None
        self._run = run
        self._lines: list[Line] = []

    def add_line(self, line: L) -> L:
        """A line to tell of."""
        self._lines.append(line)
        return line

    def told(self) -> str:
        """All of it, for people."""
        parts = []
        if self.board is not None:
            parts.append(f"board {self.board.name} at {self.board.port}")
        for line in self._lines:
            fired = ", ".join(f"{name} {count}" for name, count in line.fired.items() if count) or "none"
            parts.append(f"faults: {fired}; the same again with --seed {self._run}")
        if self.recording is not None:
            parts.append(f"recording: {self.recording}; `boardtalk replay` plays it")
        if self.gateway is not None:
            parts += ["chat:", *(f"  {each}" for each in self.gateway.told)]
            parts += ["log:", *(f"  {each}" for each in self.gateway.log.splitlines())]
        return "\n".join(parts)
