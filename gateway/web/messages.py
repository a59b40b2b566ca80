"""What is said over the page's WebSockets: JSON objects, of which ``op`` says what they are.

`Request` is what a page says on ``/ws``, `LiveRequest` what it says on ``/live``; the rest is what it hears.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from boardtalk import events
from boardtalk.events import CallUpdate, Delivery, Held, Presence, Sent, Update
from boardtalk.sdk import Contact, Flag

if TYPE_CHECKING:
    from boardtalk.events import Event
    from boardtalk.sdk import Message
    from boardtalk.store import HistoryEntry

Number = Annotated[int, Meta(ge=0, description="of the request; the answer carries it")]
Address = Annotated[str, Meta(max_length=64)]
Id = Annotated[str, Meta(max_length=64)]

# On /ws, from the page ----------------------------------------------------------------------------


class Hello(msgspec.Struct, tag_field="op", tag="hello"):
    """The first one: begin, with what came after this row."""

    after: int = 0
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


class Mark(msgspec.Struct, tag_field="op", tag="mark"):
    """The user has seen a conversation up to this row."""

    other: Address
    row: int


class StopNow(msgspec.Struct, tag_field="op", tag="stop"):
    """Stop one robot, or all; said here too in case that the stop lane is down."""

    robot: Address = ""


class AskContacts(msgspec.Struct, tag_field="op", tag="contacts"):
    """Who is there."""

    n: Number


class AskCompletions(msgspec.Struct, tag_field="op", tag="complete"):
    """What may follow a half-typed line."""

    n: Number
    to: Address
    line: Annotated[str, Meta(max_length=4096)]


class AskHistory(msgspec.Struct, tag_field="op", tag="history"):
    """Past messages."""

    n: Number
    other: Address = ""
    """With this one only."""
    before: int | None = None
    """Of smaller rows than this, for paging."""
    text: Annotated[str, Meta(max_length=256)] = ""
    """With these words."""
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class AskWhy(msgspec.Struct, tag_field="op", tag="why"):
    """What became of a message."""

    n: Number
    id: Id


class AskModules(msgspec.Struct, tag_field="op", tag="modules"):
    """How the chain is."""

    n: Number


class ChangeUser(msgspec.Struct, tag_field="op", tag="user"):
    """Change a user: `add`, `remove`, `passwd`, `token` or `role`."""

    n: Number
    action: str
    address: Address
    role: str = ""
    password: str = ""


class Reload(msgspec.Struct, tag_field="op", tag="reload"):
    """Have the gateway read its configuration again."""

    n: Number


class AskSystem(msgspec.Struct, tag_field="op", tag="system"):
    """How the gateway is."""

    n: Number


class AskAudit(msgspec.Struct, tag_field="op", tag="audit"):
    """Who did what, the newest last."""

    n: Number
    before: int | None = None
    """Of smaller numbers than this, for paging."""
    text: Annotated[str, Meta(max_length=256)] = ""
    """With this in it."""


class AskSettings(msgspec.Struct, tag_field="op", tag="settings"):
    """The settings of a module instance."""

    n: Number
    instance: str


class ChangeSettings(msgspec.Struct, tag_field="op", tag="change settings"):
    """Put other settings into force, until they are confirmed or taken back."""

    n: Number
    instance: str
    values: dict[str, str | None]
    """As the file would have them; null: the default."""


class ConfirmSettings(msgspec.Struct, tag_field="op", tag="confirm settings"):
    """Keep them."""

    n: Number
    change: Id


class RevertSettings(msgspec.Struct, tag_field="op", tag="revert settings"):
    """Take them back."""

    n: Number
    change: Id


class OpenCall(msgspec.Struct, tag_field="op", tag="call"):
    """Ask for live control of a robot. Its set-points go over ``/live``."""

    n: Number
    to: Address
    control: Address = ""


class AskCall(msgspec.Struct, tag_field="op", tag="ask call"):
    """Ask who has a robot to hand it over."""

    n: Number
    to: Address


class HandOver(msgspec.Struct, tag_field="op", tag="hand over"):
    """The answer to somebody who asks for a robot."""

    ask: Id
    yes: bool


class HangUp(msgspec.Struct, tag_field="op", tag="hang up"):
    """End a call."""

    call: Id


Administration = (
    AskModules
    | AskSystem
    | AskAudit
    | AskSettings
    | ChangeSettings
    | ConfirmSettings
    | RevertSettings
    | ChangeUser
    | Reload
)
Question = AskContacts | AskCompletions | AskHistory | AskWhy | OpenCall | AskCall | Administration
"""What is answered."""
Request = Hello | Say | Typing | Mark | StopNow | HangUp | HandOver | Question

# On /live, from the page --------------------------------------------------------------------------


class Join(msgspec.Struct, tag_field="op", tag="hello"):
    """The first one: which page it belongs to, and whose values it wants."""

    page: Id
    robot: Address


class SetPoint(msgspec.Struct, tag_field="op", tag="set"):
    """Live values for a call, like the arguments of a command: `x=20 y=-50`."""

    call: Id
    values: Annotated[str, Meta(max_length=1024)]


LiveRequest = Join | SetPoint

# To the page --------------------------------------------------------------------------------------


class Row(msgspec.Struct, omit_defaults=True):
    """A message, from the history or just now."""

    row: int
    """Where it is stored; 0: nowhere."""
    at: float
    """UTC seconds."""
    sender: str
    to: str
    body: str
    id: str = ""
    refid: str = ""
    groupid: str = ""
    flags: int = 0
    state: str = ""
    """How far it is; of an answer, how what it answers ended."""
    detail: str = ""
    replaces: int = 0
    """The row whose text this is from now on."""


class Talk(msgspec.Struct):
    """A conversation."""

    other: str
    last: Row
    read: int
    """The row up to which the user has read."""
    unread: int


class Welcome(msgspec.Struct, tag_field="op", tag="welcome"):
    """Answers `Hello`."""

    user: str
    page: str
    """Names this page on ``/live``."""
    version: str
    contacts: list[Contact]
    """Who is there."""
    talks: list[Talk]
    """With whom the user has talked, the newest first."""
    entries: list[Row]
    """What was said behind the row that the page knows, the newest last."""
    gap: bool = False
    """That was too much: what the page has is to be forgotten."""


class Came(msgspec.Struct, tag_field="op", tag="message"):
    """A message for the user."""

    entry: Row


class WasSaid(msgspec.Struct, tag_field="op", tag="sent"):
    """A message that the user has sent from elsewhere."""

    entry: Row


class Marked(msgspec.Struct, tag_field="op", tag="marked"):
    """The user has read a conversation up to a row, elsewhere."""

    other: str
    row: int


class Changed(msgspec.Struct, tag_field="op", tag="status"):
    """How far a message of the user's is."""

    id: str
    to: str
    state: str
    detail: str
    at: float
    row: int = 0


class Seen(msgspec.Struct, tag_field="op", tag="presence"):
    """Somebody came or went, or a robot changed its state."""

    address: str
    online: bool
    state: str


class IsHeld(msgspec.Struct, tag_field="op", tag="held"):
    """Somebody has a robot for himself now, or nobody has."""

    address: str
    holder: str


class IsTyping(msgspec.Struct, tag_field="op", tag="typing"):
    """Somebody types something for the user, or for a group of his."""

    sender: str
    groupid: str = ""


class CallChanged(msgspec.Struct, tag_field="op", tag="call"):
    """A call of the user's changed."""

    call: str
    to: str
    state: str
    reason: str


class CallWanted(msgspec.Struct, tag_field="op", tag="call asked"):
    """Somebody asks for a robot that the user has."""

    ask: str
    by: str
    to: str
    until: float
    """UTC seconds."""


class CallDecided(msgspec.Struct, tag_field="op", tag="call decided"):
    """Whether a robot that was asked for is handed over."""

    ask: str
    by: str
    to: str
    granted: bool
    reason: str


class PastRows(msgspec.Struct):
    """The answer to `AskHistory`."""

    entries: list[Row]
    more: bool
    """Whether there are older ones."""


class Watching(msgspec.Struct, tag_field="op", tag="watching"):
    """On /live: what is known of the values so far, by channel: times and values."""

    series: dict[str, list[Any]]


class NewValues(msgspec.Struct, tag_field="op", tag="values"):
    """On /live: new ones."""

    series: dict[str, list[Any]]


class Answer(msgspec.Struct, tag_field="op", tag="answer"):
    """Answers a question."""

    n: int
    value: Any


class Refusal(msgspec.Struct, tag_field="op", tag="refused"):
    """A question, or a message with this id, that was refused."""

    n: int
    reason: str
    id: str = ""


def past(entry: HistoryEntry) -> Row:
    """A message of the history."""
    return Row(
        row=entry.row,
        at=datetime.fromisoformat(entry.at).timestamp(),
        sender=entry.sender,
        to=entry.to,
        body=entry.body,
        id=entry.id,
        refid=entry.refid,
        groupid=entry.groupid,
        flags=entry.flags,
        state=entry.state,
        detail=entry.detail,
    )


def told(event: Event) -> msgspec.Struct | None:
    """An event of the gateway, as the page hears it on /ws; None: it is not for there."""
    match event:
        case Delivery():
            return _delivered(event)
        case Sent(message=message, at=at):
            return WasSaid(_row(message, at))
        case Update(message_id=id_, to=to, status=status, at=at, row=row):
            return Changed(id_, to, status.state, status.detail, at, row)
        case Presence(address=address, online=online, state=state):
            return Seen(address, online, state)
        case Held(address=address, holder=holder):
            return IsHeld(address, holder)
        case CallUpdate(call=call, to=to, state=call_state, reason=reason):
            return CallChanged(call, to, call_state, reason)
        case events.Marked(other=other, row=row):
            return Marked(other, row)
        case events.CallAsked(ask=ask, by=by, to=to, until=until):
            return CallWanted(ask, by, to, until)
        case events.CallDecided(ask=ask, by=by, to=to, granted=granted, reason=reason):
            return CallDecided(ask, by, to, granted, reason)
        case _:
            return None


def _delivered(event: Delivery) -> Came | IsTyping:
    message, status = event.message, event.status
    if message.flags & Flag.PRESENCE:
        return IsTyping(message.sender, message.groupid)
    row = _row(message, event.at)
    row.replaces = event.replaces
    if status:
        row.state, row.detail = status.state, status.detail
    return Came(row)


def _row(message: Message, at: float) -> Row:
    return Row(
        row=message.row,
        at=at,
        sender=message.sender,
        to=message.to,
        body=message.body,
        id=message.id,
        refid=message.refid,
        groupid=message.groupid,
        flags=message.flags,
    )
