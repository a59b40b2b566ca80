"""What is said of one board: events for who looks on, and lines in the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boardtalk.flash.events import Progress, Step
from boardtalk.flash.journal import Journal

if TYPE_CHECKING:
    import asyncio

    from boardtalk.flash.events import AnyEvent
    from boardtalk.flash.job import Job, Target

CHANGING = frozenset({"write", "restore", "erase"})
"""Only what changes a board is in the journal."""


class Telling:
    """One job's events and journal.

    Args:
        job: of which board.
        events: steps and progress go there.
    """

    def __init__(self, job: Job, events: asyncio.Queue[AnyEvent]) -> None:
        self._job = job
        self._events = events
        self._journal = Journal(job.folder)

    def step(self, step: str, detail: str = "") -> None:
        """A step begins."""
        self._events.put_nowait(Step(port=self._job.port, step=step, detail=detail))

    def progress(self, step: str, done: int, total: int) -> None:
        """So many bytes of a step are done."""
        self._events.put_nowait(Progress(port=self._job.port, step=step, done=done, total=total))

    def note(self, target: Target, step: str, detail: str = "") -> None:
        """A line in the journal, synced. Raises OSError."""
        if self._job.what in CHANGING:
            who = self._who(target)
            self._journal.note(target.board.id, who, self._job.what, step, sha256=self._digest, detail=detail)

    def unfinished(self, target: Target) -> set[str]:
        """The steps of an earlier write of the same firmware that did not come to its end."""
        return (
            self._journal.unfinished(self._who(target), self._digest) if self._job.what == "write" else set()
        )

    def _who(self, target: Target) -> str:
        return target.found.id or self._job.port

    @property
    def _digest(self) -> str:
        return self._job.firmware.sha256 if self._job.firmware else ""
