"""The one thread that writes: everything that waits goes into one transaction (group commit)."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections import deque
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import structlog

from boardtalk.sdk import Code, Flag, Message, State, Status
from boardtalk.store.checkpoint import EVERY_JOBS, MOVE, Checkpointer
from boardtalk.store.records import Accepted, Conflict, Duplicate, NotStored, Result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ID_MEMORY_S: Final = 24 * 3600
"""Ids are remembered this long; afterwards they may be used again."""
RETRY_S: Final = 1.0
"""Between attempts to write on a disk that refuses."""
MAX_RETRIED: Final = 100_000
"""Changes kept in memory while the disk refuses; the oldest are dropped beyond, and that is logged."""
FIRST_HASH: Final = "0" * 64

log = structlog.get_logger()


class Put(NamedTuple):
    """Accept a message, if its id is new."""

    message: Message
    at: float


class Record(NamedTuple):
    """Note a message that was sent already."""

    message: Message
    at: float
    status: Status


class Change(NamedTuple):
    """A message's status."""

    row: int
    at: float
    status: Status


class Taken(NamedTuple):
    """A module consumed a message; if it said more of it, that stays."""

    row: int
    at: float


class Arrived(NamedTuple):
    """The chain let a message through to people."""

    told: str | None
    """What they got, if that is another text."""
    row: int


class Replaced(NamedTuple):
    """… and took the place of another one."""

    told: str | None
    sender: str
    mid: str
    recipient: str


class Steps(NamedTuple):
    """What happened to a message on its way."""

    row: int
    at: float
    steps: bytes
    """JSON: a list of `Step`."""


class Hold(NamedTuple):
    """Keep a message for somebody who is away."""

    recipient: str
    message: Message
    expires: float


class Release(NamedTuple):
    """It was handed over."""

    recipient: str
    row: int


class Audit(NamedTuple):
    """A line of the audit log."""

    at: float
    who: str
    what: str
    target: str
    result: str


class Prune(NamedTuple):
    """Forget what is older."""

    before: float


class Mark(NamedTuple):
    """Nothing to write: tells when all that was queued before is written."""

    reached: Callable[[], object]
    """Called in the writer's thread."""


class Note(NamedTuple):
    """What a module instance keeps under a key; None: nothing any more."""

    instance: str
    key: str
    value: bytes | None


Job = (
    Put | Record | Change | Taken | Arrived | Replaced | Steps | Hold | Release | Audit | Prune | Note | Mark
)

INSERT: Final = (
    "INSERT OR IGNORE INTO ledger (row, at, boot, sender, recipient, mid, refid, groupid, type, flags, "
    "expiry, aid, body, code, state, detail, arrived) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0)"
)
PLAIN: Final[dict[type[Job], str]] = {
    Arrived: "UPDATE ledger SET arrived = 1, told = ? WHERE row = ?",
    Replaced: "UPDATE ledger SET told = ? WHERE sender = ? AND mid = ? AND mid <> '' AND recipient = ?",
    Steps: "INSERT INTO steps VALUES (?,?,?)",
    Release: "DELETE FROM inbox WHERE recipient = ? AND row = ?",
}
"""What a job with these values does, if that is all."""
COLUMNS: Final = "row, sender, recipient, mid, refid, groupid, type, flags, expiry, aid, body"


class Writer(threading.Thread):
    """Writes what is given to `submit`; tells the results of puts in batches, in order.

    Args:
        connection: used by this thread alone, which closes it at its end.
        path: of the database.
        boot: of the machine, noted with each message.
        done: called in this thread after each transaction, with the results of its puts.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        boot: str,
        done: Callable[[list[Result]], None],
    ) -> None:
        super().__init__(name="store writer", daemon=True)
        self._connection = connection
        self._boot = boot
        self._done = done
        self._checkpointer = Checkpointer(path, self._move_rest)
        self._moved = False
        self._since = 0
        """Jobs since a checkpoint began."""
        self._jobs: deque[Job] = deque()
        self._wake = threading.Condition()
        self._ending = False

    def submit(self, job: Job) -> None:
        """Queue a job."""
        with self._wake:
            self._jobs.append(job)
            self._wake.notify()

    def end(self) -> None:
        """Write what waits, then end."""
        with self._wake:
            self._ending = True
            self._wake.notify()
        self.join()

    def run(self) -> None:
        """Write until `end`."""
        self._checkpointer.start()
        with closing(self._connection):
            self._serve()
            self._checkpointer.end()

    def _serve(self) -> None:
        while True:
            with self._wake:
                while not self._jobs and not self._ending and not self._moved:
                    self._wake.wait()
                jobs, self._jobs = self._jobs, deque()
                if not jobs and self._ending:
                    return
            if jobs:
                self._done(self._write(jobs))
            self._checkpoint(len(jobs))

    def _checkpoint(self, written: int) -> None:
        if self._moved:
            self._moved = False
            with suppress(sqlite3.Error):  # the next one may
                self._connection.execute(MOVE)
        self._since += written
        if self._since >= EVERY_JOBS:
            self._since = 0
            self._checkpointer.begin()

    def _move_rest(self) -> None:
        """In the checkpointer's thread."""
        with self._wake:
            self._moved = True
            self._wake.notify()

    def _write(self, jobs: deque[Job]) -> list[Result]:
        """One transaction; if the disk refuses it, puts fail and the rest is tried again later."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            results = [result for job in jobs if (result := self._do(job)) is not None]
            self._connection.execute("COMMIT")
            for job in jobs:
                if isinstance(job, Mark):
                    job.reached()
        except (sqlite3.Error, OverflowError, ValueError, TypeError) as error:  # also of damaged values
            log.error("the disk refuses to store", error=str(error), jobs=len(jobs))
            return self._refused(jobs, str(error))
        return results

    def _refused(self, jobs: deque[Job], reason: str) -> list[Result]:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        kept = [job for job in jobs if not isinstance(job, Put)]
        with self._wake:
            if kept and not self._ending:
                waited_for = bool(self._jobs)
                if len(kept) > MAX_RETRIED:
                    log.error("changes dropped: the disk refuses too long", count=len(kept) - MAX_RETRIED)
                self._jobs.extendleft(reversed(kept[-MAX_RETRIED:]))
                if len(kept) == len(jobs) and not waited_for:
                    self._wake.wait(RETRY_S)
        return [NotStored(job.message, reason) for job in jobs if isinstance(job, Put)]

    def _do(self, job: Job) -> Result | None:
        execute = self._connection.execute
        match job:
            case Put(message, at):
                return self._put(message, at)
            case Record(message, at, status):
                self._record(message, at, status)
            case Change(row, at, status):
                execute(
                    "UPDATE ledger SET code = ?, state = ?, detail = ? WHERE row = ?",
                    (status.code, status.state, status.detail, row),
                )
                execute(
                    "INSERT INTO transitions VALUES (?,?,?,?,?)",
                    (row, at, status.code, status.state, status.detail),
                )
            case Taken(row, at):
                self._taken(row, at)
            case Arrived() | Replaced() | Steps() | Release():
                execute(PLAIN[type(job)], job)
            case Hold(recipient, message, expires):
                execute(
                    "INSERT OR REPLACE INTO inbox (recipient, row, expires, message) VALUES (?,?,?,?)",
                    (recipient, message.row, expires, msgspec.json.encode(message)),
                )
            case Audit():
                self._audit(job)
            case Note():
                self._note(job)
            case Prune(before):
                self._prune(before)
        return None

    def _prune(self, before: float) -> None:
        for table in ("ledger", "transitions", "steps"):
            self._connection.execute(
                f"DELETE FROM {table} WHERE at < ? AND row NOT IN (SELECT row FROM inbox)",  # noqa: S608
                (before,),
            )

    def _taken(self, row: int, at: float) -> None:
        cursor = self._connection.execute(
            "UPDATE ledger SET code = ?, state = ? WHERE row = ? AND state = ?",
            (Code.DELIVERED, State.SENT, row, State.ACCEPTED),
        )
        if cursor.rowcount:
            self._connection.execute(
                "INSERT INTO transitions VALUES (?,?,?,?,'')", (row, at, Code.DELIVERED, State.SENT)
            )

    def _put(self, message: Message, at: float) -> Result:
        status = Status(code=Code.ACCEPTED, state=State.ACCEPTED)
        if self._insert(message, at, status):
            return Accepted(message)
        row, then, *same, code, state, detail = self._connection.execute(
            "SELECT row, at, recipient, body, type, code, state, detail FROM ledger"
            " WHERE sender = ? AND mid = ?",
            (message.sender, message.id),
        ).fetchone()
        if at - then > ID_MEMORY_S:
            self._connection.execute("UPDATE ledger SET mid = '' WHERE row = ?", (row,))
            return self._put(message, at)
        if same != [message.to, message.body, message.type]:
            return Conflict(message)
        status = Status(code=Code(code), state=State(state), detail=detail)
        return Duplicate(message, row, status, self._answer(message))

    def _insert(self, message: Message, at: float, status: Status) -> bool:
        cursor = self._connection.execute(
            INSERT,
            (
                message.row, at, self._boot, message.sender, message.to, message.id, message.refid,
                message.groupid, message.type, message.flags, message.expiry, message.aid, message.body,
                status.code, status.state, status.detail,
            ),
        )  # fmt: skip
        return cursor.rowcount > 0

    def _record(self, message: Message, at: float, status: Status) -> None:
        """Note what goes out; the history shows what it replaces with its text.

        But not to the recipients, before the chain has let it through.
        """
        self._insert(message, at, status)
        if message.flags & Flag.REPLACES:
            self._connection.execute(
                "UPDATE ledger SET body = ?, told = coalesce(told, body) "
                "WHERE sender = ? AND mid = ? AND mid <> '' AND recipient = ?",
                (message.body, message.sender, message.refid, message.to),
            )

    def _answer(self, message: Message) -> Message | None:
        found = self._connection.execute(
            f"SELECT {COLUMNS} FROM ledger WHERE recipient = ? AND refid = ? ORDER BY row DESC",  # noqa: S608
            (message.sender, message.id),
        ).fetchone()
        return as_message(found) if found else None

    def _note(self, job: Note) -> None:
        execute = self._connection.execute
        if job.value is None:
            execute("DELETE FROM notes WHERE instance = ? AND key = ?", (job.instance, job.key))
        else:
            execute("INSERT OR REPLACE INTO notes VALUES (?,?,?)", job)

    def _audit(self, job: Audit) -> None:
        last = self._connection.execute("SELECT hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        digest = audit_hash(last[0] if last else FIRST_HASH, job)
        self._connection.execute(
            "INSERT INTO audit (at, who, what, target, result, hash) VALUES (?,?,?,?,?,?)",
            (*job, digest),
        )


def as_message(found: tuple[object, ...]) -> Message:
    """A message from the `COLUMNS` of its row."""
    row, sender, to, mid, refid, groupid, type_, flags, expiry, aid, body = found
    fields = {"row": row, "sender": sender, "to": to, "id": mid, "refid": refid, "groupid": groupid,
              "type": type_, "flags": flags, "expiry": expiry, "aid": aid, "body": body}  # fmt: skip
    return Message(**fields)  # type: ignore[arg-type]


def audit_hash(previous: str, line: Audit) -> str:
    """The link of the chain: SHA-256 over the previous link and this line."""
    fields = (previous, repr(line.at), line.who, line.what, line.target, line.result)
    text = "\x1f".join(map(str, fields))  # damaged ones may be anything
    return hashlib.sha256(text.encode()).hexdigest()
