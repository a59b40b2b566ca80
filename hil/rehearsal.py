"""What a robot's program declares, without a robot: it runs here, in a jail, as far as its `run()`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boardtalk.hil.interpreter import SIM
from boardtalk.sandbox import jail
from boardtalk.sandbox.api import Jail
from boardtalk.sdk.leash import leashed

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S: Final = 10.0
MEMORY_MB: Final = 256
OPEN_FILES: Final = 64
DECLARE: Final = SIM / "cpython" / "declare.py"


def declared(program: Mapping[str, bytes]) -> bytes | None:
    """The text of the dictionary; None: the program does not get as far without its hardware, or is compiled.

    It reads no file of this machine but Python's and its own, writes none, and has no network; where the
    kernel can't see to that, it does not run at all.

    Args:
        program: its files by path, `main.py` among them.
    """
    with tempfile.TemporaryDirectory(prefix="boardtalk-rehearsal-") as name:
        for inside, data in program.items():
            path = Path(name) / inside
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        try:
            done = subprocess.run(
                leashed(sys.executable, "-I", "-m", __name__, name),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
    return done.stdout if done.returncode == 0 else None


def main(folder: str) -> None:
    """Go into the jail, and become the program there."""
    client = Path(str(files("boardtalk.firmware").joinpath("boardtalk")))
    ours = (client / "__init__.py", DECLARE)
    readable = [folder, *(str(where) for each in ours for where in (each.parent, each.resolve().parent))]
    if jail.enter(Jail(memory_mb=MEMORY_MB, files=OPEN_FILES, network=False, readable=tuple(readable))):
        sys.exit(1)  # there is no jail here
    os.chdir(folder)
    os.execv(sys.executable, [sys.executable, "-IS", str(DECLARE), str(client.parent)])  # noqa: S606 - no shell


if __name__ == "__main__":
    main(sys.argv[1])
