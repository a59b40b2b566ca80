"""What the gateway and the process of an isolated module say to each other, as JSON lines.

Three ways: `Begin` on standard input, once; `Request` and `Answer` on the one socket, the requests
being the callbacks of a module; `Ask` and `Reply` on the other, the asks being the methods of its
context. A module waits for each of its asks, so that a refusal is raised where it asked.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

import msgspec

from boardtalk.conf import Block
from boardtalk.sdk import (
    Call,
    CallState,
    Code,
    Completion,
    Contact,
    Message,
    Status,
    User,
)
from boardtalk.sdk.module import Action


class Jail(msgspec.Struct, frozen=True, kw_only=True):
    """What a process may do."""

    memory_mb: int
    files: int
    """How many it may have open."""
    network: bool
    readable: tuple[str, ...] = ()
    """Files and folders, besides Python and the system's libraries."""
    writable: tuple[str, ...] = ()
    """Files, devices and folders."""


class Begin(msgspec.Struct, frozen=True, kw_only=True):
    """Which module the process is for."""

    instance: str
    module_folders: tuple[str, ...]
    block: Block
    """Its configuration; the name is the module's."""
    jail: Jail
    helpers: str = ""
    """The library that a native module is linked against."""
    state: str = ""
    folder: str = ""
    verbosity: int = 0


class Problem(msgspec.Struct, frozen=True):
    """Something wrong in the configuration."""

    reason: str
    path: str | None = None
    line: int = 0
    column: int = 0


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What a module is, told without starting it."""

    version: str = ""
    description: str = ""
    callbacks: frozenset[str] = frozenset()
    """Those that it has, such as ``on_login``."""
    files: tuple[str, ...] = ()
    """Its code."""
    problems: tuple[Problem, ...] = ()
    """With its settings."""
    failure: str = ""
    """Why it can't be used at all."""
    missing: tuple[str, ...] = ()
    """What of its jail this kernel does not have."""


# Requests: the gateway to the module -----------------------------------------------------------


class Request(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Call a callback of the module: the one that the tag names, with the further fields as arguments."""

    re: int = 0
    """Number of the request; the answer carries it."""
    watched: bool = False
    """Whether the gateway wants to know what the module sees of the world, from now on."""


class Start(Request, tag="on_start"):
    """The module is made, and started."""


class Configure(Request, tag="on_config"):
    """New settings."""

    block: Block


class OnMessage(Request, tag="on_message"):
    """A message on its way."""

    message: Message


class OnMessageStatus(Request, tag="on_message_status"):
    """What became of a message of the module's."""

    message: Message
    status: Status


class OnLogin(Request, tag="on_login"):
    """Somebody came or went."""

    user: User


class OnCall(Request, tag="on_call"):
    """Somebody wants live control."""

    call: Call


class OnSetPoint(Request, tag="on_set_point"):
    """Live values."""

    call: Call
    text: str


class OnCallStatus(Request, tag="on_call_status"):
    """How a call is."""

    call: Call
    state: CallState


class OnComplete(Request, tag="on_complete"):
    """A half-typed line."""

    to: str
    line: str


class OnShow(Request, tag="on_show"):
    """Somebody looks at the module."""

    user: str


class CleanUp(Request, tag="on_cleanup"):
    """The end."""


class Ping(Request, tag="ping"):
    """Is the process still with us? And what may have changed since the last time."""

    verbosity: int


class Cancel(Request, tag="cancel"):
    """Nobody waits any more for the answer to another request. There is none to this one."""

    request: int


AnyRequest: TypeAlias = (
    Start
    | Configure
    | OnMessage
    | OnMessageStatus
    | OnLogin
    | OnCall
    | OnSetPoint
    | OnCallStatus
    | OnComplete
    | OnShow
    | CleanUp
    | Ping
    | Cancel
)


class Answer(msgspec.Struct, kw_only=True):
    """How a request went; the last one to it."""

    re: int


class Done(Answer, tag=True):
    """It was carried out."""


class Passed(Answer, tag=True):
    """The verdict PASS."""


class Consumed(Answer, tag=True):
    """The verdict CONSUMED."""


class Replaced(Answer, tag=True):
    """The verdict is another message."""

    message: Message


class Completed(Answer, tag=True):
    """Ways to go on with a line."""

    found: list[Completion]


class Shown(Answer, tag=True):
    """What it shows of itself."""

    value: dict[str, Any]


class Denied(Answer, tag=True):
    """The module raised `Refused`."""

    code: Code
    reason: str


class Raised(Answer, tag=True):
    """The module raised something else."""

    error: str
    meant: bool
    """Whether it is an error for people: its text says all."""
    trace: str = ""


class Logged(msgspec.Struct, kw_only=True, tag=True):
    """The module has something for the log. Comes unasked."""

    level: Literal["debug", "info", "warning", "error"]
    event: str
    values: dict[str, Any] = {}


class Saw(msgspec.Struct, kw_only=True, tag=True):
    """The module saw something of the world: time, a random number, an answer by HTTP. Comes unasked."""

    what: str
    value: Any


AnyAnswer: TypeAlias = (
    Done | Passed | Consumed | Replaced | Completed | Shown | Denied | Raised | Logged | Saw
)


# Asks: the module to the gateway ---------------------------------------------------------------


class Ask(msgspec.Struct, kw_only=True):
    """Call a method of the context: the one that the tag names, with the fields as arguments."""

    answer: ClassVar[Any] = None
    """The type of what it returns."""


class Send(Ask, tag="send"):
    """Send a message."""

    message: Message
    status: Status | None = None


class Report(Ask, tag="report"):
    """Tell what became of a message."""

    message: Message
    status: Status


class Explain(Ask, tag="explain"):
    """Note a step of a message's way."""

    message: Message
    what: str
    detail: str = ""


class Register(Ask, tag="register"):
    """Answer for an address."""

    contact: Contact


class Unregister(Ask, tag="unregister"):
    """No longer answer for it."""

    address: str


class Publish(Ask, tag="publish"):
    """Tell what was measured."""

    answer: ClassVar[Any] = bool
    address: str
    values: dict[str, float | str]
    at: float | None = None


class EndCall(Ask, tag="end_call"):
    """Hang up."""

    call_id: str
    reason: str


class Allowed(Ask, tag="allowed"):
    """May somebody do something?"""

    answer: ClassVar[Any] = bool
    sender: str
    action: Action
    to: str
    command: str = ""
    values: dict[str, Any] | None = None


class Require(Ask, tag="require"):
    """See that he may."""

    answer: ClassVar[Any] = str
    sender: str
    action: Action
    to: str
    command: str = ""
    values: dict[str, Any] | None = None


class Contacts(Ask, tag="contacts"):
    """Who is there?"""

    answer: ClassVar[Any] = list[Contact]


class ContactOf(Ask, tag="contact"):
    """Who has an address?"""

    answer: ClassVar[Any] = Contact | None
    address: str


class Robots(Ask, tag="robots"):
    """Which robots has an address?"""

    answer: ClassVar[Any] = tuple[str, ...]
    address: str


class NoteKeys(Ask, tag="note_keys"):
    """The keys of all notes."""

    answer: ClassVar[Any] = list[str]


class ReadNote(Ask, tag="read_note"):
    """A note."""

    answer: ClassVar[Any] = Any
    key: str


class WriteNote(Ask, tag="write_note"):
    """Keep a note."""

    key: str
    value: Any


class DeleteNote(Ask, tag="delete_note"):
    """Forget a note."""

    key: str


AnyAsk: TypeAlias = (
    Send
    | Report
    | Explain
    | Register
    | Unregister
    | Publish
    | EndCall
    | Allowed
    | Require
    | Contacts
    | ContactOf
    | Robots
    | NoteKeys
    | ReadNote
    | WriteNote
    | DeleteNote
)


class Returned(msgspec.Struct, tag=True):
    """What the context returned."""

    value: msgspec.Raw


class Refusal(msgspec.Struct, tag=True):
    """It raised `Refused`."""

    code: Code
    reason: str


class Wrong(msgspec.Struct, tag=True):
    """It raised an error of Python's."""

    kind: Literal["KeyError", "ValueError"]
    text: str


AnyReply: TypeAlias = Returned | Refusal | Wrong
