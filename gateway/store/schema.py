"""The tables, and how a database file is opened, checked and, if it is damaged, set aside."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from boardtalk.sdk import BoardtalkError, kept

if TYPE_CHECKING:
    from pathlib import Path

BUSY_TIMEOUT_S: Final = 1.0
MAX_LOG_PAGES: Final = 10_000
"""Of 4 kB. More than `Checkpointer` leaves: if it can't do its work, a commit does it."""

TABLES: Final = """
CREATE TABLE ledger (
    row INTEGER PRIMARY KEY,
    at REAL NOT NULL,            -- UTC seconds of acceptance
    boot TEXT NOT NULL,          -- of the machine: monotonic times of another boot mean nothing
    sender TEXT NOT NULL, recipient TEXT NOT NULL, mid TEXT NOT NULL, refid TEXT NOT NULL,
    groupid TEXT NOT NULL, type INTEGER NOT NULL, flags INTEGER NOT NULL, expiry INTEGER,
    aid INTEGER NOT NULL, body TEXT NOT NULL,
    code INTEGER NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE UNIQUE INDEX ledger_id ON ledger (sender, mid) WHERE mid <> '';
CREATE INDEX ledger_refid ON ledger (recipient, refid) WHERE refid <> '';
CREATE INDEX ledger_recipient ON ledger (recipient, row);
CREATE INDEX ledger_sender ON ledger (sender, row);
CREATE INDEX ledger_open ON ledger (row) WHERE state IN ('accepted', 'sent', 'started');
CREATE TABLE transitions (row INTEGER NOT NULL, at REAL NOT NULL, code INTEGER NOT NULL, state TEXT NOT NULL,
    detail TEXT NOT NULL);
CREATE INDEX transitions_row ON transitions (row);
CREATE TABLE inbox (recipient TEXT NOT NULL, row INTEGER NOT NULL, expires REAL NOT NULL,
    PRIMARY KEY (recipient, row)) WITHOUT ROWID;
CREATE TABLE audit (seq INTEGER PRIMARY KEY, at REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
    target TEXT NOT NULL, result TEXT NOT NULL, hash TEXT NOT NULL);
"""

MIGRATIONS: Final = (
    TABLES,
    """
CREATE TABLE notes (instance TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (instance, key)) WITHOUT ROWID;
""",
    """
ALTER TABLE inbox ADD COLUMN message BLOB NOT NULL DEFAULT '';    -- as it left the chain, JSON
UPDATE inbox SET message = (SELECT CAST(json_object('sender', sender, 'to', ledger.recipient, 'body', body,
    'id', mid, 'refid', refid, 'groupid', groupid, 'type', type, 'flags', flags, 'expiry', expiry,
    'aid', aid, 'row', row) AS BLOB) FROM ledger WHERE ledger.row = inbox.row);
""",
    """
CREATE TABLE steps (row INTEGER NOT NULL, at REAL NOT NULL, steps BLOB NOT NULL);    -- JSON: a list of Step
CREATE INDEX steps_row ON steps (row);
CREATE INDEX ledger_mid ON ledger (mid) WHERE mid <> '';
CREATE INDEX inbox_expires ON inbox (expires);
""",
    """
ALTER TABLE ledger ADD COLUMN arrived INTEGER NOT NULL DEFAULT 1;    -- whether the chain let it through
ALTER TABLE ledger ADD COLUMN told TEXT;    -- what its recipients got, if that is another text
CREATE INDEX ledger_pair ON ledger (sender, recipient, row);
DROP INDEX ledger_sender;    -- one index more would be dear at each message
""",
)
"""What makes version n + 1 out of version n; only ever added to."""

log = structlog.get_logger()


class StoreError(BoardtalkError):
    """The store can't be opened."""


def open_file(path: Path) -> sqlite3.Connection:
    """Open (or make) a database; a damaged one is set aside, and a new one takes its place.

    Raises:
        StoreError: the file can't be opened or made, or is of a newer version.
    """
    try:
        return _open(path)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # of an error that quotes the damage
        if isinstance(error, sqlite3.OperationalError) and not _is_damage(path, error):
            raise StoreError(
                f"{path}: {error}; is the folder writable, and does no other gateway use it?"
            ) from error
        aside = kept.set_aside(path)
        log.error(
            "the store is damaged; a new one is made",
            file=str(path),
            aside=str(aside),
            error=str(error),
        )
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _open(path)


def read_as_it_is(connection: sqlite3.Connection) -> None:
    """Have bytes that are no UTF-8 read as such, not refused with all that stands beside them."""
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")


def _is_damage(path: Path, error: sqlite3.OperationalError) -> bool:
    """Whether an error tells of what is in the file, rather than of the disk or its rights."""
    if error.sqlite_errorcode == sqlite3.SQLITE_READONLY:  # so says the file of itself
        return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    return error.sqlite_errorcode == sqlite3.SQLITE_ERROR


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        path.chmod(0o600)
        read_as_it_is(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {MAX_LOG_PAGES}")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS) and _shape(connection) != _right_shape():
            raise StoreError(f"{path}: written by a newer boardtalk; use that one, or another state folder")
        if version and connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("quick_check failed")
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            connection.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")
        if version > len(MIGRATIONS) or _shape(connection) != _right_shape():
            raise sqlite3.DatabaseError("its tables are not those that were made")
    except BaseException:
        connection.close()
        raise
    return connection


def _shape(connection: sqlite3.Connection) -> set[tuple[object, ...]]:
    """Tables with their columns, and indexes: a flipped bit may rename one, and `quick_check` is content."""
    columns = connection.execute(
        "SELECT made.name, columns.* FROM sqlite_master AS made, pragma_table_info(made.name) AS columns "
        "WHERE made.type = 'table'"
    )
    indexes = connection.execute("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index'")
    return {*columns, *indexes}


def _right_shape() -> set[tuple[object, ...]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        for script in MIGRATIONS:
            connection.executescript(script)
        return _shape(connection)
