"""A gateway that lets people flash from chat, and people at its chat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

import aiomqtt

from boardtalk.broker import Endpoint
from boardtalk.events import Delivery, Event, Update
from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient
from boardtalk.hil.gateway import GatewayProcess
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import ask
from boardtalk.sdk import SYSTEM, Code, Flag, Message, State
from boardtalk.sdk.tasks import cancel_and_wait
from tests.flash.bench import C3
from tests.gateway import brokers

CONF = """\
log_level = warning
broker {{
    port = 0
}}
module flash {{
    users = ana, ben, eve
    images = {folder}/images
    releases = {folder}/releases
    boards = {boards}
    programs = {programs}
    new = {new}
}}
module iot_bridge {{
    discover = {discover}
}}
user ana {{
    role = operator
}}
user ben {{
    role = admin
}}
user eve {{
    role = viewer
}}
user tom {{
    role = admin
}}
"""
ROBOT = """\
board {name} {{
    port = {port}
}}
"""
PATIENCE_S = 40.0


class Person:
    """Somebody at a chat: what he was told, and what he sees now."""

    def __init__(self, client: GatewayClient, address: str) -> None:
        self.address = address
        self.events: list[Event] = []
        self._client = client
        self._news = asyncio.Event()

    async def listen(self) -> None:
        async for event in self._client.events():
            self.events.append(event)
            self._news.set()

    def said(self, name: str) -> list[Delivery]:
        """What answers a message, and what takes its place, in the order in which it came."""
        ids, found = {name}, []
        for event in self.events:
            if isinstance(event, Delivery) and event.message.refid in ids:
                ids.add(event.message.id or name)
                found.append(event)
        return found

    async def until(self, probe: Callable[[], object], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not probe():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{self.address} waits for {what}; got {self.events[-4:]}") from None

    def begin(self, text: str, to: str = SYSTEM) -> str:
        """Say something; the id of the message."""
        return self._client.say(to, text)

    def has_begun(self, name: str) -> bool:
        """Whether a command has started."""
        return any(
            isinstance(event, Update) and event.message_id == name and event.status.state is State.STARTED
            for event in self.events
        )

    def end_of(self, name: str) -> Update | None:
        return next(
            (
                event
                for event in self.events
                if isinstance(event, Update) and event.message_id == name and event.status.state.terminal
            ),
            None,
        )

    async def over(self, name: str) -> tuple[State, str]:
        """Wait until it is known what became of a message: its state, and the text that one sees last."""
        await self.until(lambda: self.end_of(name) and self.said(name), f"the end of {name}")
        end = self.end_of(name)
        assert end is not None
        return end.status.state, self.said(name)[-1].message.body

    async def say(self, text: str, to: str = SYSTEM) -> tuple[State, str]:
        """Say something, and wait until it is over."""
        return await self.over(self.begin(text, to))

    async def plan(self, text: str) -> tuple[str, str]:
        """Have a plan made; what it says, and what confirms it."""
        state, told = await self.say(text)
        assert state is State.DONE, told
        [confirm] = [line.strip() for line in told.splitlines() if " confirm " in line]
        return told, confirm

    async def sees(self, name: str, words: str) -> None:
        """Wait until an answer has such words."""
        await self.until(lambda: any(words in each.message.body for each in self.said(name)), words)

    async def shown(self) -> dict[str, Any]:
        """What the module shows him, as it would a page."""
        return (await self._client.ask(control.Show("flash"), control.Shown)).value

    async def history(self) -> list[dict[str, object]]:
        return list((await self._client.ask(control.History(), control.Past)).entries)

    async def online(self, robot: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                contacts = (await self._client.ask(control.Contacts(), control.ContactList)).contacts
                if any(contact.address == robot and contact.online for contact in contacts):
                    return
                await asyncio.sleep(0.05)

    def stop(self, robot: str) -> None:
        self._client.stop(robot)


class Town:
    """The gateway."""

    def __init__(
        self, folder: Path, more: str, robots: dict[str, str], programs: str = "", new: str = ""
    ) -> None:
        self.folder = folder
        self._robots = {*robots}
        boards = ", ".join(f"{name}: {C3}" for name in robots)
        discover = "yes" if new else "no"
        conf = CONF.format(folder=folder, boards=boards, programs=programs, new=new, discover=discover) + more
        for name, port in robots.items():
            conf += ROBOT.format(name=name, port=port)
        state = folder / "state"
        state.mkdir(exist_ok=True)
        (folder / "images" / C3).mkdir(parents=True, exist_ok=True)
        (folder / "releases").mkdir(exist_ok=True)
        self.gateway = GatewayProcess(state, conf)

    async def __aenter__(self) -> Self:
        await self.gateway.__aenter__()
        await self.found()
        return self

    async def found(self) -> None:
        """Wait until it has been at the port of each board."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                answer = await ask(self.gateway.folder, api.ListBoards(re=1))
                assert isinstance(answer, api.Boards)
                if self._robots <= {board.name for board in answer.boards if board.port}:
                    return
                await asyncio.sleep(0.1)

    async def __aexit__(self, *_: object) -> None:
        await self.gateway.end()

    @asynccontextmanager
    async def people(self, *names: str) -> AsyncIterator[list[Person]]:
        async with AsyncExitStack() as stack:
            people = []
            for name in names:
                client = await stack.enter_async_context(GatewayClient.connect(self.gateway.folder, name))
                people.append(Person(client, name))
            listeners = [asyncio.create_task(person.listen()) for person in people]
            try:
                yield people
            finally:
                await cancel_and_wait(*listeners)

    @asynccontextmanager
    async def by_mqtt(self, name: str) -> AsyncIterator[brokers.Person]:
        """Somebody at an ordinary MQTT client."""
        async with GatewayClient.connect(self.gateway.folder, name) as client:
            made = await client.ask(control.ChangeUser("token", name), control.UserChanged)
        topics = (f"chat/{name}/in", f"chat/{name}/status")
        at = Endpoint(*self.gateway.mqtt, name, made.token)
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    with suppress(aiomqtt.MqttError):  # the broker does not know the new login yet
                        someone = await stack.enter_async_context(
                            brokers.person(at, name, *topics, token=made.token)
                        )
                        break
                    await asyncio.sleep(0.05)
            yield someone

    def workers(self) -> list[int]:
        """The process ids of those that flash or update for this gateway now."""
        assert self.gateway._process is not None
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes().split(b"\0")
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
                programs = {b"boardtalk.flash.worker", b"boardtalk.modules.iot_bridge.ota.worker"}
                if programs & {*line} and parent == self.gateway._process.pid:
                    found.append(int(entry.name))
        return found


__all__ = ["Code", "Flag", "Message", "Person", "Town"]
