"""The hub: accepts messages durably, sends them through the chain, routes what comes out of it.

Front-ends call `accept` and read a `Session`; modules come in through `gateway.context`.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

from msgspec.structs import replace

from boardtalk import events
from boardtalk.hub.access import Access
from boardtalk.hub.callbacks import Modules
from boardtalk.hub.dispatcher import Dispatcher
from boardtalk.hub.handover import Handover
from boardtalk.hub.marks import Marks
from boardtalk.hub.presence import PresenceTracker
from boardtalk.hub.receipts import Receipts
from boardtalk.hub.sent_items import SentItems
from boardtalk.hub.series import Series
from boardtalk.hub.sessions import Session, Sessions
from boardtalk.hub.statuses import ACCEPTED, Statuses
from boardtalk.hub.traces import Traces
from boardtalk.hub.unfinished import Unfinished
from boardtalk.runtime.pulse import Pulse
from boardtalk.runtime.turns import Turns
from boardtalk.sdk import Code, Flag, Kind, Message, Module, Refused, Status
from boardtalk.store.records import Accepted, Conflict, Duplicate, NotStored
from boardtalk.witness import Said, Sent, Stopped, TurnedAway, Witness

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping
    from types import TracebackType

    from boardtalk.chain.chain import Chain, Outcome, Passage
    from boardtalk.people.directory import Directory
    from boardtalk.store.store import Store

MAX_BEHIND_S: Final = 2.0
"""What comes is refused while what came before had to wait longer to be accepted."""


class Hub:
    """The middle of the gateway. Use as an async context manager; it owns the tasks it starts."""

    def __init__(self, store: Store, directory: Directory) -> None:
        self.store = store
        self.directory = directory
        self.witness = Witness()
        self.sessions = Sessions(self.witness)
        self.access = Access(store, directory)
        self.traces = Traces(store, directory, self.witness)
        self.series = Series()
        self.modules = Modules(directory, self._spawn)
        self.presence = PresenceTracker(directory, self.sessions, self.modules, self.witness)
        self._sent = SentItems()
        self._unfinished = Unfinished(store, directory, self.sessions)
        self.statuses = Statuses(
            store, directory, self.sessions, self.modules, sent=self._sent, unfinished=self._unfinished
        )
        self._dispatcher = Dispatcher(self.modules, directory, self.statuses, self._spawn, self._leave)
        receipts = Receipts(store, directory, self.statuses)
        self.marks = Marks(store, directory, self.sessions, receipts)
        self._handover = Handover(store, self.sessions, receipts, self.statuses)
        self._early: list[tuple[str, Message, Status | None]] | None = []
        """What modules said before there was a chain."""
        self._go_on: list[Message] = []
        """What was said to people, and was under way when the last gateway ended."""
        self._pulse = Pulse()
        self._behind_s = 0.0
        """How long the last message had to wait for the disk and for its turn."""
        self._origins: dict[int, Session] = {}
        """Where messages were said that wait for the disk, by their rows."""
        self._tasks = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._go_on = await self._unfinished.find()
        await self._handover.find()
        self._spawn(self._dispatch_committed(), "hub acceptor")
        self._spawn(self._handover.expire(), "what has expired")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.sleep(0)  # those that are new begin, or there would be nothing to clean up after them
        for task in self._running:
            task.cancel()
        self.sessions.close()
        await self._tasks.__aexit__(kind, error, trace)

    def load(self, chain: Chain, modules: Mapping[str, Module]) -> None:
        """Put a chain into service; `modules` are its instances, by instance name."""
        self.modules.load(chain, modules)
        self._unfinished.hand_on(self.modules, self.statuses.tell)
        go_on, self._go_on = self._go_on, []
        for message in go_on:
            self._enter(message.with_(accepted=time.monotonic()), 0)
        if self._early is not None:  # until now nobody could say anything
            self._spawn(self._pulse.run(), "pulse")
        early, self._early = self._early or [], None
        for instance, message, status in early:
            self._enter(message, chain.behind(instance), status)

    # Front-ends -------------------------------------------------------------------------------

    @contextmanager
    def attach(self, address: str | None, listeners: frozenset[str] | None = None) -> Iterator[Session]:
        """A session while the context lasts.

        Args:
            address: of a user; None: a broker's, which gets what is for all of them.
            listeners: who is to be found at that broker at first; None: it never tells. See `listen`.
        """
        session = Session(address, self._handover.done, listeners)
        self.sessions.add(session)
        if address is None and listeners is None:
            self._catch_up(None)
        for user in listeners or ((address,) if address else ()):
            self._came(user)
        try:
            yield session
        finally:
            self.sessions.remove(session)
            self._handover.take_back(session)
            self.series.leave(session)
            users = session.listeners or ((address,) if address else ())
            for user in users:
                self.presence.went(user)
            self._catch_up_elsewhere({*users, *(each.recipient for each in session.open.values())})

    def listen(self, session: Session, users: frozenset[str]) -> None:
        """Note whose messages are heard at a broker from now on."""
        before, session.listeners = session.listeners or frozenset(), users
        for user in users - before:
            self._came(user)
        for user in before - users:
            self.presence.went(user)

    def accept(self, message: Message, session: Session | None = None) -> None:
        """Take a message from a user. What becomes of it comes back through his sessions.

        His sessions but the given one, in which he said it, are shown the message itself.

        Raises:
            Refused: the gateway is full, or it is for modules only. All other refusals are told to the
                sender as statuses.
        """
        if message.flags & Flag.REPLACES:
            raise Refused(Code.DENIED, f"only modules replace what they have said: flag {Flag.REPLACES:d}")
        message = message.with_(accepted=time.monotonic() - self._pulse.age_s(), row=0)
        if message.flags & (Flag.TRANSIENT | Flag.PRESENCE):
            self.witness.tell(Said, message)
            self._echo(message, session)
            self._enter(message, 0)
            return
        if self._is_behind:
            raise Refused(Code.BUSY, f"the gateway is {self._behind_s:.0f} s behind; try again in a moment")
        row = self.store.put(message)
        if session is not None:
            self._origins[row] = session
        self.witness.tell(Said, message)

    @property
    def _is_behind(self) -> bool:
        """Whether messages needed so long to be accepted that others must not come."""
        return self._behind_s > MAX_BEHIND_S and self.store.pending > 0

    async def room(self) -> None:
        """Wait until there is room: a front-end that forwards many messages waits here."""
        await self.store.room()
        if self._is_behind:
            await asyncio.sleep(0)  # or who tries again and again would never let it catch up

    def turn_away(self, message: Message, refused: Refused) -> None:
        """Refuse what a front-end can't hand in, or has handed in, in vain."""
        self.witness.tell(TurnedAway, message, refused.code, refused.reason)
        self.statuses.refuse(message, refused)

    def stopped(self, message: Message, text: str, status: Status, told: str = "") -> None:
        """Tell sender, history and audit of a stop that was carried out (or was not) past the hub.

        Args:
            message: what the sender said.
            text: what came of it, for the audit.
            status: the same.
            told: the same text as the sender may read it; "": as it is.
        """
        told = told or text
        self.witness.tell(Stopped, message, told, status)
        self.store.audit(message.sender, "stop", message.to, text)
        recorded = self.store.record(message)
        self.store.update(recorded.row, replace(status, detail=told))
        self._echo(recorded, None)
        self.statuses.say(message, told, status)
        self.statuses.tell(message, status)

    # Modules ----------------------------------------------------------------------------------

    def submit(self, instance: str, message: Message, status: Status | None) -> None:
        """Take a message from a module; it enters the chain behind that module."""
        if not message.flags & (Flag.TRANSIENT | Flag.PRESENCE):
            message = self.store.record(message, status)
        self._sent.add(instance, message)
        self._echo(message, None)
        self.witness.tell(Sent, instance, message, status)
        message = message.with_(accepted=time.monotonic())
        if self._early is None:
            self._enter(message, self.modules.chain.behind(instance), status)
        else:
            self._early.append((instance, message, status))

    # Inside -----------------------------------------------------------------------------------

    async def _dispatch_committed(self) -> None:
        async for batch in self.store.committed():
            turns = Turns()
            for item in batch:
                await turns.over()
                self._behind_s = time.monotonic() - item.message.accepted - self._pulse.age_s()
                session = self._origins.pop(item.message.row, None)
                match item:
                    case Accepted(message):
                        self._echo(message, session)
                        self.statuses.tell(message, ACCEPTED)
                        self._enter(message, 0)
                    case Duplicate(message, row, status, answer):
                        self.statuses.repeat(message.with_(row=row), status, answer)
                    case Conflict(message):
                        self.statuses.refuse(
                            message.with_(row=0),
                            Refused(
                                Code.FAILED,
                                f"id {message.id!r} was used for another message: choose a new id",
                            ),
                        )
                    case NotStored(message, reason):
                        self.statuses.refuse(
                            message,
                            Refused(Code.FAILED, f"the gateway can't store messages: {reason}"),
                        )

    def _enter(self, message: Message, start: int, status: Status | None = None) -> None:
        """Let a message into the chain, if its sender may know whom he talks to."""
        try:
            self.access.require_seen(message)
        except Refused as refused:
            self.statuses.refuse(message, refused)
        else:
            self._dispatcher.enter(message, start, status)

    def _leave(
        self, original: Message, outcome: Outcome, status: Status | None, trail: list[Passage]
    ) -> None:
        """Note the way through the chain, and route what came out of it."""
        self.traces.passed(original, trail)
        if outcome is None:
            kind = self.directory.kind(original.to)
            if original.row and kind is not None and kind.is_people:
                self.store.taken(original.row)  # or it would go through the modules again after a crash
            return
        if isinstance(outcome, Refused):
            self.statuses.refuse(original, outcome)
            return
        try:
            self._route(outcome, status)
        except Refused as refused:
            self.statuses.refuse(original, refused)
            return
        if original.row and outcome.to == original.to:
            self.store.arrived(original, outcome.body)

    def _echo(self, message: Message, session: Session | None) -> None:
        """Show the sender what he has said, but where he has said it."""
        if self.sessions.has(message.sender) and not message.flags & Flag.PRESENCE:
            replaced = self._sent.row_replaced(message)
            self.sessions.echo(events.Sent(message.sender, message, time.time(), replaced), but=session)

    def _route(self, message: Message, status: Status | None) -> None:
        is_user = self.directory.kind(message.sender) is Kind.USER
        kind = self.directory.require(message.to, message.sender if is_user else None)
        if not kind.is_people:
            raise Refused(Code.OFFLINE, f"no module answers for {message.to!r} just now")
        if kind is Kind.USER:
            self._handover.deliver(message.to, message, status, self._sent.row_replaced(message))
            return
        members = self.directory.members(message.to)
        if message.sender not in members and self.directory.kind(message.sender) is Kind.USER:
            raise Refused(Code.DENIED, f"{message.sender} is not a member of {message.to}")
        self._fan_out(message.with_(groupid=message.to), status)

    def _fan_out(self, message: Message, status: Status | None) -> None:
        """Deliver to each member of a group; it is refused only if none can have it."""
        members = self.directory.recipients(message.to, message.sender)
        refusals = []
        for member in members:
            try:
                self._handover.deliver(member, message, status, self._sent.row_replaced(message))
            except Refused as refused:
                refusals.append(refused)
        if refusals and len(refusals) == len(members):
            raise refusals[0]

    def _came(self, user: str) -> None:
        if self.presence.came(user):
            self._catch_up(user)

    def _catch_up(self, address: str | None) -> None:
        self._unfinished.catch_up(address)
        if self._handover.needs_to_catch_up(address):
            self._spawn(self._handover.catch_up(address), f"held for {address or 'all'}")

    def _catch_up_elsewhere(self, users: set[str]) -> None:
        """Some of what was for these waits, because a session is gone: it may have others by now."""
        for user in users:
            if self.sessions.reach(user):
                self._catch_up(user)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run a task until it ends, at the latest until the hub does: a hung module holds up no end."""
        task = self._tasks.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
