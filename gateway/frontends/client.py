"""The other end of the local door: what terminal chat and command line talk to a gateway with."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from boardtalk.events import (
    CallAsked,
    CallDecided,
    CallUpdate,
    Delivery,
    Held,
    Marked,
    Presence,
    Sent,
    Update,
    Values,
)
from boardtalk.frontends import control
from boardtalk.sdk import BoardtalkError, Flag, Message, ServiceError
from boardtalk.sdk.channel import Channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from boardtalk.events import Event

R = TypeVar("R")
UNASKED = (
    Delivery, Sent, Marked, Update, Presence, Held, Values, CallUpdate, CallAsked, CallDecided, control.Pong,
)  # fmt: skip
"""What is said without being the answer to a request, or before answers that are due."""
PARAMETERS = ("to", "body", "id", "refid", "groupid", "type", "flags", "expiry", "to_online", "aid")
"""Those of a message that its sender sets."""
ANSWER_TIMEOUT_S = 10.0
MAX_UNREAD_EVENTS = 10_000


class NoGateway(BoardtalkError):
    """No gateway runs on this state folder."""


class NoAnswer(BoardtalkError, TimeoutError):
    """The gateway runs, but has not answered in time."""

    def __init__(self) -> None:
        super().__init__(
            f"the gateway has not answered within {ANSWER_TIMEOUT_S:g} s: it hangs, or has too much to do; "
            "stop works all the same: `boardtalk stop`, or the page's button"
        )


class Denied(BoardtalkError):
    """The gateway refused a request."""


async def ask_unnamed(folder: Path, request: control.Unnamed) -> control.Reply:
    """Ask what takes no login, and wait for the answer.

    Raises:
        NoGateway: none runs there, or it does not answer.
    """
    try:
        channel: Channel[control.Reply] = await Channel.connect(folder / control.SOCKET, control.Reply)
        try:
            channel.send(request)
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                reply = await channel.receive()
        finally:
            channel.close()
    except (ServiceError, TimeoutError) as error:
        raise NoGateway(str(error) or "the gateway does not answer") from error
    if reply is None:
        raise NoGateway("the gateway went away")
    return reply


class GatewayClient:
    """A logged-in connection to the gateway on this machine."""

    def __init__(self, channel: Channel[control.Reply]) -> None:
        self._channel = channel
        self._events: asyncio.Queue[Event | control.Pong | None] = asyncio.Queue(MAX_UNREAD_EVENTS)
        self._answers: asyncio.Queue[control.Reply | None] = asyncio.Queue(MAX_UNREAD_EVENTS)
        self._asking = asyncio.Lock()
        self._late = 0
        """Answers that nobody waits for any more. They come all the same, before the others."""
        self._exchanges: set[asyncio.Task[control.Reply | None]] = set()

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, folder: Path, user: str, *, as_person: bool = False
    ) -> AsyncIterator[GatewayClient]:
        """Log in.

        Args:
            folder: the state folder of the gateway.
            user: who it is.
            as_person: whether he may only do what his role allows.

        Raises:
            NoGateway: none runs there.
            Denied: it does not know this user.
        """
        try:
            channel: Channel[control.Reply] = await Channel.connect(folder / control.SOCKET, control.Reply)
        except ServiceError as error:
            raise NoGateway(str(error)) from error
        client = cls(channel)
        reader = asyncio.create_task(client._read(), name="control.sock reader")
        try:
            await client.ask(control.Login(user, as_person), control.Welcome)
            yield client
        finally:
            for task in (reader, *client._exchanges):
                task.cancel()
            channel.close()

    async def ask(self, request: control.Request, answer: type[R]) -> R:
        """Ask for something and wait for the answer.

        Raises:
            Denied: the gateway refused.
            NoGateway: it went away.
            NoAnswer: it does not answer.
        """
        exchange = asyncio.create_task(self._exchange(request), name="control.sock request")
        self._exchanges.add(exchange)
        exchange.add_done_callback(self._exchanges.discard)
        # A cancelled caller gives up his answer; the exchange goes on, or the next one would get it.
        reply = await asyncio.shield(exchange)
        if isinstance(reply, control.Failure):
            raise Denied(reply.reason)
        if not isinstance(reply, answer):
            raise NoGateway("the gateway went away")
        return reply

    def say(self, to: str, text: str) -> str:
        """Send a message; its id, by which statuses and answer name it.

        Raises:
            Denied: it is no valid text.
        """
        message_id = secrets.token_hex(6)
        try:
            envelope = msgspec.json.encode({"to": to, "body": text, "id": message_id})
        except UnicodeEncodeError as error:  # of bytes on the command line that are no UTF-8
            raise Denied("the message is not UTF-8 text") from error
        self._send(control.Send(envelope.decode()))
        return message_id

    def send(self, message: Message) -> None:
        """Send a message with the parameters that it has; its sender is the user who is logged in."""
        given = {name: getattr(message, name) for name in PARAMETERS}
        self._send(control.Send(msgspec.json.encode(given).decode()))

    def set_point(self, call: str, values: str) -> None:
        """Live values for a call. Nothing comes back."""
        self._send(control.SetPoint(call, values))

    def hang_up(self, call: str) -> None:
        """End a call."""
        self._send(control.HangUp(call))

    def hand_over(self, ask: str, *, yes: bool) -> None:
        """Say whether somebody hands over his call to who asks for it."""
        self._send(control.HandOver(ask, yes))

    def read(self, message: Message) -> None:
        """Say that somebody has read a message, if its sender wants to know."""
        if message.id and message.flags & Flag.READ_RECEIPT:
            self._send(control.Read(message.sender, message.id))

    def mark_read(self, other: str, row: int) -> None:
        """Say that somebody has read a conversation up to a row."""
        self._send(control.MarkRead(other, row))

    def unwatch(self, address: str) -> None:
        """Hear no more of what is measured there."""
        self._send(control.Unwatch(address))

    def stop(self, robot: str = "") -> None:
        """Stop one robot, or all."""
        self._send(control.Stop(robot))

    def ping(self) -> None:
        """Ask for a sign of life: `heard` has it."""
        self._send(control.Ping())

    async def events(self) -> AsyncIterator[Event]:
        """What happens, until the gateway goes away."""
        async for each in self.heard():
            if not isinstance(each, control.Pong):
                yield each

    async def heard(self) -> AsyncIterator[Event | control.Pong]:
        """The same, and signs of life."""
        while (event := await self._events.get()) is not None:
            yield event

    async def _exchange(self, request: control.Request) -> control.Reply | None:
        async with self._asking:
            self._send(request)
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    while (reply := await self._answers.get()) is not None and self._late:
                        self._late -= 1
                    return reply
            except TimeoutError:
                self._late += 1
                raise NoAnswer from None

    def _send(self, request: Any) -> None:
        try:
            self._channel.send(request)
        except ServiceError as error:
            raise NoGateway("the gateway went away") from error

    async def _read(self) -> None:
        try:
            async for reply in self._channel:
                if isinstance(reply, UNASKED):
                    self._events.put_nowait(reply)
                else:
                    self._answers.put_nowait(reply)
        except (ServiceError, asyncio.QueueFull):
            self._channel.close()
        finally:
            for queue in (self._events, self._answers):
                if not queue.full():
                    queue.put_nowait(None)
