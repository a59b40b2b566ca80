"""The rover's chassis, simulated: the same interface as in firmware/examples/rover."""

from math import cos, degrees, sin
from time import ticks_diff, ticks_us

from micropython import const
from world import World

TOP_SPEED = 140  # cm/s at full power
ACCELERATION = 40  # cm/s²
TRACK = 12  # cm between the wheels

_BRAKE = const(400)  # cm/s² with the motors short-circuited
_STEP_US = const(5000)


class Chassis:
    """Two wheels with inertia, a battery that drains, and something to run into.

    The test may set the battery's voltage and the free way ahead; it is told each change of outputs.
    """

    def __init__(self):
        self._power = (0, 0)
        self._rate = _BRAKE
        self._left = self._right = 0.0  # speeds, cm/s
        self._x = self._y = self._heading = self._rolled = 0.0
        self._voltage = 8.2
        self._free = 1e9
        self._then = ticks_us()
        self._world = World()

    def drive(self, left, right):
        """Set the power of the wheels, % of full, negative for backward."""
        self._move()
        self._rate = ACCELERATION
        self._set((max(-100, min(100, left)), max(-100, min(100, right))))

    def stop(self):
        """Power off, brakes on."""
        self._move()
        self._rate = _BRAKE
        self._set((0, 0))

    def horn(self, on):
        """Sound the horn or be silent."""
        self._world.tell(horn=on)

    def odometer(self):
        """Mean way that the wheels have rolled, cm, in either direction."""
        self._move()
        return self._rolled

    def position(self):
        """(x, y, heading) in cm and degrees from where it started; heading is positive to the left."""
        self._move()
        return round(self._x, 1), round(self._y, 1), round(degrees(self._heading), 1)

    def battery(self):
        """Voltage."""
        self._move()
        return round(self._voltage, 2)

    def bumper(self):
        """Whether it touches something in front."""
        self._move()
        return self._free <= 0

    def _set(self, power):
        if power != self._power:
            self._power = power
            self._world.tell(left=power[0], right=power[1], x=self._x, y=self._y)

    def _move(self):
        """Live through the time that has passed, in small steps."""
        told = self._world.hear()
        self._voltage = told.get("battery", self._voltage)
        self._free = told.get("obstacle_cm", self._free)
        now = ticks_us()
        passed = ticks_diff(now, self._then)
        self._then = now
        while passed > 0:
            seconds = min(passed, _STEP_US) / 1_000_000
            passed -= _STEP_US
            change = self._rate * seconds
            self._left = left = _approach(self._left, self._power[0] * TOP_SPEED / 100, change)
            self._right = right = _approach(self._right, self._power[1] * TOP_SPEED / 100, change)
            way = min((left + right) / 2 * seconds, max(0, self._free))  # else the wheels slip
            self._free -= way
            self._rolled += (abs(left) + abs(right)) / 2 * seconds
            self._heading += (right - left) / TRACK * seconds
            self._x += way * cos(self._heading)
            self._y += way * sin(self._heading)
            self._voltage -= (1 + abs(left) / 10) * 1e-4 * seconds


def _approach(value, goal, change):
    return max(value - change, min(value + change, goal))
