"""Devices on a board's I2C bus, as the test sets them up: 256 registers each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boardtalk.hil.micropython.registers import Registers


class Device:
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


class Bus:
    """The I2C bus."""

    def __init__(self, memory: Registers) -> None:
        self._memory = memory

    def attach(self, address: int) -> Device:
        """Put a device on it."""
        return Device(self._memory, address)
