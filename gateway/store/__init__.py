"""The store of record: SQLite in WAL mode, synced at each commit, one writer.

An accepted message is on disk before anybody is told so. `put` queues, the writer commits whatever
waits in one transaction, and `committed` yields what came of it, in the order of the puts.
Transient messages are never written: the hub does not put them.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from boardtalk.sdk import SYSTEM, Code, Flag, Message, Refused, State, Status
from boardtalk.store import past, whole
from boardtalk.store.records import (
    Accepted,
    AuditLine,
    Conflict,
    Conversation,
    Duplicate,
    Explanation,
    HistoryEntry,
    NotStored,
    Open,
    Result,
    Step,
    Waiting,
)
from boardtalk.store.schema import StoreError, open_file, read_as_it_is
from boardtalk.store.writer import (
    COLUMNS,
    FIRST_HASH,
    Arrived,
    Audit,
    Change,
    Hold,
    Mark,
    Note,
    Prune,
    Put,
    Record,
    Release,
    Replaced,
    Steps,
    Taken,
    Writer,
    as_message,
    audit_hash,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

__all__ = [
    "Accepted",
    "AuditLine",
    "Conflict",
    "Conversation",
    "Duplicate",
    "Explanation",
    "HistoryEntry",
    "NotStored",
    "Open",
    "Step",
    "Store",
    "StoreError",
]

MAX_PENDING: Final = 10_000
"""Messages that may wait for the disk and for who takes them from there; more are refused as busy."""
MAX_FIRST_ROW: Final = 1 << 30
"""A new ledger begins anywhere below: boards remember the last commands by numbers that are made of
rows, and would take those of a second ledger for repetitions."""
MAX_GAP: Final = 1 << 16
"""Rows left out at a start: the last ones may have been lost with the end of a damaged file, or come
after the backup that was restored, and boards remember them."""
MAX_ROW: Final = 1 << 62
"""A larger one is damaged: there would be no room behind it."""
DAY_S: Final = 24 * 3600.0
PRUNE_EVERY_S: Final = 3600.0
MAX_OUTDATED: Final = 250
WRITTEN_WITHIN_S: Final = 2.0
"""A disk that takes longer, or refuses, does not keep those waiting who look back."""
DELIVERED: Final = Status(code=Code.DELIVERED, state=State.DONE)
DAMAGED: Final = Status(code=Code.FAILED, state=State.UNKNOWN, detail="it is damaged on disk")

log = structlog.get_logger()


class Store:
    """See the module's docstring. All methods are called from the event loop's thread."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        reader: sqlite3.Connection,
        path: Path,
        history_days: int,
        first_row: int | None,
    ) -> None:
        self._reader = reader
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="store reader")
        self._history_days = history_days
        last = connection.execute("SELECT max(row) FROM ledger WHERE row < ?", (MAX_ROW,)).fetchone()[0]
        anywhere = (last + secrets.randbelow(MAX_GAP) if last else secrets.randbelow(MAX_FIRST_ROW)) + 1
        self.next_row = anywhere if first_row is None else first_row
        """Of the next message."""
        self._pending = 0
        self._results: deque[list[Result]] = deque()
        self._have_results = asyncio.Event()
        self._have_room = asyncio.Event()
        self._have_room.set()
        self._loop = asyncio.get_running_loop()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._writer = Writer(connection, path, boot, self._written)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, history_days: int = 30, first_row: int | None = None
    ) -> AsyncIterator[Store]:
        """Open a database file, made if need be; on leaving, everything queued is written.

        Args:
            path: the file.
            history_days: so long messages are kept.
            first_row: of the first new message, for who plays a recording; None: one never used.

        Raises:
            StoreError: it can't be opened or made.
        """
        connection = await asyncio.to_thread(open_file, path)
        reader = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        read_as_it_is(reader)
        store = cls(connection, reader, path, history_days, first_row)
        store._writer.start()
        pruner = asyncio.create_task(store._prune(), name="store pruner")
        try:
            yield store
        finally:
            pruner.cancel()
            await asyncio.to_thread(store._close)

    # Messages ---------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Messages that were put, and of which nobody has heard yet what became of them."""
        return self._pending

    def put(self, message: Message) -> int:
        """Queue a message for acceptance; its row.

        Raises:
            Refused: too many wait for the disk.
        """
        if self._pending >= MAX_PENDING:
            raise Refused(Code.BUSY, f"{self._pending} messages wait for the disk; try again in a moment")
        self._pending += 1
        if self._pending >= MAX_PENDING // 2:
            self._have_room.clear()
        message = message.with_(row=self._row())
        self._writer.submit(Put(message, time.time()))
        return message.row

    def record(self, message: Message, status: Status | None = None) -> Message:
        """Note a message that goes out without waiting for the disk; the message with its row."""
        message = message.with_(row=self._row())
        self._writer.submit(Record(message, time.time(), status or DELIVERED))
        return message

    def update(self, row: int, status: Status) -> None:
        """Note what became of a message."""
        if status.state is not State.ACCEPTED:  # written with the message itself
            self._writer.submit(Change(row, time.time(), status))

    def taken(self, row: int) -> None:
        """Note that a module consumed a message; what it says of it itself counts more."""
        self._writer.submit(Taken(row, time.time()))

    def arrived(self, message: Message, told: str) -> None:
        """Note that a message went through the chain to people, and with which text."""
        other = None if told == message.body else told
        self._writer.submit(Arrived(other, message.row))
        if message.flags & Flag.REPLACES:
            self._writer.submit(Replaced(other, message.sender, message.refid, message.to))

    def steps(self, row: int, steps: Sequence[Step]) -> None:
        """Note what happened to a message on its way."""
        if steps:
            self._writer.submit(Steps(row, time.time(), msgspec.json.encode(steps)))

    async def committed(self) -> AsyncIterator[list[Result]]:
        """What became of the puts, in their order, a batch per transaction."""
        while True:
            await self._have_results.wait()
            self._have_results.clear()
            while self._results:
                results = self._results.popleft()
                try:
                    yield results
                finally:
                    self._settled(len(results))

    async def room(self) -> None:
        """Wait until less than half of the allowed messages wait for the disk."""
        await self._have_room.wait()

    # Who is away ------------------------------------------------------------------------------

    def hold(self, recipient: str, message: Message) -> None:
        """Keep a stored message for somebody who is away, until its expiry."""
        seconds = self._history_days * DAY_S if message.expiry is None else message.expiry
        self._writer.submit(Hold(recipient, message, time.time() + seconds))

    async def held(self, recipient: str | None, limit: int) -> list[Waiting]:
        """What waits for somebody (None: for anybody), oldest first, `limit` at most.

        It goes on waiting until `release`.
        """
        await self._all_written()
        found = await self._read_if_whole(
            "SELECT inbox.recipient, inbox.row, message, coalesce(old.row, 0) FROM inbox "
            "LEFT JOIN ledger ON ledger.row = inbox.row AND ledger.flags & ? "
            "LEFT JOIN ledger AS old "
            "ON old.sender = ledger.sender AND old.mid = ledger.refid AND old.mid <> '' "
            "WHERE ? IN (inbox.recipient, '') AND expires > ? ORDER BY inbox.row LIMIT ?",
            (Flag.REPLACES.value, recipient or "", time.time(), limit),
        )
        return self._waiting(found)

    async def recipients(self) -> set[str]:
        """For whom something waits.

        Raises:
            StoreError: it can't be read.
        """
        return {name for (name,) in await self._read("SELECT DISTINCT recipient FROM inbox", ())}

    async def outdated(self) -> list[Waiting]:
        """What waits for somebody who did not come in time; the first of it."""
        await self._all_written()
        found = await self._read_if_whole(
            "SELECT recipient, row, message FROM inbox WHERE expires <= ? ORDER BY expires LIMIT ?",
            (time.time(), MAX_OUTDATED),
        )
        return self._waiting(found)

    def release(self, recipient: str, message: Message) -> None:
        """A held message was handed over, or has expired."""
        self._writer.submit(Release(recipient, message.row))

    def _waiting(self, found: list[tuple[Any, ...]]) -> list[Waiting]:
        """Those that are whole; the others wait no longer."""
        messages, damaged = whole.waiting(found)
        for name, row in damaged:
            self._writer.submit(Release(name, row))
            self.update(row, DAMAGED)
        return messages

    # Looking back -----------------------------------------------------------------------------

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

    async def unfinished(self) -> list[Open]:
        """Messages that were under way when the last gateway ended, and wait for nobody; oldest first."""
        found = await self._read_if_whole(
            f"SELECT state, at, {COLUMNS} FROM ledger WHERE state IN ('accepted', 'sent', 'started') "  # noqa: S608
            "AND row NOT IN (SELECT row FROM inbox) ORDER BY row",
            (),
        )
        messages, damaged = whole.under_way(found)
        for row in damaged:
            self.update(row, DAMAGED)
        return messages

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

    # What modules keep ------------------------------------------------------------------------

    def note(self, instance: str, key: str, value: bytes | None) -> None:
        """Keep something for a module instance under a key; None: forget it."""
        self._writer.submit(Note(instance, key, value))

    async def notes(self, instance: str) -> dict[str, bytes]:
        """All that is kept for a module instance."""
        return whole.notes(
            await self._read_if_whole("SELECT key, value FROM notes WHERE instance = ?", (instance,))
        )

    # Audit ------------------------------------------------------------------------------------

    def audit(self, who: str, what: str, target: str, result: str) -> None:
        """Add a line to the audit log."""
        self._writer.submit(Audit(time.time(), who, what, target, result))

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

    def _row(self) -> int:
        self.next_row += 1
        return self.next_row - 1

    def _written(self, results: list[Result]) -> None:
        """In the writer's thread: hand results to the loop."""
        if results:
            self._loop.call_soon_threadsafe(self._publish, results)

    def _publish(self, results: list[Result]) -> None:
        self._results.append(results)
        self._have_results.set()

    def _settled(self, count: int) -> None:
        self._pending -= count
        if self._pending < MAX_PENDING // 2:
            self._have_room.set()

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

    def _close(self) -> None:
        """Each connection is closed by the thread that uses it: a cancelled read still runs in its own.

        The writer last: SQLite then moves what is in the WAL to the database, which a reader may not.
        """
        self._reading.submit(self._reader.close)
        self._reading.shutdown()
        self._writer.end()

    async def _prune(self) -> None:
        while True:
            self._writer.submit(Prune(time.time() - self._history_days * DAY_S))
            await asyncio.sleep(PRUNE_EVERY_S)


def forged_audit(path: Path) -> int | None:
    """The number of the first line of a store's audit that does not fit its chain; None: all fit.

    Raises:
        sqlite3.Error: it can't be read.
    """
    in_use = path.with_name(f"{path.name}-wal").exists()
    how = "mode=ro" if in_use else "immutable=1"  # which leaves no files behind
    previous = FIRST_HASH
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True)) as file:
        read_as_it_is(file)
        query = "SELECT seq, hash, at, who, what, target, result FROM audit ORDER BY seq"
        for seq, digest, *line in file.execute(query):
            if audit_hash(previous, Audit(*line)) != digest:
                return int(seq)
            previous = digest
    return None
