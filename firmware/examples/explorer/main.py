"""A rover that looks where it goes: the rover's `chassis.py` belongs beside it, whose sonar it uses."""

import asyncio
from math import sqrt

from chassis import ACCELERATION, TOP_SPEED, Chassis

from boardtalk import Arg, Board

explorer = Board("explorer", version="1.0", about="a rover that looks where it goes")
chassis = Chassis()


@explorer.telemetry("cm", rate=5, help="free way in front")
def distance():
    return chassis.distance()


@explorer.telemetry(rate=5, help="whether it touches something in front", type=bool)
def bumper():
    return chassis.bumper()


@explorer.command(
    "motion",
    help="drive until something is near",
    near=Arg(int, "cm", 5, 200, default=20),
    speed=Arg(int, "%", 1, 100, default=30),
    returns={"distance": Arg(float, "cm")},
)
async def approach(near, speed):
    while (rest := chassis.distance() - near) > 0:
        if chassis.bumper():
            raise RuntimeError("something is in the way that it did not see")
        power = min(speed, 100 * sqrt(2 * ACCELERATION * rest) / TOP_SPEED + 1)
        chassis.drive(power, power)
        await asyncio.sleep_ms(20)
    chassis.stop()
    await asyncio.sleep_ms(100)  # until it stands
    return chassis.distance()


@explorer.command(
    "motion",
    help="turn to the left until there is room",
    room=Arg(int, "cm", 10, 300, default=100),
    returns={"heading": Arg(float, "deg")},
)
async def search(room):
    while chassis.distance() < room:
        chassis.drive(-10, 10)
        await asyncio.sleep_ms(20)
    chassis.stop()
    return chassis.position()[2]


@explorer.on_stop
def stop():
    chassis.stop()


explorer.run()
