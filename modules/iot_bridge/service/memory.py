"""What the link process must still know after it was restarted: names given, and who is stopped."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)


class Known(msgspec.Struct, frozen=True, omit_defaults=True):
    """A board, by its uid."""

    name: str = ""
    """Given by adoption; "" = none."""
    latched: bool = False
    """Stopped and not re-armed: also a board that has lost power meanwhile stays stopped."""


class Memory:
    """A small JSON file. Changes count at once and are written soon: stop waits for no disk.

    A damaged file is set aside; boards then have to be adopted again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._boards = self._load()
        self._writing = asyncio.Lock()

    def get(self, uid: str) -> Known:
        """What is known of a board."""
        return self._boards.get(uid, Known())

    def names(self) -> dict[str, str]:
        """The names given by adoption, and the uids of the boards that have them."""
        return {known.name: uid for uid, known in self._boards.items() if known.name}

    def put(self, uid: str, known: Known) -> None:
        """Note something about a board; `save` follows."""
        self._boards[uid] = known

    async def save(self) -> None:
        """Write everything. A disk that refuses is logged, no more: stop must not fail for it."""
        async with self._writing:
            data = msgspec.json.format(msgspec.json.encode(self._boards))
            try:
                await asyncio.to_thread(self._write, data)
            except OSError as error:
                log.error("%s: not written (%s)", self._path, error.strerror)

    def _load(self) -> dict[str, Known]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Known])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.error("%s: damaged, set aside (%s)", self._path, error)
            self._path.rename(self._path.with_suffix(".bad"))
            return {}

    def _write(self, data: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        passing = self._path.with_suffix(".new")
        with passing.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        passing.replace(self._path)
