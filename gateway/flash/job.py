"""What shall be done to one board, and which board that turned out to be."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boardtalk.boards import BoardFile
    from boardtalk.flash.firmware import Firmware
    from boardtalk.flash.protocol import Found, Segment

What = Literal["probe", "plan", "write", "verify", "erase", "backup", "restore"]


@dataclass(frozen=True)
class Job:
    """What shall be done to the board at a port."""

    what: What
    port: str
    boards: Sequence[BoardFile]
    """What it may be; the probe decides."""
    state: Path
    """The gateway's state folder: whose port it may be, and where journal and backups are."""
    firmware: Firmware | None = None
    erase: bool = False
    """Erase all of the flash before writing."""
    backup: bool = False
    """Save all of the flash before anything is changed."""
    file: Path | None = None
    """Of a backup; None: one with the date, in the state folder."""
    wait_s: float = 0.0
    """How long to wait for MicroPython afterwards."""
    by: str = ""
    """Who wants it, for the audit; "": whoever had this done sees to that."""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: end after the piece that is being written."""

    @property
    def folder(self) -> Path:
        """Where journal and backups are."""
        return self.state / "flash"


class Target(NamedTuple):
    """The board that answered, and what shall be on its flash."""

    board: BoardFile
    found: Found
    segments: list[Segment]

    @property
    def total(self) -> int:
        """Bytes of all segments."""
        return sum(len(each.data) for each in self.segments)
