"""Where boards and gateways of tests live: an event loop in a thread of its own, and one folder.

So a plain test, and an async one of whatever plugin, may use them: none of them needs that loop for itself.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import tempfile
import threading
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, cast

import anyio
from anyio import to_thread
from anyio.from_thread import start_blocking_portal

from boardtalk.hil.janitor import Janitor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator
    from contextlib import AbstractAsyncContextManager

PREFIX: Final = "boardtalk-hil-"
T = TypeVar("T")


class Result:
    """What a method of a fixture gives: in a plain test at once, in an async one when it is awaited."""

    def __await__(self) -> Generator[Any, None, Self]:
        """Itself."""
        return self._itself().__await__()

    async def _itself(self) -> Self:
        return self


class Done(Result):
    """It is done, and there is nothing to tell."""


R = TypeVar("R", bound=Result)


class Rig:
    """One for each session of pytest, so for each worker too; as a context manager."""

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        self._root = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._numbers = itertools.count(1)
        self._stack.enter_context(Janitor(self._root))
        try:
            self._portal = self._stack.enter_context(start_blocking_portal())
            self._thread = self._portal.call(threading.get_ident)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def folder(self) -> Path:
        """A fresh one; it is gone after the session, whatever happens."""
        path = self._root / f"{next(self._numbers)}"
        path.mkdir()
        return path

    @contextmanager
    def entered(self, manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """What lives in the rig's loop, for a `with` in the thread of tests; Ctrl-C lets it leave, too."""
        entered: Future[T] = Future()
        leave = asyncio.Event()

        async def live() -> None:
            try:
                async with manager as value:
                    entered.set_result(value)
                    await leave.wait()
            except BaseException as error:
                if entered.done():
                    raise
                entered.set_exception(error)

        living = self._portal.start_task_soon(live)
        try:
            yield entered.result()
        finally:
            self.now(leave.set)
            living.result()

    def run(self, work: Callable[[], Awaitable[R]]) -> R:
        """Do what takes time, and wait; called where an event loop runs, it gives a coroutine that does."""
        __tracebackhide__ = True
        if threading.get_ident() == self._thread:  # a fault of a script
            return cast("R", work())
        if _in_event_loop():
            return cast("R", self._from_event_loop(work))
        return self.wait(work)

    def wait(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do what takes time, and wait."""
        __tracebackhide__ = True
        future = self._portal.start_task_soon(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def now(self, work: Callable[[], T]) -> T:
        """Do what takes no time, in the rig's loop."""
        if threading.get_ident() == self._thread:
            return work()
        return self._portal.call(work)

    async def _from_event_loop(self, work: Callable[[], Awaitable[R]]) -> R:
        __tracebackhide__ = True
        future: Future[R] = self._portal.start_task_soon(work)
        try:
            return await to_thread.run_sync(future.result, abandon_on_cancel=True)
        finally:
            future.cancel()


def done(work: Callable[..., Awaitable[object]], *args: Any, **options: Any) -> Callable[[], Awaitable[Done]]:
    """Work without a result, as `Rig.run` takes it."""

    @functools.wraps(work)
    async def call() -> Done:
        await work(*args, **options)
        return Done()

    return call


def _in_event_loop() -> bool:
    """Whether this thread runs asyncio or trio, where nobody may wait but by `await`."""
    try:
        anyio.get_current_task()
    except RuntimeError:
        return False
    return True
