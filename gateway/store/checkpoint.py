"""Moves what was committed from the write-ahead log to the database, while the writer goes on."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EVERY_JOBS: Final = 500
"""Of the writer: some 1,000 pages, as SQLite's own checkpoints have it."""
MOVE: Final = "PRAGMA wal_checkpoint(PASSIVE)"
"""Waits for nobody. What is committed meanwhile stays in the log."""

log = structlog.get_logger()


class Checkpointer(threading.Thread):
    """Checkpoints in a thread with a connection of its own.

    SQLite's own come inside a commit, and everybody waits for it: that was most of what the slowest
    messages took. While messages come all the time this thread alone never reaches the end of the log,
    which would grow for ever (https://sqlite.org/wal.html#avoiding_excessively_large_wal_files): so the
    writer is asked to move the few pages that came meanwhile.

    Args:
        path: of the database.
        moved: called in this thread when all but the last pages are moved.
    """

    def __init__(self, path: Path, moved: Callable[[], None]) -> None:
        super().__init__(name="store checkpoints", daemon=True)
        self._path = path
        self._moved = moved
        self._due = threading.Event()
        self._ending = False
        self._failed = False

    def begin(self) -> None:
        """Move what there is."""
        self._due.set()

    def end(self) -> None:
        """Finish what was begun, then end."""
        self._ending = True
        self._due.set()
        self.join()

    def run(self) -> None:
        """Checkpoint whenever it is due."""
        while self._due.wait() and not self._ending:
            self._due.clear()
            self._move()

    def _move(self) -> None:
        """A disk that refuses says so at each commit, too; here once until it works again."""
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
                connection.execute(MOVE)
        except sqlite3.Error as error:
            if not self._failed:
                log.warning(
                    "the store's log can't be moved to its file", file=str(self._path), error=str(error)
                )
            self._failed = True
            return
        self._failed = False
        self._moved()
