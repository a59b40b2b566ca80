"""Dictionaries on disk, by their hash, so that a board tells its own only once."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from boardtalk.modules.iot_bridge.dictionary import digest

if TYPE_CHECKING:
    from pathlib import Path


class DictionaryCache:
    """A folder of dictionaries. Only a convenience: nothing fails because of it.

    Args:
        folder: made when first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def get(self, hash_: bytes) -> bytes | None:
        """The dictionary with this hash, if it is here and undamaged."""
        return await asyncio.to_thread(self.read, hash_)

    async def put(self, hash_: bytes, text: bytes) -> None:
        """Keep a dictionary."""
        await asyncio.to_thread(self._put, hash_, text)

    def read(self, hash_: bytes) -> bytes | None:
        """`get` for those who may wait."""
        try:
            text = (self._folder / f"{hash_.hex()}.json").read_bytes()
        except OSError:
            return None
        return text if digest(text) == hash_ else None

    def _put(self, hash_: bytes, text: bytes) -> None:
        with suppress(OSError):  # a full disk must not keep a board away
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._folder / f"{hash_.hex()}.json"
            passing = path.with_suffix(f".{os.getpid()}")
            passing.write_bytes(text)
            passing.replace(path)
