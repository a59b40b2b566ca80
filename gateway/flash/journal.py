"""What was done to which board: one line a step, on disk before the step begins."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE: Final = "journal.jsonl"
BEGUN, ERASED, WRITTEN, DONE = "begun", "erased", "written", "done"


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of one board."""

    at: float
    """Seconds since 1970."""
    board: str
    """Its definition."""
    id: str
    """What its loader tells; else the port."""
    what: str
    step: str
    sha256: str = ""
    """Of the firmware."""
    detail: str = ""


class Journal:
    """The journal in a folder, which need not exist yet.

    Args:
        folder: `flash` in the state folder.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE

    def note(self, board: str, id_: str, what: str, step: str, *, sha256: str = "", detail: str = "") -> None:
        """Add a step, synced.

        Raises:
            OSError: the disk is full, or not ours.
        """
        entry = Entry(at=time.time(), board=board, id=id_, what=what, step=step, sha256=sha256, detail=detail)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> Iterator[Entry]:
        """All steps; a line that was torn by a loss of power is left out."""
        if not self._file.exists():
            return
        for line in self._file.read_bytes().splitlines():
            try:
                yield msgspec.json.decode(line, type=Entry)
            except msgspec.DecodeError:
                continue

    def unfinished(self, id_: str, sha256: str, what: str = "write") -> set[str]:
        """The steps of a write of this firmware to this board that did not come to its end; else none."""
        steps: set[str] = set()
        for entry in self.entries():
            if entry.id != id_:
                continue
            if entry.what != what or entry.step == DONE or entry.sha256 != sha256:
                steps.clear()
            elif entry.step == BEGUN and not steps:
                steps = {BEGUN}
            elif steps:
                steps.add(entry.step)
        return steps
