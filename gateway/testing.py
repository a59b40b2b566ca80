"""For tests of modules: a gateway around one instance, in a temporary folder, without broker and boards."""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from boardtalk import conf
from boardtalk.chain.chain import Chain, Stage
from boardtalk.events import CallUpdate, Delivery, Update
from boardtalk.hub.calls import Calls
from boardtalk.hub.context import contexts
from boardtalk.hub.hub import Hub
from boardtalk.loader import Instance, Runner, Source, plan
from boardtalk.people.directory import Directory, Group
from boardtalk.people.users import Users
from boardtalk.sdk import (
    CONSUMED,
    PASS,
    Call,
    CallState,
    Code,
    CommandInfo,
    Completion,
    Contact,
    Kind,
    Message,
    Module,
    Role,
    State,
    Status,
)
from boardtalk.sdk.errors import first_error
from boardtalk.store.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from boardtalk.chain.health import Report
    from boardtalk.hub.sessions import Session
    from boardtalk.sdk import Verdict

T = TypeVar("T")
WAIT_S: Final = 5.0
"""How long `Bench` waits for what a test expects."""
DONE: Final = Status(code=Code.DONE, state=State.DONE)


class _Robots(Module):
    """Stands at the end of the chain in place of real robots: notes what they are told, says it is done."""

    name = "robots"

    def __init__(self, hub: Hub, names: set[str]) -> None:
        self.names = names
        self.told: list[Message] = []
        self.hub = hub

    def on_message(self, message: Message) -> Verdict:
        if message.to not in self.names:
            return PASS
        self.told.append(message)
        self.hub.statuses.tell(message, DONE)
        return CONSUMED


class Bench:
    """A gateway around one module; made by `bench`.

    What waits for something waits 5 s, and then fails with what came instead.
    """

    statuses: list[Update]
    """What users were told about their messages, in order: `message_id`, `status` and more."""
    call_states: list[tuple[str, CallState, str]]
    """What users were told about their calls, in order: id, state, reason."""

    def __init__(
        self,
        hub: Hub,
        calls: Calls,
        runner: Runner,
        robots: _Robots,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._tasks = tasks
        self._sessions: dict[str, ExitStack] = {}
        self._hub = hub
        self._runner = runner
        self._robots = robots
        self._inboxes: dict[str, list[Delivery]] = {}
        self._calls = calls
        self.statuses = []
        self.call_states = []
        self._number = 0

    @property
    def module(self) -> Module:
        """The instance that is tested."""
        return next(iter(self._runner.modules.values()))

    @property
    def reports(self) -> list[Report]:
        """How the instance is, as `boardtalk modules` shows it."""
        return self._runner.reports()

    @property
    def told(self) -> list[Message]:
        """What robots were told, in order."""
        return self._robots.told

    def inbox(self, user: str) -> list[Message]:
        """What a user got, in order."""
        return [delivery.message for delivery in self._inboxes[user]]

    def say(self, sender: str, to: str, text: str, **parameters: object) -> str:
        """Have a user send a message, with further fields of `Message` if wanted; returns its id."""
        self._number += 1
        fields: dict[str, object] = {"sender": sender, "to": to, "body": text, "id": f"test-{self._number}"}
        message = Message(**{**fields, **parameters})  # type: ignore[arg-type]
        self._hub.accept(message)
        return message.id

    async def read(self, reader: str, message: Message) -> None:
        """Have a user's client say that he has read a message."""
        await self._hub.marks.read(reader, message.sender, message.id)

    async def hears(self, user: str, pattern: str) -> Message:
        """Wait for a message to a user whose text has a regular expression in it; returns the first such."""
        return await self._until(
            lambda: next((each for each in self.inbox(user) if re.search(pattern, each.body)), None),
            lambda: f"{user} hears {pattern!r}; he heard {[each.body for each in self.inbox(user)]}",
        )

    async def ended(self, message_id: str) -> Status:
        """Wait until a message has ended, by the id that `say` returned; returns how it did."""
        return await self._until(
            lambda: next(
                (
                    each.status
                    for each in self.statuses
                    if each.message_id == message_id and each.status.state.terminal
                ),
                None,
            ),
            lambda: f"message {message_id} ends; told so far: {self.statuses}",
        )

    async def call(self, sender: str, to: str, control: str = "") -> Call:
        """Have a user ask for live control; returns the call once it is answered.

        Raises:
            Refused: the module, or nobody, takes the call.
        """
        return await self._calls.open(self, sender, to, control)

    def steer(self, call: Call, text: str) -> None:
        """Have the caller send live values."""
        self._calls.set_point(self, call.id, text)

    def hang_up(self, call: Call) -> None:
        """Have the caller hang up."""
        self._calls.hang_up(self, call.id)

    async def call_is(self, call: Call, state: CallState) -> str:
        """Wait until a call is in a state; returns the reason that the caller was told."""
        return await self._until(
            lambda: next(
                (why for name, is_, why in self.call_states if (name, is_) == (call.id, state)), None
            ),
            lambda: f"the call is {state}: {self.call_states}",
        )

    def contact(self, address: str) -> Contact | None:
        """Who has an address; None: nobody."""
        return self._hub.directory.contact(address)

    def series(self, address: str) -> dict[str, list[tuple[float, float | str]]]:
        """What the module has published for an address: when and what, by the names of the series."""
        return self._hub.series.past(address)

    async def complete(self, to: str, line: str) -> list[Completion]:
        """How a half-typed line may go on."""
        return await self._hub.modules.complete(to, line)

    async def show(self, user: str) -> dict[str, Any]:
        """What the module shows of itself to a user.

        Raises:
            Refused: it can't be shown.
        """
        [instance] = self._runner.instances
        return await self._hub.modules.show(user, instance.name)

    async def robot_told(self, count: int = 1) -> Message:
        """Wait until robots were told so many messages; returns the last of these."""
        await self._until(
            lambda: len(self.told) >= count, lambda: f"robots are told {count} messages: {self.told}"
        )
        return self.told[count - 1]

    async def configure(self, settings: str) -> None:
        """Give the instance new settings, as a reload does: the lines of its block."""
        [instance] = self._runner.instances
        await self.apply(_instance(instance.module, settings))

    async def apply(self, *instances: Instance) -> list[str]:
        """Have these instances in service, as a reload does; what changed, in words."""
        changes = await self._runner.apply(instances)
        _put_in_service(self._hub, self._runner, self._robots)
        await self._runner.retire()
        return list(map(str, changes))

    async def _until(self, probe: Callable[[], T | None], what: Callable[[], str]) -> T:
        """What `probe` finds, once it finds something."""
        deadline = time.monotonic() + WAIT_S
        while (found := probe()) is None or found is False:
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {WAIT_S:g} s: {what()}")
            await asyncio.sleep(0.005)
        return found

    def log_out(self, user: str) -> None:
        """Have a user leave: modules are told, and messages wait for him."""
        self._sessions.pop(user).close()

    def log_out_all(self) -> None:
        """Have everybody leave."""
        for user in list(self._sessions):
            self.log_out(user)

    def log_in(self, user: str) -> None:
        """Have a user come, or come back."""
        self._inboxes.setdefault(user, [])
        self._sessions[user] = stack = ExitStack()
        session = stack.enter_context(self._hub.attach(user))
        self._tasks.create_task(self._listen(session), name=f"{user} listens")

    async def _listen(self, session: Session) -> None:
        """Note what a session shows, until it ends."""
        async for batch in session.events():
            for event in batch:
                if isinstance(event, Delivery):
                    session.handed_over(event)
                    self._inboxes[event.recipient].append(event)
                elif isinstance(event, Update):
                    self.statuses.append(event)
                elif isinstance(event, CallUpdate):
                    self.call_states.append((event.call, event.state, event.reason))


@asynccontextmanager
async def bench(
    module: type[Module] | Instance,
    settings: str = "",
    *,
    users: Mapping[str, str] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    robots: Mapping[str, Sequence[CommandInfo]] | None = None,
) -> AsyncIterator[Bench]:
    """A gateway around one instance of a module, which is started, and cleaned up in the end.

    ::

        async def test_it_drops_rude_messages():
            async with bench(Filter, "blocked_words = fool") as gateway:
                gateway.say("alice", "bob", "you fool")
                await gateway.hears("alice", "not passed on")

    Hub, store and chain are the real ones; the settings are read like those of a configuration file.

    Args:
        module: the class; or an instance of a plan, settings and all.
        settings: the lines of its block, as a configuration file has them.
        users: addresses and roles; if not given, the operators alice and bob. All are logged in.
        groups: addresses and members.
        robots: addresses and commands of robots; they do nothing, but note what they are told.

    Raises:
        ConfigError: the settings are wrong.
        ModuleError: the module did not start.
    """
    instance = module if isinstance(module, Instance) else _instance(module, settings)
    instance.options.required = True
    roles = {name: Role(role) for name, role in (users or {"alice": "operator", "bob": "operator"}).items()}
    async with _unwrapped(), AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        accounts = Users.load(folder / "secrets", roles)
        directory = Directory(accounts, {name: Group(tuple(each)) for name, each in (groups or {}).items()})
        store = await stack.enter_async_context(Store.open(folder / "store.db"))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        hub = await stack.enter_async_context(Hub(store, directory))
        tail = _Robots(hub, set(robots or {}))
        for name, commands in (robots or {}).items():
            directory.register(
                tail.name, Contact(address=name, kind=Kind.ROBOT, online=True, commands=tuple(commands))
            )
        calls = await stack.enter_async_context(Calls(hub))
        runner = await stack.enter_async_context(Runner(contexts(hub, tasks, folder, calls)))
        made = Bench(hub, calls, runner, tail, tasks)
        stack.callback(made.log_out_all)
        for name in roles:
            made.log_in(name)
        await runner.start([instance])
        _put_in_service(hub, runner, tail)
        yield made


def planned(name: str, folder: Path, settings: str = "") -> Instance:
    """An instance of a module for `bench` as a gateway would run it, native ones and isolated ones too.

    Args:
        name: the module's.
        folder: where it lies: ``NAME.py``, ``NAME/__init__.py`` or ``mesibo_mod_NAME.so``.
        settings: the lines of its block.

    Raises:
        ConfigError: there is no such module, or its settings are wrong.
    """
    document = conf.parse(f"module_folders = {folder}\nmodule {name} {{\n{settings}\n}}", "settings")
    [instance] = plan(document).instances
    return instance


def _instance(module: type[Module], settings: str) -> Instance:
    block = conf.parse(f"module {module.name} {{\n{settings}\n}}", "settings").blocks[0]
    options, config = conf.module_settings(block, module.Config)
    source = Source(module.name, "under test", module.__module__)
    return Instance(module.name, module, config, options, {}, source)


def _put_in_service(hub: Hub, runner: Runner, robots: _Robots) -> None:
    """Have messages pass the instance as it is now, and then the robots."""
    hub.load(Chain([*runner.stages, Stage("robots", robots.on_message)]), runner.modules)


@asynccontextmanager
async def _unwrapped() -> AsyncIterator[None]:
    """A test that fails shows its own error, not the groups of the tasks around it."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise first_error(group) from None
