"""What is said over the page's WebSockets: JSON objects.

`Request` is what a page says on ``/ws``, `LiveRequest` what it says on ``/live``; ``op`` tells which it is.
It hears `Welcome`, `Answer`, `Refusal`, `control.Pong` and the gateway's events; ``type`` tells which.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from boardtalk.frontends.control import (
    AskCall,
    Audit,
    ChangeRights,
    ChangeSettings,
    ChangeUser,
    Complete,
    ConfirmSettings,
    Contacts,
    GetSettings,
    HandOver,
    HangUp,
    History,
    MarkRead,
    Modules,
    OpenCall,
    Ping,
    Plugged,
    Reload,
    RevertSettings,
    Rights,
    SetPoint,
    Show,
    Stop,
    System,
    Why,
)
from boardtalk.frontends.control.limits import Row
from boardtalk.sdk import Contact
from boardtalk.store.records import Conversation

Address = Annotated[str, Meta(max_length=64)]
Id = Annotated[str, Meta(max_length=64)]

# On /ws, from the page ----------------------------------------------------------------------------


class Hello(msgspec.Struct, tag_field="op", tag="hello"):
    """The first one: begin, with what came after this row."""

    after: Row = 0
    """0: none is known here."""


class Say(msgspec.Struct, tag_field="op", tag="send"):
    """A message. Said again with the same id, it is answered alike and not done again."""

    id: Id
    to: Address
    body: str
    flags: int = 0


class Typing(msgspec.Struct, tag_field="op", tag="typing"):
    """The user types something for somebody."""

    to: Address


Question = (
    Contacts
    | Complete
    | History
    | Why
    | OpenCall
    | AskCall
    | Modules
    | Show
    | Plugged
    | System
    | Audit
    | GetSettings
    | ChangeSettings
    | ConfirmSettings
    | RevertSettings
    | Rights
    | ChangeRights
    | ChangeUser
    | Reload
)
"""What a page may ask the gateway, which answers it if the user's role allows. Nothing else gets through."""


class Ask(msgspec.Struct, tag_field="op", tag="ask"):
    """A question; `Answer` or `Refusal` carries the same number."""

    n: Annotated[int, Meta(ge=0)]
    request: Question


Request = Hello | Ping | Say | Typing | MarkRead | Stop | HangUp | HandOver | Ask
"""A stop is said here too in case that the stop lane is down."""

# On /live, from the page --------------------------------------------------------------------------


class Join(msgspec.Struct, tag_field="op", tag="hello"):
    """The first one: which page it belongs to, and whose values it wants. `control.Watching` answers it."""

    page: Id
    robot: Address


LiveRequest = Join | SetPoint

# To the page --------------------------------------------------------------------------------------


class Welcome(msgspec.Struct, tag="welcome"):
    """Answers `Hello`."""

    user: str
    page: str
    """Names this page on ``/live``."""
    version: str
    contacts: list[Contact]
    """Who is there."""
    talks: list[Conversation]
    """With whom the user has talked, the newest first."""
    entries: list[dict[str, Any]]
    """What was said behind the row that the page knows, as in `control.Past`."""
    gap: bool = False
    """That was too much: what the page has is to be forgotten."""


class Answer(msgspec.Struct, tag="answer"):
    """Answers a question."""

    n: int
    value: msgspec.Struct
    """As the gateway replies to the request."""


class Refusal(msgspec.Struct, tag="refused"):
    """A question, or a message with this id, that was refused."""

    n: int
    reason: str
    id: str = ""
