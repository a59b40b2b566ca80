"""Devices on a board's buses, as the test sets them up: registers on I2C, what is said and heard on SPI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boardtalk.hil.micropython.registers import PINS, SHIFTED_MOST
from boardtalk.sdk import BoardtalkError

if TYPE_CHECKING:
    from boardtalk.hil.micropython.registers import Registers


class BusError(BoardtalkError):
    """A bus has no place for such a device, or it can't say that."""


class I2cDevice:
    """What answers at an address."""

    def __init__(self, memory: Registers, address: int) -> None:
        self._memory = memory
        self._address = address
        memory.attach(address, there=True)

    def __getitem__(self, register: int) -> int:
        """What a register holds."""
        return self._memory.read_device(self._address, register, 1)[0]

    def __setitem__(self, register: int, data: int | bytes) -> None:
        """Set a register, or several from this one on."""
        self._memory.write_device(self._address, register, data if isinstance(data, bytes) else bytes([data]))

    def detach(self) -> None:
        """Take it off the bus: nobody answers any more."""
        self._memory.attach(self._address, there=False)


class I2cBus:
    """The I2C bus."""

    def __init__(self, memory: Registers) -> None:
        self._memory = memory

    def attach(self, address: int) -> I2cDevice:
        """Put a device on it."""
        return I2cDevice(self._memory, address)


class SpiDevice:
    """What a pin selects. Each byte that the program clocks goes both ways, as on the wire."""

    def __init__(self, memory: Registers, pin: int) -> None:
        self._memory = memory
        self._pin = pin
        memory.select(pin, there=True)
        self.says(b"")

    def says(self, data: bytes) -> None:
        """What it answers each time from its selection on, also while it is told something; 0xFF follows.

        Raises:
            BusError: it is more than 4,000 bytes.
        """
        if len(data) > SHIFTED_MOST:
            raise BusError(f"a device on the SPI bus says {SHIFTED_MOST} bytes at most, not {len(data)}")
        self._memory.say(self._pin, data)

    @property
    def heard(self) -> bytes:
        """What it has been told since it was selected last; of more than 4,000 bytes the first."""
        return self._memory.heard(self._pin)

    def detach(self) -> None:
        """Take it off the bus: nobody answers any more."""
        self._memory.select(self._pin, there=False)


class SpiBus:
    """The SPI bus."""

    def __init__(self, memory: Registers) -> None:
        self._memory = memory

    def attach(self, pin: int) -> SpiDevice:
        """Put a device on it that listens while this pin is an output and low.

        Raises:
            BusError: the board has no such pin.
        """
        if not 0 <= pin < PINS:
            raise BusError(f"there is no pin {pin}: a board has {PINS}")
        return SpiDevice(self._memory, pin)
