"""The station's sensor, simulated: the same interface as in firmware/examples/station."""

import os
import random
from math import exp
from time import ticks_diff, ticks_us

from world import World

_SETTLES_S = 5  # a sensor takes its time to feel the air
_TEMPERATURE_NOISE = 0.05
_HUMIDITY_NOISE = 0.5


class Sensor:
    """Feels the air, with a little noise, which is the same for the same seed.

    The test may change the air (`temperature`, `humidity`), skip time (`skip_s`) or break it (`broken`).
    """

    def __init__(self):
        random.seed(int(os.getenv("BOARDTALK_SEED") or 1))
        self._air = {"temperature": 21.0, "humidity": 45.0, "broken": False}
        self._felt = 21.0
        self._then = ticks_us()
        self._world = World()

    def read(self):
        """(temperature in °C, relative humidity in %). Raises OSError: it does not answer."""
        self._live()
        if self._air["broken"]:
            raise OSError(5)
        temperature = self._felt + _noise(_TEMPERATURE_NOISE)
        humidity = self._air["humidity"] + _noise(_HUMIDITY_NOISE)
        return round(temperature, 2), round(max(0, min(100, humidity)), 1)

    def _live(self):
        """Live through the time that has passed, and the time that the test skips."""
        now = ticks_us()
        passed = ticks_diff(now, self._then) / 1_000_000
        self._then = now
        told = self._world.hear()
        self._feel(passed)
        self._air.update(told)
        self._feel(told.get("skip_s", 0))

    def _feel(self, seconds):
        self._felt += (self._air["temperature"] - self._felt) * (1 - exp(-seconds / _SETTLES_S))


def _noise(width):
    return random.uniform(-width, width)  # noqa: S311 - repeatable, not secret
