"""A robot for the tiny client: one motor, on pin 0, and the arithmetic that shows that it thinks.

Per command, in the order of `dictionary.json`: its class, the format of its arguments, its code. What that
returns is packed already. A generator takes time: it yields while it goes on, and returns nothing. Queries
are answered at once, whatever runs.
"""

from struct import pack

from microbit import pin0, running_time

NAME = "tiny"
motor = 0


def stop():
    """The robot's safe state."""
    global motor
    motor = 0
    pin0.write_digital(0)


def drive(ms):
    """Motor on, for some time."""
    global motor
    motor = 1
    pin0.write_digital(1)
    end = running_time() + ms
    while running_time() < end:
        yield
    stop()


def add(a, b):
    """Numbers."""
    return pack("<i", a + b)


def power():
    """Whether the motor runs."""
    return pack("B", motor)


QUERY, ACTION, MOTION = 0, 1, 2
COMMANDS = ((MOTION, "<i", drive), (ACTION, "<ii", add), (QUERY, "", power))
