"""A board, over one session: requests go down, results and news come up.

::

    async with Device(SerialPort("/dev/ttyACM0"), DictionaryCache(folder)) as device:
        result = await device.command(Order(id=1, index=0, ttl_s=1.0))
        async for news in device.news():
            ...

A `Device` is used once: when the session is lost it is over, and another one is made. What must
outlive sessions is in :mod:`~boardtalk.modules.iot_bridge.service.board`.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack, suppress
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Final, Self

from boardtalk.modules.iot_bridge import frames, payloads
from boardtalk.modules.iot_bridge.dictionary import Dictionary, parse
from boardtalk.modules.iot_bridge.errors import (
    LinkError,
    NoHello,
    SessionLost,
    WrongBoard,
)
from boardtalk.modules.iot_bridge.feed import Feed
from boardtalk.modules.iot_bridge.frames import Outcome, Type
from boardtalk.modules.iot_bridge.learning import Learning
from boardtalk.modules.iot_bridge.limiter import Limiter
from boardtalk.modules.iot_bridge.link.events import Delivered, Ended, Event, Expired, Opened, Timed
from boardtalk.modules.iot_bridge.link.framing import Frame, Text
from boardtalk.modules.iot_bridge.link.hello import draw_nonce
from boardtalk.modules.iot_bridge.link.session import Session
from boardtalk.modules.iot_bridge.news import (
    BoardEvent,
    Dropped,
    LogLine,
    News,
    Order,
    Progress,
    Result,
    Sent,
    Started,
    Stopped,
    Telemetry,
    lines,
)
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from boardtalk.modules.iot_bridge.cache import DictionaryCache
    from boardtalk.modules.iot_bridge.link.clock import Reading
    from boardtalk.modules.iot_bridge.link.events import Counters, Undelivered
    from boardtalk.modules.iot_bridge.link.hello import Hello
    from boardtalk.modules.iot_bridge.link.session import OnTraffic
    from boardtalk.modules.iot_bridge.transports import Transport

HELLO_TIMEOUT_S: Final = 5.0
"""A board that resets when its port is opened boots within this."""
REARM_TIMEOUT_S: Final = 1.0
STOP_FAST_S: Final = (0.02, 0.02, 0.02)
STOP_SLOW_S: Final = 0.1
"""Pauses between the repetitions of STOP until it is confirmed."""
PROMPT: Final = re.compile(r"(?:^|\n|\x1b\[K)(?:>|=== |\.\.\. )[^\n]*\Z")
"""MicroPython's prompts at the end of what came: what frames type there may lead from one to another."""
START_AGAIN: Final = b"\x03\x02\x04"
"""To whichever prompt: Ctrl-C, so that nothing is typed, Ctrl-B, that for people, Ctrl-D, a soft reset."""
SAID_CHARS: Final = 200
"""Of what a board printed instead of saying hello: for the person who looks for the reason."""


class Device:
    """A session with a board.

    Args:
        transport: the line to it; opened and closed here.
        cache: where dictionaries are kept by hash.
        uid: the board expected; "" = any.
        patience_s: how long it is greeted before `NoHello`.
        restart: it is at its prompt and shall start its program first.
    """

    hello: Hello
    """Who it is."""
    dictionary: Dictionary
    dictionary_text: bytes

    def __init__(
        self,
        transport: Transport,
        cache: DictionaryCache,
        uid: str = "",
        patience_s: float = HELLO_TIMEOUT_S,
        *,
        restart: bool = False,
    ) -> None:
        self.port = transport.name
        self._session = Session(transport)
        ask = partial(self._session.send, Type.DICTIONARY_GET)
        self._learning = Learning(self.port, cache, ask)
        self._uid = uid
        self._patience_s = patience_s
        self._restart = restart
        self._feed: Feed[News] = Feed()
        self._limiter = Limiter()
        self._results: dict[int, asyncio.Future[Result]] = {}
        self._begun: set[int] = set()
        self._tokens: dict[int, int] = {}
        self._arriving: dict[int, asyncio.Future[None]] = {}
        self._lost: tuple[Undelivered, ...] = ()
        """What was not acknowledged when the session ended."""
        self._said = ""
        self.on_update: Callable[[bytes], None] | None = None
        """Called with what the board says to the steps of an update: `frames.OtaAnswer` and what follows."""

    async def __aenter__(self) -> Self:
        """Open the port, greet the board, learn its dictionary.

        Raises:
            PortError: the port can't be used.
            NoHello: nobody answers.
            VersionError: no protocol version in common.
            WrongBoard: not the board expected.
            DictionaryError: the board's dictionary makes no sense.
            SessionLost: the board went away again.
        """
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[Hello] = self._loop.create_future()
        self._timed: asyncio.Future[None] = self._loop.create_future()
        self._state_news = asyncio.Event()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._session)
            self._listener = self._loop.create_task(self._listen(), name=f"listen {self.port}")
            stack.push_async_callback(self._hush)
            await self._greet()
            self.dictionary_text = await self._learning.text(self.hello.dictionary)
            self.dictionary = parse(self.dictionary_text)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the session and close the port. Requests under way fail with `SessionLost`."""
        await self._stack.aclose()

    # Requests -----------------------------------------------------------------------------------

    async def command(self, order: Order) -> Result:
        """Carry out a command; `Sent` and `Started` come as news.

        Cancelling gives up the result, not the command.

        Raises:
            SessionLost: before the result came; nobody knows whether it was executed.
            LinkBusy: too much waits for the line.
            TooLong: the arguments don't fit into a frame.
        """
        deadline = self._session.deadline(order.ttl_s) if order.ttl_s else 0
        lease = self._lease(order.lease_ms)
        payload = payloads.command(order.id, order.epoch, deadline, lease, order.args)
        result: asyncio.Future[Result] = self._loop.create_future()
        self._results[order.id] = result
        try:
            self._session.expect_motion(order.lease_ms / 1000)
            token = self._session.send(Type.COMMAND + order.index, payload, order.ttl_s or None)
            self._tokens[token] = order.id
            return await result
        finally:
            self._results.pop(order.id, None)
            self._begun.discard(order.id)

    def undelivered(self, id_: int) -> Undelivered | None:
        """A command as it was on the line, if the board has not acknowledged it."""
        return next((each for each in self._undelivered() if self._tokens.get(each.token) == id_), None)

    def renew(self, id_: int, lease_ms: int) -> None:
        """The lease of a running motion, again."""
        self._session.expect_motion(lease_ms / 1000)
        self._session.send_datagram(Type.RENEW, payloads.renew(id_, self._lease(lease_ms)))

    def cancel(self, id_: int) -> None:
        """End a running command; its result follows. Raises SessionLost, LinkBusy."""
        self._session.send(Type.RENEW, payloads.renew(id_, 0))

    def set_point(self, index: int, epoch: int, lease_ms: int, values: bytes) -> None:
        """Live values for a control channel."""
        self._session.expect_motion(lease_ms / 1000)
        body = payloads.set_point(epoch, self._lease(lease_ms), values)
        self._session.send_datagram(Type.SETPOINT + index, body)

    async def stop(self, epoch: int) -> None:
        """Outputs off; nothing moves before `rearm`. Returns when the board has confirmed.

        What was sent before and did not arrive yet comes to nothing.

        Raises:
            SessionLost: before it has.
        """
        body = frames.Stop.build({"epoch": epoch})
        self._session.send_urgent(Type.STOP, body)
        self._session.withdraw()
        for pause in chain(STOP_FAST_S, repeat(STOP_SLOW_S)):
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._until(epoch, latched=True)
                    return
            self._session.send_urgent(Type.STOP, body)

    async def rearm(self, epoch: int) -> None:
        """Let the board move again.

        Raises:
            SessionLost: the board is not there.
            LinkError: it did not agree.
        """
        self._session.send(Type.REARM, frames.Rearm.build({"epoch": epoch}))
        try:
            async with asyncio.timeout(REARM_TIMEOUT_S):
                await self._until(epoch, latched=False)
        except TimeoutError as error:
            raise LinkError(f"{self.port}: the board did not agree to move again") from error

    async def update(self, step: bytes, data: bytes) -> None:
        """Send a step of an update, or data for it in frames that are full; returns when the board has all.

        What it answers comes to `on_update`.

        Raises:
            SessionLost: before it had all.
            LinkBusy: too much waits for the line.
        """
        size = self._session.piece_bytes
        pieces = [(Type.OTA_DATA, data[at : at + size]) for at in range(0, len(data), size)]
        for type_, piece in [(Type.OTA, step)] if step else pieces:
            token = self._session.send(type_, piece)
        arrived = self._arriving[token] = self._loop.create_future()
        try:
            await arrived
        finally:
            self._arriving.pop(token, None)

    @property
    def line_bytes(self) -> int:
        """See `Session.line_bytes`."""
        return self._session.line_bytes

    @property
    def piece_bytes(self) -> int:
        """Of data for an update, what goes in one frame."""
        return self._session.piece_bytes

    @property
    def at_prompt(self) -> bool:
        """Whether MicroPython's prompt is the last that came: the program has ended, or did not start."""
        return PROMPT.search(self._said) is not None

    def on_traffic(self, callback: OnTraffic) -> None:
        """Have this called with all that goes over the line; see `Session.on_traffic`."""
        self._session.on_traffic = callback

    @property
    def counters(self) -> Counters:
        """What happened on the line."""
        return self._session.counters

    def read_clock(self) -> Reading | None:
        """What the board's clock shows now; None if it was not asked yet."""
        return self._session.read_clock()

    async def news(self) -> AsyncIterator[News]:
        """What the board says by itself, until the session ends. One reader only.

        Raises:
            PortLost: the port vanished.
            SessionLost: the board restarted or fell silent.
        """
        async for item in self._feed:
            yield item

    def _lease(self, lease_ms: int) -> int:
        """When a lease from now on ends, by the board's clock; 0: there is none."""
        return self._session.deadline(lease_ms / 1000) if lease_ms else 0

    # Opening ------------------------------------------------------------------------------------

    async def _greet(self) -> None:
        if self._restart:
            self._session.write_to_console(START_AGAIN)
        self._session.greet(draw_nonce())
        try:
            async with asyncio.timeout(self._patience_s):
                self.hello = await self._opened
                await self._timed
        except TimeoutError as error:
            said = f" It printed: {self._said!r}" if self._said else ""
            raise NoHello(
                f"{self.port}: nobody answers; does the board run boardtalk's client, "
                f"and at this speed?{said}"
            ) from error
        if self._uid and self.hello.uid != self._uid:
            raise WrongBoard(
                f"{self.port}: board {self.hello.uid} ({self.hello.name}) is there instead of "
                f"{self._uid}; it is left alone"
            )

    # What comes -----------------------------------------------------------------------------------

    async def _listen(self) -> None:
        try:
            async for event in self._session.events():
                self._on_event(event)
        except LinkError as error:
            self._lose(error)

    def _on_event(self, event: Event) -> None:
        match event:
            case Frame():
                self._said = ""
                self._on_frame(event)
            case Text(text):
                self._said = (self._said + text)[-SAID_CHARS:]
                self._log(0, text)
            case Delivered(token) if token in self._arriving:
                self._arriving.pop(token).set_result(None)
            case Delivered(token, tries, wire, took_s) if token in self._tokens:
                self._feed.put(Sent(self._tokens.pop(token), tries, wire, took_s))
            case Expired(token) if token in self._tokens:
                late = b"it did not start in time"
                self._settle(Result(self._tokens.pop(token), Outcome.EXPIRED, late))
            case Opened(hello) if not self._opened.done():
                self._state = Stopped(hello.epoch, hello.latched)
                self._opened.set_result(hello)
            case Ended(undelivered=undelivered):
                self._lost = undelivered
            case Timed():
                self._timed.set_result(None)

    def _undelivered(self) -> Iterable[Undelivered]:
        return self._lost or self._session.undelivered()

    def _on_frame(self, frame: Frame) -> None:
        match payloads.read(frame):
            case Result() as result:
                self._settle(result)
            case Started(id_) if id_ in self._results and id_ not in self._begun:
                self._begun.add(id_)
                self._feed.put(Started(id_))
            case Progress(id_) as progress if id_ in self._results:
                self._report(progress)
            case Stopped() as state:
                self._on_state(state)
            case LogLine(level, text):
                self._log(level, text)
            case payloads.Updated(told) if self.on_update is not None:
                self.on_update(told)
            case payloads.Piece() as piece:
                self._learning.take(piece)
            case Telemetry() | BoardEvent() as report:
                self._report(report)

    def _settle(self, result: Result) -> None:
        """Hand a result to who waits for it; who gave up may still hear of it."""
        waiting = self._results.get(result.id)
        if waiting is None:
            self._report(result)
        elif not waiting.done():
            waiting.set_result(result)

    def _on_state(self, state: Stopped) -> None:
        if state != self._state:
            self._state = state
            self._feed.put(state)
        self._state_news.set()

    def _log(self, level: int, text: str) -> None:
        for line in lines(text):
            self._report(LogLine(level, line))

    def _report(self, news: News) -> None:
        """Pass on what a board says by itself, within limits."""
        if not self._limiter.admit(self._loop.time()):
            return
        if refused := self._limiter.take_refused():
            self._feed.put(Dropped(refused))
        self._feed.put(news)

    async def _until(self, epoch: int, *, latched: bool) -> None:
        """Wait until the board says that it is (not) latched, at this epoch or a later one."""
        while self._state.latched != latched or self._state.epoch < epoch:
            self._session.check()
            self._state_news.clear()
            await self._state_news.wait()

    # The end --------------------------------------------------------------------------------------

    def _lose(self, error: LinkError) -> None:
        self._feed.close(error)
        self._state_news.set()
        lost = SessionLost(str(error))
        for opening in (self._opened, self._timed):
            if not opening.done():
                opening.set_exception(error)
                opening.exception()  # nobody may be waiting
        waiting: list[asyncio.Future[Any]] = [*self._results.values(), *self._arriving.values()]
        for each in waiting:
            if not each.done():
                each.set_exception(lost)

    async def _hush(self) -> None:
        await cancel_and_wait(self._listener)
        self._lose(SessionLost(f"{self.port}: closed"))
