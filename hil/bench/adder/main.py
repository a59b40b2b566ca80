"""A board that adds: the least that a command with arguments and an answer can do. For the bench of peers."""

from boardtalk import Arg, Board

board = Board("adder", about="for the bench")


@board.command("query", a=Arg(int), b=Arg(int), returns={"sum": Arg(int)})
def add(a, b):
    return a + b


board.run()
