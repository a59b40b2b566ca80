"""Whether the audit log is as it was written: each line has a hash of the lines before it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from boardtalk.store.schema import read_as_it_is
from boardtalk.store.writer import FIRST_HASH, Audit, audit_hash

if TYPE_CHECKING:
    from pathlib import Path


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
