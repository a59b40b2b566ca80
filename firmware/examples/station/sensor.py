"""The station's sensor: an HDC1080 on the I2C bus. Put in the pins of yours."""

import sys
from time import sleep_ms

from machine import I2C, Pin

_ADDRESS = 0x40
_MEASURE = b"\0"  # the register of the temperature: the humidity comes behind it
_MEASURE_MS = 15

SCL, SDA = {"rp2": (5, 4), "esp32": (22, 21)}[sys.platform]


class Sensor:
    """Temperature and humidity."""

    def __init__(self):
        self._bus = I2C(0, scl=Pin(SCL), sda=Pin(SDA))

    def read(self):
        """(temperature in °C, relative humidity in %). Raises OSError: it does not answer."""
        self._bus.writeto(_ADDRESS, _MEASURE)
        sleep_ms(_MEASURE_MS)
        data = self._bus.readfrom(_ADDRESS, 4)
        temperature = (data[0] << 8 | data[1]) * 165 / 65536 - 40
        humidity = (data[2] << 8 | data[3]) * 100 / 65536
        return round(temperature, 2), round(humidity, 1)
