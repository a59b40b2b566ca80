"""Which robots a user may know of, as the stop process reads it: from the file that the gateway writes."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from boardtalk.page.settings import VIEWS
from boardtalk.sdk import kept

if TYPE_CHECKING:
    from pathlib import Path


class Views:
    """Reads the file again whenever it has changed. If it can't be read, what was read last counts.

    Args:
        state: the state folder.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / VIEWS
        self._seen: tuple[int, int] | None = None
        self._views: dict[str, tuple[str, ...]] = {}

    def sees(self, user: str, robot: str) -> bool:
        """Whether he may know of it."""
        self._read()
        return any(fnmatchcase(robot, pattern) for pattern in self._views.get(user, ()))

    def _read(self) -> None:
        try:
            status = self._path.stat()
        except OSError:
            return
        if (seen := (status.st_mtime_ns, status.st_ino)) == self._seen:
            return
        found = kept.peek(self._path, dict[str, tuple[str, ...]])
        if found is not None:
            self._views, self._seen = found, seen
