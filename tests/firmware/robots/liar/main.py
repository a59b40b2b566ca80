"""A board that acknowledges every command and does nothing."""

from world import World

from boardtalk import Arg, Board
from boardtalk.dispatcher import Dispatcher

world = World()
robot = Board("ledger")


def ignore(dispatcher, number):
    """Take a command, and never say how it ended."""


Dispatcher.command = ignore


@robot.command("action", number=Arg(int, "", 0, 1_000_000_000))
def mark(number):
    world.tell(mark=number)


robot.run()
