"""An event loop on which a recording passes in no time: its clock is the recording's."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from unittest import mock

from boardtalk.hil.virtual.clock import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

T = TypeVar("T")
OURS = "boardtalk"
NS = 1_000_000_000


class ReplayLoop(VirtualLoop):
    """Begins at a given time, and waits for what threads do: they have none of their own."""

    def __init__(self, begins: float) -> None:
        super().__init__(begins)

    def run_in_executor(  # type: ignore[override]  # it is done when it returns
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run it now."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            future.set_exception(error)
        return future


def run(work: Coroutine[Any, Any, T], begins: float, utc: float) -> T:
    """Run it on a clock of its own.

    Args:
        work: what to run.
        begins: what the monotonic clock shows at first.
        utc: likewise the wall clock.
    """
    with asyncio.Runner(loop_factory=lambda: ReplayLoop(begins)) as runner:
        loop = runner.get_loop()
        with _clocks(monotonic=loop.time, wall=lambda: utc + loop.time() - begins):
            return runner.run(work)


@contextmanager
def _clocks(*, monotonic: Callable[[], float], wall: Callable[[], float]) -> Iterator[None]:
    """Have our code read these, however it has imported its clock."""
    instead = {
        time.monotonic: monotonic,
        time.time: wall,
        time.perf_counter_ns: lambda: int(monotonic() * NS),
    }
    ours = [module for name, module in sys.modules.items() if name.partition(".")[0] == OURS]
    patched = [
        mock.patch.object(module, name, instead[value])
        for module in (time, *ours)
        for name, value in list(vars(module).items())
        if callable(value) and any(value is clock for clock in instead)
    ]
    for each in patched:
        each.start()
    try:
        yield
    finally:
        for each in reversed(patched):
            each.stop()
