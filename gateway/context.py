"""What a module instance gets from the gateway: the `Context` of the SDK, on top of the hub."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, Self

import structlog

from boardtalk.sdk import Code, Contact, Message, Refused, Status

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine, Mapping
    from pathlib import Path

    from boardtalk.hub import Hub
    from boardtalk.sdk import Action, Config


class ModuleContext:
    """See :class:`boardtalk.sdk.Context`; one per module instance."""

    def __init__(
        self,
        hub: Hub,
        tasks: asyncio.TaskGroup,
        state: Path,
        instance: str,
        blocks: Mapping[str, Mapping[str, Config]],
    ) -> None:
        self.instance = instance
        self.state = state
        self.folder = state / "modules" / instance.replace("#", "-")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = structlog.get_logger(module=instance)
        self._hub = hub
        self._tasks = tasks
        self._blocks = blocks
        self._running: set[asyncio.Task[None]] = set()

    def send(self, message: Message, status: Status | None = None) -> None:
        """See the SDK."""
        owner = self._hub.directory.owner(message.sender)
        if owner is not None and owner != self.instance:
            raise Refused(Code.DENIED, f"{message.sender!r} belongs to the module {owner}")
        self._hub.submit(self.instance, message, status)

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

    def allowed(self, sender: str, action: Action, to: str) -> bool:
        """See the SDK."""
        return self._hub.directory.allowed(sender, action)

    def blocks(self, kind: str) -> Mapping[str, Config]:
        """See the SDK."""
        return self._blocks.get(kind, {})

    def now(self) -> float:
        """See the SDK."""
        return time.monotonic()

    def random(self) -> float:
        """See the SDK."""
        return random.random()  # noqa: S311 - no secret

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """See the SDK."""
        task = self._tasks.create_task(self._contain(work), name=f"{self.instance} {name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda _: work.close())  # it may be cancelled before it began
        return task

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End what `spawn` started; nobody answers for the instance's addresses any more."""
        for task in self._running:
            task.cancel()
        for address in self._hub.directory.owned_by(self.instance):
            self.unregister(address)

    async def _contain(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            self.log.exception("task failed", error=str(error))
