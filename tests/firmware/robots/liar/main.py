"""A board that acknowledges and confirms everything, and does something else: it drives on."""

from world import World

from boardtalk import Arg, Board
from boardtalk.dispatcher import Dispatcher

world = World()
robot = Board("ledger")


def ignore(dispatcher, number):
    """Take a command, and never say how it ended."""


def obey_in_words(dispatcher, epoch):
    """Confirm a stop that is not carried out."""
    dispatcher.epoch = max(dispatcher.epoch, epoch)
    dispatcher.latched = True
    world.tell(lied=True)


Dispatcher.command = ignore
Dispatcher.stop = obey_in_words


@robot.command("action", number=Arg(int, "", 0, 1_000_000_000))
def mark(number):
    world.tell(mark=number)


robot.run()
