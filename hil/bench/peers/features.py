"""`python -m boardtalk.hil.bench.peers.features EMBEDDED LABGRID`: what test tools do, each cell tried.

The others are no dependencies: each has an environment of its own, whose Python is named. A trial is a file
of tests, one for each feature, that says what it has seen; the table is made of what they say::

    python3 -m venv /tmp/embedded
    /tmp/embedded/bin/pip install pytest-embedded-{serial,qemu,wokwi}
    python3 -m venv /tmp/labgrid && /tmp/labgrid/bin/pip install labgrid pytest
    apt install qemu-system-arm firmware-microbit-micropython
    python -m boardtalk.hil.bench.peers.features /tmp/embedded/bin/python /tmp/labgrid/bin/python
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.sdk import BoardtalkError

FEATURES: Final = {
    "port": "opens a port",
    "pty": "makes pseudo-terminals",
    "board": "emulates MicroPython boards",
    "qemu": "runs QEMU",
    "faults": "faults on the line",
    "pace": "pace of the line",
    "power": "power cuts",
    "record": "records",
    "replay": "replays",
    "pins": "pins",
}
"""By the names of their tests."""
TOOLS: Final = {"boardtalk": "boardtalk", "pytest_embedded": "pytest-embedded", "labgrid": "labgrid"}
"""Trials, and the packages whose versions count."""
PATIENCE_S: Final = 120.0
VERSION: Final = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"


class TrialError(BoardtalkError):
    """A tool can't be tried, or does not do what its trial says."""


async def tried(python: str, trial: str, port: str) -> dict[str, str]:
    """What the tests of a trial say, by feature.

    Raises:
        TrialError: one of them failed.
    """
    with tempfile.TemporaryDirectory(prefix="boardtalk-trial-") as name:
        folder = Path(name)
        # A copy, so that it is no part of boardtalk for a Python that lacks what boardtalk needs.
        shutil.copy(Path(__file__).with_name(f"trial_{trial}.py"), folder / "trial.py")
        options = ("-c", os.devnull, "-o", "junit_family=legacy", "--junitxml", "report.xml", "trial.py")
        status, printed = await _run(python, "-m", "pytest", *options, folder=folder, TRIAL_PORT=port)
        if status:
            raise TrialError(f"{trial}:\n{printed}")
        found = {}
        for case in ET.parse(folder / "report.xml").iter("testcase"):  # noqa: S314 - our own
            for told in case.iter("property"):
                feature = case.attrib["name"].removeprefix("test_").partition("[")[0]
                found[feature] = told.attrib["value"]
        return found


async def version(python: str, package: str) -> str:
    """Which version a Python has.

    Raises:
        TrialError: it has none.
    """
    status, printed = await _run(python, "-c", VERSION, package)
    if status:
        raise TrialError(f"{python} has no {package}: {python} -m pip install {package}")
    return printed.strip()


async def _run(*command: str, folder: Path | None = None, **environment: str) -> tuple[int, str]:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        raise TrialError(f"{command[0]}: {error.strerror}") from error
    try:
        async with asyncio.timeout(PATIENCE_S):
            printed, _ = await process.communicate()
    except TimeoutError:
        raise TrialError(f"{command[0]}: not done within {PATIENCE_S:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode or 0, printed.decode(errors="replace")


async def table(pythons: dict[str, str]) -> list[str]:
    """Lines of Markdown."""
    heads = [f"{TOOLS[trial]} {await version(python, TOOLS[trial])}" for trial, python in pythons.items()]
    columns = []
    for trial, python in pythons.items():
        async with MicroPythonBoard() as board:
            columns.append(await tried(python, trial, board.port))
    lines = [["", *heads], ["---"] * (len(heads) + 1)]
    lines += [[title, *(column[name] for column in columns)] for name, title in FEATURES.items()]
    return [f"| {' | '.join(line)} |" for line in lines]


def main(embedded: str, labgrid: str) -> None:
    """Try all, and print the table; or say what is missing, or what failed."""
    pythons = {"boardtalk": sys.executable, "pytest_embedded": embedded, "labgrid": labgrid}
    try:
        print("\n".join(asyncio.run(table(pythons))))  # noqa: T201 - what it is for
    except BoardtalkError as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(
            "usage: python -m boardtalk.hil.bench.peers.features PYTHON_WITH_PYTEST_EMBEDDED "
            "PYTHON_WITH_LABGRID"
        )
    main(*sys.argv[1:])
