"""How far each user has read each of his conversations: durable, and the same in all his sessions."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.events import Marked
from boardtalk.sdk import AddressError, check_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boardtalk.hub.receipts import Receipts
    from boardtalk.hub.sessions import Session, Sessions
    from boardtalk.people.directory import Directory
    from boardtalk.store.store import Store

MAX_MARKS: Final = 1000
"""Of one user; the one that is furthest back goes."""


class Marks:
    """Kept in the store's notes; read at first use.

    Who has read a message has read what came before it, so receipts that are due for that are given too.
    """

    def __init__(self, store: Store, directory: Directory, sessions: Sessions, receipts: Receipts) -> None:
        self._store = store
        self._directory = directory
        self._sessions = sessions
        self._receipts = receipts
        self._marks: dict[str, dict[str, int]] = {}

    async def of(self, user: str) -> Mapping[str, int]:
        """The rows up to which a user has read, by the other or the group."""
        return await self._load(user)

    async def read(self, reader: str, sender: str, message_id: str, session: Session | None = None) -> None:
        """Take it that somebody has read a message that asks for a receipt."""
        message = await self._receipts.read(reader, sender, message_id)
        if message is not None:
            await self.move(
                reader, message.sender if message.to == reader else message.to, message.row, session
            )

    async def move(self, reader: str, other: str, row: int, session: Session | None) -> None:
        """Take it that somebody has read a conversation up to a row; a smaller one than before says nothing.

        Args:
            reader: who.
            other: the user or robot with whom he talks, or the group.
            row: of the last message that he has read.
            session: that says so; his others are told.
        """
        marks = await self._load(reader)
        row, before = min(row, self._store.next_row - 1), marks.get(other, 0)
        if row <= before or not _is_address(other):
            return
        marks[other] = row
        if len(marks) > MAX_MARKS:
            self._store.note(_notes(reader), last := min(marks, key=marks.__getitem__), None)
            del marks[last]
        self._store.note(_notes(reader), other, msgspec.json.encode(row))
        self._sessions.echo(Marked(reader, other, row), but=session)
        is_group = other in self._directory.groups_of(reader)
        for sender, name in await self._store.receipts_asked(
            reader, other, is_group=is_group, rows=(before, row)
        ):
            await self._receipts.read(reader, sender, name)

    async def _load(self, user: str) -> dict[str, int]:
        if user not in self._marks:
            notes = await self._store.notes(_notes(user))
            found: dict[str, int] = {}
            for other, value in notes.items():
                with suppress(msgspec.DecodeError):  # damaged: it counts as unread
                    found[other] = msgspec.json.decode(value, type=int)
            self._marks.setdefault(user, found)
        return self._marks[user]


def _notes(user: str) -> str:
    """Under which name they are kept; no module instance has it."""
    return f"read by {user}"


def _is_address(text: str) -> bool:
    try:
        return bool(check_address(text))
    except AddressError:
        return False
