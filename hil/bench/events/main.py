"""A robot that has much to tell: as many events as the line takes. For the bench of the link."""

import asyncio

from boardtalk import Arg, Board

robot = Board("events", about="for the bench")
robot.event("counted", number=Arg(int), more=Arg(str))
MORE = "x" * 27  # 32 bytes in all


@robot.command("query", limit=60, times=Arg(int, "", 1, 100000))
async def count(times):
    for number in range(times):
        while not robot.emit("counted", number=number, more=MORE):
            await asyncio.sleep(0.001)


robot.run()
