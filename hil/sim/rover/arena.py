"""What stands around the rover: posts and the walls of a room."""

import os
import random
from math import cos, pi, sin, sqrt

from micropython import const

_RANGE = 400.0  # cm, of the distance sensor
_RADIUS = const(8)  # cm: the rover is round


class Arena:
    """The test puts things there, and says how bad the sensor is.

    `obstacles`: posts, each x, y, radius; `obstacle_cm`: one post, so far in front; `room`: its walls, left,
    bottom, right, top. All in cm from where the rover started. `noise_cm` is the most that the sensor is
    wrong, `seed` that of its chance.
    """

    def __init__(self, rover):
        random.seed(int(os.getenv("BOARDTALK_SEED") or 1))
        self._rover = rover
        self._posts = []
        self._room = None
        self._noise = 0.5

    def change(self, told):
        """The test says what there is."""
        self._posts = told.get("obstacles", self._posts)
        self._room = told.get("room", self._room)
        self._noise = told.get("noise_cm", self._noise)
        if "seed" in told:
            random.seed(told["seed"])
        if "obstacle_cm" in told:
            far = told["obstacle_cm"] + 2 * _RADIUS
            heading = self._rover.heading
            self._posts = [(self._rover.x + far * cos(heading), self._rover.y + far * sin(heading), _RADIUS)]

    def held(self, speed, seconds):
        """By how much things that are in the way lower a speed; it is negative for backward."""
        way = abs(speed) * seconds
        free = self._free(self._rover.heading + (pi if speed < 0 else 0), _RADIUS)
        lost = max(0, way - max(0, free)) / seconds
        return -lost if speed < 0 else lost

    def touches(self):
        """Whether something is at the bumper."""
        return self._free(self._rover.heading, _RADIUS) < 0.1

    def distance(self):
        """What the sensor at the bumper tells: cm to what is in front."""
        free = self._free(self._rover.heading, 0) - _RADIUS
        if free >= _RANGE:
            return _RANGE
        return round(max(0, free + random.uniform(-self._noise, self._noise)), 1)  # noqa: S311 - repeatable

    def _free(self, heading, radius):
        """Way from the rover to where a disk of a radius would touch something."""
        x, y = self._rover.x, self._rover.y
        ahead, aside = cos(heading), sin(heading)
        free = 1e9
        for post_x, post_y, post in self._posts:
            size = post + radius
            along = (post_x - x) * ahead + (post_y - y) * aside
            across = (post_x - x) * aside - (post_y - y) * ahead
            if along > 0 and abs(across) < size:
                free = min(free, along - sqrt(size * size - across * across))
        if self._room:
            left, bottom, right, top = self._room
            for part, low, high in ((ahead, left - x, right - x), (aside, bottom - y, top - y)):
                if abs(part) > 1e-9:
                    free = min(free, ((high - radius) if part > 0 else (low + radius)) / part)
        return free
