"""A rover with two driven wheels: what people can tell it, and what it tells them."""

import asyncio
from math import radians, sqrt

from chassis import ACCELERATION, TOP_SPEED, TRACK, Chassis

from boardtalk import Arg, Board

rover = Board("rover", version="1.0", about="a rover with two driven wheels")
chassis = Chassis()

PLACE = {"x": Arg(float, "cm"), "y": Arg(float, "cm"), "heading": Arg(float, "deg")}


async def roll(path, speed, left, right):
    """Let the wheels roll `path` cm; `left` and `right` are 1 for forward, -1 for backward."""
    if path / (TOP_SPEED * speed / 100) > 9:
        raise ValueError("that would take too long: go faster, or not so far")
    goal = chassis.odometer() + path
    while (rest := goal - chassis.odometer()) > 0.1:
        if left == right == 1 and chassis.bumper():
            raise RuntimeError("something is in the way")
        # As fast as it may, but so that it can stop in time: v² = 2·a·s.
        power = min(speed, 100 * sqrt(2 * ACCELERATION * rest) / TOP_SPEED + 1)
        chassis.drive(left * power, right * power)
        await asyncio.sleep_ms(20)
    chassis.stop()
    await asyncio.sleep_ms(50)  # until it stands
    return chassis.position()


@rover.command(
    "motion",
    help="drive forward",
    distance=Arg(int, "cm", 1, 500),
    speed=Arg(int, "%", 1, 100, default=50),
    returns=PLACE,
)
async def forward(distance, speed):
    return await roll(distance, speed, 1, 1)


@rover.command(
    "motion",
    help="drive backward",
    distance=Arg(int, "cm", 1, 500),
    speed=Arg(int, "%", 1, 100, default=50),
    returns=PLACE,
)
async def back(distance, speed):
    return await roll(distance, speed, -1, -1)


@rover.command(
    "motion",
    help="turn on the spot, to the left if positive",
    angle=Arg(int, "deg", -360, 360),
    speed=Arg(int, "%", 1, 100, default=30),
    returns=PLACE,
)
async def turn(angle, speed):
    side = 1 if angle > 0 else -1
    return await roll(radians(abs(angle)) * TRACK / 2, speed, -side, side)


@rover.command("action", help="sound the horn", duration=Arg(float, "s", 0.1, 5, default=0.5))
async def horn(duration):
    chassis.horn(True)
    try:
        await asyncio.sleep(duration)
    finally:
        chassis.horn(False)


@rover.telemetry(rate=5, help="where it is", **PLACE)
def position():
    return chassis.position()


@rover.telemetry("V", rate=1, help="voltage of the battery")
def battery():
    return chassis.battery()


@rover.control(help="drive live", x=Arg(float, "%", -100, 100), y=Arg(float, "%", -100, 100))
def drive(x, y):
    """`y` is forward, `x` to the right."""
    chassis.drive(y + x, y - x)


rover.event("bumped", help="it ran into something", **PLACE)


@rover.task
async def watch():
    """Tell when the bumper is hit."""
    hit = False
    while True:
        was, hit = hit, chassis.bumper()
        if hit and not was:
            x, y, heading = chassis.position()
            rover.emit("bumped", x=x, y=y, heading=heading)
        await asyncio.sleep_ms(50)


@rover.on_stop
def stop():
    chassis.stop()
    chassis.horn(False)


rover.run()
