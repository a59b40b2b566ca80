"""How one looks back: the queries for what somebody has said and got, and for his conversations."""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Final

from boardtalk.sdk import Flag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_WORDS: Final = 8
"""That a search looks for."""
MAX_UNREAD: Final = 100
"""So many are counted."""
MAX_RECEIPTS: Final = 100
"""So many are given at once."""
REACHED: Final = "arrived AND state <> 'expired'"
"""Messages that the chain let through, and that were not too late."""
ENTRY: Final = (
    "row, at, sender, recipient, {body} AS text, mid, refid, groupid, type, flags, code, state, detail"
)
"""The columns of a `HistoryEntry`."""
BY_ROW: Final = "+sender"
"""The plus keeps SQLite from reading, and sorting, all that somebody has ever sent: it reads by rows."""
AS_SAID: Final = ENTRY.format(body="body")
AS_TOLD: Final = ENTRY.format(body="coalesce(told, body)")
"""As it reached its recipients."""
AS_SEEN: Final = ENTRY.format(body="CASE WHEN ? OR sender = ? THEN body ELSE coalesce(told, body) END")
"""By somebody; takes whether he may see everything, and who he is."""
MESSAGES: Final = f"NOT flags & {Flag.REPLACES:d}"
"""Those that are no changes of others."""
_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)
"""What SQLite's `lower` does."""

Query = tuple[str, tuple[object, ...]]


def history(
    user: str,
    other: str,
    groups: Sequence[str],
    *,
    text: str,
    before: int | None,
    after: int | None,
    limit: int,
) -> Query:
    """What finds them, the nearest to `before` or `after` first; see `Store.history`.

    Each part reads in the order of an index and stops at the limit, however much there is.
    """
    words = [word.translate(_LOWER) for word in text.split()[:MAX_WORDS]]
    order = "ASC" if after is not None else "DESC"
    rows = "row > ? AND row < ?" + ("" if after is not None else f" AND {MESSAGES}")
    edges = (after or 0, before or 1 << 62)
    parts, values = [], []
    for entry, where, whose in _parts(user, other, groups):
        body = "body" if entry is AS_SAID else "coalesce(told, body)"
        has_words = f" AND instr(lower({body}), ?)" * len(words)
        parts.append(
            f"SELECT * FROM (SELECT {entry} FROM ledger WHERE {where} AND {rows}{has_words} "  # noqa: S608
            f"ORDER BY row {order} LIMIT ?)"
        )
        values += [*whose, *edges, *words, limit]
    return f"{' UNION ALL '.join(parts)} ORDER BY row {order} LIMIT ?", (*values, limit)


def _parts(user: str, other: str, groups: Sequence[str]) -> Iterator[tuple[str, str, tuple[object, ...]]]:
    """What the user said, what reached him, and what reached his groups; each message once."""
    if other:
        yield AS_SAID, "sender = ? AND recipient = ?", (user, other)
    else:
        yield AS_SAID, f"{BY_ROW} = ?", (user,)
    if other not in groups:
        got = "recipient = ?" + " AND sender = ?" * bool(other)
        yield AS_TOLD, f"{got} AND {REACHED} AND sender <> recipient", (user, other)[: 1 + bool(other)]
    for group in groups:
        if other in ("", group):
            yield AS_TOLD, f"recipient = ? AND sender <> ? AND {REACHED}", (group, user)


PARTNERS: Final = """
WITH RECURSIVE
    mine (other) AS (
        SELECT min(recipient) FROM ledger WHERE sender = ?1
        UNION ALL
        SELECT (SELECT min(recipient) FROM ledger WHERE sender = ?1 AND recipient > other)
        FROM mine WHERE other IS NOT NULL),
    senders (other) AS (
        SELECT min(sender) FROM ledger
        UNION ALL
        SELECT (SELECT min(sender) FROM ledger WHERE sender > other) FROM senders WHERE other IS NOT NULL)
SELECT other FROM mine WHERE other IS NOT NULL
UNION
SELECT other FROM senders WHERE other IS NOT NULL
    AND EXISTS (SELECT 1 FROM ledger WHERE sender = other AND recipient = ?1)
"""
"""With whom a user has talked: one look into an index for each address, not one for each message."""


def unread(user: str, other: str, *, is_group: bool, row: int) -> Query:
    """What counts others' messages of a conversation behind a row."""
    where, whose = ("recipient = ? AND sender <> ?", (other, user))
    if not is_group:
        where, whose = ("recipient = ? AND sender = ? AND sender <> recipient", (user, other))
    return (
        (
            f"SELECT count(*) FROM (SELECT 1 FROM ledger WHERE {where} AND row > ? AND {REACHED} "  # noqa: S608
            f"AND {MESSAGES} LIMIT {MAX_UNREAD})"
        ),
        (*whose, row),
    )


def receipts(user: str, other: str, rows: tuple[int, int], *, is_group: bool) -> Query:
    """What finds senders and ids of messages of a conversation that ask for a receipt, within these rows."""
    where, whose = ("recipient = ? AND sender <> ?", (other, user))
    if not is_group:
        where, whose = ("recipient = ? AND sender = ?", (user, other))
    query = (
        f"SELECT sender, mid FROM ledger WHERE {where} AND row > ? AND row <= ? AND {REACHED} "  # noqa: S608
        f"AND mid <> '' AND flags & {Flag.READ_RECEIPT:d} ORDER BY row DESC LIMIT {MAX_RECEIPTS}"
    )
    return query, (*whose, *rows)
