"""Where a `FaultyLine` can run beside an emulated board: before a real port, over TCP, between two ports."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import termios
import tty
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Self

from boardtalk.hil.line import LineError
from boardtalk.hil.port import Port
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from boardtalk.hil.line import FaultyLine

LOOPBACK: Final = "127.0.0.1"


class _Wire:
    """What has a line in it, which can be pulled out and put back; as an async context manager."""

    def __init__(self, line: FaultyLine) -> None:
        self.line = line
        line.plugged_into(self)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()

    @property
    def port(self) -> str:
        """Where its far end is."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        self._stack.push_async_callback(self.unplug)
        try:
            await self.replug()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def unplug(self) -> None:
        """Pull it out."""
        raise NotImplementedError

    async def replug(self) -> None:
        """Put it back."""
        raise NotImplementedError

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="line")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _part(self) -> None:
        tasks = list(self._tasks)
        await cancel_and_wait(*tasks)


class Extension(_Wire):
    """A real port, prolonged: what opens `port` talks to `device` through the line.

    Args:
        folder: where `port` appears.
        device: the real one.
        baud: its bits per second.
    """

    def __init__(self, line: FaultyLine, folder: Path, device: str, baud: int) -> None:
        super().__init__(line)
        self._port = Port(folder / "port")
        self._device = device
        self._baud = baud

    @property
    def port(self) -> str:
        """Path of the near end."""
        return str(self._port.path)

    async def __aenter__(self) -> Self:
        self._near = open_raw(self._device, self._baud)
        self._stack.callback(os.close, self._near)
        return await super().__aenter__()

    async def unplug(self) -> None:
        """The port vanishes; the real one stays open."""
        await self._part()
        self._port.unplug()

    async def replug(self) -> None:
        """It is there again."""
        if self._port.plugged:
            raise LineError("it is plugged in already")
        self._port.plug()
        self._start(self.line.join(self._near, self._port.near))


class PtyPair(_Wire):
    """Two serial ports, `left` and `right`, linked by the line."""

    def __init__(self, line: FaultyLine, folder: Path) -> None:
        super().__init__(line)
        self._left, self._right = Port(folder / "left"), Port(folder / "right")

    @property
    def left(self) -> str:
        """Path of one end."""
        return str(self._left.path)

    @property
    def right(self) -> str:
        """Path of the other, which `unplug` lets vanish."""
        return str(self._right.path)

    port = right

    async def __aenter__(self) -> Self:
        self._left.plug()
        self._stack.callback(self._left.unplug)
        return await super().__aenter__()

    async def unplug(self) -> None:
        """The right port vanishes."""
        await self._part()
        self._right.unplug()

    async def replug(self) -> None:
        """It is there again."""
        if self._right.plugged:
            raise LineError("it is plugged in already")
        self._right.plug()
        self._start(self.line.join(self._left.near, self._right.near))


class TcpWire(_Wire):
    """A TCP port on this machine that leads to another one through the line.

    The line's faults hit each connection; `TO_BOARD` is the way to the other port. Unplugged, all are cut
    off and nobody listens.
    """

    def __init__(self, line: FaultyLine, host: str, port: int) -> None:
        super().__init__(line)
        self.host = LOOPBACK
        self.number = 0
        """The TCP port, the same for its whole life."""
        self._target = host, port
        self._listener: socket.socket | None = None

    @property
    def port(self) -> str:
        """As a configuration writes it."""
        return f"tcp://{self.host}:{self.number}"

    async def unplug(self) -> None:
        """Nobody listens, and who was connected is not any more."""
        await self._part()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    async def replug(self) -> None:
        """Listen again."""
        if self._listener is not None:
            raise LineError("it is plugged in already")
        self._listener = socket.create_server((self.host, self.number))
        self._listener.setblocking(False)
        self.number = self._listener.getsockname()[1]
        self._start(self._accept(self._listener))

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = await asyncio.get_running_loop().sock_accept(listener)
            self._start(self._carry(client))

    async def _carry(self, client: socket.socket) -> None:
        with client, socket.socket() as target:
            target.setblocking(False)
            with contextlib.suppress(OSError):
                await asyncio.get_running_loop().sock_connect(target, self._target)
                for each in (client, target):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await self.line.join(target.fileno(), client.fileno())


def open_raw(device: str, baud: int) -> int:
    """Open a serial port as bytes go, without a word on its control lines.

    Raises:
        LineError: it can't be opened, or has no such rate.
    """
    speed = getattr(termios, f"B{baud}", None)
    if speed is None:
        raise LineError(f"{baud} baud is not a speed that Linux knows")
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        raise LineError(f"{device}: can't be opened ({error.strerror})") from error
    tty.setraw(descriptor)
    settings = termios.tcgetattr(descriptor)
    settings[4] = settings[5] = speed
    settings[2] = termios.CS8 | termios.CREAD | termios.CLOCAL | speed
    termios.tcsetattr(descriptor, termios.TCSANOW, settings)
    return descriptor
