"""A gateway with people, a local door and no module but its own, and what is asked and heard there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from boardtalk import conf
from boardtalk.configuration import Configuration, groups
from boardtalk.desk import Desk
from boardtalk.events import Delivery
from boardtalk.frontends.client import GatewayClient
from boardtalk.frontends.intake import Intake
from boardtalk.frontends.local import LocalDoor
from boardtalk.hub.calls import Calls
from boardtalk.hub.context import ModuleContext, contexts
from boardtalk.hub.hub import Hub
from boardtalk.loader import Runner, plan
from boardtalk.people.directory import Directory
from boardtalk.people.users import Users
from boardtalk.sdk import SYSTEM, Message, Role
from boardtalk.store.store import Store

PEOPLE = dict.fromkeys(("alice", "bob", "carol", "dave"), Role.VIEWER) | {"root": Role.ADMIN}
CONF = "group team {\n members = alice, bob, carol\n owner = alice\n}\n"


@asynccontextmanager
async def town(
    folder: Path,
    text: str = CONF,
    source: Callable[[], conf.Document] | None = None,
    file: Path | None = None,
) -> AsyncIterator[Hub]:
    """A gateway with a local door and no module but its own, and those of its configuration.

    That is a text, or a file; `source` is what it reads when it reloads.
    """
    document = conf.load(file) if file else conf.parse(text)
    if file:
        source = partial(conf.load, file)
    async with AsyncExitStack() as stack:
        users = Users.load(folder / "secrets", PEOPLE)
        store = await stack.enter_async_context(Store.open(folder / "store.db"))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        hub = await stack.enter_async_context(Hub(store, Directory(users, groups(document))))
        intake = await stack.enter_async_context(Intake(hub, folder))
        calls = await stack.enter_async_context(Calls(hub))
        runner = await stack.enter_async_context(Runner(contexts(hub, tasks, folder, calls)))
        configuration = Configuration(
            source or (lambda: document), document, "root", hub=hub, users=users, runner=runner
        )
        own = await stack.enter_async_context(
            ModuleContext(hub, tasks, folder, SYSTEM, calls=calls, blocks={})
        )
        desk = Desk(own, configuration, hub)
        desk.on_start()
        configuration.answer_with(desk)
        await configuration.start(plan(document))
        door = LocalDoor(hub, intake, calls, users, configuration)
        await stack.enter_async_context(door.listening(folder))
        yield hub


async def heard(client: GatewayClient, sender: str) -> Message:
    """The next message from somebody."""
    async with asyncio.timeout(5):
        async for event in client.events():
            if isinstance(event, Delivery) and event.message.sender == sender:
                return event.message
    raise AssertionError


async def asked(client: GatewayClient, question: str) -> str:
    """What the gateway answers."""
    client.say(SYSTEM, question)
    return (await heard(client, SYSTEM)).body
