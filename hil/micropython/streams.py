"""What is on its way between a board's line and its program, in either direction."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket

    from boardtalk.hil.micropython.program import Program

CTRL_C: Final = b"\x03"
_HELD_BYTES: Final = 4096
_NOBODY_READS_S: Final = 0.5
"""A board with USB waits so long for its host; then it loses what it says."""


class Outgoing:
    """What the program has said and the line has not taken yet."""

    def __init__(self, line: int) -> None:
        self._line = line
        self._data = bytearray()
        self._deaf = False
        self.late = float("inf")
        """When the host has not read for too long."""

    @property
    def room(self) -> bool:
        """Whether the program may go on."""
        return len(self._data) < _HELD_BYTES

    @property
    def waits(self) -> bool:
        """Whether it waits for the line."""
        return self._deaf or bool(self._data)

    def add(self, data: bytes) -> None:
        """The program says something."""
        if not self._deaf:
            self._data += data

    def flush(self, now: float) -> None:
        """Give the line what it takes; lose it if nobody reads."""
        if now >= self.late:
            self._data.clear()
            self._deaf = True
            self.late = float("inf")
        while self._data:
            try:
                count = os.write(self._line, self._data)
            except BlockingIOError:
                self.late = min(self.late, now + _NOBODY_READS_S)
                return
            del self._data[:count]
            self.late = float("inf")

    def hear_again(self) -> None:
        """The line takes something again."""
        self._deaf = False


class Incoming:
    """What has come over the line and the program has not taken yet.

    Until it executes something nothing can interrupt it, so what comes has to wait; but from power-on until
    then nobody listens.
    """

    def __init__(self, stdin: socket.socket) -> None:
        self._stdin = stdin
        self._deaf = True
        self._program: Program | None = None
        self._unheard = bytearray()
        self._data = bytearray()
        self._held = False

    @property
    def room(self) -> bool:
        """Whether more may come."""
        return len(self._data) + len(self._unheard) < _HELD_BYTES

    @property
    def begun(self) -> bool:
        """Whether the program executes something, or has done so until its end."""
        return self._program is not None

    @property
    def waits(self) -> bool:
        """Whether it waits for the program."""
        return bool(self._data) and not self._held

    def hold(self) -> None:
        """Give the program nothing until `release`; it may be interrupted."""
        self._held = True

    def begin(self, program: Program) -> None:
        """The program executes something."""
        self._deaf = False
        self._program = program
        unheard, self._unheard = self._unheard, bytearray()
        self.add(bytes(unheard))

    def end(self) -> None:
        """The program does not run any more."""
        self._program = None

    def release(self, first: bytes) -> None:
        """Give the program what has come, and before that something of ours."""
        self._data[:0] = first
        self._held = False
        self.flush()

    def add(self, data: bytes) -> None:
        """Something has come."""
        if self._program is None:
            if not self._deaf:
                self._unheard += data
            return
        first, *others = data.split(CTRL_C)
        self._data += first
        for other in others:
            if not self._program.interrupt():
                self._data += CTRL_C
            self._data += other
        self.flush()

    def flush(self) -> None:
        """Give the program what it takes."""
        while self.waits:
            try:
                count = self._stdin.send(self._data)
            except BlockingIOError:
                return
            del self._data[:count]
