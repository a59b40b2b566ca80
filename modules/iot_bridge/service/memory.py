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

UNMET: Final = "@"
"""Stands before an address in place of a uid: of a board that was stopped before anybody knew which it is."""

BEHIND: Final = ".behind"
"""Stands in the name of an empty file beside the other one, while that lacks a stop: a full disk takes it."""

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
    they are re-armed. The damaged files are set aside, and boards have to be adopted again. Likewise if the
    disk has refused a stop and the process then ended, but what was known before is still known.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._behind = path.with_name(path.name + BEHIND)
        self._boards = self._load()
        self._writing = asyncio.Lock()

    def get(self, uid: str) -> Known:
        """What is known of a board."""
        return self._boards.get(uid) or self._boards.get(ANY) or Known()

    def names(self) -> dict[str, str]:
        """The names given by adoption, and the uids of the boards that have them."""
        return {known.name: uid for uid, known in self._boards.items() if known.name}

    def take_unmet_stop(self, name: str) -> bool:
        """Whether the board of this address was stopped before it came. Forgets it: now its uid is known."""
        return self._boards.pop(UNMET + name, None) is not None

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
        if boards is None and damage:
            reason = f"{self._path.name} was damaged ({_utc(time.time())})"
        elif self._behind.exists():
            reason = (
                f"a stop could not be written to {self._path.name} ({_utc(self._behind.stat().st_mtime)})"
            )
        else:
            return boards or {}
        log.error("all boards count as stopped until they are re-armed")
        unknown = Known(latched=True, reason=f"{reason}: nobody knows whether it was stopped")
        in_doubt = {
            uid: known if known.latched else msgspec.structs.replace(unknown, name=known.name)
            for uid, known in (boards or {}).items()
        } | {ANY: unknown}
        self._save(in_doubt)
        return in_doubt

    def _save(self, boards: dict[str, Known]) -> None:
        try:
            kept.save(self._path, boards)
            self._behind.unlink(missing_ok=True)
        except OSError as error:
            log.error("%s: not written (%s)", self._path, error.strerror)
            if any(known.latched for known in boards.values()):
                self._fall_behind()

    def _fall_behind(self) -> None:
        """Note at least that a stop may be missing."""
        try:
            self._behind.touch(mode=0o600)
            kept.sync_folder(self._behind.parent)
        except OSError as error:
            log.error("%s: not written either (%s); a restart forgets stops", self._behind, error.strerror)


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
