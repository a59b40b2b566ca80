"""Gives a MicroPython program what a board has and a process has not; a process of its own.

Its standard input is the board's end of the line. It starts MicroPython anew after each reset, hands
over what comes and what it says, makes Ctrl-C an interrupt, and watches over the watchdog. Whatever
the test does meanwhile, the board lives. It imports little, so that a board starts fast.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from typing import Any, Final

from boardtalk.hil.micropython.console import PROMPT_NEXT, SOFT_REBOOT, Console
from boardtalk.hil.micropython.program import Ends, Program
from boardtalk.hil.micropython.registers import Registers
from boardtalk.hil.micropython.streams import Incoming, Outgoing

OFF, HARD, WATCHDOG, SOFT = 0, 2, 3, 5
"""Causes of a reset, as `sim/rom/machine` counts; or there is none, for it has no power."""
LINE: Final = 0
CTRL_A: Final = b"\x01"
READ_BYTES: Final = 4096
PIECE_BYTES: Final = 1 << 20
CRASHED_S: Final = 0.1
"""Before it starts anew if it has crashed: it might do nothing else."""
NEVER: Final = float("inf")


class Supervisor:
    """A board's life while it has power."""

    def __init__(self, cause: int, heap: str, registers: int, wires: list[int]) -> None:
        self._cause = cause
        self._heap = heap
        self._registers = Registers(registers)
        self._wires = self._registers.address, *wires
        self._outgoing = Outgoing(LINE)
        self._feed_by = NEVER
        self._power_on()

    def run(self) -> None:
        """Live from reset to reset, until there is no power."""
        while self._cause != OFF:
            environment = {
                "BOARDTALK_RESET_CAUSE": f"{self._cause}",
                "BOARDTALK_RAW": "raw" if self._console.raw else "",
            }
            if self._console.raw:
                self._incoming.hold()
            program = Program(self._ends, self._heap, environment, self._wires)
            self._registers.program = 0
            self._word = b""
            try:
                self._cause = self._live(program)
            except OSError:  # the line is gone, and the power with it
                self._cause = OFF
            program.kill()
            self._incoming.end()
            self._pass_on(all_of_it=True)
            if self._cause == SOFT:
                self._outgoing.add(SOFT_REBOOT)
            else:
                self._ends.close()
                self._power_on()
            self._outgoing.flush(time.monotonic())

    def _power_on(self) -> None:
        """Forget everything."""
        self._registers.power_on()
        self._ends = Ends()
        self._console = Console()
        self._incoming = Incoming(self._ends.input)
        self._feed_by = NEVER

    def _live(self, program: Program) -> int:
        """Serve the program until it ends. Returns why the next one starts."""
        while True:
            readable, writable = self._wait(program)
            if LINE in readable:
                self._incoming.add(_read(LINE))
            if LINE in writable:
                self._outgoing.hear_again()
            if self._ends.input in writable:
                self._incoming.flush()
            if self._ends.output in readable:
                self._pass_on()
            self._outgoing.flush(time.monotonic())
            cause = self._heed(program) if program.control in readable else self._overdue()
            if cause is not None:
                return cause

    def _wait(self, program: Program) -> tuple[list[Any], list[Any]]:
        """Wait until there is something to do, and tell what."""
        readable: list[Any] = [program.control]
        writable: list[Any] = []
        if self._incoming.room:
            readable.append(LINE)
        if self._outgoing.room:
            readable.append(self._ends.output)
        if self._outgoing.waits:
            writable.append(LINE)
        if self._incoming.waits:
            writable.append(self._ends.input)
        due = min(self._feed_by, self._outgoing.late)
        pause = None if due == NEVER else max(0.0, due - time.monotonic())
        readable, writable, _ = select.select(readable, writable, (), pause)
        return readable, writable

    def _pass_on(self, *, all_of_it: bool = False) -> None:
        """Take what the program says, as long as there is room for it."""
        while all_of_it or self._outgoing.room:
            try:
                piece, sender = self._ends.output.recvfrom(PIECE_BYTES)
            except BlockingIOError:
                return
            if piece == PROMPT_NEXT:
                self._console.hush()
                self._incoming.release(CTRL_A)
            else:
                self._outgoing.add(piece if sender else self._console.text(piece))

    def _overdue(self) -> int | None:
        """Whether the watchdog has waited too long. What waits to be read may have fed it."""
        return WATCHDOG if time.monotonic() >= self._feed_by else None

    def _heed(self, program: Program) -> int | None:
        """Hear what the program wants. Returns the cause of a reset, if there is to be one."""
        heard = program.control.recv(READ_BYTES)
        if not heard:
            return self._after(program)
        *words, self._word = (self._word + heard).split(b"\n")
        for word in words:
            cause = self._obey(program, *word.split())
            if cause is not None:
                return cause
        return None

    def _obey(self, program: Program, name: bytes, *numbers: bytes) -> int | None:
        """Do what the program wants. Returns the cause of a reset, if it wants that."""
        match name, [int(number) for number in numbers]:
            case b"wake", _:
                program.wake()
            case b"feed", [timeout_ms]:
                self._feed_by = time.monotonic() + timeout_ms / 1000
            case b"booted", _:
                self._registers.program = program.pid
                self._incoming.begin(program)
            case b"reset", [cause, pause_ms]:
                program.kill()
                time.sleep(pause_ms / 1000)
                return cause
            case b"off", _:
                return OFF
        return None

    def _after(self, program: Program) -> int:
        """The program has ended by itself: at a Ctrl-D, or it has crashed."""
        if program.wait() and self._incoming.begun:
            return SOFT
        time.sleep(CRASHED_S)
        return HARD


def _read(line: int) -> bytes:
    """Raises OSError: it is gone."""
    data = os.read(line, READ_BYTES)
    if not data:
        raise OSError("the line is gone")
    return data


def main() -> None:
    """Run a board with the settings of the command line."""
    Supervisor(**json.loads(sys.argv[1])).run()
