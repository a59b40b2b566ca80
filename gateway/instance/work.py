"""What a module instance does without the hub: tasks, timers, threads, ways out, time.

The part of `boardtalk.sdk.Context` that is the same in the gateway and in a process of the module's own.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from boardtalk.instance import timers
from boardtalk.sdk import OutsideError
from boardtalk.witness import public_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
    from contextlib import AbstractAsyncContextManager

    from boardtalk.instance.outside.http import Answer, Client
    from boardtalk.sdk import Connection, Response
    from boardtalk.sdk.module import Log

R = TypeVar("R")


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
        self._client: asyncio.Future[Client] | None = None

    async def end(self) -> None:
        """End what is under way."""
        for task in self._running:
            task.cancel()
        if self._client:
            with suppress(Exception):  # if it was never loaded, there is nothing to close
                await (await self._client).close()

    @property
    def watched(self) -> bool:
        """Whether somebody wants to know what the module sees of the world."""
        return False

    def saw(self, what: str, value: R) -> R:
        """Let who looks on know it; the same value."""
        return value

    def http(self, url: str, **options: Any) -> AbstractAsyncContextManager[Response]:
        """See the SDK."""
        return self._overheard(url, options)

    @asynccontextmanager
    async def _overheard(self, url: str, options: Mapping[str, Any]) -> AsyncIterator[Response]:
        """Ask, and let who looks on know the answer."""
        if not self.watched:
            async with self._ask(url, options) as response:
                yield response
            return
        pieces: list[bytes] = []
        heard: dict[str, Any] = {"url": public_url(url)}
        try:
            async with self._ask(url, options) as response:
                response.overheard_by(pieces.append)
                heard |= {"status": response.status, "type": response.headers.get("Content-Type", "")}
                yield response
        except OutsideError as error:
            heard["error"] = str(error)
            raise
        finally:
            self.saw("http", heard | {"body": b"".join(pieces)})

    def _ask(self, url: str, options: Mapping[str, Any]) -> AbstractAsyncContextManager[Answer]:
        """The first time, the library begins to be loaded, in a thread: that takes a while."""
        if self._client is None or (self._client.done() and self._client.exception()):
            self._client = asyncio.get_running_loop().run_in_executor(None, _http_client)
        return _request(self._client, url, options)

    def connect(self, url: str, **options: Any) -> AbstractAsyncContextManager[Connection]:
        """See the SDK."""
        return _connected(url, options)

    async def run_in_thread(self, function: Callable[..., R], *arguments: Any) -> R:
        """See the SDK."""
        return await asyncio.to_thread(function, *arguments)

    async def run_in_process(self, function: Callable[..., R], *arguments: Any) -> R:
        """See the SDK."""
        processes = await asyncio.to_thread(import_module, "boardtalk.instance.outside.processes")
        return await processes.run(function, *arguments)  # type: ignore[no-any-return]

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
        return self.saw("now", time.monotonic())

    def time(self) -> float:
        """See the SDK."""
        return self.saw("time", time.time())

    def random(self) -> float:
        """See the SDK."""
        return self.saw("random", random.random())  # noqa: S311 - no secret

    async def _contain(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a module's failure is its own
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        self.log.error("task failed", error=str(error), exc_info=error)


@asynccontextmanager
async def _connected(url: str, options: Mapping[str, Any]) -> AsyncIterator[Connection]:
    way = "websocket" if url.startswith(("ws:", "wss:")) else "sockets"
    # Slow, the first time.
    outside = await asyncio.to_thread(import_module, f"boardtalk.instance.outside.{way}")
    async with outside.connect(url, **options) as connection:
        yield connection


def _http_client() -> Client:
    from boardtalk.instance.outside.http import Client

    return Client()


@asynccontextmanager
async def _request(
    loading: asyncio.Future[Client], url: str, options: Mapping[str, Any]
) -> AsyncIterator[Answer]:
    client = await asyncio.shield(loading)
    async with client.request(url, **options) as response:
        yield response
