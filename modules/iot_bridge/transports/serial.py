"""Serial ports, real ones and pseudo-terminals, straight on the kernel: no threads, no polling."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import grp
import os
import struct
import termios
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from boardtalk.modules.iot_bridge.errors import PortBusy, PortDenied, PortError, PortMissing
from boardtalk.modules.iot_bridge.transports import hotplug
from boardtalk.modules.iot_bridge.transports.pace import Pace
from boardtalk.sdk.holders import holders

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_BAUD: Final = 115_200
READ_BYTES: Final = 1024
"""Taken from the kernel at once: boards get their turns in small helpings."""
PSEUDO_TERMINALS: Final = range(136, 144)
"""Major device numbers of the board's side of a pty."""
BAUDLESS: Final = frozenset({*PSEUDO_TERMINALS, 166, 216})
"""Major numbers of what has no speed of its own, whatever it is told: also USB (ttyACM), and radio."""

_IFLAG, _OFLAG, _CFLAG, _LFLAG, _ISPEED, _OSPEED, _CC = range(7)


class SerialPort:
    """A `Transport` over a tty.

    Args:
        path: such as `/dev/ttyACM0` or `/dev/serial/by-id/…`.
        baud: bits per second; pseudo-terminals and most USB ports ignore it.
        paced: whether the line has that speed; None: if it is of a kind that has one.
    """

    def __init__(self, path: str, baud: int = DEFAULT_BAUD, *, paced: bool | None = None) -> None:
        self.name = path
        self._baud = baud
        self._paced = paced
        self._pace = Pace(0)
        self._kind = 0
        self._fd = -1
        self._input: bytes | None = None
        """Read and not taken yet; b"" = the port is gone; None = nothing."""
        self._paused = False
        self._output = b""
        self._taker: asyncio.Future[None] | None = None
        self._written: Callable[[], None] | None = None
        """Called when the kernel has taken all output."""

    @property
    def frame_bytes(self) -> int:
        """See `Transport.frame_bytes`."""
        return self._pace.frame_bytes

    @property
    def room(self) -> int:
        """See `Transport.room`."""
        return 0 if self._output else self._pace.room(self._in_kernel(), self._loop.time())

    async def __aenter__(self) -> Self:
        """Open the port for us alone; see `Transport`."""
        self._loop = asyncio.get_running_loop()
        self._fd = _open(self.name)
        try:
            _claim(self._fd, self.name)
            _make_raw(self._fd, self.name, self._baud)
            self._kind = _major(self._fd)
            has_speed = self._kind not in BAUDLESS if self._paced is None else self._paced
            self._pace = Pace(self._baud if has_speed else 0)
        except BaseException:
            os.close(self._fd)
            raise
        self._loop.add_reader(self._fd, self._on_readable)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the port; drops what was not sent, since closing would wait for it."""
        self._lose()
        with suppress(OSError, termios.error):
            termios.tcflush(self._fd, termios.TCOFLUSH)
            fcntl.ioctl(self._fd, termios.TIOCNXCL)
        os.close(self._fd)

    async def read(self) -> bytes:
        """See `Transport.read`."""
        if self._input is None:
            self._taker = self._loop.create_future()
            await self._taker
        data = self._input or b""
        if data:
            self._input = None
            self._resume()
        return data

    def write(self, data: bytes) -> None:
        """See `Transport.write`."""
        if self._input == b"":
            return
        self._pace.wrote(len(data), self._loop.time())
        self._output += data
        if len(self._output) == len(data):
            self._on_writable()

    def when_room(self, callback: Callable[[], None]) -> None:
        """See `Transport.when_room`."""
        if self._output:
            self._written = callback
        else:
            self._loop.call_later(self._pace.wait_s(self._in_kernel(), self._loop.time()), callback)

    async def appears(self) -> None:
        """See `Port.appears`."""
        await hotplug.appears(self.name)

    def _in_kernel(self) -> int:
        """Bytes that the kernel has not sent yet; a pseudo-terminal would always say 0."""
        if self._input == b"" or self._kind in PSEUDO_TERMINALS:
            return 0
        try:
            answer = fcntl.ioctl(self._fd, termios.TIOCOUTQ, bytes(4))
        except OSError:
            return 0
        return int(struct.unpack("i", answer)[0])

    def _on_readable(self) -> None:
        if self._input is not None:  # not taken yet: let the kernel hold the rest
            self._loop.remove_reader(self._fd)
            self._paused = True
            return
        try:
            self._input = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._input = b""
        if not self._input:
            self._lose()
        self._wake()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._loop.add_reader(self._fd, self._on_readable)

    def _on_writable(self) -> None:
        try:
            done = os.write(self._fd, self._output)
        except BlockingIOError:
            done = 0
        except OSError:
            self._lose()
            return
        self._output = self._output[done:]
        if self._output:
            self._loop.add_writer(self._fd, self._on_writable)
        else:
            self._loop.remove_writer(self._fd)
            callback, self._written = self._written, None
            if callback is not None:
                callback()

    def _lose(self) -> None:
        """The port is gone, or about to be closed."""
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._input = b""
        self._output = b""
        self._wake()

    def _wake(self) -> None:
        if self._taker is not None and not self._taker.done():
            self._taker.set_result(None)


def _open(path: str) -> int:
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _explain(path, error) from error
    if not os.isatty(fd):
        os.close(fd)
        raise PortError(f"{path} is not a serial port")
    return fd


def _major(fd: int) -> int:
    """Which kind of port it is."""
    return os.major(os.fstat(fd).st_rdev)


def _explain(path: str, error: OSError) -> PortError:
    if error.errno in {errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO, errno.ENOTDIR}:
        return PortMissing(f"{path}: there is no such port; is the board plugged in?")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return PortDenied(
            f"{path}: no permission; `sudo usermod -aG {_group(path)} $USER`, then log in again"
        )
    if error.errno == errno.EBUSY:
        return PortBusy(_taken(path))
    return PortError(f"{path}: can't be opened ({error.strerror})")


def _group(path: str) -> str:
    """The group whose members may use the port: `dialout` on Debian."""
    try:
        return grp.getgrgid(Path(path).stat().st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"


def _taken(path: str) -> str:
    holder = holder_of(path)
    return f"{path}: in use by {holder}; end it, or give this board another port"


def holder_of(path: str) -> str:
    """Which process has a device, as far as /proc tells this user."""
    for pid, command in holders(path):
        return "another board of this gateway" if pid == os.getpid() else f"process {pid} ({command})"
    return "another program"


def _claim(fd: int, path: str) -> None:
    """Keep others out: flock those that ask, TIOCEXCL those that don't.

    Not for a pseudo-terminal: its exclusive mode outlives the process that set it.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise PortBusy(_taken(path)) from error
    if _major(fd) not in PSEUDO_TERMINALS:
        with suppress(OSError):
            fcntl.ioctl(fd, termios.TIOCEXCL)


def _make_raw(fd: int, path: str, baud: int) -> None:
    """8N1, no flow control, no echo; DTR and RTS stay as they are, also after closing."""
    speed = getattr(termios, f"B{baud}", None)
    if speed is None:
        raise PortError(f"{path}: {baud} baud is not a speed that Linux knows")
    try:
        settings = termios.tcgetattr(fd)
        settings[_IFLAG] = settings[_OFLAG] = settings[_LFLAG] = 0
        settings[_CFLAG] = termios.CS8 | termios.CREAD | termios.CLOCAL
        settings[_ISPEED] = settings[_OSPEED] = speed
        settings[_CC][termios.VMIN], settings[_CC][termios.VTIME] = 1, 0
        termios.tcsetattr(fd, termios.TCSANOW, settings)
        termios.tcflush(fd, termios.TCIOFLUSH)
    except termios.error as error:
        raise PortMissing(f"{path}: vanished while it was opened ({error})") from error
