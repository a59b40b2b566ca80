"""The hardware, as far as this client needs it. The only file that imports `machine`.

It also evens out the differences between boards, MicroPython's unix port and CPython.
"""

import asyncio
import os
import select
import sys
import time
from binascii import hexlify

from boardtalk import frames

try:
    import machine
except ImportError:  # CPython
    machine = None

try:
    import termios
except ImportError:  # a board
    termios = None

try:
    from asyncio import sleep_ms
except ImportError:  # CPython

    def sleep_ms(delay):
        return asyncio.sleep(delay / 1000)


try:
    from time import ticks_add, ticks_diff, ticks_ms
except ImportError:  # CPython: a clock that does not wrap

    def ticks_ms():
        return time.monotonic_ns() // 1_000_000

    def ticks_diff(end, start):
        return end - start

    def ticks_add(ticks, delta):
        return ticks + delta


CPYTHON = sys.implementation.name == "cpython"
UNIX = CPYTHON or sys.platform == "linux"

_CTRL_C = 3

_RESET_CAUSES = {
    "PWRON_RESET": frames.RESET_POWER_ON,
    "HARD_RESET": frames.RESET_HARD,
    "WDT_RESET": frames.RESET_WATCHDOG,
    "DEEPSLEEP_RESET": frames.RESET_DEEPSLEEP,
    "SOFT_RESET": frames.RESET_SOFT,
}


def uid():
    """The board's unique id, lower-case hex."""
    if UNIX:
        return os.getenv("BOARDTALK_UID") or "00"
    return hexlify(machine.unique_id()).decode()


def nonce():
    """A random 32-bit number, not 0."""
    return int.from_bytes(os.urandom(4), "little") or 1


def reset_cause():
    """Why the board started: one of frames.RESET_*."""
    if UNIX:
        return int(os.getenv("BOARDTALK_RESET_CAUSE") or frames.RESET_POWER_ON)
    cause = machine.reset_cause()
    for name, value in _RESET_CAUSES.items():
        if getattr(machine, name, None) == cause:
            return value
    return frames.RESET_UNKNOWN


def forget_tasks():
    """Make asyncio usable again after a program was interrupted."""
    if not CPYTHON:
        asyncio.new_event_loop()


def open_stream(uart=None):
    """The stream to the gateway: a UART, or the console, which the REPL uses too."""
    if uart:
        return Stream(uart, uart)
    if CPYTHON:
        return _Descriptors()
    if UNIX and os.getenv("BOARDTALK_NONBLOCKING"):
        return _Terminal()
    return _Console()


class Stream:
    """A byte stream that never blocks, over a UART or the like."""

    interrupt_ms = 50
    """A Ctrl-C counts after this silence: on a noisy line it may be the rest of a damaged frame."""

    def __init__(self, source, sink):
        self._source = source
        self._sink = sink
        self._reader = asyncio.StreamReader(source)

    def readable(self):
        """Await this until there is something to read."""
        return self._reader.read(0)

    def readinto(self, view):
        """Read what is there, at most `len(view)`; returns the number of bytes."""
        return self._source.readinto(view) or 0

    def write(self, data, size):
        """Write the first `size` bytes of `data` as far as there is room; returns how many."""
        return self._sink.write(data, size) or 0

    def close(self):
        """Give the stream back as it was."""


class _Terminal(Stream):
    """Standard input and output of the unix port, made non-blocking by who started it."""

    def __init__(self):
        super().__init__(sys.stdin.buffer, sys.stdout.buffer)

    def readinto(self, view):
        count = self._source.readinto(view)
        if count == 0:
            raise EOFError
        return count or 0


class _Console(Stream):
    """Standard input and output where reading may block: byte by byte, as long as there are some."""

    interrupt_ms = 0  # USB has checks of its own

    def __init__(self):
        super().__init__(sys.stdin, sys.stdout.buffer)
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)
        self._room = select.poll()
        self._room.register(sys.stdout, select.POLLOUT)
        self._byte = bytearray(1)
        if UNIX:
            self._settings = termios.tcgetattr(0)
            termios.setraw(0)
        else:
            _keyboard_interrupt(-1)

    def readinto(self, view):
        count = 0
        while count < len(view) and _any(self._poll):
            sys.stdin.buffer.readinto(self._byte)
            view[count] = self._byte[0]
            count += 1
            if self._byte[0] == _CTRL_C:
                break  # what follows may be for the REPL
        return count

    def write(self, data, size):
        if not _any(self._room):  # nobody reads: a write would block
            return 0
        return self._sink.write(data, size) or 0

    def close(self):
        if UNIX:
            termios.tcsetattr(0, termios.TCSANOW, self._settings)
        else:
            _keyboard_interrupt(_CTRL_C)


class _Descriptors(Stream):
    """Standard input and output of CPython."""

    def __init__(self):
        os.set_blocking(0, False)
        os.set_blocking(1, False)

    async def readable(self):
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(0, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(0)

    def readinto(self, view):
        try:
            count = os.readv(0, [view])
        except BlockingIOError:
            return 0
        if count == 0:
            raise EOFError
        return count

    def write(self, data, size):
        try:
            return os.write(1, memoryview(data)[:size])
        except BlockingIOError:
            return 0


def _any(poll):
    for _ in poll.ipoll(0):
        return True
    return False


def _keyboard_interrupt(character):
    import micropython

    micropython.kbd_intr(character)
