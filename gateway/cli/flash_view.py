"""Flashing as people see it: a bar for each board, and at the end what became of each and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from boardtalk.flash.events import Ended, Step
from boardtalk.flash.events import Progress as Far
from boardtalk.sdk.bars import Bars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import TaskID

    from boardtalk.flash.events import AnyEvent

LOUD = frozenset({"check", "match", "plan", "backup", "erase", "again"})
"""Steps that stay on the screen; the others show in the bar while they last."""


class View(Bars):
    """The bars."""

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
