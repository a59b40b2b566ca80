"""The registers of an emulated board: memory that its program and the test share.

The program's end is `sim/rom/machine/wires.py`. Nobody waits for anybody here: a test may look at a
pin while the board's program runs, hangs or is dead, and the program may go on while the test does.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import time
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

PINS: Final = 64
UNUSED, IN, OUT, OPEN_DRAIN, ANALOG, PULSES = range(6)
"""Modes of a pin."""
VALUE, CHANGED_DUTY, CHANGED_FREQUENCY = range(3)
"""Kinds of records."""
UNCONNECTED: Final = 0xFF
"""The level of an input that nothing drives."""
PULL_UP: Final = 1

_HEAD: Final = struct.Struct("<IIII")
"""How many records there have been; bytes of flash until the power is cut, plus 1, or 0; bytes of flash
written; the process that runs the program."""
_BUDGET_AT, _PROGRAM_AT = 4, 12
_PIN: Final = struct.Struct("<BBBBHHIB3x")
"""Mode, output, input, pull, reading, duty, frequency, which edges interrupt."""
_PIN_AT: Final = 64
_INPUT_AT, _READING_AT = 2, 4
_DEVICES_AT: Final = 2048
_DEVICE_REGISTERS_AT: Final = 4096
_DEVICE_BYTES: Final = 256
_RECORD: Final = struct.Struct("<QHHI")
"""Microseconds of the monotonic clock, pin, kind, value."""
_RECORDS_AT: Final = 65536
_CAPACITY: Final = 65536
_AHEAD_AT: Final = 16
"""Seconds by which the clock is ahead of this machine's."""
_SELECTED_AT: Final = _RECORDS_AT + _CAPACITY * _RECORD.size
"""Devices on the SPI bus, by their pins: whether it is there, how many bytes since it was selected
last, what it says, and what it has heard."""
_SELECTED_BYTES: Final = 8192
_SHIFTED_AT, _SAYS_AT, _HEARD_AT = 2, 64, 4096
SHIFTED_MOST: Final = 4000
"""Bytes that a device on the SPI bus says and hears while it is selected."""
SIZE: Final = _SELECTED_AT + PINS * _SELECTED_BYTES


class PinState(NamedTuple):
    """A pin's registers."""

    mode: int
    output: int
    input: int
    pull: int
    reading: int
    duty: int
    frequency: int
    trigger: int


class Change(NamedTuple):
    """What a program did to a pin."""

    at: float
    """Seconds of this machine's monotonic clock, by the board itself."""
    pin: int
    kind: int
    value: int


class Registers:
    """The memory behind a descriptor, which belongs to whoever made it."""

    def __init__(self, descriptor: int) -> None:
        os.ftruncate(descriptor, SIZE)
        self._memory = mmap.mmap(descriptor, SIZE)

    def close(self) -> None:
        """Let it go."""
        self._memory.close()

    @property
    def address(self) -> int:
        """Where it is in this process."""
        return ctypes.addressof(ctypes.c_char.from_buffer(self._memory))

    def power_on(self) -> None:
        """Put all pins into the state of a reset; what was an output is off from now on."""
        self.program = 0
        struct.pack_into("<q", self._memory, _AHEAD_AT, 0)
        for number in range(PINS):
            was = self.pin(number)
            if was.mode == OUT and was.output:
                self._record(number, VALUE, 0)
            if was.mode == PULSES and was.duty:
                self._record(number, CHANGED_DUTY, 0)
            _PIN.pack_into(
                self._memory, _PIN_AT + number * _PIN.size, UNUSED, 0, was.input, 0, was.reading, 0, 0, 0
            )

    def connect_nothing(self) -> None:
        """No input has a level of its own yet."""
        for number in range(PINS):
            self.drive(number, UNCONNECTED)

    def pin(self, number: int) -> PinState:
        """What a pin does."""
        return PinState(*_PIN.unpack_from(self._memory, _PIN_AT + number * _PIN.size))

    def drive(self, number: int, level: int) -> None:
        """Give an input a level from outside."""
        self._memory[_PIN_AT + number * _PIN.size + _INPUT_AT] = level

    def apply(self, number: int, reading: int) -> None:
        """Give an analogue input a reading."""
        struct.pack_into("<H", self._memory, _PIN_AT + number * _PIN.size + _READING_AT, reading)

    def changes(self, since: int) -> Iterator[Change]:
        """What was recorded, from a number on; what is too old is left out."""
        count = self.recorded
        for number in range(max(since, count - _CAPACITY), count):
            at_us, pin, kind, value = _RECORD.unpack_from(self._memory, self._record_at(number))
            yield Change(at_us / 1e6, pin, kind, value)

    @property
    def recorded(self) -> int:
        """How many changes there have been."""
        return int(_HEAD.unpack_from(self._memory)[0])

    @property
    def flash_written(self) -> int:
        """Bytes of flash that have been written or erased."""
        return int(_HEAD.unpack_from(self._memory)[2])

    @property
    def program(self) -> int:
        """The process that runs the program; 0: there is none yet."""
        return int(_HEAD.unpack_from(self._memory)[3])

    @program.setter
    def program(self, pid: int) -> None:
        struct.pack_into("<I", self._memory, _PROGRAM_AT, pid)

    def cut_flash(self, after: int | None) -> None:
        """Cut the power after so many more bytes of flash are written or erased; None: don't."""
        struct.pack_into("<I", self._memory, _BUDGET_AT, 0 if after is None else after + 1)

    def read_device(self, address: int, register: int, count: int) -> bytes:
        """What registers of a device on the I2C bus hold."""
        begin = _DEVICE_REGISTERS_AT + address * _DEVICE_BYTES + register
        return self._memory[begin : begin + count]

    def write_device(self, address: int, register: int, data: bytes) -> None:
        """Set registers of a device on the I2C bus."""
        begin = _DEVICE_REGISTERS_AT + address * _DEVICE_BYTES + register
        self._memory[begin : begin + len(data)] = data

    def attach(self, address: int, *, there: bool) -> None:
        """Put a device on the I2C bus, or take it off."""
        self._memory[_DEVICES_AT + address] = there

    def select(self, pin: int, *, there: bool) -> None:
        """Put a device on the SPI bus that this pin selects, or take it off; it has heard nothing."""
        at = _SELECTED_AT + pin * _SELECTED_BYTES
        self._memory[at] = there
        struct.pack_into("<H", self._memory, at + _SHIFTED_AT, 0)

    def say(self, pin: int, data: bytes) -> None:
        """What a device on the SPI bus says from its selection on; 0xFF follows."""
        at = _SELECTED_AT + pin * _SELECTED_BYTES + _SAYS_AT
        self._memory[at : at + SHIFTED_MOST] = data.ljust(SHIFTED_MOST, b"\xff")

    def heard(self, pin: int) -> bytes:
        """What a device on the SPI bus was sent when it was selected last."""
        at = _SELECTED_AT + pin * _SELECTED_BYTES
        (count,) = struct.unpack_from("<H", self._memory, at + _SHIFTED_AT)
        return self._memory[at + _HEARD_AT : at + _HEARD_AT + count]

    def _record(self, pin: int, kind: int, value: int) -> None:
        count, *rest = _HEAD.unpack_from(self._memory)
        _RECORD.pack_into(self._memory, self._record_at(count), time.monotonic_ns() // 1000, pin, kind, value)
        _HEAD.pack_into(self._memory, 0, count + 1, *rest)

    @staticmethod
    def _record_at(number: int) -> int:
        return _RECORDS_AT + number % _CAPACITY * _RECORD.size
