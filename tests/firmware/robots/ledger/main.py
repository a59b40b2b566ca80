"""A robot that tells its world what it does, by number: what the fault campaigns are judged by."""

import asyncio

from world import World

from boardtalk import Arg, Board

NUMBER = Arg(int, "", 0, 1_000_000_000)

world = World()
robot = Board("ledger")
power = 0


def put(value):
    """Set the only output; each change is told."""
    global power
    if value != power:
        power = value
        world.tell(power=value)


@robot.command("action", number=NUMBER)
def mark(number):
    world.tell(mark=number)


@robot.command("action", number=NUMBER, ms=Arg(int, "ms", 0, 5000))
async def work(number, ms):
    world.tell(mark=number)
    await asyncio.sleep_ms(ms)
    world.tell(end=number)


@robot.command("motion", number=NUMBER, seconds=Arg(float, "s", 0, 9))
async def move(number, seconds):
    world.tell(mark=number)
    put(100)
    await asyncio.sleep(seconds)
    put(0)


@robot.command("query")
def ping():
    """Is it there?"""


@robot.command("query", text=Arg(str))
def piece(text):
    """A piece of something long."""


@robot.control(y=Arg(float, "%", -100, 100))
def drive(y):
    put(y)


@robot.on_stop
def stop():
    put(0)


world.tell(starts=True)
robot.run()
