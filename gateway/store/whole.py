"""What is read from the store, as far as it is whole: SQLite notices no flipped bit within a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from boardtalk.checked import checked
from boardtalk.sdk import SYSTEM, Message, iso
from boardtalk.store.records import AuditLine, HistoryEntry, Open, Step, Waiting
from boardtalk.store.writer import as_message

if TYPE_CHECKING:
    from collections.abc import Iterable

ERRORS: Final = (msgspec.DecodeError, ValueError, TypeError, ArithmeticError, OSError)
"""What may come of a damaged value; the last two of impossible times."""

log = structlog.get_logger()


def entries(found: Iterable[tuple[Any, ...]]) -> list[HistoryEntry]:
    """Past messages from the columns of `ENTRY`."""
    whole = []
    for row, at, sender, to, body, mid, refid, groupid, type_, flags, code, state, detail in found:
        try:
            entry = HistoryEntry(row=row, at=iso(at), sender=sender, to=to, body=body, id=mid, refid=refid,
                                 groupid=groupid, type=type_, flags=flags,
                                 status=code, state=state, detail=detail)  # fmt: skip
            whole.append(checked(entry, HistoryEntry))
        except ERRORS as error:
            _tell("a message in the history", row=row, error=error)
    return whole


def audit_lines(found: Iterable[tuple[Any, ...]]) -> list[AuditLine]:
    """Lines of the audit log, from their columns."""
    whole = []
    for seq, at, who, what, target, result in found:
        try:
            line = AuditLine(seq=seq, at=at, who=who, what=what, target=target, result=result)
            whole.append(checked(line, AuditLine))
        except ERRORS as error:
            _tell("a line of the audit log", seq=seq, error=error)
    return whole


def steps(noted: Iterable[tuple[Any, ...]], states: Iterable[tuple[Any, ...]]) -> list[Step]:
    """What became of a message, from the notes of its steps and the states that it went through."""
    whole: list[Step] = []
    for (text,) in noted:
        try:
            whole += msgspec.json.decode(text, type=list[Step])
        except ERRORS as error:
            _tell("steps of a message", error=error)
    for at, state, detail in states:
        try:
            whole.append(checked(Step(at, SYSTEM, state, detail), Step))
        except ERRORS as error:
            _tell("a state of a message", error=error)
    return sorted(whole, key=lambda step: step.at)


def notes(found: Iterable[tuple[Any, ...]]) -> dict[str, bytes]:
    """What a module instance keeps, by its keys."""
    whole = {}
    for key, value in found:
        try:
            msgspec.json.decode(value)
        except ERRORS as error:
            _tell("a note of a module", key=key, error=error)
        else:
            whole[key] = value
    return whole


def waiting(found: Iterable[tuple[Any, ...]]) -> tuple[list[Waiting], list[tuple[str, int]]]:
    """Messages that wait; for whom damaged ones do, and their rows."""
    whole, damaged = [], []
    for name, row, data, *more in found:
        try:
            message = msgspec.json.decode(data, type=Message).with_(row=row)
            whole.append(Waiting(name, message, *more))
        except ERRORS as error:
            damaged.append((name, row))
            _tell("a message that waited", to=name, row=row, error=error)
    return whole, damaged


def under_way(found: Iterable[tuple[Any, ...]]) -> tuple[list[Open], list[int]]:
    """Messages that had no end, from their state, their time and their `COLUMNS`; the rows of the damaged."""
    whole, damaged = [], []
    for state, at, *columns in found:
        try:
            whole.append(Open(checked(as_message(tuple(columns)), Message), state, float(at)))
        except ERRORS as error:
            damaged.append(columns[0])
            _tell("a message that was under way", row=columns[0], error=error)
    return whole, damaged


def _tell(what: str, *, error: Exception, **more: object) -> None:
    log.error("damaged on disk", what=what, reason=str(error), **more)
