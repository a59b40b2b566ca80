"""A serial port for what is said to loaders and prompts: bytes out, bytes in, each with a time limit."""

from __future__ import annotations

import asyncio
import fcntl
import os
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from boardtalk.flash.errors import Code, FlashError

if TYPE_CHECKING:
    from collections.abc import Callable

_IFLAG, _OFLAG, _CFLAG, _LFLAG, _ISPEED, _OSPEED, _CC = range(7)
READ_BYTES: Final = 4096


class Line:
    """An open port, as an async context manager.

    Args:
        port: its path.
        baud: bits per second.
        even: with even parity, where the port knows parity.
    """

    def __init__(self, port: str, baud: int, *, even: bool = False) -> None:
        self._port = port
        self._baud = baud
        self._even = even
        self._input = b""

    async def __aenter__(self) -> Self:
        """Open it for us alone. Raises FlashError."""
        self._loop = asyncio.get_running_loop()
        if not hasattr(termios, f"B{self._baud}"):
            raise FlashError(
                Code.UNSUPPORTED, f"{self._port}: {self._baud} baud is not a speed that Linux knows"
            )
        try:
            self._fd = os.open(self._port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise FlashError(
                Code.PORT_MISSING,
                f"{self._port}: can't be opened ({error.strerror})",
                "is the board plugged in?",
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._set()
        except BlockingIOError as error:
            os.close(self._fd)
            raise FlashError(Code.PORT_BUSY, f"{self._port}: another program has it", "end that") from error
        except (OSError, termios.error) as error:
            os.close(self._fd)
            raise self._gone(error) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it; what was not sent is dropped."""
        with suppress(OSError, termios.error):
            termios.tcflush(self._fd, termios.TCOFLUSH)
        os.close(self._fd)

    async def write(self, data: bytes) -> None:
        """Send. Raises FlashError if the port is gone."""
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                await self._ready(self._loop.add_writer, self._loop.remove_writer)
            except OSError as error:
                raise self._gone(error) from error

    async def read(self, within: float) -> bytes:
        """Whatever comes next.

        Raises:
            TimeoutError: nothing does, in so many seconds.
            FlashError: the port is gone.
        """
        if self._input:
            data, self._input = self._input, b""
            return data
        async with asyncio.timeout(within):
            while True:
                try:
                    data = os.read(self._fd, READ_BYTES)
                except BlockingIOError:
                    await self._ready(self._loop.add_reader, self._loop.remove_reader)
                    continue
                except OSError as error:
                    raise self._gone(error) from error
                if not data:
                    raise self._gone(OSError("it was closed"))
                return data

    async def exactly(self, size: int, within: float) -> bytes:
        """So many bytes; raises as `read` does."""
        data = b""
        async with asyncio.timeout(within):
            while len(data) < size:
                data += await self.read(within)
        self._input = data[size:]
        return data[:size]

    async def until(self, text: bytes, within: float) -> bytes:
        """All that comes up to a text, and it; raises as `read` does."""
        said = b""
        async with asyncio.timeout(within):
            while text not in said:
                said += await self.read(within)
        return said

    def forget(self) -> None:
        """Drop what has come so far."""
        self._input = b""
        with suppress(OSError, termios.error):
            termios.tcflush(self._fd, termios.TCIFLUSH)

    async def _ready(self, add: Callable[..., None], remove: Callable[[int], object]) -> None:
        ready = asyncio.Event()
        add(self._fd, ready.set)
        try:
            await ready.wait()
        finally:
            remove(self._fd)

    def _set(self) -> None:
        settings = termios.tcgetattr(self._fd)
        settings[_IFLAG] = settings[_OFLAG] = settings[_LFLAG] = 0
        settings[_CFLAG] = termios.CS8 | termios.CREAD | termios.CLOCAL
        settings[_ISPEED] = settings[_OSPEED] = getattr(termios, f"B{self._baud}")
        settings[_CC][termios.VMIN], settings[_CC][termios.VTIME] = 1, 0
        termios.tcsetattr(self._fd, termios.TCSANOW, settings)
        termios.tcflush(self._fd, termios.TCIOFLUSH)
        if self._even:
            settings[_CFLAG] |= termios.PARENB
            with suppress(termios.error):  # a pseudo-terminal has no parity
                termios.tcsetattr(self._fd, termios.TCSANOW, settings)

    def _gone(self, error: BaseException) -> FlashError:
        return FlashError(Code.LINK, f"{self._port}: vanished ({error})")
