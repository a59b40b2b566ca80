"""Plays a recording: the gateway's own code, with recorded people, boards, times and answers from outside.

Hub, store, chain, modules and bridge are the real ones; the clock is the recording's, so that an hour takes
seconds. In place of the link process stands what it said then. Broker and front-ends are left out: they
would only carry. Modules that were isolated run in this process.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict, deque
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from boardtalk import conf, loader
from boardtalk.configuration import Configuration, declared_users, groups
from boardtalk.desk import Desk
from boardtalk.events import Delivery
from boardtalk.hil.record import clock
from boardtalk.hil.record.entries import AnyEntry, Gateway, Head, Link
from boardtalk.hil.record.link import RecordedLink
from boardtalk.hil.record.web import RecordedAnswer
from boardtalk.hub.calls import Calls
from boardtalk.hub.context import ModuleContext
from boardtalk.hub.hub import Hub
from boardtalk.modules.iot_bridge import bridge
from boardtalk.people.directory import Directory
from boardtalk.people.users import Users
from boardtalk.sdk import SYSTEM, ModuleError, OutsideError, Refused, Role
from boardtalk.store import store
from boardtalk.store.writer import Writer
from boardtalk.witness import (
    Called,
    Came,
    Drew,
    HungUp,
    Said,
    Steered,
    Stopped,
    TurnedAway,
    public_url,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from boardtalk.hub.sessions import Session
    from boardtalk.loader import Instance
    from boardtalk.sdk import Call
    from boardtalk.store.writer import Job

AFTER_S: Final = 1.0
"""How long it goes on after the last entry: what was under way then ends."""


def play(entries: Iterable[AnyEntry]) -> list[AnyEntry]:
    """What a gateway of now does with a recording's inputs: a recording again.

    Raises:
        BoardtalkError: its configuration can't be used here.
    """
    head, *rest = entries
    assert isinstance(head, Head)  # noqa: S101 - `read` has seen to it
    with tempfile.TemporaryDirectory(prefix="boardtalk-replay-") as folder:
        return clock.run(_Player(head, rest, Path(folder)).run(), head.clock, head.utc)


class _Inline(Writer):
    """Writes at once: there are no threads on this clock."""

    def start(self) -> None:
        pass

    def submit(self, job: Job) -> None:
        self._done(self._write(deque((job,))))

    def end(self) -> None:
        self._connection.close()


class _Calls(Calls):
    """Gives calls the ids that they had."""

    next_id = ""

    def _new_id(self) -> str:
        return self.next_id


class _Context(ModuleContext):
    """Gives a module what it saw then."""

    def __init__(self, *arguments: Any, draws: dict[str, deque[Any]], **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._draws = draws

    def saw(self, what: str, value: Any) -> Any:
        recorded = self._draws[what]
        return super().saw(what, recorded.popleft() if recorded else value)

    @asynccontextmanager
    async def http(self, url: str, **options: Any) -> AsyncIterator[Any]:
        recorded = self._draws["http"]
        answer = recorded.popleft() if recorded else None
        if answer is None or answer["url"] != public_url(url):
            raise OutsideError(f"{url}: was not asked when this was recorded")
        yield RecordedAnswer(answer)


class _Player:
    def __init__(self, head: Head, entries: list[AnyEntry], folder: Path) -> None:
        self._head = head
        self._entries = entries
        self._folder = folder
        self._sessions: dict[str, tuple[ExitStack, asyncio.Task[None]]] = {}
        self._out: list[AnyEntry] = [head]
        self._link = RecordedLink(entries, lambda event: self._out.append(Link(event)))

    async def run(self) -> list[AnyEntry]:
        async with AsyncExitStack() as stack:
            stack.enter_context(mock.patch.object(store, "Writer", _Inline))
            stack.enter_context(mock.patch.object(bridge, "LinkClient", self._link))
            await self._start(stack)
            with self._hub.witness.watched(lambda seen: self._out.append(Gateway(seen))):
                for at, act in self._inputs():
                    await asyncio.sleep(at - asyncio.get_running_loop().time())
                    act()
                await asyncio.sleep(AFTER_S)
            for leaving, task in self._sessions.values():
                task.cancel()
                leaving.close()
        return self._out

    async def _start(self, stack: AsyncExitStack) -> None:
        """The parts of a gateway, as `boardtalk.app` joins them, without those that carry."""
        gateway = self._head.gateway
        document = _inline(conf.parse(gateway.configuration, "the recorded configuration"))
        plan = loader.plan(document)
        if native := [each.name for each in plan.instances if each.source.is_native]:
            raise ModuleError(f"{', '.join(native)}: a recording with native modules can't be played")
        admins = [user for user, role in gateway.users.items() if role is Role.ADMIN]
        admin = (admins or list(gateway.users))[0]  # the configuration may make the person there anything
        users = Users.load(self._folder / "secrets", declared_users(document, admin) | gateway.users)
        kept = await stack.enter_async_context(
            store.Store.open(self._folder / "store.db", first_row=gateway.next_row)
        )
        self._tasks = await stack.enter_async_context(asyncio.TaskGroup())
        self._hub = await stack.enter_async_context(Hub(kept, Directory(users, groups(document))))
        self._hub.directory.set_policy(conf.policy(document))
        self._calls = calls = await stack.enter_async_context(_Calls(self._hub))
        draws = self._draws()

        def context_for(instance: Instance) -> ModuleContext:
            return _Context(
                self._hub, self._tasks, self._folder, instance.name,
                calls=calls, blocks=instance.blocks, verbosity=instance.options.verbosity,
                draws=draws[instance.name],
            )  # fmt: skip

        runner = await stack.enter_async_context(loader.Runner(context_for))
        configuration = await stack.enter_async_context(
            Configuration(lambda: document, document, admin, hub=self._hub, users=users, runner=runner)
        )
        own = _Context(
            self._hub, self._tasks, self._folder, SYSTEM, calls=calls, blocks={}, draws=draws[SYSTEM]
        )
        desk = Desk(await stack.enter_async_context(own), configuration, self._hub)
        desk.on_start()
        configuration.answer_with(desk)
        await configuration.start(plan)
        for user in gateway.online:
            self._come(user)
        await asyncio.sleep(0)
        for instance, kinds in draws.items():
            kinds.update(self._recorded_draws(instance))

    # What happens -------------------------------------------------------------------------------

    def _inputs(self) -> list[tuple[float, Any]]:
        """What came from outside, when it came."""
        inputs: list[tuple[float, Any]] = list(self._link.inputs())
        for entry in self._entries:
            match entry:
                case Gateway(Said(_, message)):
                    inputs.append((message.accepted, partial(self._accept, message)))
                case Gateway(TurnedAway(at, message, code, reason)):
                    inputs.append((at, partial(self._hub.turn_away, message, Refused(code, reason))))
                case Gateway(Called(at, call)):
                    inputs.append((at, partial(self._ring, call)))
                case Gateway(Steered(at, call_id, values)):
                    inputs.append((at, partial(self._calls.set_point, self, call_id, values)))
                case Gateway(HungUp(at, call_id, reason)):
                    inputs.append((at, partial(self._calls.end, call_id, reason)))
                case Gateway(Stopped(at, message, text, status)):
                    inputs.append((at, partial(self._hub.stopped, message, text, status)))
                case Gateway(Came(at, user, True)):
                    inputs.append((at, partial(self._come, user)))
                case Gateway(Came(at, user, False)):
                    inputs.append((at, partial(self._go, user)))
        return sorted(inputs, key=lambda each: each[0])

    def _accept(self, message: Any) -> None:
        try:
            self._hub.accept(message)
        except Refused as refused:
            self._hub.statuses.refuse(message, refused)

    def _ring(self, call: Call) -> None:
        self._tasks.create_task(self._open(call), name=f"call of {call.sender}")

    async def _open(self, call: Call) -> None:
        self._calls.next_id = call.id
        with suppress(Refused):  # what his front-end told him comes by itself
            await self._calls.open(self, call.sender, call.to, call.control)

    def _come(self, user: str) -> None:
        if user in self._sessions:
            return
        leaving = ExitStack()
        session = leaving.enter_context(self._hub.attach(user))
        task = self._tasks.create_task(_read(session), name=f"session of {user}")
        self._sessions[user] = leaving, task

    def _go(self, user: str) -> None:
        leaving, task = self._sessions.pop(user, (ExitStack(), None))
        if task is not None:
            task.cancel()
        leaving.close()

    # What modules saw ---------------------------------------------------------------------------

    def _draws(self) -> dict[str, dict[str, deque[Any]]]:
        """By instance and kind; empty until all have started: how they did was not recorded."""
        return defaultdict(lambda: defaultdict(deque))

    def _recorded_draws(self, instance: str) -> dict[str, deque[Any]]:
        found: dict[str, deque[Any]] = defaultdict(deque)
        for entry in self._entries:
            match entry:
                case Gateway(Drew(_, name, what, value)) if name == instance:
                    found[what].append(value)
        return found


async def _read(session: Session) -> None:
    """A front-end that hands over at once."""
    async for batch in session.events():
        for event in batch:
            if isinstance(event, Delivery):
                session.handed_over(event)


def _inline(document: conf.Document) -> conf.Document:
    """The same without what only carries, and without processes of modules."""
    blocks = [block for block in document.blocks if block.kind not in {"broker", "listen"}]
    return replace(
        document,
        blocks=tuple(
            replace(block, items=tuple(item for item in block.items if item.key != "isolate"))
            for block in blocks
        ),
    )
