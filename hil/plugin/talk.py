"""A user's conversation, in the rig's loop; it is taken up again when a killed gateway is back."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TypeVar

from boardtalk import stop as stopping
from boardtalk.events import Delivery, Update
from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient
from boardtalk.hil.plugin.rig import Done, Result
from boardtalk.modules.iot_bridge.language.words import clean
from boardtalk.sdk import BoardtalkError, State
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boardtalk.sdk import Message, Status

T = TypeVar("T")
CHAIN_S: Final = 1.0
"""What a module has for a message; then somebody who is away has not got it."""
AGAIN_S: Final = 0.05
"""Between two attempts."""


class ChatError(BoardtalkError):
    """What a test waits for in the chat did not come in time."""


@dataclass(frozen=True)
class Answer(Result):
    """What became of a message."""

    state: str
    """How it ended: done, failed, expired, rejected, cancelled or unknown; accepted: they are away."""
    text: str
    """What the answer says; "" if there is none."""
    reason: str
    """Why it did not end well; "" if it did."""
    states: tuple[str, ...]
    """All that was told on the way, such as `accepted`, `sent`, `started`, `done`."""


@dataclass(frozen=True)
class Heard(Result):
    """A message to the user."""

    sender: str
    text: str


class Note(NamedTuple):
    """A line of the chat, for reports."""

    at: float
    """Seconds of this machine's monotonic clock."""
    user: str
    sign: str
    """`>` the user said it, `<` was told it; a space: what became of something that was said."""
    words: str

    def __str__(self) -> str:
        return f"{self.user} {self.sign} {self.words}"


class Talk:
    """A logged-in user of the gateway on a state folder, as an async context manager."""

    def __init__(self, folder: Path, user: str, told: list[Note]) -> None:
        self._folder = folder
        self._user = user
        self._told = told
        """Of all users."""
        self._statuses: dict[str, list[Status]] = {}
        self._answers: dict[str, Message] = {}
        """By the id of what they answer."""
        self._heard: list[Message] = []
        self._came = asyncio.Event()
        self._client: GatewayClient | None = None
        self._listening: asyncio.Task[None] | None = None
        self._connection = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._connected()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._hang_up()

    async def begin(self, to: str, text: str, within: float) -> str:
        """Say something and wait until it has begun, or is done already; its id.

        Raises:
            ChatError: it has not begun in time, or never will.
        """
        name = await self._say(to, text)
        begun = (State.STARTED, *(state for state in State if state.terminal))
        await self._wait(
            lambda: any(status.state in begun for status in self._of(name)),
            within,
            lambda: f"{text!r} has not begun; told so far: {self._states(name)}",
        )
        last = self._of(name)[-1]
        if State.STARTED.value not in self._states(name) and last.state is not State.DONE:
            raise ChatError(f"{text!r} has not begun: {last.state.value}: {last.detail}".rstrip(": "))
        return name

    async def send(self, to: str, text: str, within: float) -> Answer:
        """Say something and wait for what becomes of it."""
        client = await self._connected()
        contacts = (await client.ask(control.Contacts(), control.ContactList)).contacts
        name = await self._say(to, text)
        if any(contact.address == to and contact.kind.is_people for contact in contacts):
            return await self._passed_on(name, within)
        return await self.answer(name, within)

    async def insist(self, to: str, text: str, within: float) -> Answer:
        """Say something, anew each time, until it is done."""
        last = "it has not ended"
        try:
            async with asyncio.timeout(within):
                while True:
                    answer = await self.send(to, text, within)
                    if answer.state == State.DONE.value:
                        return answer
                    last = f"{answer.state}: {answer.reason or answer.text}"
                    await asyncio.sleep(AGAIN_S)
        except TimeoutError:
            raise ChatError(f"{text!r} was not done within {within:g} s; at last: {last}") from None

    async def answer(self, name: str, within: float) -> Answer:
        """How a message to a robot ended."""
        await self._wait(
            lambda: self._ended(name) and name in self._answers,
            within,
            lambda: f"the message has not ended; told so far: {self._states(name)}",
        )
        return self._answer(name)

    async def _passed_on(self, name: str, within: float) -> Answer:
        """How a message to people ended; they may be away, so it need not, but the modules have seen it."""
        await self._wait(lambda: self._of(name), within, lambda: "the message is not accepted")
        with suppress(ChatError):
            await self._wait(lambda: self._ended(name), CHAIN_S, lambda: "it has not ended")
        return self._answer(name)

    def _answer(self, name: str) -> Answer:
        last = self._of(name)[-1]
        answer = self._answers.get(name)
        return Answer(last.state.value, answer.body if answer else "", last.detail, tuple(self._states(name)))

    async def hears(self, pattern: str, within: float) -> Heard:
        """The next message with a regular expression in it, after the one found last."""

        def find() -> int:
            found = (n for n, each in enumerate(self._heard, 1) if re.search(pattern, each.body))
            return next(found, 0)

        count = await self._wait(
            find, within, lambda: f"nobody said {pattern!r}; heard: {[each.body for each in self._heard]}"
        )
        message = self._heard[count - 1]
        del self._heard[:count]
        return Heard(message.sender, message.body)

    async def stop(self, robot: str) -> Done:
        """Stop a robot, or all; returns when they have said that their outputs are off."""
        self._note(">", f"stop {robot}".rstrip())
        stopped = await stopping.stop(self._folder, (robot,) if robot else (), self._user)
        silent = [each.board for each in stopped if not each.confirmed]
        if silent:
            raise ChatError(f"no word of {', '.join(silent)} that it has stopped")
        return Done()

    async def ask(self, request: control.Request, answer: type[T]) -> T:
        """Ask the gateway for something else."""
        return await (await self._connected()).ask(request, answer)

    async def _say(self, to: str, text: str) -> str:
        client = await self._connected()
        self._note(">", f"{to}: {text}")
        name = client.say(to, text)
        self._statuses[name] = []
        return name

    def _note(self, sign: str, words: str) -> None:
        self._told.append(Note(time.monotonic(), self._user, sign, clean(words)))

    def _of(self, name: str) -> list[Status]:
        return self._statuses[name]

    def _states(self, name: str) -> list[str]:
        return [status.state.value for status in self._of(name)]

    def _ended(self, name: str) -> bool:
        return any(status.state.terminal for status in self._of(name))

    async def _connected(self) -> GatewayClient:
        if self._client is None:
            await self._hang_up()
            self._client = await self._connection.enter_async_context(
                GatewayClient.connect(self._folder, self._user)
            )
            self._listening = asyncio.create_task(self._listen(self._client), name=f"{self._user} listens")
        return self._client

    async def _hang_up(self) -> None:
        self._client = None
        if self._listening is not None:
            await cancel_and_wait(self._listening)
        await self._connection.aclose()

    async def _listen(self, client: GatewayClient) -> None:
        async for event in client.events():
            self._take(event)
            self._came.set()
        self._client = None

    def _take(self, event: object) -> None:
        match event:
            case Update(message_id=name, status=status):
                self._statuses.setdefault(name, []).append(status)
                self._note(" ", status.words)
            case Delivery(message=message):
                if message.refid:
                    self._answers[message.refid] = message
                self._heard.append(message)
                self._note("<", f"{message.sender}: {message.body}")

    async def _wait(self, probe: Callable[[], T], within: float, what: Callable[[], str]) -> T:
        """The first true value, tried after each event."""
        try:
            async with asyncio.timeout(within):
                while not (value := probe()):
                    self._came.clear()
                    await self._came.wait()
                return value
        except TimeoutError:
            raise ChatError(f"not within {within:g} s: {what()}") from None
