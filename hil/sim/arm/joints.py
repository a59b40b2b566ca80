"""The arm's joints, simulated: the same interface as in firmware/examples/arm."""

from time import ticks_diff, ticks_us

from world import World

UPPER_ARM = 20  # cm
FOREARM = 15
FULL_SPEED = 120  # degrees per second

_SERVO_SPEED = 300  # degrees per second, as fast as a servo can


class Joints:
    """Servos that take their time, and a gripper.

    The test may hold the arm (`blocked=True`); it is told where the joints are sent.
    """

    def __init__(self):
        self._goals = (90.0, 0.0)
        self._angles = (90.0, 0.0)
        self._blocked = False
        self._then = ticks_us()
        self._world = World()

    def set(self, shoulder, elbow):
        """Send the joints to angles: 0 to 180 degrees from the horizon, and -90 to 90 from straight."""
        self._move()
        goals = max(0, min(180, shoulder)), max(-90, min(90, elbow))
        if goals != self._goals:
            self._goals = goals
            self._world.tell(shoulder=goals[0], elbow=goals[1])

    def angles(self):
        """Where they are, degrees."""
        self._move()
        return self._angles

    def hold(self):
        """Stay where they are."""
        self.set(*self.angles())
        self._world.tell(held=True)

    def grip(self, closed):
        """Close or open the gripper."""
        self._world.tell(grip=closed)

    def _move(self):
        """Live through the time that has passed."""
        self._blocked = self._world.hear().get("blocked", self._blocked)
        now = ticks_us()
        way = ticks_diff(now, self._then) / 1_000_000 * _SERVO_SPEED
        self._then = now
        if not self._blocked:
            self._angles = tuple(
                [max(at - way, min(at + way, goal)) for at, goal in zip(self._angles, self._goals)]
            )
