"""One browser at its WebSocket, and the connection to the gateway that it has for itself."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog
from starlette.websockets import WebSocketDisconnect

from boardtalk.events import Values
from boardtalk.frontends import control
from boardtalk.frontends.client import Denied, GatewayClient, NoGateway
from boardtalk.frontends.control import CallOpened, HandOver, HangUp, MarkRead, OpenCall, Ping, Stop
from boardtalk.sdk import Flag, Message
from boardtalk.sdk.bucket import Bucket
from boardtalk.web.messages import Answer, Ask, Hello, Refusal, Request, Say, Typing, Welcome
from boardtalk.web.outgoing import Outgoing, TooSlow
from boardtalk.web.rates import MESSAGES_PER_S, Rates

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.websockets import WebSocket

AWAY: Final = 1013
"""WebSocket's code for `try again later`: no gateway just now."""
LEFT: Final = 4401
"""The user is not known any more: the page shows its login."""
UNREADABLE: Final = 1008
MAX_MISSED: Final = 300
"""Messages that a page gets behind the row that it knows; if there are more, it begins anew."""
HELLO_WITHIN_S: Final = 10.0
MAX_QUESTIONS: Final = 32
"""Of one page, that wait to be answered."""

log = structlog.get_logger()
_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_rates = Rates(MESSAGES_PER_S)


class Page:
    """An open page. `pages` finds it, for its live values."""

    def __init__(self, user: str, client: GatewayClient, outgoing: Outgoing) -> None:
        self.id = secrets.token_urlsafe(16)
        self.user = user
        self.client = client
        self._outgoing = outgoing
        self._rate = _rates.of(user)
        self._pings = Bucket(2, 1.0)  # a page asks every 1.5 s
        self._questions: set[asyncio.Task[None]] = set()
        self.calls: dict[str, str] = {}
        """Open ones, and with which robots."""
        self.sinks: dict[Callable[[Values], None], str] = {}
        """Where its live values go, and of which robots."""

    async def greet(self, hello: Hello) -> None:
        """Tell what was said meanwhile. The hub queues for us already, so nothing falls between."""
        entries, gap = await self._missed(hello.after)
        talks = await self.client.ask(control.Conversations(), control.ConversationList)
        contacts = await self.client.ask(control.Contacts(), control.ContactList)
        self._outgoing.put(
            Welcome(
                user=self.user,
                page=self.id,
                version=version("boardtalk"),
                contacts=contacts.contacts,
                talks=talks.conversations,
                entries=entries,
                gap=gap,
            )
        )

    async def _missed(self, after: int) -> tuple[list[dict[str, Any]], bool]:
        """What came behind a row, and whether that is too much: then the page begins anew."""
        if not after:
            return [], False
        past = await self.client.ask(control.History(after=after, limit=MAX_MISSED), control.Past)
        if past.more:
            return [], True
        return past.entries, False

    async def listen(self) -> None:
        """Pass on what the gateway tells, until it goes away."""
        async for event in self.client.heard():
            if isinstance(event, Values):
                for sink in self.sinks:
                    sink(event)
            else:
                self._outgoing.put(event)
        raise NoGateway("the gateway went away")

    def take(self, request: Request) -> None:
        """Do what the page asks; never waits, so that a stop doesn't either."""
        match request:
            case Stop(robot):
                self.client.stop(robot)
            case Say():
                self._say(request)
            case Ping():
                self._ping()
            case Typing(to):
                self._typing(to)
            case MarkRead(other, row):
                self.client.mark_read(other, row)
            case HandOver(ask, yes):
                self.client.hand_over(ask, yes=yes)
            case HangUp(call):
                self.calls.pop(call, None)
                self.client.hang_up(call)
            case Hello():
                pass  # once is enough
            case Ask():
                self._ask(request)

    def leave(self, sink: Callable[[Values], None]) -> None:
        """End the news of a robot, and the calls to it, unless another socket of this page is for it."""
        robot = self.sinks.pop(sink)
        if robot in self.sinks.values():
            return
        with suppress(NoGateway):  # it ends them by itself
            self.client.unwatch(robot)
            for call in [call for call, to in self.calls.items() if to == robot]:
                del self.calls[call]
                self.client.hang_up(call)

    def close(self) -> None:
        """Give up what waits to be answered."""
        for task in self._questions:
            task.cancel()

    def _ping(self) -> None:
        if self._pings.take():
            self.client.ping()

    def _typing(self, to: str) -> None:
        if self._rate.take():
            self.client.send(Message(sender=self.user, to=to, body="typing", flags=Flag.PRESENCE))

    def _say(self, said: Say) -> None:
        if not self._rate.take():
            reason = f"too fast: {MESSAGES_PER_S} messages a second are the most"
            self._outgoing.put(Refusal(0, reason, said.id))
            return
        flags = said.flags & Flag.READ_RECEIPT
        self.client.send(Message(sender=self.user, to=said.to, body=said.body, id=said.id, flags=flags))

    def _ask(self, asked: Ask) -> None:
        if len(self._questions) >= MAX_QUESTIONS:
            self._outgoing.put(Refusal(asked.n, "too many questions at once"))
            return
        task = asyncio.create_task(self._answer(asked), name=f"question of {self.user}")
        self._questions.add(task)
        task.add_done_callback(self._questions.discard)

    async def _answer(self, asked: Ask) -> None:
        with suppress(TooSlow):  # the next event finds out, too
            try:
                reply = await self.client.ask(asked.request, msgspec.Struct)
            except (Denied, NoGateway, TimeoutError) as error:
                self._outgoing.put(Refusal(asked.n, str(error) or "the gateway does not answer"))
                return
            if isinstance(asked.request, OpenCall) and isinstance(reply, CallOpened):
                self.calls[reply.call] = asked.request.to
            self._outgoing.put(Answer(asked.n, reply))


pages: dict[str, Page] = {}
"""Those that are open, by their ids."""


async def serve(folder: Path, websocket: WebSocket, user: str) -> None:
    """Serve the page of a user who is logged in, until it leaves.

    Args:
        folder: the state folder of the gateway.
        websocket: not yet accepted. Host, Origin and session have been checked.
        user: who it is.
    """
    await websocket.accept()
    code, reason = 1000, ""
    try:
        async with GatewayClient.connect(folder, user, as_person=True) as client:
            await _converse(websocket, client, user)
    except* (NoGateway, TimeoutError):
        code, reason = AWAY, "no gateway"
    except* Denied:
        code, reason = LEFT, "log in again"
    except* TooSlow as errors:
        log.warning("page cut off", user=user, reason=str(errors.exceptions[0]))
        code, reason = AWAY, "too slow"
    except* (msgspec.DecodeError, KeyError) as errors:  # KeyError: Starlette's, for a frame that is no text
        code, reason = UNREADABLE, str(errors.exceptions[0])[:100]
    except* WebSocketDisconnect:
        pass
    with suppress(RuntimeError, WebSocketDisconnect):  # it left by itself
        await websocket.close(code, reason)


async def _converse(websocket: WebSocket, client: GatewayClient, user: str) -> None:
    outgoing = Outgoing(websocket)
    page = Page(user, client, outgoing)
    async with asyncio.timeout(HELLO_WITHIN_S):
        hello = _decoder.decode(await websocket.receive_text())
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(outgoing.run(), name=f"page of {user}: out")
            await page.greet(hello if isinstance(hello, Hello) else Hello())
            pages[page.id] = page
            tasks.create_task(page.listen(), name=f"page of {user}: events")
            while True:
                page.take(_decoder.decode(await websocket.receive_text()))
    finally:
        pages.pop(page.id, None)
        page.close()
