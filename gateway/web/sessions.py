"""Who is logged in at the page. What is kept of a session is a hash of its id, never the id.

The file is also read by the stop process: who is in it may stop.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Final

import structlog

from boardtalk.sdk import kept
from boardtalk.web.roll import FILE, Kept, hashed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

ID_BYTES: Final = 32
"""256 bit; the contract asks for at least 128."""
NOTE_EVERY_S: Final = 3600.0
"""How exactly the file knows when a session was used last."""
MAX_PER_USER: Final = 20
"""Of more, the one that was not used for longest ends."""
MAX_AGENT_CHARS: Final = 200

log = structlog.get_logger()


class Session:
    """One browser that has logged in."""

    def __init__(self, row: Kept) -> None:
        self.kept = row
        self.ended = asyncio.Event()
        """Whoever serves it must stop."""
        self.sockets = 0
        """Of pages that are open: while there is one, it is in use."""

    @property
    def name(self) -> str:
        """By which its owner tells it from others; no secret."""
        return self.kept.hash[:16]


class Sessions:
    """All sessions. Changes are written at once, but what a full disk refuses still holds in this process.

    Args:
        secrets_folder: where the file lies.
        clock: seconds of UTC.
    """

    def __init__(self, secrets_folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = secrets_folder / FILE
        self._clock = clock
        found = kept.load(self._path, list[Kept])
        if found.damage:
            log.error("a file was damaged: people log in again", what=found.damage)
        self._open = {each.hash: Session(each) for each in found.content or []}
        self._noted = {each: session.kept.used for each, session in self._open.items()}
        self.stamps: Mapping[str, str] | None = None
        """What accounts are now, by user; None: not known yet."""

    def open(self, user: str, role: str, stamp: str, address: str, agent: str) -> str:
        """Begin a session; its id, which only the browser keeps.

        Raises:
            OSError: it can't be written: the disk is full.
        """
        session_id, now = secrets.token_urlsafe(ID_BYTES), self._clock()
        mine = sorted(self.of(user), key=lambda each: each.kept.used)
        for each in mine[: max(0, len(mine) - MAX_PER_USER + 1)]:
            self._drop(each)
        session = Session(
            Kept(
                hash=hashed(session_id), user=user, role=role, stamp=stamp, since=now, used=now,
                address=address, agent=agent[:MAX_AGENT_CHARS],
            )
        )  # fmt: skip
        self._open[session.kept.hash] = session
        try:
            self._save()
        except OSError:
            self._drop(session)
            raise
        return session_id

    def find(self, session_id: str) -> Session | None:
        """The session of an id that a browser shows, which thereby is used; None if there is none."""
        session = self._open.get(hashed(session_id))
        if session is None:
            return None
        if session.kept.expires <= self._clock():
            self.end(session)
            return None
        self._use(session)
        return session

    def of(self, user: str) -> list[Session]:
        """All sessions of a user."""
        return [each for each in self._open.values() if each.kept.user == user]

    def end(self, *sessions: Session) -> None:
        """End sessions: log out."""
        for each in sessions:
            self._drop(each)
        if sessions:
            self._try_to_save()

    def sweep(self) -> None:
        """End those whose time is over, and of whom was removed, or has another role or password."""
        for each in self._open.values():
            if each.sockets:
                self._use(each)
        now = self._clock()
        self.end(
            *(each for each in self._open.values() if each.kept.expires <= now or self._is_stranger(each))
        )

    def _is_stranger(self, session: Session) -> bool:
        return self.stamps is not None and self.stamps.get(session.kept.user) != session.kept.stamp

    def _use(self, session: Session) -> None:
        session.kept.used = self._clock()
        if session.kept.used - self._noted.get(session.kept.hash, 0.0) > NOTE_EVERY_S:
            self._try_to_save()

    def _drop(self, session: Session) -> None:
        self._open.pop(session.kept.hash, None)
        session.ended.set()

    def _save(self) -> None:
        kept.save(self._path, [each.kept for each in self._open.values()])
        self._noted = {each: session.kept.used for each, session in self._open.items()}

    def _try_to_save(self) -> None:
        try:
            self._save()
        except OSError as error:
            log.error("sessions are not on disk", path=str(self._path), reason=error.strerror)
