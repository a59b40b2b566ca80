"""The module API: what a loadable module is, and what it gets from the gateway.

A module sees every message in the order of the configuration file and lets it go on (`PASS`),
takes it (`CONSUMED`), or replaces it (returns another `Message`)::

    from boardtalk.sdk import CONSUMED, PASS, Message, Module, Settings, Verdict

    class Filter(Module):
        name = "filter"
        description = "drops messages with blocked words"

        class Config(Settings):
            blocked_words: list[str]

        def on_message(self, message: Message) -> Verdict:
            if any(word in message.body.lower() for word in self.config.blocked_words):
                return CONSUMED
            return PASS
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol, TypeAlias, TypeVar

import msgspec

from boardtalk.sdk.messages import Message, Status
from boardtalk.sdk.outside import Timeouts

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
    from contextlib import AbstractAsyncContextManager

    from boardtalk.sdk.calls import Call, CallState
    from boardtalk.sdk.contacts import Completion, Contact, User
    from boardtalk.sdk.outside import Connection, Response

API_VERSION: Final = 1
"""Raised when a module written for the previous version would no longer work."""


class Disposition(Enum):
    """What a module decided about a message; use the names `PASS` and `CONSUMED`."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    CONSUMED = "consumed"


PASS: Final = Disposition.PASS
"""The next module sees the message, finally the recipient."""
CONSUMED: Final = Disposition.CONSUMED
"""Neither later modules nor the recipient see the message."""

Verdict: TypeAlias = Disposition | Message
"""`PASS`, `CONSUMED`, or a message that goes on in place of the one seen."""

Action = Literal["query", "action", "motion", "config", "rearm", "stop", "inspect", "admin"]
"""What a sender wants to do with a robot or with the gateway, for `Context.allowed`."""


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of a module's settings: one field per key of its configuration block.

    A field without a default is required. Types: str, int, float, bool (``yes``/``no``), enums,
    `Literal`, `pathlib.Path`, and lists of these (comma-separated). Ranges: `msgspec.Meta`.
    """


C = TypeVar("C", bound=Settings)
R = TypeVar("R")


class Log(Protocol):
    """A structured logger: `log.info("port opened", port="/dev/ttyACM0")`."""

    def debug(self, event: str, **values: Any) -> Any:
        """For whoever looks for a fault."""

    def info(self, event: str, **values: Any) -> Any:
        """Ordinary news."""

    def warning(self, event: str, **values: Any) -> Any:
        """Worth a look."""

    def error(self, event: str, **values: Any) -> Any:
        """Something failed."""


class Context(Protocol):
    """What the gateway gives to one instance of a module.

    Time, randomness and I/O come from here, so that a captured session can be replayed.
    """

    instance: str
    """Name of this instance: the module's name, with ``#2`` and so on for further instances."""
    state: Path
    """The gateway's state folder."""
    folder: Path
    """A folder of this instance's own below it; exists."""
    log: Log
    verbosity: int
    """Up to this level, what the module says by `Module.say` is logged."""
    notes: MutableMapping[str, Any]
    """What the instance keeps across restarts, as values that JSON can say; at most 4 MB of it."""

    def send(self, message: Message, status: Status | None = None) -> None:
        """Send a message; it enters the chain after this module, so it can't meet itself.

        Args:
            message: `sender` is an address of this module's, the author being answered, or a user on whose
                behalf the module acts: he is told what becomes of it, and his rights count.
            status: for an answer, how the message that it answers ended; travels with it.

        Raises:
            Refused: `sender` belongs to another module, or this one sends far too much: 200 messages at
                once and 1,000 a second are fine, up to 5,000 more wait their turn.
        """
        ...

    def report(self, message: Message, status: Status) -> None:
        """Tell the sender of a consumed message what became of it; kept in the history."""
        ...

    def register(self, contact: Contact) -> None:
        """Answer for an address from now on, or update its entry.

        Raises:
            Refused: somebody else has this address.
        """
        ...

    def unregister(self, address: str) -> None:
        """No longer answer for an address. Unknown ones are ignored."""
        ...

    def allowed(self, sender: str, action: Action, to: str) -> bool:
        """Whether policy lets `sender` do `action` with the robot `to`."""
        ...

    def blocks(self, kind: str) -> Mapping[str, Settings]:
        """The blocks of a kind that the module declares in `Module.blocks`, by name."""
        ...

    def end_call(self, call_id: str, reason: str) -> None:
        """Hang up, as the module that answered."""
        ...

    def contacts(self) -> list[Contact]:
        """Everybody who can be talked to."""
        ...

    def contact(self, address: str) -> Contact | None:
        """Who has an address: a user, a robot, a group or a service; None: nobody."""
        ...

    def http(
        self,
        url: str,
        *,
        method: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        json: Any = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - immutable
        etag: str = "",
        modified_since: float | None = None,
        verify: bool = True,
        max_bytes: int = 16 << 20,
    ) -> AbstractAsyncContextManager[Response]:
        """Ask an HTTP server; follows up to five redirects. Use with `async with`.

        Args:
            url: ``https://NAME:PASSWORD@HOST/PATH``; name and password, if given, log in (basic).
            method: default: GET, or POST with a body.
            body: what to send.
            json: what to send, as JSON, in place of `body`.
            etag: of the version that is known; if it is still the same, the status is 304.
            modified_since: likewise, of a version of that time, in UTC seconds.
            verify: whether the server must prove who it is; turn off only in a network of your own.
            max_bytes: a longer answer ends in an error.

        Raises:
            OutsideError: in the body of `async with` too; no answer, or none in time.
        """
        ...

    def connect(
        self, url: str, *, verify: bool = True, keepalive: float = 30.0, within: float = 10.0
    ) -> AbstractAsyncContextManager[Connection]:
        """Connect to a server: ``tcp://HOST:PORT``, ``tls://HOST:PORT``, ``ws://…`` or ``wss://…``.

        Args:
            verify: whether the server must prove who it is; turn off only in a network of your own.
            keepalive: seconds of silence after which the other side is probed.
            within: seconds until the connection must stand.

        Raises:
            OutsideError: it can't be reached.
        """
        ...

    async def run_in_thread(self, function: Callable[..., R], *arguments: Any) -> R:
        """Run what waits, as for a file, in a thread; messages go on meanwhile. It can't be cancelled."""
        ...

    async def run_in_process(self, function: Callable[..., R], *arguments: Any) -> R:
        """Run what computes for long in a process of its own; it is killed if the caller is cancelled.

        Args:
            function: one that stands in a module's file, not a lambda or a method.
            arguments: what `pickle` can copy, as the result must be.
        """
        ...

    def after(self, seconds: float, call: Callable[[], Awaitable[None] | None]) -> asyncio.Task[None]:
        """Call something once, later. Cancel the task to prevent that."""
        ...

    def every(self, seconds: float, call: Callable[[], Awaitable[None] | None]) -> asyncio.Task[None]:
        """Call something again and again, one call after the other. Cancel the task to end that."""
        ...

    def now(self) -> float:
        """Monotonic seconds, for decisions."""
        ...

    def time(self) -> float:
        """UTC seconds, for people and other machines."""
        ...

    def random(self) -> float:
        """A random number in [0, 1)."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a task until it ends or is cancelled; at the latest after `on_cleanup`. A failure is logged."""
        ...


class Module:
    """Base class of loadable modules. Override the callbacks you need.

    A callback may be `def` (runs inline: the fast path, must not block) or `async def` (other
    conversations go on meanwhile; order within one conversation is kept).
    """

    name: ClassVar[str]
    description: ClassVar[str] = ""
    version: ClassVar[str] = "0"
    api_version: ClassVar[int] = API_VERSION
    blocks: ClassVar[Mapping[str, type[Settings]]] = {}
    """Further kinds of configuration blocks that this module reads, with their settings."""

    Config: ClassVar[type[Settings]] = Settings

    def __init__(self, context: Context, config: Any) -> None:
        self.context = context
        self.config = config

    def on_start(self) -> Awaitable[None] | None:
        """Called once before the first message. Raise to refuse to start; the text is reported."""

    def on_config(self, config: Any) -> Awaitable[None] | None:
        """Take new settings, checked like the first ones, in place of `self.config`.

        Raise to refuse them; the text is reported, and the instance keeps those that it has. A module
        that does not override this is started anew with new settings.
        """

    def on_message(self, message: Message) -> Verdict | Awaitable[Verdict]:
        """Decide about a message on its way.

        Raises:
            Refused: it is not to go on, and its sender is told why. (Any other error is the module's.)
        """
        return PASS

    def on_message_status(self, message: Message, status: Status) -> Awaitable[None] | None:
        """A message that this module sent changed its status.

        `message.id` is the id it was sent with, `message.sender` the party whose status it is.
        """

    def on_login(self, user: User) -> Awaitable[None] | None:
        """A user logged in or out: `user.online` tells which."""

    def on_call(self, call: Call) -> Verdict | Awaitable[Verdict]:
        """Somebody wants live control of an address.

        Return `CONSUMED` to answer, for an address of this module's; `PASS` if there is nothing to say.

        Raises:
            Refused: no; the text is told. With the code `BUSY`: not now.
        """
        return PASS

    def on_set_point(self, call: Call, text: str) -> None:
        """Carry out live values, in a call that this module answered.

        Args:
            text: like the arguments of a command: ``x=20 y=-50``. Only the newest counts.

        Any error ends the call.
        """

    def on_call_status(self, call: Call, state: CallState) -> Awaitable[None] | None:
        """A call rings, was answered or refused, or has ended: then outputs go off."""

    def on_complete(self, to: str, line: str) -> list[Completion] | Awaitable[list[Completion]]:
        """What may follow `line`, typed to an address that this module answers for."""
        return []

    def on_cleanup(self) -> Awaitable[None] | None:
        """Called once when the module is unloaded or the gateway ends."""

    def say(self, level: int, text: str, **values: Any) -> None:
        """Log something: at level 0 always, at a higher one if the module's key `verbosity` asks for it."""
        if level <= self.context.verbosity:
            (self.context.log.warning if level == 0 else self.context.log.info)(text, **values)

    def reply(self, message: Message, body: str, status: Status | None = None, **parameters: object) -> None:
        """Answer a message: from its recipient to its author, with `refid` and `aid` set."""
        fields: dict[str, Any] = {
            "sender": message.to,
            "to": message.sender,
            "body": body,
            "refid": message.id,
            "aid": message.aid,
            **parameters,
        }
        self.context.send(Message(**fields), status)


ModuleFactory: TypeAlias = "Callable[[Context, Any], Module]"
