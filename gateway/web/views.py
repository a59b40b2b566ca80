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
        self._file = kept.Watched(state / VIEWS, dict[str, tuple[str, ...]])
        self._views: dict[str, tuple[str, ...]] = {}

    def sees(self, user: str, robot: str) -> bool:
        """Whether he may know of it."""
        if (views := self._file.news()) is not None:
            self._views = views
        return any(fnmatchcase(robot, pattern) for pattern in self._views.get(user, ()))
