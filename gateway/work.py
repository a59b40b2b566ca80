"""What a module instance does without the hub: tasks, timers, threads, ways out, time.

The part of `boardtalk.sdk.Context` that is the same in the gateway and in a process of the module's own.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from boardtalk import timers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
    from contextlib import AbstractAsyncContextManager
    from types import ModuleType

    from boardtalk.outside.http import Client
    from boardtalk.sdk import Connection, Response
    from boardtalk.sdk.module import Log

R = TypeVar("R")
_ways: dict[str, ModuleType] = {}


async def _loaded(way: str) -> Any:
    """One of the ways out, in a thread the first time: its libraries take long, and messages go on."""
    if way not in _ways:
        _ways[way] = await asyncio.to_thread(import_module, f"boardtalk.outside.{way}")
    return _ways[way]


@asynccontextmanager
async def _connected(url: str, options: Mapping[str, Any]) -> AsyncIterator[Connection]:
    outside = await _loaded("websocket" if url.startswith(("ws:", "wss:")) else "sockets")
    async with outside.connect(url, **options) as connection:
        yield connection


class Work:
    """See :class:`boardtalk.sdk.Context`.

    Args:
        instance: name of the module instance.
        tasks: where its tasks run.
    """

    log: Log

    def __init__(self, instance: str, tasks: asyncio.TaskGroup) -> None:
        self.instance = instance
        self._tasks = tasks
        self._running: set[asyncio.Task[None]] = set()
        self._client: Client | None = None

    async def end(self) -> None:
        """End what is under way."""
        for task in self._running:
            task.cancel()
        if self._client:
            await self._client.close()

    def http(self, url: str, **options: Any) -> AbstractAsyncContextManager[Response]:
        """See the SDK."""
        return self._http(url, options)

    def connect(self, url: str, **options: Any) -> AbstractAsyncContextManager[Connection]:
        """See the SDK."""
        return _connected(url, options)

    @asynccontextmanager
    async def _http(self, url: str, options: Mapping[str, Any]) -> AsyncIterator[Response]:
        outside = await _loaded("http")
        if self._client is None:
            self._client = outside.Client()
        async with self._client.request(url, **options) as response:
            yield response

    async def run_in_thread(self, function: Callable[..., R], *arguments: Any) -> R:
        """See the SDK."""
        return await asyncio.to_thread(function, *arguments)

    async def run_in_process(self, function: Callable[..., R], *arguments: Any) -> R:
        """See the SDK."""
        return await (await _loaded("processes")).run(function, *arguments)  # type: ignore[no-any-return]

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """See the SDK."""
        task = self._tasks.create_task(self._contain(work), name=f"{self.instance} {name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda _: work.close())  # it may be cancelled before it began
        return task

    def after(self, seconds: float, call: Callable[[], Awaitable[None] | None]) -> asyncio.Task[None]:
        """See the SDK."""
        return self.spawn(timers.after(seconds, call, self._failed), "after")

    def every(self, seconds: float, call: Callable[[], Awaitable[None] | None]) -> asyncio.Task[None]:
        """See the SDK."""
        return self.spawn(timers.every(seconds, call, self._failed), "every")

    def now(self) -> float:
        """See the SDK."""
        return time.monotonic()

    def time(self) -> float:
        """See the SDK."""
        return time.time()

    def random(self) -> float:
        """See the SDK."""
        return random.random()  # noqa: S311 - no secret

    async def _contain(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a module's failure is its own
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        self.log.error("task failed", error=str(error), exc_info=error)
