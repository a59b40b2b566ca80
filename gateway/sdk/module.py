"""The module API: what a loadable module is, and what it gets from the gateway."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol, TypeAlias, TypeVar

import msgspec

from boardtalk.sdk.messages import Message, Status
from boardtalk.sdk.outside import Timeouts

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, MutableMapping
    from contextlib import AbstractAsyncContextManager

    from boardtalk.sdk.calls import Call, CallState
    from boardtalk.sdk.contacts import Completion, Contact, User
    from boardtalk.sdk.outside import Connection, Response

API_VERSION: Final = 1
"""Version of the module API; a higher one means that modules written for the one before no longer work."""


class Disposition(Enum):
    """What a module decided about a message; use the names `PASS` and `CONSUMED`."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    CONSUMED = "consumed"


PASS: Final = Disposition.PASS
"""The message goes on: the next module sees it, and after the last one its recipient."""
CONSUMED: Final = Disposition.CONSUMED
"""The message ends here: neither later modules nor its recipient see it."""

Verdict: TypeAlias = Disposition | Message
"""`PASS`, `CONSUMED`, or a message that goes on in place of the one seen."""

Action = Literal[
    "see", "query", "action", "motion", "config", "drive", "rearm", "stop", "inspect", "flash", "admin"
]
"""What a sender wants to do with a robot or with the gateway, for `Context.allowed`.

``see`` is to know that it is there, how it is and what it measures, ``query`` to ask, ``action`` to command
what does not move, ``motion`` to command what does, ``config`` to change settings, ``drive`` to control it
live, ``inspect`` to look at others' messages and the line, ``flash`` to replace its firmware or program,
``admin`` to manage it. Viewers may only ``see``, ``query`` and ``stop``, if the configuration grants no more.
"""


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of a module's settings: one field per key of its configuration block.

    A field without a default is required. Types: `str`, `int`, `float`, `bool` (``yes``, ``no``), enums,
    `Literal`, `Path`, and tuples of these (a list with commas). Ranges and help: `msgspec.Meta`.

    ::

        class Config(Settings):
            words: tuple[str, ...]
            limit: Annotated[int, Meta(ge=1, le=9, description="how often")] = 3
    """


R = TypeVar("R")


class Log(Protocol):
    """A structured logger: `log.info("port opened", port="/dev/ttyACM0")`."""

    def debug(self, event: str, **values: Any) -> Any:
        """Note what only helps to find a fault."""

    def info(self, event: str, **values: Any) -> Any:
        """Note ordinary news."""

    def warning(self, event: str, **values: Any) -> Any:
        """Note what is worth a look."""

    def error(self, event: str, **values: Any) -> Any:
        """Note that something failed."""


class Context(Protocol):
    """What the gateway gives to one instance of a module: `self.context`.

    Take time, randomness and the world outside from here: then a recorded session can be played again.
    """

    instance: str
    """Name of this instance: the module's name, with ``#2`` and so on for further instances."""
    state: Path
    """The gateway's state folder; `folder` is the place for files of yours."""
    folder: Path
    """A folder of this instance's own; it exists."""
    log: Log
    """The log, with the name of this instance in each line; see also `Module.say`."""
    verbosity: int
    """The key `verbosity` of the block: up to this level, what `Module.say` says is logged."""
    notes: MutableMapping[str, Any]
    """What the instance keeps across restarts: a dictionary of values that JSON can say, at most 4 MB."""

    def send(self, message: Message, status: Status | None = None) -> None:
        """Send a message; it enters the chain behind this module, so that a module never meets its own.

        Args:
            message: `sender` is an address of this module's, the author being answered, or a user on whose
                behalf the module acts: he is told what becomes of it, and his rights count.
            status: for an answer, how the message that it answers ended; travels with it.

        Raises:
            Refused: `sender` belongs to another module, or this one sends far too much: 50 messages at
                once and 500 a second are fine (of those that are never stored, twice as many), up to 1,000
                more wait their turn.
            ValueError: the message can't be stored or sent: a field of another type, or too long.
        """
        ...

    def report(self, message: Message, status: Status) -> None:
        """Tell the sender of a consumed message what became of it; it stands in the history too.

        Say it once the answer is known: until then he sees his message as accepted.
        """
        ...

    def explain(self, message: Message, what: str, detail: str = "") -> None:
        """Note a step of a message's way, for those who ask `boardtalk why` about it.

        Args:
            message: the one that the module got.
            what: in a word or two: ``allowed``, ``frame``.
            detail: more of it, for a person.
        """
        ...

    def register(self, contact: Contact) -> None:
        """Answer for an address from now on, or change what stands about it in everybody's list.

        Raises:
            Refused: somebody else has this address.
        """
        ...

    def unregister(self, address: str) -> None:
        """No longer answer for an address. Unknown ones are ignored."""
        ...

    def publish(self, address: str, values: Mapping[str, float | str], at: float | None = None) -> bool:
        """Tell what was measured at an address of this module's, for who watches and who plots it.

        It is never stored: the gateway keeps ten minutes of it in memory, and who reads slowly misses some.
        Say what it is in `Contact.series`. Tell what you like as it comes, some hundred a second at most:
        people are told ten times a second. Returns whether somebody watches; with no values that is all: what
        is dear to measure need not be measured for nobody.

        Args:
            address: which the module has registered.
            values: numbers (of a series that is plotted) or texts, by the name of the series.
            at: when that was, by `time`; None: now.

        Raises:
            Refused: it is somebody else's address, or has more than 128 series.
            ValueError: no number, or a name of more than 80 characters.
        """
        ...

    def allowed(
        self,
        sender: str,
        action: Action,
        to: str,
        command: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        """Whether the user `sender` may do `action` with the robot `to`.

        Args:
            sender: who.
            action: what.
            to: with whom.
            command: the name of the command, or of the live control: some are granted by name.
            values: its arguments by name, in the units that the robot declares; None: not known yet.
        """
        ...

    def require(
        self,
        sender: str,
        action: Action,
        to: str,
        command: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> str:
        """See that `allowed` says yes; a no is in the audit.

        Returns the grant of the configuration that says so, with its file and line; "" if his role does.

        Raises:
            Refused: he may not; in words for him. If he may not even see the robot, as of one that is not
                there.
        """
        ...

    def blocks(self, kind: str) -> Mapping[str, Settings]:
        """The configuration's blocks of a kind that stands in `Module.blocks`, by their names."""
        ...

    def end_call(self, call_id: str, reason: str) -> None:
        """Hang up a call that this module answered; the caller is told the reason."""
        ...

    def contacts(self) -> list[Contact]:
        """Everybody who can be talked to."""
        ...

    def contact(self, address: str) -> Contact | None:
        """Who has an address: a user, a robot, a group or a service; None: nobody."""
        ...

    def robots(self, address: str) -> tuple[str, ...]:
        """The robot with this address, or those in this group; none: it is neither."""
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
            method: if not given: GET, or POST with a body.
            headers: by name.
            body: what to send.
            json: what to send, as JSON, in place of `body`.
            timeouts: how long it may take.
            etag: `Response.etag` of the version that is known; if it is still the same, the status is 304.
            modified_since: likewise, the time of the version that is known, in UTC seconds.
            verify: whether the server must prove who it is; turn off only in a network of your own.
            max_bytes: a longer answer ends in an error.

        Raises:
            OutsideError: no answer, none in time, or one that is too long; while its body is read too.
        """
        ...

    def connect(
        self, url: str, *, verify: bool = True, keepalive: float = 30.0, within: float = 10.0
    ) -> AbstractAsyncContextManager[Connection]:
        """Connect to a server. Use with `async with`.

        Args:
            url: ``tcp://HOST:PORT``, ``tls://HOST:PORT``, ``ws://HOST/PATH`` or ``wss://HOST/PATH``.
            verify: whether the server must prove who it is; turn off only in a network of your own.
            keepalive: seconds of silence after which the other side is probed.
            within: seconds until the connection must stand.

        Raises:
            OutsideError: it can't be reached.
        """
        ...

    async def run_in_thread(self, function: Callable[..., R], *arguments: Any) -> R:
        """Run a function that waits, as for a file, in a thread; messages go on meanwhile.

        It can't be cancelled: let it end by itself.
        """
        ...

    async def run_in_process(self, function: Callable[..., R], *arguments: Any) -> R:
        """Run a function that computes for long in another process, killed if the caller is cancelled.

        Args:
            function: one that stands in a module's file, not a lambda or a method.
            arguments: what `pickle` can copy, as the result must be.
        """
        ...

    def after(self, seconds: float, call: Callable[[], Awaitable[None] | None]) -> asyncio.Task[None]:
        """Call something once, later: a function or an `async def`. Cancel the task to prevent that."""
        ...

    def every(self, seconds: float, call: Callable[[], Awaitable[None] | None]) -> asyncio.Task[None]:
        """Call something every so many seconds, one call after the other. Cancel the task to end that."""
        ...

    def now(self) -> float:
        """Seconds on a clock that nobody sets, to measure and compare; means nothing to others."""
        ...

    def time(self) -> float:
        """UTC seconds, for people and other machines."""
        ...

    def random(self) -> float:
        """A random number in [0, 1)."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a coroutine beside the messages: ``self.context.spawn(self._answer(message), "answer")``.

        The task is cancelled after `on_cleanup` if it has not ended by then. A failure is logged.
        """
        ...


class Module:
    """Base class of loadable modules. Override the callbacks that you need.

    ::

        class Filter(Module):
            name = "filter"
            description = "drops messages with blocked words"

            class Config(Settings):
                blocked_words: tuple[str, ...]

            def on_message(self, message: Message) -> Verdict:
                if any(word in message.body.lower() for word in self.config.blocked_words):
                    return CONSUMED
                return PASS

    A callback that may be awaited is `def` (everybody waits for it: be quick) or `async def` (only its
    conversation waits, whose order is kept). More than a second in `on_message` is a failure.
    """

    name: ClassVar[str]
    """What a configuration calls it: ``module NAME``. The entry point or the file has the same name."""
    description: ClassVar[str] = ""
    """What it does, in a few words."""
    version: ClassVar[str] = "0"
    """Yours, for `boardtalk modules`."""
    api_version: ClassVar[int] = API_VERSION
    """The `boardtalk.sdk.API_VERSION` that it is written for; a gateway with another refuses it."""
    blocks: ClassVar[Mapping[str, type[Settings]]] = {}
    """Further kinds of blocks that it reads besides its own, and their settings: see `Context.blocks`."""
    Config: ClassVar[type[Settings]] = Settings
    """The settings of its block."""
    context: Context
    """What the gateway gives it."""
    config: Any
    """The settings that the configuration has: an instance of `Config`."""

    def __init__(self, context: Context, config: Any) -> None:
        self.context = context
        self.config = config

    def on_start(self) -> Awaitable[None] | None:
        """Called once before the first message. Raise a `ModuleError` to refuse to start, and say why."""

    def on_config(self, config: Any) -> Awaitable[None] | None:
        """Take new settings, checked like the first ones, in place of `self.config`.

        Raise a `ModuleError` to refuse them, and say why: the instance keeps those that it has. A module that
        does not override this is started anew when its settings change.
        """

    def on_message(self, message: Message) -> Verdict | Awaitable[Verdict]:
        """Decide about a message: it is called for every message, of everybody to everybody.

        Let go on what is not yours (`PASS`), take it (`CONSUMED`), or return another message, which goes on
        in its place.

        Raises:
            Refused: it is not to go on, and its sender is told why. Any other error counts as a failure of
                the module, and the key `on_fail` of its block decides what becomes of the message.
        """
        return PASS

    def on_unfinished(self, message: Message) -> Verdict:
        """A message that had not come to an end when the gateway before ended or was killed.

        All modules are asked once, after `on_start`, about each such message that was not for people; those
        in processes of their own are not. An instance that takes another one's place is asked about what that
        one had under way (`unfinished`). Return `CONSUMED` to find out, and `Context.report`, what became of
        it; do not carry it out, it may be too late. If nobody does, its sender is told that this is unknown.
        """
        return PASS

    def unfinished(self) -> Iterable[Message]:
        """Those that this instance took and has not reported the end of.

        Asked for before `on_cleanup` when another instance takes its place, with new settings or code: that
        one gets them by `on_unfinished`.
        """
        return ()

    def on_message_status(self, message: Message, status: Status) -> Awaitable[None] | None:
        """What became of a message that this module sent with an `id`.

        Args:
            message: with the `id` that it was sent with.
            status: how far it is; the last one is `State.terminal`.
        """

    def on_login(self, user: User) -> Awaitable[None] | None:
        """A user logged in or out: `user.online` tells which."""

    def on_call(self, call: Call) -> Verdict | Awaitable[Verdict]:
        """Somebody wants live control of an address; all modules are asked, in their order.

        Return `CONSUMED` to answer, for an address of this module's, or `PASS` if there is nothing to say.

        Raises:
            Refused: he can't have it, and is told why; with the code `Code.BUSY`: not now.
        """
        return PASS

    def on_set_point(self, call: Call, text: str) -> None:
        """Carry out live values, in a call that this module answered. Any error ends the call.

        Args:
            call: which one.
            text: like the arguments of a command: ``x=20 y=-50``. Only the newest counts.
        """

    def on_call_status(self, call: Call, state: CallState) -> Awaitable[None] | None:
        """A call changed. Once it is over (`CallState.over`), whatever moves has to stand."""

    def on_complete(self, to: str, line: str) -> list[Completion] | Awaitable[list[Completion]]:
        """What may follow `line`, which somebody is typing to an address that this module answers for."""
        return []

    def on_show(self, user: str) -> dict[str, Any] | Awaitable[dict[str, Any]]:
        """What a program that shows this module to a user, such as the web page, needs besides messages.

        It is asked for again and again while somebody looks: be quick, and change nothing. Whatever a user
        wants done he says in a message, as ever.

        Args:
            user: who looks. What he may see is for the module to judge, by `Context.allowed`.

        Returns what JSON can say: names and their meaning are the module's own.
        """
        return {}

    def on_cleanup(self) -> Awaitable[None] | None:
        """Called once at the end, also before a restart. Timers, tasks and addresses end by themselves."""

    def say(self, level: int, text: str, **values: Any) -> None:
        """Log something: at level 0 always, at a higher one if the module's key `verbosity` asks for it."""
        if level <= self.context.verbosity:
            (self.context.log.warning if level == 0 else self.context.log.info)(text, **values)

    def reply(self, message: Message, body: str, status: Status | None = None, **parameters: object) -> None:
        """Answer a message: from its recipient to its author, with `refid` and `aid` set.

        Args:
            message: what is answered.
            body: the text.
            status: how the message that is answered ended. Tell that by `Context.report` too.
            parameters: further fields of the `Message` that is sent.
        """
        fields: dict[str, Any] = {
            "sender": message.to,
            "to": message.sender,
            "body": body,
            "refid": message.id,
            "aid": message.aid,
            **parameters,
        }
        self.context.send(Message(**fields), status)
