"""What `--board` may name, and what a test can do to it."""

from __future__ import annotations

from typing import Final, NamedTuple

import pytest

EMULATED: Final = "emulated"
CAPABILITIES: Final = {
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

    port: str
    """"": an emulated one."""
    can: frozenset[str]

    @property
    def name(self) -> str:
        """For people."""
        return self.port or "the emulated board"

    def why_not(self, capability: str) -> str:
        """Why a test can't have this; "" if it can."""
        return "" if capability in self.can else f"{self.name}: {CAPABILITIES[capability]}"


def kind(option: str) -> Kind:
    """What `--board` says.

    Raises:
        pytest.UsageError: no such board.
    """
    scheme, is_url, _ = option.partition("://")
    if option == EMULATED:
        return Kind("", frozenset(CAPABILITIES))
    if option.startswith("/") or (is_url and scheme == "tcp"):
        return Kind(option, frozenset({"line"}))
    if is_url and scheme == "rfc2217":
        return Kind(option, frozenset())
    if option == "qemu-microbit":
        raise pytest.UsageError("--board qemu-microbit: QEMU's micro:bit can't run the firmware client yet")
    raise pytest.UsageError(
        f"--board {option}: there are {EMULATED}, /dev/… (a port), tcp://HOST:PORT and rfc2217://HOST:PORT"
    )
