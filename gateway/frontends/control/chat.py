"""Chat over ``control.sock``: messages, whom to talk to, the past."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from boardtalk.frontends.control.limits import Line, Row
from boardtalk.sdk import Completion, Contact
from boardtalk.store.records import Conversation, Explanation


class Send(msgspec.Struct, tag_field="op", tag="send"):
    """A message in either form of the envelope, as on `chat/<user>/out`."""

    payload: str


class Read(msgspec.Struct, tag_field="op", tag="read"):
    """The user has read a message that asks for a receipt. Not answered."""

    sender: str
    id: str


class MarkRead(msgspec.Struct, tag_field="op", tag="mark"):
    """The user has read a conversation up to a row. Not answered; his other sessions are told.

    Receipts that are due for what stands before it are given.
    """

    other: str
    """Whom he talks with: a user, a robot, or a group."""
    row: Row


class Stop(msgspec.Struct, tag_field="op", tag="stop"):
    """Stop one robot, or all."""

    robot: str = ""


class Contacts(msgspec.Struct, tag_field="op", tag="contacts"):
    """Ask for the directory."""


class Complete(msgspec.Struct, tag_field="op", tag="complete"):
    """Ask what may follow a half-typed line."""

    to: str
    line: Line


class History(msgspec.Struct, tag_field="op", tag="history"):
    """Ask for past messages of the user, newest last.

    Who was away asks with the last row that he has as `after`, until there are no more.
    """

    other: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20
    text: Line = ""
    """Only those with these words."""
    before: Row | None = None
    """Only those of smaller rows, the newest of them."""
    after: Row | None = None
    """Only those of larger rows, the oldest of them; with them changes of others, by `Flag.REPLACES`."""


class Conversations(msgspec.Struct, tag_field="op", tag="conversations"):
    """Ask with whom the user has talked, the newest first."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class Why(msgspec.Struct, tag_field="op", tag="why"):
    """Ask what became of a message, step by step."""

    id: str = ""
    """"": the last one that the user sent."""


Request = Send | Read | MarkRead | Contacts | Complete | History | Conversations | Why


class ContactList(msgspec.Struct, tag="contacts"):
    """Answers `Contacts`."""

    contacts: list[Contact]


class Completions(msgspec.Struct, tag="completions"):
    """Answers `Complete`."""

    completions: list[Completion]


class Past(msgspec.Struct, tag="history"):
    """Answers `History`."""

    entries: list[dict[str, Any]]
    more: bool = False
    """Whether there are more, beyond the limit or what goes into one answer."""


class ConversationList(msgspec.Struct, tag="conversations"):
    """Answers `Conversations`."""

    conversations: list[Conversation]


class Explained(msgspec.Struct, tag="why"):
    """Answers `Why`."""

    explanation: Explanation
