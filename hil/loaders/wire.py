"""The wire between a flashing tool and an emulated board: what a board needs of it, and its kinds."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import termios
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self

from boardtalk.hil.loaders.closings import Closings
from boardtalk.hil.port import Port, socket_pair
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from boardtalk.hil.line import FaultyLine
    from boardtalk.hil.paced import PacedLine

READ_BYTES: Final = 65536
UNREAD_S: Final = 1.0
"""What nobody has read for so long is lost, as on a line that nobody listens to."""
RATES: Final = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name[1:].isdigit()}
"""Bits per second, by the kernel's code."""


class Signals(NamedTuple):
    """The control lines, as the tool has set them."""

    dtr: bool
    rts: bool


class Wire(Protocol):
    """The board's end of a serial line, as an async context manager."""

    received: asyncio.Queue[bytes | Signals]
    """What the tool does, in order."""

    @property
    def port(self) -> str:
        """What the tool opens."""

    @property
    def baud(self) -> int:
        """The rate that the tool has set; 0: that can't be seen."""

    async def send(self, data: bytes) -> None:
        """Send to the tool."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...


class PtyWire:
    """A pseudo-terminal: no control lines, but the rate can be seen, and a line may lie between.

    As with a serial port, its settings are back to what they were when nobody has it open any more. Without
    that, the next tool that asks for the same rate with parity is refused: pseudo-terminals have no parity,
    and Linux forgives it only if some other setting changes.

    Args:
        line: its faults, or its speed.
    """

    def __init__(self, line: FaultyLine | PacedLine | None = None) -> None:
        self.received: asyncio.Queue[bytes | Signals] = asyncio.Queue()
        self._line = line
        self._stack = contextlib.AsyncExitStack()
        self._plugged = contextlib.ExitStack()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="boardtalk-loader-"))
            self._port = Port(Path(folder) / "port")
            self._board, self._far = socket_pair(stack)
            stack.push_async_callback(self.unplug)
            self.plug()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def port(self) -> str:
        """Its path, the same for the wire's whole life."""
        return str(self._port.path)

    @property
    def baud(self) -> int:
        """The rate that the tool has set."""
        return RATES.get(termios.tcgetattr(self._port.near)[4], 0) if self._port.plugged else 0

    def plug(self) -> None:
        """Let the port appear."""
        self._port.plug()
        if self._line is not None:
            join = self._line.join(self._far.fileno(), self._port.near)
            self._tasks.append(asyncio.create_task(join, name="line to an emulated loader"))
        closings = self._plugged.enter_context(Closings(os.path.realpath(self.port)))
        settle = self._settle(closings, termios.tcgetattr(self._port.near))
        self._tasks.append(asyncio.create_task(settle, name="port of an emulated loader"))
        asyncio.get_running_loop().add_reader(self._end, self._read)

    async def unplug(self) -> None:
        """Let the port vanish."""
        if not self._port.plugged:
            return
        asyncio.get_running_loop().remove_reader(self._end)
        await cancel_and_wait(*self._tasks)
        self._tasks.clear()
        self._plugged.close()
        self._port.unplug()

    async def send(self, data: bytes) -> None:
        """Send to the tool; into the void while unplugged."""
        while data and self._port.plugged:
            try:
                data = data[os.write(self._end, data) :]
            except BlockingIOError:
                if not await _writable(self._end):
                    return

    @property
    def _end(self) -> int:
        return self._port.near if self._line is None else self._board.fileno()

    async def _settle(self, closings: Closings, settings: list[Any]) -> None:
        while True:
            await closings.next()
            if closings.in_use:
                continue  # somebody has opened it since: a busy machine tells late, and the rate is his
            termios.tcflush(self._port.near, termios.TCOFLUSH)  # what nobody has read
            termios.tcsetattr(self._port.near, termios.TCSANOW, settings)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self.received.put_nowait(os.read(self._end, READ_BYTES))


async def _writable(fd: int) -> bool:
    """Whether it takes more within a second."""
    ready = asyncio.Event()
    asyncio.get_running_loop().add_writer(fd, ready.set)
    try:
        async with asyncio.timeout(UNREAD_S):
            await ready.wait()
    except TimeoutError:
        return False
    finally:
        asyncio.get_running_loop().remove_writer(fd)
    return True
