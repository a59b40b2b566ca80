"""What leads out of an emulated board: its registers, words to what supervises it, and descriptors.

The registers are memory that the test sees too; their layout is that of `hil/micropython/registers.py`.
"""

import os
import time
from struct import pack_into

import uctypes
from micropython import const

PINS = const(64)
MODE = const(
    0
)  # of a pin's registers: u8 mode, output, input, pull; u16 reading, duty; u32 frequency; u8 irq
OUTPUT = const(1)
INPUT = const(2)
PULL = const(3)
READING = const(4)
DUTY = const(6)
FREQUENCY = const(8)
TRIGGER = const(12)

UNUSED = const(0)
IN = const(1)
OUT = const(2)
OPEN_DRAIN = const(3)
ANALOG = const(4)
PULSES = const(5)

UNCONNECTED = const(0xFF)

VALUE = const(0)  # kinds of records
CHANGED_DUTY = const(1)
CHANGED_FREQUENCY = const(2)

DEVICES = const(2048)  # of the I2C bus: which are there, and 256 registers of each
DEVICE_REGISTERS = const(4096)

GET_FILENO = const(10)  # MP_STREAM_GET_FILENO

CLOCK_AHEAD = const(16)  # i64 seconds by which the clock is ahead of this machine's

SELECTED = const(65536 * 17)  # devices on the SPI bus, by their pins: u8 whether it is there, …
SELECTED_BYTES = const(8192)
SHIFTED = const(2)  # … u16 bytes since it was selected last, what it says, what it has heard
SHIFTED_MOST = const(4000)
SAYS = const(64)
HEARD = const(4096)

_PIN = const(64)
_PIN_BYTES = const(16)
_RECORDS = const(65536)
_RECORD_BYTES = const(16)
_CAPACITY = const(65536)
_SIZE = const(65536 * 17 + 64 * 8192)

_control, RAW, _address, EVENTS, POKE, *UARTS = map(int, os.getenv("BOARDTALK_WIRES").split(","))
_control = open(_control, "wb", 0)
registers = uctypes.bytearray_at(_address, _SIZE)
_head = uctypes.struct(
    _address,
    {
        "recorded": 0 | uctypes.UINT32,  # how many records there have been
        "budget": 4 | uctypes.UINT32,  # bytes of flash until the power is cut, plus 1; 0: it is not
        "written": 8 | uctypes.UINT32,  # bytes of flash that were written or erased
    },
)
masked = 0
"""Interrupts are held up unless it is 0."""


def tell(word):
    """Tell the supervisor a line."""
    _control.write(word + "\n")


def halt(word):
    """Tell the supervisor to end this. Does not return."""
    tell(word)
    while True:
        try:
            time.sleep(1)
        except KeyboardInterrupt:
            pass


def at(pin):
    """Where a pin's registers begin."""
    if not 0 <= pin < PINS:
        raise ValueError("invalid pin")
    return _PIN + pin * _PIN_BYTES


def is_low(pin):
    """Whether a pin is an output that is low."""
    state = _PIN + pin * _PIN_BYTES
    return registers[state + MODE] == OUT and not registers[state + OUTPUT]


def record(pin, kind, value):
    """Note what a pin does, with the time. Without a loop or branch, so that no interrupt comes between."""
    count = _head.recorded
    pack_into(
        "<QHHI",
        registers,
        _RECORDS + count % _CAPACITY * _RECORD_BYTES,
        time.ticks_us(),
        pin,
        kind,
        value,
    )
    _head.recorded = count + 1


def flash(count):
    """Note that so many bytes of flash are being written. Returns how many of them still have power.

    It needs no memory: files are closed while garbage is collected too.
    """
    budget = _head.budget
    powered = min(count, budget - 1) if budget else count
    if budget:
        _head.budget = budget - powered
    _head.written += powered
    return powered
