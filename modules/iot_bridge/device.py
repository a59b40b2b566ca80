"""A board, over one session on one transport: requests go down, results and events come up.

::

    async with Device(SerialPort("/dev/ttyACM0"), cache) as device:
        result = await device.command(Order(id=1, index=0, ttl_s=1.0))
        async for event in device.events():
            ...

A `Device` is used once: when the session is lost it is over, and another one is made. What must
outlive sessions is in :mod:`~boardtalk.modules.iot_bridge.board`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Final, Self

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.cache import DictionaryCache
from boardtalk.modules.iot_bridge.dictionary import MAX_BYTES, Dictionary, digest, parse
from boardtalk.modules.iot_bridge.errors import (
    DictionaryError,
    LinkError,
    NoHello,
    PortLost,
    SessionError,
    SessionLost,
    WrongBoard,
)
from boardtalk.modules.iot_bridge.feed import Feed
from boardtalk.modules.iot_bridge.frames import TYPE_BASE_MASK, Kind, Outcome, Type
from boardtalk.modules.iot_bridge.framing import Frame, Text
from boardtalk.modules.iot_bridge.hello import Hello
from boardtalk.modules.iot_bridge.limiter import Limiter
from boardtalk.modules.iot_bridge.link import Delivered, Ended, Event, Expired, Link, Opened
from boardtalk.modules.iot_bridge.news import (
    BoardEvent,
    BoardNews,
    Dropped,
    LogLine,
    Order,
    Result,
    Sent,
    Started,
    Stopped,
    Telemetry,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator
    from types import TracebackType

    from boardtalk.modules.iot_bridge.transports import Transport

HELLO_TIMEOUT_S: Final = 5.0
"""A board that resets when its port is opened boots within this."""
DICTIONARY_TIMEOUT_S: Final = 10.0
REARM_TIMEOUT_S: Final = 1.0
STOP_FAST_S: Final = (0.02, 0.02, 0.02)
STOP_SLOW_S: Final = 0.1
"""Pauses between the repetitions of STOP until it is confirmed."""
FLOOD_BYTES: Final = 1024
"""What a transport reads at once; a board that always has so much waiting is a flood: it is read
half of the time at most, so that others get their turns."""
MAX_LINE_CHARS: Final = 400
SETPOINT_MOVES_S: Final = 2.0
"""How long after a set-point something may still move: the longest lease."""


log = logging.getLogger(__name__)


class Device:
    """A session with a board.

    Args:
        transport: the line to it; opened and closed here.
        cache: where dictionaries are kept by hash.
        uid: the board expected; "" = any.
    """

    hello: Hello
    """Who it is."""
    dictionary: Dictionary
    dictionary_text: bytes

    def __init__(self, transport: Transport, cache: DictionaryCache, uid: str = "") -> None:
        self.port = transport.name
        self._transport = transport
        self._cache = cache
        self._uid = uid
        self._link = Link(transport.ahead_bytes)
        self._feed: Feed[BoardNews] = Feed()
        self._limiter = Limiter()
        self._results: dict[int, asyncio.Future[Result]] = {}
        self._begun: set[int] = set()
        self._tokens: dict[int, int] = {}
        self._motions: set[int] = set()
        self._set_until = 0.0
        self._said = ""
        self._backlog = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._error: LinkError | None = None

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
        await self._transport.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[Hello] = self._loop.create_future()
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._state = Stopped(0, latched=False)
        self._state_news = asyncio.Event()
        self._tasks = tuple(
            self._loop.create_task(self._guard(work), name=f"{name} {self.port}")
            for name, work in (("read", self._read()), ("write", self._write()))
        )
        try:
            await self._greet()
            await self._learn()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the session and close the port. Requests under way fail with `SessionLost`."""
        await self._close()

    # Requests -----------------------------------------------------------------------------------

    async def command(self, order: Order) -> Result:
        """Carry out a command; `Sent` and `Started` come as events.

        Cancelling gives up the result, not the command.

        Raises:
            SessionLost: before the result came; nobody knows whether it was executed.
            LinkBusy: too much waits for the line.
        """
        result = self._results[order.id] = self._loop.create_future()
        if order.lease_ms:
            self._motions.add(order.id)
        try:
            self._submit(order)
            return await result
        finally:
            self._results.pop(order.id, None)
            self._motions.discard(order.id)
            self._begun.discard(order.id)

    def renew(self, id_: int, lease_ms: int) -> None:
        """The lease of a running motion, again."""
        self._datagram(Type.RENEW, frames.Renew.build({"id": id_, "lease_ms": lease_ms}))

    def cancel(self, id_: int) -> None:
        """End a running command; its result follows."""
        if self._link.is_open:
            self._link.send(Type.CANCEL, frames.Cancel.build({"id": id_}))
            self._pump()

    def set_point(self, index: int, epoch: int, lease_ms: int, values: bytes) -> None:
        """Live values for a control channel."""
        self._set_until = self._loop.time() + SETPOINT_MOVES_S
        head = frames.SetpointHead.build({"epoch": epoch, "lease_ms": lease_ms})
        self._datagram(Type.SETPOINT + index, head + values)

    async def stop(self, epoch: int) -> None:
        """Outputs off; nothing moves before `rearm`. Returns when the board has confirmed.

        What was sent before and did not arrive yet comes to nothing.

        Raises:
            SessionLost: before it has.
        """
        self._link.withdraw(self._loop.time())
        body = frames.Stop.build({"epoch": epoch})
        for pause in chain(STOP_FAST_S, repeat(STOP_SLOW_S)):
            self._check()
            self._link.send_urgent(Type.STOP, body)
            self._pump(urgent=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._until_state(epoch, latched=True)
                    return

    async def rearm(self, epoch: int) -> None:
        """Let the board move again.

        Raises:
            SessionLost: the board is not there.
            LinkError: it did not agree.
        """
        self._check()
        self._link.send(Type.REARM, frames.Rearm.build({"epoch": epoch}))
        self._pump()
        try:
            async with asyncio.timeout(REARM_TIMEOUT_S):
                await self._until_state(epoch, latched=False)
        except TimeoutError as error:
            raise LinkError(f"the board did not agree to move again ({self._state})") from error

    async def events(self) -> AsyncIterator[BoardNews]:
        """What the board says by itself, until the session ends. One reader only.

        Raises:
            PortLost: the port vanished.
            SessionLost: the board restarted or fell silent.
        """
        async for news in self._feed:
            yield news

    # Opening ------------------------------------------------------------------------------------

    async def _greet(self) -> None:
        self._link.open(secrets.randbits(32) or 1, self._loop.time())
        self._pump()
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                self.hello = await self._opened
        except TimeoutError as error:
            said = f" It printed: {self._said[-200:]!r}" if self._said else ""
            raise NoHello(
                f"{self.port}: nobody answers; does the board run boardtalk's client, "
                f"and at this speed?{said}"
            ) from error
        self._state = Stopped(self.hello.epoch, self.hello.latched)
        if self._uid and self.hello.uid != self._uid:
            raise WrongBoard(
                f"{self.port}: board {self.hello.uid} ({self.hello.name}) is there, "
                f"not {self._uid}: not used"
            )

    async def _learn(self) -> None:
        """Get the dictionary from the cache, or from the board."""
        wanted = self.hello.dictionary
        text = await self._cache.get(wanted)
        if text is None:
            try:
                async with asyncio.timeout(DICTIONARY_TIMEOUT_S):
                    text = await self._fetch()
            except TimeoutError as error:
                raise DictionaryError(
                    f"{self.port}: the board does not tell what it can do"
                ) from error
            if digest(text) != wanted:
                raise DictionaryError(f"{self.port}: the board's dictionary does not have its hash")
            self.dictionary = parse(text)
            await self._cache.put(wanted, text)
        else:
            self.dictionary = parse(text)
        self.dictionary_text = text

    async def _fetch(self) -> bytes:
        text = bytearray()
        while True:
            self._check()
            self._link.send(Type.DICTIONARY_GET, frames.DictionaryGet.build({"offset": len(text)}))
            self._pump()
            piece = frames.Dictionary.parse(await self._pieces.get())
            if piece.total > MAX_BYTES:
                raise DictionaryError(
                    f"{self.port}: a dictionary of {piece.total} bytes is too long"
                )
            if piece.offset == len(text):
                text += piece.data
            if len(text) >= piece.total or not piece.data:
                return bytes(text)

    # The line -----------------------------------------------------------------------------------

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        """A mistake of ours that one board brings to light must not leave a session half alive."""
        try:
            await work
        except Exception as error:
            log.exception("session with %s", self.port)
            self._lose(SessionLost(f"{self.port}: {error!r}"))

    async def _read(self) -> None:
        while data := await self._transport.read():
            began = self._loop.time()
            self._take(self._link.receive(data, began))
            self._pump()
            if len(data) >= FLOOD_BYTES:
                await asyncio.sleep(self._loop.time() - began)
        self._lose(PortLost(f"{self.port}: vanished"))

    async def _write(self) -> None:
        """Goes on where `_pump` stopped because the line had enough to do."""
        while True:
            await self._backlog.wait()
            await self._transport.drain()
            self._backlog.clear()
            self._pump()

    def _pump(self, *, urgent: bool = False) -> None:
        """Give the line what it can take, and see to it that we come back in time."""
        if self._error is not None:
            return
        now = self._loop.time()
        self._link.set_moving(bool(self._motions) or self._set_until > now, now)
        if urgent:
            self._transport.write(self._link.to_send(now))
        while not self._transport.busy:
            data = self._link.to_send(now)
            if not data:
                self._set_timer()
                return
            self._transport.write(data)
        self._backlog.set()

    def _set_timer(self) -> None:
        deadline = self._link.deadline()
        if self._timer is not None:
            if deadline is not None and deadline >= self._timer.when() > self._loop.time():
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._on_timer) if deadline is not None else None

    def _on_timer(self) -> None:
        self._timer = None
        self._take(self._link.receive(b"", self._loop.time()))
        self._pump()

    def _submit(self, order: Order) -> None:
        self._check()
        now = self._loop.time()
        head = {"ttl_ms": 0, "id": order.id, "epoch": order.epoch, "lease_ms": order.lease_ms}
        payload = frames.CommandHead.build(head) + order.args
        expires = now + order.ttl_s if order.ttl_s > 0 else None
        token = self._link.send(Type.COMMAND + order.index, payload, expires)
        self._tokens[token] = order.id
        self._pump()

    def _datagram(self, type_: int, payload: bytes) -> None:
        if self._link.is_open:
            self._link.send_datagram(type_, payload)
            self._pump()

    # What comes -----------------------------------------------------------------------------------

    def _take(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Frame():
                    self._on_frame(event)
                case Text(text):
                    self._said = (self._said + text)[-MAX_LINE_CHARS:]
                    self._log(0, text)
                case Delivered(token):
                    if (id_ := self._tokens.pop(token, None)) is not None:
                        self._feed.put(Sent(id_))
                case Expired(token):
                    if (id_ := self._tokens.pop(token, None)) is not None:
                        self._settle(Result(id_, Outcome.EXPIRED, b"it did not start in time"))
                case Opened(hello):
                    if not self._opened.done():
                        self._opened.set_result(hello)
                case Ended(error):
                    self._lose(error)

    def _on_frame(self, frame: Frame) -> None:
        payload = frame.payload
        index = frame.type & ~TYPE_BASE_MASK
        if frame.kind is Kind.LOG:
            self._log(payload[0] if payload else 0, payload[1:].decode(errors="replace"))
            return
        match frame.type & TYPE_BASE_MASK or frame.type:
            case Type.RESULT if len(payload) >= frames.ResultHead.sizeof():
                self._on_result(payload)
            case Type.STARTED if len(payload) == frames.Started.sizeof():
                self._on_started(frames.Started.parse(payload).id)
            case Type.TELEMETRY if self._limiter.admit(self._loop.time()):
                self._report(Telemetry(index, payload))
            case Type.EVENT if self._limiter.admit(self._loop.time()):
                self._report(BoardEvent(index, payload))
            case Type.STOPPED | Type.STATE if len(payload) == frames.StateBody.sizeof():
                body = frames.StateBody.parse(payload)
                self._on_state(Stopped(body.epoch, body.latched))
            case Type.DICTIONARY if len(payload) >= frames.DictionaryGet.sizeof() * 2:
                with suppress(asyncio.QueueFull):
                    self._pieces.put_nowait(payload)

    def _on_started(self, id_: int) -> None:
        if id_ in self._results and id_ not in self._begun:
            self._begun.add(id_)
            self._feed.put(Started(id_))

    def _on_result(self, payload: bytes) -> None:
        head = frames.ResultHead.parse(payload)
        try:
            outcome = Outcome(head.outcome)
        except ValueError:
            outcome = Outcome.FAILED
        self._settle(Result(head.id, outcome, payload[frames.ResultHead.sizeof() :]))

    def _settle(self, result: Result) -> None:
        waiting = self._results.get(result.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(result)
        elif waiting is None and self._limiter.admit(self._loop.time()):
            self._feed.put(result)

    def _on_state(self, state: Stopped) -> None:
        if state != self._state:
            self._state = state
            self._feed.put(state)
        self._state_news.set()

    def _log(self, level: int, text: str) -> None:
        for line in _lines(text):
            if self._limiter.admit(self._loop.time()):
                self._report(LogLine(level, line))

    def _report(self, news: BoardNews) -> None:
        if count := self._limiter.take_refused():
            self._feed.put(Dropped(count))
        self._feed.put(news)

    async def _until_state(self, epoch: int, *, latched: bool) -> None:
        while self._state.latched != latched or self._state.epoch < epoch:
            self._check()
            self._state_news.clear()
            await self._state_news.wait()

    # The end --------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._error is not None:
            raise SessionLost(str(self._error)) from self._error

    def _lose(self, error: SessionError | PortLost) -> None:
        if self._error is not None:
            return
        self._error = error
        self._feed.close(error)
        self._state_news.set()
        for waiting in [self._opened, *self._results.values()]:
            if not waiting.done():
                waiting.set_exception(error)
                waiting.exception()  # whoever waited may have given up

    async def _close(self) -> None:
        self._lose(SessionLost(f"{self.port}: closed"))
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._transport.__aexit__(None, None, None)


def _lines(text: str) -> Iterator[str]:
    """The lines of what a board says, without control characters and of sensible length."""
    for line in text.splitlines():
        clean = "".join(char if char.isprintable() else " " for char in line[:MAX_LINE_CHARS])
        if clean.strip():
            yield clean.rstrip()
