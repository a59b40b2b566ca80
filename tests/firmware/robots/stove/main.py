"""A robot with a heater that may stay on for long, and a motor that would never stop by itself."""

import asyncio

from world import World

from boardtalk import Board

world = World()
robot = Board("stove")


@robot.command("action", limit=600)
async def heat():
    world.tell(heater=1)
    try:
        await asyncio.sleep(600)
    finally:
        world.tell(heater=0)


@robot.command("motion")
async def spin():
    world.tell(motor=1)
    await asyncio.sleep(600)


@robot.command("query")
def ping():
    """Is it there?"""


@robot.on_stop
def stop():
    world.tell(motor=0)


robot.run()
