"""What a module instance gets from the gateway: the `Context` of the SDK, on top of the hub."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import structlog

from boardtalk import timers
from boardtalk.notes import Notes
from boardtalk.pace import Pace
from boardtalk.sdk import Code, Contact, Message, Refused, Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from boardtalk.calls import Calls
    from boardtalk.hub import Hub
    from boardtalk.loader import Instance
    from boardtalk.outside.http import Client
    from boardtalk.sdk import Action, Connection, Response, Settings

R = TypeVar("R")


class ModuleContext:
    """See :class:`boardtalk.sdk.Context`; one per module instance, in service while it is entered."""

    notes: MutableMapping[str, Any]

    def __init__(
        self,
        hub: Hub,
        tasks: asyncio.TaskGroup,
        state: Path,
        instance: str,
        *,
        calls: Calls,
        blocks: Mapping[str, Mapping[str, Settings]],
        verbosity: int = 0,
    ) -> None:
        self.instance = instance
        self.state = state
        self.verbosity = verbosity
        self.folder = state / "modules" / instance.replace("#", "-")
        self.log = structlog.get_logger(module=instance)
        self._hub = hub
        self._calls = calls
        self._tasks = tasks
        self._blocks = blocks
        self._running: set[asyncio.Task[None]] = set()
        self._client: Client | None = None
        self._pace = Pace()

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.notes = await Notes.load(self._hub.store, self.instance)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End what is under way; nobody answers for the instance's addresses any more."""
        self._pace.close()
        for task in self._running:
            task.cancel()
        for address in self._hub.directory.owned_by(self.instance):
            self.unregister(address)
        if self._client:
            await self._client.close()

    # Messages and people ----------------------------------------------------------------------

    def send(self, message: Message, status: Status | None = None) -> None:
        """See the SDK."""
        owner = self._hub.directory.owner(message.sender)
        if owner is not None and owner != self.instance:
            raise Refused(Code.DENIED, f"{message.sender!r} belongs to the module {owner}")
        self._pace.do(partial(self._hub.submit, self.instance, message, status))

    def report(self, message: Message, status: Status) -> None:
        """See the SDK."""
        self._hub.tell(message, status)

    def register(self, contact: Contact) -> None:
        """See the SDK."""
        self._hub.directory.register(self.instance, contact)
        self._hub.publish_presence(contact.address, online=contact.online, state=contact.state)

    def unregister(self, address: str) -> None:
        """See the SDK."""
        self._hub.directory.unregister(self.instance, address)
        self._hub.publish_presence(address, online=False, state="gone")

    def end_call(self, call_id: str, reason: str) -> None:
        """See the SDK."""
        self._calls.end(call_id, reason)

    def contacts(self) -> list[Contact]:
        """See the SDK."""
        return self._hub.directory.contacts()

    def contact(self, address: str) -> Contact | None:
        """See the SDK."""
        return self._hub.directory.contact(address)

    def allowed(self, sender: str, action: Action, to: str) -> bool:
        """See the SDK."""
        return self._hub.directory.allowed(sender, action)

    def blocks(self, kind: str) -> Mapping[str, Settings]:
        """See the SDK."""
        return self._blocks.get(kind, {})

    # The world outside ------------------------------------------------------------------------

    def http(self, url: str, **options: Any) -> AbstractAsyncContextManager[Response]:
        """See the SDK."""
        if self._client is None:
            from boardtalk.outside.http import Client

            self._client = Client()
        return self._client.request(url, **options)

    def connect(self, url: str, **options: Any) -> AbstractAsyncContextManager[Connection]:
        """See the SDK."""
        if url.startswith(("ws:", "wss:")):
            from boardtalk.outside import websocket

            return websocket.connect(url, **options)
        from boardtalk.outside import sockets

        return sockets.connect(url, **options)

    # Work and time ----------------------------------------------------------------------------

    async def run_in_thread(self, function: Callable[..., R], *arguments: Any) -> R:
        """See the SDK."""
        return await asyncio.to_thread(function, *arguments)

    async def run_in_process(self, function: Callable[..., R], *arguments: Any) -> R:
        """See the SDK."""
        from boardtalk.outside.processes import run

        return await run(function, *arguments)

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
        except Exception as error:  # noqa: BLE001 - a module's failure is its own
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.log.error("task failed", error=str(error), exc_info=error)


def contexts(
    hub: Hub, tasks: asyncio.TaskGroup, state: Path, calls: Calls
) -> Callable[[Instance], AbstractAsyncContextManager[ModuleContext]]:
    """Makes the contexts of instances."""

    def context_for(instance: Instance) -> ModuleContext:
        return ModuleContext(
            hub,
            tasks,
            state,
            instance.name,
            calls=calls,
            blocks=instance.blocks,
            verbosity=instance.options.verbosity,
        )

    return context_for
