"""Makes a MicroPython board understand chat commands: see docs/board-author.md."""

from micropython import opt_level

_level = opt_level()
opt_level(3)  # no line numbers in here: they take memory
from boardtalk import client  # the largest first: compiling takes memory
from boardtalk.board import Board
from boardtalk.values import Arg

opt_level(_level)
