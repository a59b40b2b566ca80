"""An arm with two joints and a gripper: what people can tell it, and what it tells them."""

import asyncio
from math import acos, atan2, cos, degrees, radians, sin

from joints import FOREARM, FULL_SPEED, UPPER_ARM, Joints

from boardtalk import Arg, Board

arm = Board("arm", version="1.0", about="an arm with two joints and a gripper")
joints = Joints()

POSE = {"x": Arg(float, "cm"), "y": Arg(float, "cm")}
STEP_MS = 20


def place():
    """(x, y) of the gripper in cm; the shoulder is at (0, 0), x is forward and y is up."""
    shoulder, elbow = joints.angles()
    upper, fore = radians(shoulder), radians(shoulder + elbow)
    x = UPPER_ARM * cos(upper) + FOREARM * cos(fore)
    y = UPPER_ARM * sin(upper) + FOREARM * sin(fore)
    return round(x, 1), round(y, 1)


async def swing(shoulder, elbow, speed):
    """Move both joints so that they arrive together."""
    goal = shoulder, elbow
    start = joints.angles()
    longest = max(abs(goal[0] - start[0]), abs(goal[1] - start[1]))
    steps = int(longest / (FULL_SPEED * speed / 100) * 1000 / STEP_MS) + 1
    for step in range(1, steps + 1):
        joints.set(*[at + (end - at) * step / steps for at, end in zip(start, goal)])
        await asyncio.sleep_ms(STEP_MS)
    await asyncio.sleep_ms(100)  # until it stands
    if any(abs(end - at) > 3 for at, end in zip(joints.angles(), goal)):
        raise RuntimeError("something is in the way")
    return place()


@arm.command(
    "motion",
    help="turn both joints",
    shoulder=Arg(int, "deg", 0, 180),
    elbow=Arg(int, "deg", -90, 90),
    speed=Arg(int, "%", 10, 100, default=50),
    returns=POSE,
)
async def turn(shoulder, elbow, speed):
    return await swing(shoulder, elbow, speed)


@arm.command(
    "motion",
    help="bring the gripper to a place",
    x=Arg(float, "cm", -40, 40),
    y=Arg(float, "cm", 0, 40),
    speed=Arg(int, "%", 10, 100, default=50),
    returns=POSE,
)
async def reach(x, y, speed):
    bend = (x * x + y * y - UPPER_ARM * UPPER_ARM - FOREARM * FOREARM) / (2 * UPPER_ARM * FOREARM)
    if not 0 <= bend <= 1:  # the elbow bends by 90 degrees at most
        raise ValueError("that is out of reach")
    elbow = -acos(bend)
    shoulder = atan2(y, x) - atan2(FOREARM * sin(elbow), UPPER_ARM + FOREARM * cos(elbow))
    if not 0 <= degrees(shoulder) <= 180:
        raise ValueError("that is out of reach")
    return await swing(degrees(shoulder), degrees(elbow), speed)


@arm.command("action", help="open or close the gripper", hand=Arg(choices=("open", "close")))
def grip(hand):
    joints.grip(hand == "close")


@arm.telemetry(rate=5, help="where the gripper is", **POSE)
def position():
    return place()


@arm.on_stop
def stop():
    joints.hold()


arm.run()
