"""The gateway's end of a board's line, frame by frame, on the gateway's own `Link`."""

from __future__ import annotations

import asyncio
import os
import time
import tty
from collections.abc import Callable
from itertools import count
from typing import Any, Self, TypeVar

from boardtalk.modules.iot_bridge import frames, payloads
from boardtalk.modules.iot_bridge.dictionary import Command, Dictionary, parse
from boardtalk.modules.iot_bridge.frames import Kind, Outcome, Type
from boardtalk.modules.iot_bridge.link.arq import Link
from boardtalk.modules.iot_bridge.link.events import Event, Opened, Timed
from boardtalk.modules.iot_bridge.link.framing import Frame, Text
from boardtalk.modules.iot_bridge.link.hello import Hello

WAIT_S = 5.0
T = TypeVar("T")


class Peer:
    """Opens a port and talks to the board behind it. Everything that came is kept in `seen`."""

    def __init__(self, port: str) -> None:
        self.port = port
        self.link = Link()
        self.seen: list[Event] = []
        self.dictionary: Dictionary | None = None
        self._came = asyncio.Event()
        self._read = 0
        self._ids = count(1)
        self._nonces = count(1)

    async def __aenter__(self) -> Self:
        self.fd = os.open(self.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        asyncio.get_running_loop().add_reader(self.fd, self._on_bytes)
        self._clock = asyncio.create_task(self._tick(), name="clock of a peer")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._clock.cancel()
        asyncio.get_running_loop().remove_reader(self.fd)
        os.close(self.fd)

    # ── the session ──────────────────────────────────────────────────────────────────────────────
    async def hello(self) -> Hello:
        """Open a new session."""
        self.link.open(next(self._nonces) << 8 | 0x5A, time.monotonic())
        self.pump()
        hello = (await self.next(Opened)).hello
        await self.next(Timed)
        return hello

    async def learn(self) -> Dictionary:
        """Open a session, fetch the dictionary."""
        await self.hello()
        text = await self.dictionary_text()
        self.dictionary = parse(text)
        return self.dictionary

    async def dictionary_text(self) -> bytes:
        text, total = b"", 1
        while len(text) < total:
            self.send(Type.DICTIONARY_GET, frames.DictionaryGet.build({"offset": len(text)}))
            piece = frames.Dictionary.parse((await self.frame(Type.DICTIONARY)).payload)
            assert piece.offset == len(text)
            text, total = text + piece.data, piece.total
        return text

    # ── sending ──────────────────────────────────────────────────────────────────────────────────
    def send(self, type_: int, payload: bytes) -> None:
        """Send reliably."""
        self.link.send(type_, payload)
        self.pump()

    def datagram(self, type_: int, payload: bytes) -> None:
        """Send once."""
        self.link.send_datagram(type_, payload)
        self.pump()

    def raw(self, data: bytes) -> None:
        """Write bytes to the line."""
        os.write(self.fd, data)

    def command(
        self,
        name: str,
        *,
        id_: int = 0,
        ttl_ms: int = 2000,
        epoch: int = 0,
        lease_ms: int = 2000,
        **args: Any,
    ) -> int:
        """Send a command; returns its id."""
        index, command = self._find(name)
        id_ = id_ or next(self._ids)
        deadline, lease = self.at(ttl_ms), self.at(lease_ms)
        head = frames.CommandHead.build({"deadline": deadline, "id": id_, "epoch": epoch, "lease": lease})
        given = {value.name: args.get(value.name, value.default) for value in command.args}
        self.send(Type.COMMAND + index, head + command.args_format.pack(given))
        return id_

    def at(self, ms: int) -> int:
        """In so many milliseconds, by the board's clock; 0 stays 0."""
        return self.link.clock.deadline(time.monotonic() + ms / 1000) if ms else 0

    def stop(self, epoch: int) -> None:
        self.link.send_urgent(Type.STOP, frames.Stop.build({"epoch": epoch}))
        self.pump()

    def rearm(self, epoch: int) -> None:
        self.send(Type.REARM, frames.Rearm.build({"epoch": epoch}))

    def renew(self, id_: int, lease_ms: int) -> None:
        self.datagram(Type.RENEW, payloads.renew(id_, self.at(lease_ms)))

    def cancel(self, id_: int) -> None:
        self.send(Type.RENEW, payloads.renew(id_, 0))

    def setpoint(self, index: int, epoch: int, lease_ms: int, payload: bytes) -> None:
        head = frames.SetpointHead.build({"epoch": epoch, "lease": self.at(lease_ms)})
        self.datagram(Type.SETPOINT + index, head + payload)

    def hush(self) -> None:
        """Say nothing more by itself: no heartbeats, acknowledgements, repetitions."""
        self._clock.cancel()
        self.link.to_send = lambda now: b""  # type: ignore[method-assign]

    # ── receiving ────────────────────────────────────────────────────────────────────────────────
    async def result(self, id_: int) -> tuple[Outcome, bytes]:
        """How a command ended: the next RESULT with this id."""
        frame = await self.until(
            lambda event: (
                isinstance(event, Frame)
                and event.type == Type.RESULT
                and frames.ResultHead.parse(event.payload).id == id_
            )
        )
        assert isinstance(frame, Frame)
        return Outcome(frame.payload[4]), frame.payload[5:]

    async def returned(self, name: str, id_: int) -> dict[str, Any]:
        """What a command returned; fails unless it was done."""
        outcome, data = await self.result(id_)
        assert outcome is Outcome.DONE, data
        return self._find(name)[1].returns_format.unpack(data)

    async def do(self, name: str, **args: Any) -> dict[str, Any]:
        """Send a command and wait for what it returns."""
        return await self.returned(name, self.command(name, **args))

    async def refused(self, name: str, **args: Any) -> str:
        """Send a command that is rejected; the reason."""
        outcome, data = await self.result(self.command(name, **args))
        assert outcome is Outcome.REJECTED, (outcome, data)
        return data.decode()

    async def frame(self, type_: int) -> Frame:
        """The next frame of a type."""
        frame = await self.until(lambda event: isinstance(event, Frame) and event.type == type_)
        assert isinstance(frame, Frame)
        return frame

    async def started(self, id_: int) -> None:
        """Wait until a command has started."""
        await self.until(
            lambda event: (
                isinstance(event, Frame)
                and event.type == Type.STARTED
                and frames.Started.parse(event.payload).id == id_
            )
        )

    async def text(self, part: str) -> None:
        """Wait for console output with `part` in it, unless it has come already."""
        self._read = 0
        await self.until(lambda event: isinstance(event, Text) and part in event.text)

    async def next(self, kind: type[T]) -> T:
        """The next event of a kind."""
        event = await self.until(lambda event: isinstance(event, kind))
        assert isinstance(event, kind)
        return event

    async def until(self, wanted: Callable[[Event], bool]) -> Event:
        """The next event that is wanted; others are passed over."""
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    while self._read < len(self.seen):
                        self._read += 1
                        if wanted(self.seen[self._read - 1]):
                            return self.seen[self._read - 1]
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise AssertionError(f"not within {WAIT_S} s; last: {self.seen[-5:]}") from None

    # ── inside ───────────────────────────────────────────────────────────────────────────────────
    def pump(self, data: bytes = b"") -> None:
        now = time.monotonic()
        self.seen += self.link.receive(data, now)
        while out := self.link.to_send(now):
            os.write(self.fd, out)
        self._came.set()

    def _on_bytes(self) -> None:
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # unplugged
            asyncio.get_running_loop().remove_reader(self.fd)
            return
        self.pump(data)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.005)
            self.pump()

    def _find(self, name: str) -> tuple[int, Command]:
        assert self.dictionary is not None
        return self.dictionary.by_name[name]


def with_kind(event: Event, kind: Kind) -> bool:
    """Whether an event is a frame of a kind."""
    return isinstance(event, Frame) and event.kind is kind
