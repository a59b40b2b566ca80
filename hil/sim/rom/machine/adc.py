"""Analogue inputs: they read what the test has set."""

from struct import unpack_from

from machine import wires
from machine.pin import Pin
from machine.wires import registers


class ADC:
    """An analogue input, by its pin or channel."""

    CORE_TEMP = 4
    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3

    def __init__(self, id, **settings):
        number = id.number if isinstance(id, Pin) else id
        self._at = wires.at(number if number >= 26 or isinstance(id, Pin) else 26 + number)
        registers[self._at + wires.MODE] = wires.ANALOG

    def read_u16(self):
        return unpack_from("<H", registers, self._at + wires.READING)[0]

    def read_uv(self):
        return self.read_u16() * 3_300_000 // 65535

    def read(self):
        return self.read_u16() >> 4
