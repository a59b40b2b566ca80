"""The rover's chassis, simulated: the same interface as in firmware/examples/rover."""

from math import cos, degrees, radians, sin
from time import ticks_diff, ticks_us

from world import World

TOP_SPEED = 140  # cm/s at full power
ACCELERATION = 40  # cm/s²
TRACK = 12  # cm between the wheels

_BRAKE = 400  # cm/s² with the motors short-circuited
_STEP_S = 0.005
_IDLE_A = 0.2
_FULL_POWER_A = 2.0
_CAPACITY_AS = 7200  # 2 Ah
_FULL_V = 8.4
_EMPTY_V = 6.0


class Chassis:
    """Two wheels with inertia, a battery that drains, and something to run into."""

    def __init__(self):
        self._power = [0.0, 0.0]
        self._speed = [0.0, 0.0]
        self._brake = True
        self._x = self._y = self._heading = 0.0
        self._rolled = 0.0
        self._used = 0.0
        self._voltage = None
        self._free = None
        self._then = ticks_us()
        self._world = World()

    def drive(self, left, right):
        """Set the power of the wheels, % of full, negative for backward."""
        self._move()
        self._set(left, right, False)

    def stop(self):
        """Power off, brakes on."""
        self._move()
        self._set(0, 0, True)

    def horn(self, on):
        """Sound the horn or be silent."""
        self._world.tell(horn=on)

    def odometer(self):
        """Mean way that the wheels have rolled, cm, in either direction."""
        self._move()
        return self._rolled

    def position(self):
        """(x, y, heading) in cm and degrees, from where it started; heading is positive to the left."""
        self._move()
        return round(self._x, 1), round(self._y, 1), round(degrees(self._heading), 1)

    def battery(self):
        """Voltage."""
        self._move()
        if self._voltage is not None:
            return self._voltage
        return round(_FULL_V - (_FULL_V - _EMPTY_V) * min(self._used / _CAPACITY_AS, 1), 2)

    def bumper(self):
        """Whether it touches something in front."""
        self._move()
        return self._free is not None and self._free <= 0

    def _set(self, left, right, brake):
        power = [max(-100, min(100, left)), max(-100, min(100, right))]
        if power != self._power:
            self._world.tell(left=power[0], right=power[1], x=self._x, y=self._y)
        self._power = power
        self._brake = brake

    def _move(self):
        """Live through the time that has passed."""
        told = self._world.hear()
        self._voltage = told.get("battery", self._voltage)
        self._free = told.get("obstacle_cm", self._free)
        now = ticks_us()
        left = ticks_diff(now, self._then) / 1_000_000
        self._then = now
        while left > 0:
            self._step(min(left, _STEP_S))
            left -= _STEP_S

    def _step(self, dt):
        for wheel in (0, 1):
            wanted = self._power[wheel] * TOP_SPEED / 100
            change = (_BRAKE if self._brake else ACCELERATION) * dt
            speed = self._speed[wheel]
            self._speed[wheel] = max(speed - change, min(speed + change, wanted))
        left, right = self._speed
        way = (left + right) / 2 * dt
        if self._free is not None:
            if way > 0 and self._free <= way:  # the wheels slip
                way = max(0, self._free)
                self._speed = [0.0, 0.0]
            self._free -= way
        self._rolled += (abs(left) + abs(right)) / 2 * dt
        self._heading += (right - left) / TRACK * dt
        self._x += way * cos(self._heading)
        self._y += way * sin(self._heading)
        load = (abs(self._power[0]) + abs(self._power[1])) / 200
        self._used += (_IDLE_A + _FULL_POWER_A * load) * dt
