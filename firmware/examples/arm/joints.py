"""The joints of the arm: three hobby servos. Put in the pins and measures of yours."""

import sys

from machine import PWM, Pin

UPPER_ARM = 20  # cm
FOREARM = 15
FULL_SPEED = 120  # degrees per second

_SHORTEST_NS = 500_000  # pulse at one end of a servo, and how much longer it is at the other
_SPAN_NS = 2_000_000

SHOULDER, ELBOW, GRIPPER = {"rp2": (2, 3, 4), "esp32": (25, 26, 27)}[sys.platform]


class Joints:
    """Servos have no feedback: where they are is where they were sent."""

    def __init__(self):
        self._servos = [PWM(Pin(pin), freq=50, duty_u16=0) for pin in (SHOULDER, ELBOW, GRIPPER)]
        self._angles = (90, 0)

    def set(self, shoulder, elbow):
        """Send the joints to angles: 0 to 180 degrees from the horizon, and -90 to 90 from straight."""
        self._angles = (shoulder, elbow)
        self._send(0, shoulder)
        self._send(1, elbow + 90)

    def angles(self):
        """Where they are, degrees."""
        return self._angles

    def hold(self):
        """Stay where they are."""

    def grip(self, closed):
        """Close or open the gripper."""
        self._send(2, 120 if closed else 60)

    def _send(self, servo, angle):
        self._servos[servo].duty_ns(_SHORTEST_NS + int(angle * _SPAN_NS / 180))
