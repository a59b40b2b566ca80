"""What the link process must still know after it was restarted: names given, and who is stopped."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.sdk import kept

if TYPE_CHECKING:
    from pathlib import Path

ANY: Final = ""
"""In place of a uid: what counts for all boards of which nothing is known."""

log = logging.getLogger(__name__)


class Known(msgspec.Struct, frozen=True, omit_defaults=True):
    """A board, by its uid."""

    name: str = ""
    """Given by adoption; "" = none."""
    latched: bool = False
    """Stopped and not re-armed: also a board that has lost power meanwhile stays stopped."""
    reason: str = ""
    """Why it counts as stopped, if nobody stopped it."""


class Memory:
    """A small JSON file. Changes count at once and are written soon: stop waits for no disk.

    If it is damaged, and its copy too, nobody knows which boards were stopped: then all of them are, until
    they are re-armed. The damaged files are set aside, and boards have to be adopted again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._boards = self._load()
        self._writing = asyncio.Lock()

    def get(self, uid: str) -> Known:
        """What is known of a board."""
        return self._boards.get(uid) or self._boards.get(ANY) or Known()

    def names(self) -> dict[str, str]:
        """The names given by adoption, and the uids of the boards that have them."""
        return {known.name: uid for uid, known in self._boards.items() if known.name}

    def put(self, uid: str, known: Known) -> None:
        """Note something about a board; `save` follows."""
        self._boards[uid] = known

    async def save(self) -> None:
        """Write everything. A disk that refuses is logged, no more: stop must not fail for it."""
        async with self._writing:
            await asyncio.to_thread(self._save, dict(self._boards))

    def _load(self) -> dict[str, Known]:
        try:
            boards, damage = kept.load(self._path, dict[str, Known])
        except OSError as error:
            boards, damage = None, f"{self._path}: can't be read ({error.strerror})"
        if damage:
            log.error("%s", damage)
        if boards is not None or not damage:
            return boards or {}
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        reason = f"{self._path.name} was damaged ({when}): nobody knows whether it was stopped"
        log.error("all boards count as stopped until they are re-armed")
        in_doubt = {ANY: Known(latched=True, reason=reason)}
        self._save(in_doubt)
        return in_doubt

    def _save(self, boards: dict[str, Known]) -> None:
        try:
            kept.save(self._path, boards)
        except OSError as error:
            log.error("%s: not written (%s)", self._path, error.strerror)
