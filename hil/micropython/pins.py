"""The test's view of a board's pins: it sees what the program does to them, and sets what it reads."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Final

from boardtalk.hil.micropython import registers
from boardtalk.sdk import BoardtalkError

if TYPE_CHECKING:
    from boardtalk.hil.micropython.registers import Change, Registers

POLL_S: Final = 0.001
TIMEOUT_S: Final = 5.0
MODES: Final = ("unused", "in", "out", "open drain", "analog", "pwm")
FULL: Final = 65535
"""Duty that is always on, and the reading of an analogue input at 3.3 V."""
_RISING, _FALLING = 1, 2


class PinError(BoardtalkError):
    """A pin did not do in time what a test waits for, or there is no such pin."""


class Pin:
    """A pin, from outside."""

    def __init__(self, number: int, memory: Registers, events: int) -> None:
        self.number = number
        self._memory = memory
        self._events = events

    @property
    def mode(self) -> str:
        """What the program uses it for: one of `MODES`."""
        return MODES[self._memory.pin(self.number).mode]

    @property
    def value(self) -> int:
        """The level on the wire. Set it to drive an input; the program is interrupted if it wants that."""
        state = self._memory.pin(self.number)
        if state.mode == registers.OUT or (state.mode == registers.OPEN_DRAIN and not state.output):
            return state.output
        if state.input != registers.UNCONNECTED:
            return state.input
        return int(state.pull == registers.PULL_UP)

    @value.setter
    def value(self, level: int) -> None:
        before = self.value
        self._memory.drive(self.number, int(bool(level)))
        self._interrupt(before)

    def disconnect(self) -> None:
        """Drive it no more: its pull-up or pull-down decides."""
        before = self.value
        self._memory.drive(self.number, registers.UNCONNECTED)
        self._interrupt(before)

    @property
    def duty(self) -> int:
        """Of its pulses, 0 to 65535."""
        return self._memory.pin(self.number).duty

    @property
    def frequency(self) -> int:
        """Of its pulses, Hz."""
        return self._memory.pin(self.number).frequency

    @property
    def reading(self) -> int:
        """What its analogue input reads, 0 to 65535."""
        return self._memory.pin(self.number).reading

    @reading.setter
    def reading(self, reading: int) -> None:
        self._memory.apply(self.number, max(0, min(FULL, reading)))

    async def until(self, value: int | None = None, *, duty: int | None = None) -> None:
        """Wait until this level is on the wire, or its pulses have this duty.

        Raises:
            PinError: that is not so within 5 s.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S):
                # Memory tells nobody that it changes.
                while value not in (None, self.value) or duty not in (None, self.duty):  # noqa: ASYNC110
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            wanted = f"{value}" if duty is None else f"at duty {duty}, but at {self.duty},"
            raise PinError(f"pin {self.number} is not {wanted} within {TIMEOUT_S:g} s") from None

    def _interrupt(self, before: int) -> None:
        """Tell the program of an edge, if it wants to know."""
        after = self.value
        wanted = self._memory.pin(self.number).trigger & (_RISING if after > before else _FALLING)
        if after != before and wanted:
            with contextlib.suppress(
                BlockingIOError
            ):  # as on a board, one that is not served in time is lost
                os.write(self._events, bytes([self.number | after << 7]))


class Pins:
    """All pins of a board: `board.pins[25].value`."""

    def __init__(self, memory: Registers, events: int) -> None:
        self._memory = memory
        self._pins = [Pin(number, memory, events) for number in range(registers.PINS)]
        self._history: list[Change] = []
        self._read = 0

    def __getitem__(self, number: int) -> Pin:
        """One pin.

        Raises:
            PinError: the board has none of this number.
        """
        if not 0 <= number < registers.PINS:
            raise PinError(f"there is no pin {number}: a board has {registers.PINS}")
        return self._pins[number]

    @property
    def history(self) -> list[Change]:
        """What the programs did to the pins, with times, oldest first, through all resets.

        It is complete if it is looked at once in 65,536 changes.
        """
        changes = self._memory.changes(self._read)
        self._read = self._memory.recorded
        self._history += changes
        return self._history
