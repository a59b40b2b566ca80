"""The REPL's console as a stream: USB on most boards.

Reading from it waits for all that is asked for, so it's read byte by byte as long as there are some.
"""

import select
import sys

import micropython
from micropython import const

from boardtalk.hal import Stream

_CTRL_C = const(3)


class Console(Stream):
    """Standard input and output."""

    interrupt_ms = 0  # USB checks what it carries

    def __init__(self):
        super().__init__(sys.stdin, sys.stdout)
        self.readinto = self._readinto
        self.write = self._write
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)
        self._room = select.poll()
        self._room.register(sys.stdout, select.POLLOUT)
        self._byte = bytearray(1)
        micropython.kbd_intr(-1)  # Ctrl-C is a byte like others

    def _readinto(self, view):
        count = 0
        while count < len(view) and _any(self._poll):
            sys.stdin.buffer.readinto(self._byte)
            view[count] = self._byte[0]
            count += 1
            if self._byte[0] == _CTRL_C:
                break  # what follows is perhaps for the REPL
        return count

    def _write(self, data, size):
        if not _any(self._room):  # nobody reads, and writing would wait for it
            return 0
        return sys.stdout.buffer.write(data, size)

    def close(self):
        """Let Ctrl-C interrupt again."""
        micropython.kbd_intr(_CTRL_C)


def _any(poll):
    for _ in poll.ipoll(0):
        return True
    return False
