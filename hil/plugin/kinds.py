"""What `--board` may name, and what a test can do to it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import pytest

from boardtalk.hil.qemu.microbit import missing_packages

EMULATED: Final = "emulated"
MICROBIT: Final = "qemu-microbit"
CAPABILITIES: Final = {
    "program": "it runs no main.py, and has no telemetry, events and live control",
    "repl": "there is no prompt at its port for mpremote and the like, so no files either",
    "pins": "its pins can't be seen from a test",
    "world": "what it senses is up to the world",
    "power": "its power can't be cut by a test",
    "reset": "it can't be reset by a test",
    "freeze": "its program can't be held",
    "line": "nothing can be put between it and the gateway",
}
"""By name: why a board that lacks it is no board for a test."""


class Kind(NamedTuple):
    """A board to test with."""

    name: str
    """For people."""
    port: str
    """"": an emulated one."""
    can: frozenset[str]

    def why_not(self, capability: str) -> str:
        """Why a test can't have this; "" if it can."""
        return "" if capability in self.can else f"{self.name}: {CAPABILITIES[capability]}"


def kind(option: str) -> Kind:
    """What `--board` says.

    Raises:
        pytest.UsageError: no such board, or what it needs is not installed.
    """
    scheme, is_url, _ = option.partition("://")
    if option == EMULATED:
        return Kind("the emulated board", "", frozenset(CAPABILITIES))
    if option == MICROBIT:
        if missing := missing_packages():
            raise pytest.UsageError(f"--board {MICROBIT} needs: apt install {' '.join(missing)}")
        return Kind(MICROBIT, "", frozenset({"power", "reset", "freeze", "line"}))
    if option.startswith("/"):
        return Kind(option, option, frozenset({"program", "repl", "line"}))
    if is_url and scheme == "tcp":
        return Kind(option, option, frozenset({"program", "line"}))
    if is_url and scheme == "rfc2217":
        return Kind(option, option, frozenset({"program", "repl"}))
    raise pytest.UsageError(
        f"--board {option}: there are {EMULATED}, {MICROBIT}, /dev/… (a port), tcp://HOST:PORT "
        "and rfc2217://HOST:PORT"
    )


def check(config: pytest.Config) -> None:
    """Whether pytest has found the project although the board is a path.

    Raises:
        pytest.UsageError: it takes the folder of the port for that of the tests, and sees no configuration.
    """
    board: str = config.option.board
    if config.inipath is None and board in config.invocation_params.args and Path(board).exists():
        raise pytest.UsageError(
            f"--board {board}: write --board={board}; a path that is a word of its own is for pytest the "
            "place of the tests, and so it finds neither pytest.ini nor firmware"
        )
