"""What becomes of the configuration's parts when it changes, as everybody is told who asked for it.

Data alone: who only passes it on, such as the web page's process, loads nothing of what makes it.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class What(StrEnum):
    """What became of an instance when the configuration changed."""

    STARTED = "started"
    RECONFIGURED = "reconfigured"
    RESTARTED = "restarted"
    REMOVED = "removed"
    KEPT = "kept as it was"
    """It refused its new settings, or did not start with them."""
    FAILED = "failed"
    MOVED = "moved"
    """The chain has another order."""


class Change(msgspec.Struct, frozen=True):
    """One instance that is no longer as it was."""

    name: str
    what: What
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.what}{f' ({self.detail})' if self.detail else ''}"


class Setting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One key."""

    key: str
    value: str = ""
    """As the file has it, if `given`; of a secret "hidden"."""
    given: bool = False
    """Whether it stands in the file; else the default counts."""
    expected: str = ""
    """What it takes, in words: ``a whole number from 1 to 9``."""
    help: str = ""
    default: str = ""
    """As a file would have it; "" = none."""
    required: bool = False
    choices: tuple[str, ...] = ()
    """The only values, if there are few."""
    min: float | None = None
    max: float | None = None


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A change of settings that waits to be confirmed."""

    change: str
    """Its id."""
    instance: str
    """Of a module; or ``grant NAME``, ``policy``."""
    by: str
    keys: list[str]
    """What was changed."""
    until: float
    """UTC seconds; then it is taken back."""
