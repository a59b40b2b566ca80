"""Runs a robot's program on CPython as far as its `run()`, and prints the dictionary that it has declared.

There is no hardware: whatever the program imports that is neither its own nor Python's is a stand-in that
takes every call.
"""

import asyncio
import gc
import importlib.machinery
import os
import sys
import time
from types import ModuleType
from unittest.mock import MagicMock


class StandIns:
    """Finds every module that nothing else has found."""

    def find_spec(
        self, name: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec:
        """Its specification."""
        return importlib.machinery.ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """A module that has everything."""
        return MagicMock(name=spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""


def main(firmware: str) -> None:
    """Run the module `main` from the working directory."""
    printed = os.dup(1)
    os.dup2(2, 1)  # what the program prints itself
    sys.path[:0] = ["", firmware, os.path.dirname(__file__)]
    import boot

    sys.meta_path.append(StandIns())  # type: ignore[arg-type]
    boot.prepare()
    for module in (asyncio, gc, os, time):
        module.__dict__["__getattr__"] = MagicMock()  # for what only MicroPython's has
    import boardtalk

    def run(self: boardtalk.Board) -> None:
        os.write(printed, "".join(self._dictionary.text()).encode())
        os._exit(0)

    boardtalk.Board.run = run  # type: ignore[method-assign]
    sys.platform = "rp2"  # by which programs choose their pins
    __import__("main")
    sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
