"""An event loop that never waits: when there is nothing to do, its clock goes to the next appointment."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time begins at 0 s, or where it is told, and the same program takes the same time again."""

    def __init__(self, begins: float = 0.0) -> None:
        self._clock = _Clock(begins)
        super().__init__(self._clock)

    def time(self) -> float:
        """Seconds."""
        return self._clock.now


class _Clock(selectors.SelectSelector):
    def __init__(self, begins: float) -> None:
        super().__init__()
        self.now = begins

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("on a virtual clock nothing comes from outside: this waits for ever")
        self.now += timeout
        return []


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it on a clock of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
