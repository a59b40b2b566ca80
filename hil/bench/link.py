"""What the link makes of a line: on a virtual clock, and on a paced pty with real MicroPython."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from boardtalk.hil.bench import round_trip
from boardtalk.hil.bench.rows import Row
from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.paced import BITS_PER_BYTE, PacedLine
from boardtalk.hil.virtual import bulk, plain
from boardtalk.hil.virtual.wire import Line
from boardtalk.modules.iot_bridge.frames import OVERHEAD_BYTES, WINDOW, AckBody, CommandHead, Type
from boardtalk.modules.iot_bridge.link.events import Delivered, Timed
from boardtalk.modules.iot_bridge.link.framing import Frame
from boardtalk.modules.iot_bridge.link.session import Session
from boardtalk.modules.iot_bridge.transports.serial import SerialPort

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

BAUDS: Final = (115_200, 1_000_000)
SLOW_BAUD: Final = 9600
ARGUMENT_BYTES: Final = 8
LOSSES: Final = (0.0, 0.01, 0.05)
WINDOWS: Final = (1, 4, WINDOW)
COUNT: Final = 1500
"""Frames of a transfer in virtual time."""
PAYLOAD_BYTES: Final = 32
PACED_COUNTS: Final = {115_200: 300, 1_000_000: 2000}
"""Frames of a transfer over a paced pty: one to two seconds."""
UNPACED_COUNT: Final = 4000
RUNS: Final = 5
ROUNDS: Final = 300
QUEUED: Final = 40
"""Frames handed to the link and not delivered yet."""
ROBOT: Final = Path(__file__).with_name("events")


def rows() -> Iterator[Row]:
    """First what is exact, then what this machine can show of it."""
    yield from _virtual()
    yield from asyncio.run(_real())


def _virtual() -> Iterator[Row]:
    for baud in BAUDS:
        for loss in LOSSES:
            line = Line(baud=baud, loss=loss)
            base = plain.efficiency(line, COUNT) * 100
            where = f"virtual, {baud} baud, {loss:.0%} lost"
            for window in WINDOWS:
                value = bulk.to_board(line, COUNT, window=window).efficiency * 100
                yield Row.against(f"{where}, to the board, window {window}", value, "%", COUNT, base)
            value = bulk.to_gateway(line, COUNT).efficiency * 100
            yield Row.against(f"{where}, to the gateway, window {WINDOW}", value, "%", COUNT, base)
    for baud in (SLOW_BAUD, *BAUDS):
        line, size = Line(baud=baud), CommandHead.sizeof() + ARGUMENT_BYTES
        apart, together = (
            COUNT / bulk.to_board(line, COUNT, size, together=together).seconds for together in (False, True)
        )
        name = f"virtual, {baud} baud, commands with {ARGUMENT_BYTES} bytes of arguments, sharing frames"
        yield Row.against(name, together, "/s", COUNT, apart)
    for baud in BAUDS:
        done = bulk.to_board(Line(baud=baud, flip=0.01), 2 * COUNT)
        name = f"virtual, {baud} baud, frames repeated for a wrong byte"
        yield Row(name=name, value=done.repeated / done.spoilt, unit="frames", n=done.spoilt)
        took = max(bulk.stops(Line(baud=baud), ROUNDS, PAYLOAD_BYTES)) * 1000
        yield Row(
            name=f"virtual, {baud} baud, stop through a full line, max", value=took, unit="ms", n=ROUNDS
        )


async def _real() -> list[Row]:
    found = []
    for baud in BAUDS:
        count = PACED_COUNTS[baud]
        byte_s = BITS_PER_BYTE / baud
        async with (
            EmulatedBoard(ROBOT, line=PacedLine(baud)) as board,
            Session(SerialPort(board.port, baud, paced=True)) as session,
        ):
            events = await _opened(session)
            times, _ = await _round_trips(session, events)
            down = [await _to_board(session, events, count) for _ in range(RUNS)]
            up = [await _to_gateway(session, events, number, count) for number in range(1, RUNS + 1)]
        for name, rates in (("to the board", down), ("to the gateway", up)):
            value = statistics.median(rates) * (PAYLOAD_BYTES + OVERHEAD_BYTES) * byte_s * 100
            found.append(Row(name=f"paced pty, {baud} baud, {name}", value=value, unit="%", n=RUNS))
        wire_s = (PAYLOAD_BYTES + 2 * OVERHEAD_BYTES + AckBody.sizeof()) * byte_s
        added = (statistics.median(times) - wire_s) * 1000
        async with EmulatedBoard(round_trip.ECHO, line=PacedLine(baud)) as board:
            bare = await round_trip.echo(board.port)
        base = (statistics.median(bare) - 2 * round_trip.ECHO_BYTES * byte_s) * 1000
        name = f"paced pty, {baud} baud, added to the time on the line, p50"
        found.append(Row.against(name, added, "ms", ROUNDS, base))
    async with EmulatedBoard(ROBOT) as board, Session(SerialPort(board.port)) as session:
        events = await _opened(session)
        _, cpu = await _round_trips(session, events)
        rates = [await _to_board(session, events, UNPACED_COUNT) for _ in range(RUNS)]
    found.append(Row(name="CPU of a reliable round trip", value=cpu * 1e6, unit="µs", n=ROUNDS))
    found.append(Row(name="frames that the board takes", value=statistics.median(rates), unit="/s", n=RUNS))
    return found


async def _opened(session: Session) -> AsyncIterator[Any]:
    session.greet(99)
    events = session.events()
    await _next(events, Timed)
    session._link._sending.batch_bytes = 0  # noqa: SLF001 - frames are counted, each with one message
    return events


async def _round_trips(session: Session, events: AsyncIterator[Any]) -> tuple[list[float], float]:
    """Seconds of each from frame to acknowledgement, one after the other; and the CPU's of one."""
    times = []
    cpu = time.process_time()
    for _ in range(ROUNDS):
        began = time.perf_counter()
        session.send(Type.NONE, bytes(PAYLOAD_BYTES))
        await _next(events, Delivered)
        times.append(time.perf_counter() - began)
    return times, (time.process_time() - cpu) / ROUNDS


async def _to_board(session: Session, events: AsyncIterator[Any], count: int) -> float:
    """Frames a second."""
    began = time.perf_counter()
    for number in range(count):
        session.send(Type.NONE, bytes(PAYLOAD_BYTES))
        if number >= QUEUED:
            await _next(events, Delivered)
    for _ in range(QUEUED):
        await _next(events, Delivered)
    return count / (time.perf_counter() - began)


async def _to_gateway(session: Session, events: AsyncIterator[Any], number: int, count: int) -> float:
    """Frames a second, from the first one on."""
    head = CommandHead.build({"deadline": session.deadline(5.0), "id": number, "epoch": 0, "lease": 0})
    session.send(Type.COMMAND, head + count.to_bytes(4, "little"))
    began = 0.0
    for _ in range(count):
        while (await _next(events, Frame)).type != Type.EVENT:
            pass
        began = began or time.perf_counter()
    rate = (count - 1) / (time.perf_counter() - began)
    while (await _next(events, Frame)).type != Type.RESULT:
        pass
    return rate


async def _next(events: AsyncIterator[Any], kind: type[Any]) -> Any:
    async for event in events:
        if isinstance(event, kind):
            return event
    raise AssertionError("the session ended")
