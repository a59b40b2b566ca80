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
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from boardtalk.sdk import Code, Flag, Message, Refused, State, Status
from boardtalk.store import whole
from boardtalk.store.reading import Reading
from boardtalk.store.schema import open_file, read_as_it_is
from boardtalk.store.writer import (
    COLUMNS,
    Arrived,
    Audit,
    Change,
    Hold,
    Note,
    Prune,
    Put,
    Record,
    Release,
    Replaced,
    Steps,
    Taken,
    Writer,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from boardtalk.store.records import Open, Result, Step, Waiting

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
DELIVERED: Final = Status(code=Code.DELIVERED, state=State.DONE)
DAMAGED: Final = Status(code=Code.FAILED, state=State.UNKNOWN, detail="it is damaged on disk")


class Store(Reading):
    """See the module's docstring. All methods are called from the event loop's thread."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        reader: sqlite3.Connection,
        path: Path,
        history_days: int,
        first_row: int | None,
    ) -> None:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        super().__init__(reader, Writer(connection, path, boot, self._written))
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

    def hold(self, recipient: str, message: Message, since: float) -> None:
        """Keep a stored message for somebody who is away, until its expiry after `since`, UTC seconds."""
        seconds = self._history_days * DAY_S if message.expiry is None else message.expiry
        self._writer.submit(Hold(recipient, message, since + seconds))

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

    async def outdated(self, besides: int) -> list[Waiting]:
        """What waits for somebody who did not come in time; the first of it, `besides` so many more."""
        await self._all_written()
        found = await self._read_if_whole(
            "SELECT recipient, row, message FROM inbox WHERE expires <= ? ORDER BY expires LIMIT ?",
            (time.time(), MAX_OUTDATED + besides),
        )
        return self._waiting(found)

    def release(self, recipient: str, message: Message) -> None:
        """A held message was handed over, or has expired."""
        self._writer.submit(Release(recipient, message.row))

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

    def _waiting(self, found: list[tuple[Any, ...]]) -> list[Waiting]:
        """Those that are whole; the others wait no longer."""
        messages, damaged = whole.waiting(found)
        for name, row in damaged:
            self._writer.submit(Release(name, row))
            self.update(row, DAMAGED)
        return messages

    # Notes of modules, and the audit log --------------------------------------------------------

    def note(self, instance: str, key: str, value: bytes | None) -> None:
        """Keep something for a module instance under a key; None: forget it."""
        self._writer.submit(Note(instance, key, value))

    def audit(self, who: str, what: str, target: str, result: str) -> None:
        """Add a line to the audit log."""
        self._writer.submit(Audit(time.time(), who, what, target, result))

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
