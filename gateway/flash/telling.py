"""What is said of one board: events for who looks on, and lines in the journal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.events import Progress, Step
from boardtalk.flash.journal import Journal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

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
        """A line in the journal, synced. Raises FlashError: it can't be written."""
        if self._job.what not in CHANGING:
            return
        who, what = self._who(target), self._job.what
        with self._on_disk():
            self._journal.note(target.board.id, who, what, step, sha256=self._digest, detail=detail)

    def unfinished(self, target: Target) -> set[str]:
        """The steps of an earlier write of the same firmware that did not come to its end.

        Raises:
            FlashError: the journal can't be read.
        """
        if self._job.what != "write":
            return set()
        with self._on_disk():
            return self._journal.unfinished(self._who(target), self._digest)

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FlashError(Code.DISK, f"{self._job.folder}: {error}") from error

    def _who(self, target: Target) -> str:
        return target.found.id or self._job.port

    @property
    def _digest(self) -> str:
        return self._job.firmware.sha256 if self._job.firmware else ""
