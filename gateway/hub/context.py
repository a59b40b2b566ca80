"""What a module instance gets from the gateway: the `Context` of the SDK, on top of the hub."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import structlog
from msgspec.structs import replace

from boardtalk.checked import checked, checked_message, checked_row
from boardtalk.hub.notes import Notes
from boardtalk.hub.pace import STORED, Pace
from boardtalk.instance.work import Work
from boardtalk.people.policy import Wish
from boardtalk.sdk import Code, Contact, Flag, Message, Refused, Status
from boardtalk.witness import Drew

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, MutableMapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from boardtalk.hub.calls import Calls
    from boardtalk.hub.hub import Hub
    from boardtalk.loader import Instance
    from boardtalk.people.directory import Directory
    from boardtalk.people.users import Audience
    from boardtalk.sdk import Action, Settings

T = TypeVar("T")
NEVER_STORED: Final = Flag.TRANSIENT | Flag.PRESENCE


class ModuleContext(Work):
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
        super().__init__(instance, tasks)
        self.state = state
        self.verbosity = verbosity
        self.folder = state / "modules" / instance.replace("#", "-")
        self.log = structlog.get_logger(module=instance)
        self._hub = hub
        self._calls = calls
        self._blocks = blocks
        self._pace = Pace()

    @property
    def directory(self) -> Directory:
        """Everybody who can be talked to; for what is the gateway's own."""
        return self._hub.directory

    def show_to(self, user: str, audience: Audience) -> None:
        """Have these told whether a user is online; for what is the gateway's own."""
        self._hub.presence.show_to(user, audience)

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.notes = await Notes.load(self._hub.store, self.instance)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End what is under way; nobody answers for the instance's addresses any more."""
        self._pace.close()
        await self.end()
        for address in self._hub.directory.owned_by(self.instance):
            self.unregister(address)

    @property
    def watched(self) -> bool:
        """Whether somebody wants to know what the module sees of the world."""
        return bool(self._hub.witness)

    def saw(self, what: str, value: T) -> T:
        """Let who looks on know it; the same value."""
        self._hub.witness.tell(Drew, self.instance, what, value)
        return value

    def send(self, message: Message, status: Status | None = None) -> None:
        """See the SDK."""
        message = checked_message(message)
        if status is not None:
            status = checked(status, Status)
        owner = self._hub.directory.owner(message.sender)
        if owner is not None and owner != self.instance:
            raise Refused(Code.DENIED, f"{message.sender!r} belongs to the module {owner}")
        cost = 1 if message.flags & NEVER_STORED else STORED
        self._pace.do(partial(self._hub.submit, self.instance, message, status), cost)

    def report(self, message: Message, status: Status) -> None:
        """See the SDK."""
        self._hub.statuses.tell(checked_row(message), checked(status, Status))

    def explain(self, message: Message, what: str, detail: str = "") -> None:
        """See the SDK."""
        self._hub.traces.note(self.instance, checked_row(message), str(what), str(detail))

    def register(self, contact: Contact) -> None:
        """See the SDK."""
        contact, before = checked(contact, Contact), self._hub.directory.contact(contact.address)
        self._hub.directory.register(self.instance, contact)
        moved = contact.holder != (before.holder if before else "")
        if moved:
            self._hub.presence.publish_holder(contact.address, contact.holder)
        if before is None or not moved or replace(before, holder=contact.holder) != contact:
            self._hub.presence.publish(contact.address, online=contact.online, state=contact.state)

    def unregister(self, address: str) -> None:
        """See the SDK."""
        if self._hub.directory.owner(address) == self.instance:
            self._hub.series.forget(address)
        self._hub.directory.unregister(self.instance, address)
        self._hub.presence.publish(address, online=False, state="gone")

    def publish(self, address: str, values: Mapping[str, float | str], at: float | None = None) -> bool:
        """See the SDK."""
        if self._hub.directory.owner(address) != self.instance:
            raise Refused(Code.DENIED, f"{address!r} is no address of this module's")
        return self._hub.series.publish(address, values, at)

    def end_call(self, call_id: str, reason: str) -> None:
        """See the SDK."""
        self._calls.end(call_id, reason)

    def contacts(self) -> list[Contact]:
        """See the SDK."""
        return self._hub.directory.contacts()

    def contact(self, address: str) -> Contact | None:
        """See the SDK."""
        return self._hub.directory.contact(address)

    def allowed(
        self,
        sender: str,
        action: Action,
        to: str,
        command: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        """See the SDK."""
        return self._hub.directory.allowed(sender, action, to, command, values)

    def require(
        self,
        sender: str,
        action: Action,
        to: str,
        command: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> str:
        """See the SDK."""
        return self._hub.access.require(sender, Wish(action, to, command, values))

    def robots(self, address: str) -> tuple[str, ...]:
        """See the SDK."""
        return self._hub.directory.robots(address)

    def blocks(self, kind: str) -> Mapping[str, Settings]:
        """See the SDK."""
        return self._blocks.get(kind, {})


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
