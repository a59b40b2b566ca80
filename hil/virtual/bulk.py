"""A row of frames as fast as the link takes them, and what it made of the line."""

from __future__ import annotations

import asyncio
import contextlib
import random
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from boardtalk.hil.virtual.clock import run
from boardtalk.hil.virtual.firmware import Firmware
from boardtalk.hil.virtual.wire import connect
from boardtalk.modules.iot_bridge.errors import LinkBusy
from boardtalk.modules.iot_bridge.frames import OVERHEAD_BYTES, WINDOW, Kind, Stop, Type
from boardtalk.modules.iot_bridge.link.events import Delivered, Opened
from boardtalk.modules.iot_bridge.link.framing import Frame
from boardtalk.modules.iot_bridge.link.session import Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from boardtalk.hil.virtual.wire import Line, Wire

    Ends: TypeAlias = tuple[Session, AsyncIterator[Any], Any, tuple[Wire, Wire]]

PAUSE_S: Final = (0.05, 0.15)
"""Between a stop and the next."""
LIMIT_S: Final = 3600.0
"""Virtual time after which a transfer is stuck."""
WAIT_S: Final = 0.001
"""How often it is looked whether there is room for one frame more."""


class Bulk(NamedTuple):
    """How it went."""

    seconds: float
    efficiency: float
    """Frames delivered, as a share of those that fit on the line in that time."""
    repeated: int
    """Frames sent again."""
    spoilt: int
    """Such frames that the line lost or damaged; it also did so to acknowledgements."""


def to_board(
    line: Line, count: int, payload_bytes: int = 32, window: int = WINDOW, *, together: bool = False
) -> Bulk:
    """Frames from the gateway to the board.

    Args:
        line: what the line is like.
        count: how many messages.
        payload_bytes: of each.
        window: frames in flight.
        together: whether messages may share frames, as they do outside of measurements of frames.
    """
    return run(_transfer(line, count, payload_bytes, window, together=together, up=False))


def to_gateway(line: Line, count: int, payload_bytes: int = 32, window: int = WINDOW) -> Bulk:
    """Frames from the board to the gateway."""
    return run(_transfer(line, count, payload_bytes, window, up=True))


def stops(line: Line, times: int, payload_bytes: int = 32, *, up: bool = False) -> list[float]:
    """Seconds from a stop to the board's getting it, while frames go to the board as fast as they can.

    Args:
        line: what the line is like.
        times: how many stops.
        payload_bytes: of the frames.
        up: whether the board sends as much as it can, too; then until the gateway has the confirmation.
    """
    return run(_stop(line, times, payload_bytes, up=up))


async def _transfer(
    line: Line, count: int, payload_bytes: int, window: int, *, up: bool, together: bool = False
) -> Bulk:
    payloads = [number.to_bytes(payload_bytes, "little") for number in range(count)]
    async with _session(line, window) as (session, events, client, wires):
        loop = asyncio.get_running_loop()
        began = loop.time()
        if not together:
            session._link._sending.batch_bytes = 0  # noqa: SLF001
        if up:
            sending = loop.create_task(_emit(client.link, payloads))
            for payload in payloads:
                assert (await _next(events, Frame)).payload == payload  # noqa: S101 - else it is no transfer
        else:
            link, got = client.link, []
            client._obey = lambda: got.append(bytes(link.buffer[link.at : link.end]))  # noqa: SLF001
            sending = loop.create_task(_send(session, payloads))
            for _ in payloads:
                await _next(events, Delivered)
            assert got == payloads  # noqa: S101 - else it is no transfer
        await sending
        seconds = loop.time() - began
    frame_s = (payload_bytes + OVERHEAD_BYTES) * line.byte_s
    return Bulk(seconds, count * frame_s / seconds, wires[up].repeated, wires[up].fired["data"])


async def _stop(line: Line, times: int, payload_bytes: int, *, up: bool) -> list[float]:
    rng = random.Random(line.seed)  # noqa: S311 - repeatable, not secret
    payloads = repeat(bytes(payload_bytes))
    took = []
    async with _session(line, WINDOW) as (session, events, client, _):
        loop = asyncio.get_running_loop()
        stopped: asyncio.Queue[float] = asyncio.Queue()
        client.dispatcher.on_stop = lambda: None if up else stopped.put_nowait(loop.time())
        tasks = [loop.create_task(_send(session, payloads))]
        if up:
            tasks += [loop.create_task(_emit(client.link, payloads))]
        tasks += [loop.create_task(_confirmations(events, stopped if up else asyncio.Queue()))]
        for epoch in range(1, times + 1):
            await asyncio.sleep(rng.uniform(*PAUSE_S))
            began = loop.time()
            session.send_urgent(Type.STOP, Stop.build({"epoch": epoch}))
            took.append(await stopped.get() - began)
        for task in tasks:
            task.cancel()
    return took


@contextlib.asynccontextmanager
async def _session(line: Line, window: int) -> AsyncIterator[Ends]:
    """A session over a line: the gateway's end, what comes there, the board's client, and the wires."""
    port, uart, wires = connect(line)
    client = Firmware(window).client(uart)
    async with asyncio.timeout(LIMIT_S), Session(port) as session:
        board = asyncio.get_running_loop().create_task(client.run([]))
        session.greet(99)
        events = session.events()
        await _next(events, Opened)
        for wire in wires:
            wire.fired.clear()
        yield session, events, client, wires
        board.cancel()


async def _send(session: Session, payloads: Iterable[bytes]) -> None:
    """What a gateway does that has much to tell."""
    for payload in payloads:
        while True:
            try:
                session.send(Type.NONE, payload)
                break
            except LinkBusy:
                await asyncio.sleep(WAIT_S)


async def _emit(link: Any, payloads: Iterable[bytes]) -> None:
    """What a board's program does that has much to tell."""
    for payload in payloads:
        while link.outbox.crowded():  # noqa: ASYNC110 - as a robot's program does
            await asyncio.sleep(WAIT_S)
        link.outbox.add(Type.EVENT, payload)


async def _confirmations(events: AsyncIterator[Any], stopped: asyncio.Queue[float]) -> None:
    async for event in events:
        if isinstance(event, Frame) and event.type == Type.STOPPED:
            stopped.put_nowait(asyncio.get_running_loop().time())


async def _next(events: AsyncIterator[Any], kind: type[Any]) -> Any:
    async for event in events:
        if isinstance(event, kind) and getattr(event, "kind", Kind.DATA) is Kind.DATA:
            return event
    raise AssertionError("the session ended")
