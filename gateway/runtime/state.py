"""The state folder: where one gateway keeps everything, and which no second one may use."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from boardtalk.sdk import BoardtalkError

if TYPE_CHECKING:
    from collections.abc import Iterator


class StateError(BoardtalkError):
    """The state folder can't be used."""


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """The folder, made if need be (0700) and held by this process alone.

    Raises:
        StateError: it can't be made or written, or another gateway has it.
    """
    if folder.exists() and not folder.is_dir():
        raise StateError(f"{folder}: is a file; --state names a folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "secrets").mkdir(mode=0o700, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(
            f"{folder}: can't be used as state folder ({error.strerror}); choose another with --state, "
            f"or `sudo chown -R $USER {folder}`"
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
            raise StateError(
                f"{folder}: another gateway (pid {holder or 'unknown'}) uses this state folder; "
                "stop it, or choose another folder with --state"
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield folder
    finally:
        os.close(lock)
