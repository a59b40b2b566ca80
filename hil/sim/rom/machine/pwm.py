"""Pulse-width modulation: duty and frequency are numbers that the test sees, no pulses are made."""

from struct import pack_into, unpack_from

from machine import wires
from machine.pin import Pin
from machine.wires import registers


class PWM:
    """Pulses on a pin."""

    def __init__(self, dest, *, freq=None, duty_u16=None, duty_ns=None, invert=False):
        self._pin = dest if isinstance(dest, Pin) else Pin(dest)
        self._number = self._pin.number
        self._at = wires.at(self._number)
        registers[self._at + wires.MODE] = wires.PULSES
        self.init(freq=freq, duty_u16=duty_u16, duty_ns=duty_ns)

    def init(self, *, freq=None, duty_u16=None, duty_ns=None, invert=False):
        registers[self._at + wires.MODE] = wires.PULSES
        if freq is not None:
            self.freq(freq)
        if duty_u16 is not None:
            self.duty_u16(duty_u16)
        if duty_ns is not None:
            self.duty_ns(duty_ns)

    def deinit(self):
        self.duty_u16(0)
        registers[self._at + wires.MODE] = wires.IN

    def freq(self, hz=None):
        if hz is None:
            return unpack_from("<I", registers, self._at + wires.FREQUENCY)[0]
        if hz < 1:
            raise ValueError("freq too small")
        pack_into("<I", registers, self._at + wires.FREQUENCY, hz)
        wires.record(self._number, wires.CHANGED_FREQUENCY, hz)

    def duty_u16(self, duty=None):
        if duty is None:
            return unpack_from("<H", registers, self._at + wires.DUTY)[0]
        if not 0 <= duty <= 65535:
            raise ValueError("duty_u16 must be from 0 to 65535")
        if duty != self.duty_u16():
            pack_into("<H", registers, self._at + wires.DUTY, duty)
            wires.record(self._number, wires.CHANGED_DUTY, duty)

    def duty_ns(self, ns=None):
        period = 1_000_000_000 // (self.freq() or 1)
        if ns is None:
            return self.duty_u16() * period // 65535
        self.duty_u16(min(65535, ns * 65535 // period))
