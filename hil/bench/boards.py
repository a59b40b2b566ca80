"""Emulated MicroPython boards: how fast they start, what many of them cost, what their port carries."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boardtalk.hil.bench import round_trip
from boardtalk.hil.bench.rows import Row
from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.micropython.board import FlashKind, MicroPythonBoard
from boardtalk.modules.iot_bridge.link.events import Opened
from boardtalk.modules.iot_bridge.link.session import Session
from boardtalk.modules.iot_bridge.transports.serial import SerialPort

if TYPE_CHECKING:
    from collections.abc import Iterator

STARTS: Final = 10
FLASHES: Final[tuple[FlashKind, ...]] = ("folder", "littlefs")
MANY: Final = 20
SETTLE_S: Final = 2.0
IDLE_S: Final = 5.0
ROUNDS: Final = 400
WARM_UP: Final = 20
PIECE_BYTES: Final = 256
PIECES: Final = 4000
RUNS: Final = 3
PROMPT: Final = b">>> "
OPEN: Final = (
    b"import sys, micropython; micropython.kbd_intr(-1); source, sink = sys.stdin.buffer, sys.stdout.buffer"
)
"""What is typed first: then Ctrl-C is a byte, and nothing but bytes is on the line."""


def rows() -> Iterator[Row]:
    """Starts, twenty boards that do nothing, and the port beside one that is wired directly."""
    yield from asyncio.run(_starts())
    yield from asyncio.run(_many())
    yield from asyncio.run(_port())


async def _starts() -> list[Row]:
    found = []
    for flash in FLASHES:
        times = []
        for _ in range(STARTS):
            began = time.perf_counter()
            async with MicroPythonBoard(flash=flash) as board:
                with _opened(board) as port:
                    _until(port, PROMPT)
                    times.append(time.perf_counter() - began)
        name = f"start to prompt, {flash}, median"
        found.append(Row(name=name, value=statistics.median(times) * 1000, unit="ms", n=STARTS))
        times = []
        for _ in range(STARTS):
            began = time.perf_counter()
            async with (
                MicroPythonBoard("rover", flash=flash) as board,
                Session(SerialPort(board.port)) as session,
            ):
                session.greet(99)
                async for event in session.events():
                    if isinstance(event, Opened):
                        break
                times.append(time.perf_counter() - began)
        name = f"start to the rover's greeting, {flash}, median"
        found.append(Row(name=name, value=statistics.median(times) * 1000, unit="ms", n=STARTS))
    async with MicroPythonBoard() as board:
        with _opened(board) as port:
            _until(port, PROMPT)
            times = [_timed(port, b"\x04", PROMPT) for _ in range(STARTS)]
    name = "soft reset to prompt, median"
    return [*found, Row(name=name, value=statistics.median(times) * 1000, unit="ms", n=STARTS)]


async def _many() -> list[Row]:
    found = []
    for robot, name in ((None, "at the prompt"), ("rover", "with the rover")):
        async with AsyncExitStack() as stack:
            boards = [await stack.enter_async_context(MicroPythonBoard(robot)) for _ in range(MANY)]
            groups = {board.pid for board in boards}
            await asyncio.sleep(SETTLE_S)
            began, before = time.perf_counter(), _cpu_s(groups)
            await asyncio.sleep(IDLE_S)
            used = (_cpu_s(groups) - before) / (time.perf_counter() - began)
            share = used / (os.cpu_count() or 1) * 100
        found.append(Row(name=f"{MANY} boards {name}, CPU of the machine", value=share, unit="%", n=1))
    return found


async def _port() -> list[Row]:
    async with EmulatedBoard(round_trip.ECHO) as direct:
        bare = await round_trip.echo(direct.port)
    async with MicroPythonBoard() as board:
        with _opened(board) as port:
            _until(port, PROMPT)
            _timed(port, OPEN + b"\r", PROMPT)
            count = round_trip.ECHO_BYTES
            _type(port, b"while True: n = sink.write(source.read(%d))" % count)
            message = b"x" * count
            times = [_timed(port, message, message) for _ in range(WARM_UP + ROUNDS)][WARM_UP:]
            await board.reset()
            _until(port, PROMPT)
            _timed(port, OPEN + b"\r", PROMPT)
            down = [_to_board(port) for _ in range(RUNS)]
            up = [_to_host(port) for _ in range(RUNS)]
    ordered = sorted(times)
    base = statistics.median(bare) * 1000
    p50, p99 = statistics.median(times) * 1000, ordered[len(ordered) * 99 // 100] * 1000
    return [
        Row.against("round trip through the port, p50", p50, "ms", ROUNDS, base),
        Row(name="round trip through the port, p99", value=p99, unit="ms", n=ROUNDS),
        Row(name="stream to the board", value=statistics.median(down) / 1e6, unit="MB/s", n=RUNS),
        Row(name="stream to the host", value=statistics.median(up) / 1e6, unit="MB/s", n=RUNS),
    ]


@contextmanager
def _opened(board: MicroPythonBoard) -> Iterator[int]:
    port = os.open(board.port, os.O_RDWR | os.O_NOCTTY)
    try:
        yield port
    finally:
        os.close(port)


def _until(port: int, wanted: bytes) -> None:
    """Read until this has come. The board has a process of its own: nobody waits for us."""
    read = b""
    while not read.endswith(wanted):
        read = read[-len(wanted) :] + os.read(port, 65536)


def _timed(port: int, message: bytes, answer: bytes) -> float:
    """Seconds from a message to the end of its answer."""
    began = time.perf_counter()
    os.write(port, message)
    _until(port, answer)
    return time.perf_counter() - began


def _type(port: int, block: bytes) -> None:
    """Start a block at the prompt, and wait until it runs."""
    os.write(port, block + b"\r\r")
    _until(port, block + b"\r\n... \r\n")


def _to_board(port: int) -> float:
    """Bytes a second."""
    _type(port, b"for _ in range(%d): n = source.read(%d)" % (PIECES, PIECE_BYTES))
    began = time.perf_counter()
    piece = bytes(PIECE_BYTES)
    for _ in range(PIECES):
        sent = 0
        while sent < PIECE_BYTES:
            sent += os.write(port, piece[sent:])
    _until(port, PROMPT)
    return PIECES * PIECE_BYTES / (time.perf_counter() - began)


def _to_host(port: int) -> float:
    """Bytes a second."""
    _type(
        port, b"for _ in range(len(source.read(1)) * %d): n = sink.write(bytes(%d))" % (PIECES, PIECE_BYTES)
    )
    began = time.perf_counter()
    os.write(port, b"x")
    _until(port, PROMPT)
    return PIECES * PIECE_BYTES / (time.perf_counter() - began)


def _cpu_s(groups: set[int]) -> float:
    """Seconds that the processes of some groups have used."""
    ticks = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) in groups:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
