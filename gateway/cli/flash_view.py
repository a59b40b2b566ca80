"""Flashing as people see it: a bar for each board, and at the end what became of each and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from boardtalk.flash.events import Ended, Step
from boardtalk.flash.events import Progress as Far

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from rich.console import Console
    from rich.progress import TaskID

    from boardtalk.flash.events import AnyEvent

LOUD = frozenset({"check", "match", "plan", "backup", "erase", "again"})
"""Steps that stay on the screen; the others show in the bar while they last."""


class View:
    """The bars, as a context manager.

    Args:
        console: where.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, event: AnyEvent) -> None:
        """Take an event in."""
        match event:
            case Step(port=port, step=step, detail=detail):
                if step in LOUD and detail:
                    self._console.print(f"{port}: {step}: {detail}", markup=False, soft_wrap=True)
                self._progress.reset(self._task(port), description=escape(f"{port} {step}"), total=None)
            case Far(port=port, done=done, total=total):
                self._progress.update(self._task(port), completed=done, total=total)
            case Ended(port=port):
                self._progress.remove_task(self._task(port))

    def _task(self, port: str) -> TaskID:
        if port not in self._tasks:
            self._tasks[port] = self._progress.add_task(escape(port), total=None)
        return self._tasks[port]


def summary(ended: Sequence[Ended]) -> Table:
    """What became of each, and what to do next."""
    table = Table(box=None)
    for heading in ("port", "board", "id", "result", "written", "time", "firmware", "program", ""):
        table.add_column(heading, no_wrap=True, overflow="ignore")
    for each in ended:
        table.add_row(
            *map(escape, (each.port, each.board, each.id)),
            "[green]done[/]" if each.ok else f"[red]{each.code}[/]",
            f"{each.written / 1024:.0f} of {each.total / 1024:.0f} kB" if each.total else "",
            f"{each.seconds:.1f} s",
            *map(escape, (each.firmware, each.program, each.cure or each.note)),
        )
    return table
