"""A board that acknowledges every command: it does nothing, or begins and never says how it ended."""

import asyncio

from world import World

from boardtalk import Arg, Board
from boardtalk.dispatcher import Dispatcher

NUMBER = Arg(int, "", 0, 1_000_000_000)

world = World()
robot = Board("ledger")
begin = Dispatcher.command


def take(dispatcher, number):
    """Begin the second command, and only that."""
    if number == 1:
        begin(dispatcher, number)


def conceal(dispatcher, job):
    """Say nothing of how a command ended."""


Dispatcher.command = take
Dispatcher._close = conceal


@robot.command("action", number=NUMBER)
def mark(number):
    world.tell(mark=number)


@robot.command("action", limit=2, number=NUMBER)
async def linger(number):
    world.tell(mark=number)
    await asyncio.sleep(60)


robot.run()
