"""What is read of the store by who looks back: behind what was said before, and as far as it is whole."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from boardtalk.sdk import SYSTEM, Flag, Message
from boardtalk.store import past, whole
from boardtalk.store.records import AuditLine, Conversation, Explanation, HistoryEntry, Step
from boardtalk.store.schema import StoreError
from boardtalk.store.writer import COLUMNS, Mark, Writer, as_message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WRITTEN_WITHIN_S: Final = 2.0
"""A disk that takes longer, or refuses, does not keep those waiting who look back."""

log = structlog.get_logger()


class Reading:
    """Reads in a thread of its own. All methods are called from the event loop's thread.

    Args:
        connection: used by that thread alone.
        writer: has what is not in the file yet.
    """

    def __init__(self, connection: sqlite3.Connection, writer: Writer) -> None:
        self._reader = connection
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="store reader")
        self._writer = writer
        self._loop = asyncio.get_running_loop()

    async def history(
        self,
        user: str,
        other: str | None = None,
        *,
        groups: Sequence[str] = (),
        text: str = "",
        before: int | None = None,
        after: int | None = None,
        limit: int = 50,
    ) -> list[HistoryEntry]:
        """Messages from and to a user, newest last; of others only what reached him, as it did.

        Args:
            user: whose.
            other: only those with this other one.
            groups: what was said to these is his too.
            text: only those with all these words, of which the first eight count; A is a.
            before: only those of smaller rows: for paging.
            after: only those of larger rows, the oldest of them, and with them changes of others
                (`Flag.REPLACES`): for who was away.
            limit: so many at most, without `after` the newest.
        """
        query = past.history(user, other or "", groups, text=text, before=before, after=after, limit=limit)
        await self._soon_written()
        found = await self._read(*query)
        return whole.entries(found if after is not None else reversed(found))

    async def conversations(
        self, user: str, *, groups: Sequence[str], read: Mapping[str, int], limit: int
    ) -> list[Conversation]:
        """The conversations of a user with their last messages, newest first.

        Args:
            user: whose.
            groups: what was said to these is his too.
            read: the rows up to which he has read, by the other.
            limit: so many at most.
        """
        await self._soon_written()
        others = {other for (other,) in await self._read(past.PARTNERS, (user,))} | set(groups)
        found = []
        for other in others:
            last = await self._read(
                *past.history(user, other, groups, text="", before=None, after=None, limit=1)
            )
            found += [(entry.row, other, entry) for entry in whole.entries(last)]
        found.sort(reverse=True)
        told = []
        for _, other, entry in found[:limit]:
            row = read.get(other, 0)
            query = past.unread(user, other, is_group=other in groups, row=row)
            ((count,),) = await self._read(*query)
            told.append(Conversation(other=other, last=entry, read=row, unread=count))
        return told

    async def explain(self, message_id: str, user: str, *, everybody: bool) -> Explanation | None:
        """All that is known of a message; None: `user` has sent or got none like that.

        Args:
            message_id: its id, or ``~ROW``; "": the last that he sent to somebody but the gateway.
            user: who asks; of several with this id, his.
            everybody: whether he may see what others sent and got.
        """
        await self._all_written()
        row = message_id.removeprefix("~")
        values: tuple[object, ...]
        if not message_id:
            which, values = f"{past.BY_ROW} = ? AND recipient <> ? ORDER BY row DESC", (user, SYSTEM)
        elif row != message_id and row.isdecimal():
            which, values = "row = ?", (int(row[:18]),)
        else:
            which, values = "mid = ? AND mid <> '' ORDER BY sender = ? DESC, row DESC", (message_id, user)
        found = await self._read(
            f"SELECT {past.AS_SEEN} FROM (SELECT * FROM ledger WHERE {which}) "  # noqa: S608
            "WHERE ? OR sender = ? OR (recipient = ? AND state IN ('done', 'read')) LIMIT 1",
            (everybody, user, *values, everybody, user, user),
        )
        if not (entries := whole.entries(found)):
            return None
        (message,) = entries
        answers = await self._read(
            f"SELECT {past.AS_TOLD} FROM ledger "  # noqa: S608
            "WHERE recipient = ? AND refid = ? AND refid <> '' ORDER BY row",
            (message.sender, message.id),
        )
        return Explanation(
            message=message, steps=await self._steps(message.row), answers=whole.entries(answers)
        )

    async def _steps(self, row: int) -> list[Step]:
        noted = await self._read("SELECT steps FROM steps WHERE row = ? ORDER BY rowid", (row,))
        states = await self._read(
            "SELECT at, state, detail FROM transitions WHERE row = ? ORDER BY rowid", (row,)
        )
        return whole.steps(noted, states)

    async def receipt_due(self, sender: str, message_id: str, detail: str) -> Message | None:
        """A message whose reading its sender wants to know, unless he was told with the same detail."""
        await self._all_written()
        found = await self._read_if_whole(
            f"SELECT {COLUMNS} FROM ledger WHERE sender = ? AND mid = ? AND mid <> '' AND flags & ? "  # noqa: S608
            "AND NOT EXISTS (SELECT 1 FROM transitions WHERE transitions.row = ledger.row AND detail = ?)",
            (sender, message_id, Flag.READ_RECEIPT, detail),
        )
        return as_message(found[0]) if found else None

    async def receipts_asked(
        self, reader: str, other: str, *, is_group: bool, rows: tuple[int, int]
    ) -> list[tuple[str, str]]:
        """Senders and ids of messages of a conversation that ask for receipts: above a row, up to another."""
        await self._soon_written()
        return await self._read_if_whole(*past.receipts(reader, other, rows, is_group=is_group))

    async def notes(self, instance: str) -> dict[str, bytes]:
        """All that is kept for a module instance."""
        return whole.notes(
            await self._read_if_whole("SELECT key, value FROM notes WHERE instance = ?", (instance,))
        )

    async def audit_lines(self, before: int | None, limit: int, text: str = "") -> list[AuditLine]:
        """The newest lines of the audit log, newest last.

        Args:
            before: only lines of smaller numbers.
            limit: so many at most.
            text: only those with this in it; A is not a.
        """
        await self._soon_written()
        found = await self._read(
            "SELECT seq, at, who, what, target, result FROM audit WHERE seq < ? "
            "AND instr(who || ' ' || what || ' ' || target || ' ' || result, ?) ORDER BY seq DESC LIMIT ?",
            (before or 1 << 62, text, limit),
        )
        return whole.audit_lines(reversed(found))

    # Inside -----------------------------------------------------------------------------------

    async def _all_written(self) -> None:
        """Wait until what was said so far is in the file."""
        written = asyncio.Event()
        self._writer.submit(Mark(partial(self._loop.call_soon_threadsafe, written.set)))
        await written.wait()

    async def _soon_written(self) -> None:
        """Wait for it, but not for ever: what is in the file can be read also if the disk refuses more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(WRITTEN_WITHIN_S):
                await self._all_written()

    async def _read(self, query: str, values: tuple[object, ...]) -> list[tuple]:  # type: ignore[type-arg]
        """What a query finds. Raises StoreError if the file is damaged there, or the disk refuses."""

        def read() -> list[tuple]:  # type: ignore[type-arg]
            return self._reader.execute(query, values).fetchall()

        try:
            return await self._loop.run_in_executor(self._reading, read)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise StoreError(f"the store can't be read: {error}") from error

    async def _read_if_whole(self, query: str, values: tuple[object, ...]) -> list[tuple]:  # type: ignore[type-arg]
        """What a query finds; nothing if it can't be read, because the gateway goes on without it."""
        try:
            return await self._read(query, values)
        except StoreError as error:
            log.error("damaged, or the disk refuses", error=str(error))
            return []
