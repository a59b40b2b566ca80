"""A `Link` on a `Transport`: the loop that moves bytes and keeps time. One board, used once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol, Self

from boardtalk.modules.iot_bridge.errors import LinkError, PortLost, SessionLost
from boardtalk.modules.iot_bridge.feed import Feed
from boardtalk.modules.iot_bridge.link.arq import Link
from boardtalk.modules.iot_bridge.link.events import Counters, Ended, Event, Undelivered
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from boardtalk.modules.iot_bridge.link.clock import Reading
    from boardtalk.modules.iot_bridge.transports import Transport

FLOOD_BYTES: Final = 1024
"""What a transport reads at once. A board that always has so much waiting is a flood: it is read
half of the time at most, so that others get their turns."""

log = logging.getLogger(__name__)


class OnTraffic(Protocol):
    """What is told of bytes on a line."""

    def __call__(self, *, down: bool, data: bytes) -> None:
        """`down`: whether to the board."""
        ...


class Session:
    """Frames to and from one board. Use inside `async with`."""

    def __init__(self, transport: Transport) -> None:
        self.port = transport.name
        self._transport = transport
        self._feed: Feed[list[Event]] = Feed()
        self._moving_until = 0.0
        self._crowded = False
        self._timer: asyncio.TimerHandle | None = None
        self._error: LinkError | None = None
        self.on_traffic: OnTraffic | None = None
        """For who looks on."""

    async def __aenter__(self) -> Self:
        """Open the port. Raises PortError."""
        await self._transport.__aenter__()
        self._link = Link(self._transport.frame_bytes)
        self._loop = asyncio.get_running_loop()
        self._reader = self._loop.create_task(self._guard(), name=f"read {self.port}")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the port."""
        self._lose(SessionLost(f"{self.port}: closed"))
        if self._timer is not None:
            self._timer.cancel()
        await cancel_and_wait(self._reader)
        await self._transport.__aexit__(None, None, None)

    def check(self) -> None:
        """Raise SessionLost if the session is over."""
        if self._error is not None:
            raise SessionLost(str(self._error)) from self._error

    @property
    def counters(self) -> Counters:
        """What happened on the line."""
        return self._link.counters

    @property
    def line_bytes(self) -> int:
        """Longest frame that does not hold up the line for too long; 0: any."""
        return self._transport.frame_bytes

    @property
    def piece_bytes(self) -> int:
        """Longest payload that goes in one frame."""
        return self._link.piece_bytes

    def read_clock(self) -> Reading | None:
        """What the board's clock shows now."""
        return self._link.clock.read(self._loop.time())

    def deadline(self, seconds: float) -> int:
        """In so many seconds by the board's clock, as frames carry it."""
        return self._link.clock.deadline(self._loop.time() + seconds)

    def greet(self, nonce: int) -> None:
        """Ask the board for a session; `Opened` comes when it answers, and `Timed` soon after."""
        self._link.open(nonce, self._loop.time())
        self._pump()

    def send(self, type_: int, payload: bytes, ttl_s: float | None = None) -> int:
        """Send reliably; see `Link.send`, whose `expires` is `ttl_s` from now."""
        self.check()
        expires = None if ttl_s is None else self._loop.time() + ttl_s
        token = self._link.send(type_, payload, expires)
        self._pump()
        return token

    def undelivered(self) -> Iterable[Undelivered]:
        """What was sent and is not acknowledged."""
        return self._link.undelivered()

    def send_datagram(self, type_: int, payload: bytes) -> None:
        """Send once; nothing happens if there is no session."""
        if self._link.is_open:
            self._link.send_datagram(type_, payload)
            self._pump()

    def send_urgent(self, type_: int, payload: bytes) -> None:
        """Send once, now, ahead of everything."""
        self.check()
        self._link.send_urgent(type_, payload)
        self._write(self._link.to_send(self._loop.time(), room=1))
        self._pump()

    def write_to_console(self, data: bytes) -> None:
        """Write what is no frame; before a session only."""
        self._write(data)

    def withdraw(self) -> None:
        """Let everything expire that was sent to begin until some time."""
        self._link.withdraw(self._loop.time())
        self._pump()

    def expect_motion(self, seconds: float) -> None:
        """Watch the line closely for so long, from what is sent next on: something moves."""
        self._moving_until = max(self._moving_until, self._loop.time() + seconds)

    async def events(self) -> AsyncIterator[Event]:
        """What comes, until the session ends. One reader only.

        Raises:
            PortLost: the port vanished.
            SessionError: the board restarted, fell silent, or speaks another version.
        """
        async for batch in self._feed:
            for event in batch:
                yield event

    async def _guard(self) -> None:
        """A mistake of ours that a board brings to light must not leave a session half alive."""
        try:
            await self._read()
        except Exception as error:
            log.exception("session on %s", self.port)
            self._lose(SessionLost(f"{self.port}: {error!r}"))

    async def _read(self) -> None:
        while data := await self._transport.read():
            began = self._loop.time()
            if self.on_traffic is not None:
                self.on_traffic(down=False, data=data)
            self._take(self._link.receive(data, began))
            await asyncio.sleep(0)  # who waits for what came goes first
            self._pump()
            if len(data) >= FLOOD_BYTES:
                # What it means to others is part of the effort.
                await asyncio.sleep(self._loop.time() - began)
        self._lose(PortLost(f"{self.port}: vanished"))

    def _pump(self) -> None:
        """Give the line what it can take, and see to it that we come back in time."""
        if self._error is not None:
            return
        now = self._loop.time()
        self._link.set_moving(self._moving_until > now, now)
        while (room := self._transport.room) > 0:
            data = self._link.to_send(now, room)
            if not data:
                self._set_timer()
                return
            self._write(data)
        if not self._crowded:
            self._crowded = True
            self._transport.when_room(self._on_room)

    def _write(self, data: bytes) -> None:
        self._transport.write(data)
        if self.on_traffic is not None:
            self.on_traffic(down=True, data=data)

    def _on_room(self) -> None:
        """Go on where `_pump` stopped because the line had enough to do."""
        self._crowded = False
        self._pump()

    def _set_timer(self) -> None:
        deadline = self._link.deadline()
        if self._timer is not None:
            if deadline is not None and self._loop.time() < self._timer.when() <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._take(self._link.receive(b"", self._loop.time()))
        self._pump()

    def _take(self, events: list[Event]) -> None:
        if events:
            self._feed.put(events)
        for event in events:
            if isinstance(event, Ended):
                self._lose(event.error)

    def _lose(self, error: LinkError) -> None:
        if self._error is None:
            self._error = error
            self._feed.close(error)
