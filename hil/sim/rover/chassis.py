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
    """Two wheels with inertia, a battery that drains, and an arena, if the test makes one.

    The test may set the battery's voltage; it is told each change of outputs.
    """

    def __init__(self):
        self._power = (0, 0)
        self._rate = _BRAKE
        self._left = self._right = 0.0  # speeds, cm/s
        self.x = self.y = self.heading = self._rolled = 0.0
        self._voltage = 8.2
        self._arena = None
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
        return round(self.x, 1), round(self.y, 1), round(degrees(self.heading), 1)

    def battery(self):
        """Voltage."""
        self._move()
        return round(self._voltage, 2)

    def bumper(self):
        """Whether it touches something in front."""
        self._move()
        return self._arena is not None and self._arena.touches()

    def distance(self):
        """Free way in front, cm; 400: as far as it sees."""
        self._move()
        return self._arena.distance() if self._arena else 400.0

    def _set(self, power):
        if power != self._power:
            self._power = power
            self._world.tell(left=power[0], right=power[1], x=self.x, y=self.y)

    def _move(self):
        """Live through the time that has passed, in small steps."""
        told = self._world.hear()
        self._voltage = told.pop("battery", self._voltage)
        if told:
            from arena import Arena  # takes memory only where there is something to run into

            self._arena = self._arena or Arena(self)
            self._arena.change(told)
        now = ticks_us()
        passed = ticks_diff(now, self._then)
        self._then = now
        while passed > 0:
            step = _STEP_US if any(self._power) or self._left or self._right else passed
            seconds = min(passed, step) / 1_000_000
            passed -= step
            change = self._rate * seconds
            left = _approach(self._left, self._power[0] * TOP_SPEED / 100, change)
            right = _approach(self._right, self._power[1] * TOP_SPEED / 100, change)
            if self._arena:
                held = self._arena.held((left + right) / 2, seconds)
                left -= held
                right -= held
            self._left = left
            self._right = right
            way = (left + right) / 2 * seconds
            self._rolled += (abs(left) + abs(right)) / 2 * seconds
            self.heading += (right - left) / TRACK * seconds
            self.x += way * cos(self.heading)
            self.y += way * sin(self.heading)
            self._voltage -= (1 + abs(left) / 10) * 1e-4 * seconds


def _approach(value, goal, change):
    return max(value - change, min(value + change, goal))
