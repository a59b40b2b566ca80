"""Updates as people see them: a bar for each robot, and at the end which robot runs what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from boardtalk.modules.iot_bridge.language.words import clean
from boardtalk.modules.iot_bridge.ota.events import AnyEvent, Ended, Outcome, Said, Sent, Stage, Total
from boardtalk.sdk.bars import Bars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.progress import TaskID


class View(Bars):
    """The bars.

    Args:
        console: where.
        many: whether lines tell whose they are, and stages are named.
    """

    def __init__(self, console: Console, *, many: bool) -> None:
        super().__init__(console)
        self._many = many

    def show(self, event: AnyEvent) -> None:
        """Take an event in."""
        match event:
            case Stage(number=number, robots=robots, left=left) if self._many:
                rest = f"; {left} more wait" if left else ""
                self._say(f"stage {number}: {', '.join(robots)}{rest}")
            case Said(robot=robot, text=text):
                self._say(f"{robot}: {text}" if self._many else text)
            case Total(robot=robot, size=size):
                self._progress.reset(self._task(robot), total=size, visible=size > 0)
            case Sent(robot=robot, size=size):
                self._progress.advance(self._task(robot), size)
            case Ended(robot=robot, outcome=outcome, reason=reason):
                self._progress.remove_task(self._task(robot))
                del self._tasks[robot]
                if self._many:
                    self._say(
                        f"{robot}: {outcome}" + (f": {reason.removeprefix(f'{robot}: ')}" if reason else "")
                    )
            case _:
                pass

    def _say(self, text: str) -> None:
        self._console.print(clean(text), markup=False)

    def _task(self, robot: str) -> TaskID:
        if robot not in self._tasks:
            self._tasks[robot] = self._progress.add_task(escape(robot), total=None, visible=False)
        return self._tasks[robot]


def summary(ended: Sequence[Ended]) -> Table:
    """Which robot runs what."""
    table = Table(box=None)
    for heading in ("robot", "result", "runs", "sent", "time"):
        table.add_column(heading, no_wrap=True, overflow="ignore")
    for each in ended:
        good, color = each.outcome.good, "red" if each.outcome.unhealthy else "yellow"
        table.add_row(
            escape(each.robot),
            f"[{'green' if good else color}]{each.outcome}[/]",
            escape(clean(each.runs)) or "?",
            f"{each.sent / 1024:.1f} kB" if each.sent else "",
            f"{each.seconds:.1f} s" if each.seconds else "",
        )
    return table


def advice(ended: Sequence[Ended], release: str) -> str:
    """How to go on; "": all is done."""
    if any(each.outcome.unhealthy for each in ended):
        return (
            "stopped at the first unhealthy robot; when its fault is found, the same command goes on, with "
            f"{release} or a newer one: who runs it is passed over. `boardtalk ota rollback` takes it back"
        )
    if any(each.outcome is Outcome.PLANNED for each in ended):
        return "nothing was begun"
    if any(not each.outcome.good for each in ended):
        return "the same command goes on: who runs it already is passed over"
    if any(each.outcome is Outcome.ON_TRIAL for each in ended):
        return "`boardtalk ota status` tells how the trials end"
    return ""
