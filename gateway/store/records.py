"""What goes into the store, and what comes out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from boardtalk.sdk import Message, Status


class Accepted(NamedTuple):
    """A message is on disk."""

    message: Message


class Duplicate(NamedTuple):
    """A message whose id its sender used before, for the same text."""

    message: Message
    row: int
    """Of the original."""
    status: Status
    """How far the original has come."""
    answer: Message | None
    """The answer that it got, if any."""


class Conflict(NamedTuple):
    """A message whose id its sender used before, for another text."""

    message: Message


class NotStored(NamedTuple):
    """A message that the disk refuses."""

    message: Message
    reason: str


Result = Accepted | Duplicate | Conflict | NotStored


class Waiting(NamedTuple):
    """A message that is held for somebody."""

    recipient: str
    """Of a group: the member."""
    message: Message
    replaces: int = 0
    """The row of the message whose place it takes; 0: none, or it is not known any more."""


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A past message."""

    row: int
    at: str
    """UTC, ISO 8601 with milliseconds."""
    sender: str
    to: str
    body: str
    id: str
    refid: str
    groupid: str
    type: int
    flags: int
    status: int
    state: str
    detail: str


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """What a user and another address have said to each other, or he and a group."""

    other: str
    last: HistoryEntry
    """The newest message."""
    read: int = 0
    """The row up to which the user has read."""
    unread: int = 0
    """Messages of others behind it; 100 at most are counted."""


class AuditLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the audit log."""

    seq: int
    """Its number."""
    at: float
    """UTC seconds."""
    who: str
    what: str
    target: str
    result: str


class Open(NamedTuple):
    """A message that was under way when the gateway ended."""

    message: Message
    state: str
    at: float
    """UTC seconds of its acceptance."""


class Step(msgspec.Struct, frozen=True, gc=False):
    """Something that happened to a message, or on its account."""

    at: float
    """UTC seconds."""
    who: str
    """A front-end, a module instance, or the gateway."""
    what: str
    detail: str = ""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A message, and everything that is known of what became of it."""

    message: HistoryEntry
    steps: list[Step]
    """In the order in which they happened."""
    answers: list[HistoryEntry]
