"""Makes a MicroPython board understand chat commands: see docs/board-author.md."""

from boardtalk.board import Board
from boardtalk.values import Arg

__all__ = ["Arg", "Board"]
