"""Stops that were carried out, kept until the audit has them: the gateway may hang just then, or be dead.

One small file each, so that who writes and who reads need not agree on anything.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.sdk import kept

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER: Final = "stops"
MAX_KEPT: Final = 1000
"""Of more that no gateway has taken yet, the newest are left out."""


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """One stop."""

    at: float
    """UTC seconds, at its end."""
    by: str
    boards: tuple[str, ...]
    """Which ones it was for; none: all."""
    result: str
    """In words."""


def write(state: Path, stop: Carried) -> None:
    """Have it on disk.

    Args:
        state: the state folder.
        stop: what was done.

    Raises:
        OSError: the disk refuses, or too many are there.
    """
    folder = state / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    if sum(1 for _ in folder.glob("*.json")) >= MAX_KEPT:
        raise OSError(f"{folder}: {MAX_KEPT} stops wait there for a gateway")
    path = folder / f"{time.time_ns()}.json"
    passing = path.with_suffix(".new")
    try:
        with os.fdopen(os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.encode(stop))
            file.flush()
            os.fsync(file.fileno())
        passing.replace(path)
    finally:
        passing.unlink(missing_ok=True)
    kept.sync_folder(folder)


def read(state: Path) -> Iterator[tuple[Path, Carried]]:
    """Those that wait, oldest first, each with its file; that is removed by who has taken it."""
    for path in sorted((state / FOLDER).glob("*.json")):
        with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):  # a damaged one waits for a person
            yield path, msgspec.json.decode(path.read_bytes(), type=Carried)
