"""What a native module is to the gateway: a `Module` like others, made for its library."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from boardtalk.native import layouts
from boardtalk.native.names import Names
from boardtalk.native.network import FAIL, OK, Network
from boardtalk.native.shared_object import MISMATCH, Library
from boardtalk.sdk import (
    CONSUMED,
    MAX_BODY_BYTES,
    PASS,
    AddressError,
    Call,
    CallState,
    Code,
    Contact,
    Flag,
    Kind,
    Message,
    Module,
    ModuleError,
    Refused,
    Settings,
    State,
    Status,
    User,
    Verdict,
    check_address,
    check_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CONSUMES: Final = 1
DONE: Final = Status(code=Code.DONE, state=State.DONE)
SENDABLE: Final = Flag.DELIVERY_RECEIPT | Flag.READ_RECEIPT | Flag.TRANSIENT | Flag.PRESENCE | Flag.TRANSLATED
USUAL_EXPIRY: Final = 365 * 24 * 3600
"""Seconds; stands for the gateway's default, and from a module this and more means that."""
ANSWER_S: Final = 30.0
"""A message that it consumed, and does not answer within so long, wants no answer."""
LOOK_S: Final = 1.0


class Given(Settings):
    """The settings of a native module, as they stand in its block, and where its helpers are."""

    items: tuple[tuple[str, str], ...]
    helpers: str


class Native(Module):
    """Stands for a library; `native` makes a class for each."""

    Config = Given
    path: ClassVar[Path]
    """Of the library."""
    said: list[str]

    def on_start(self) -> None:
        """Open the library, and begin it."""
        self.said = []
        self._starting = True
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._names = Names(self.context)
        self._taken: dict[int, tuple[Message, float]] = {}
        """Messages that it consumed and has not answered, by number; until when it may."""
        self._deciding, self._has_answered = 0, False
        """The number of the message that it is asked about, and whether it has sent an answer already."""
        self._network = Network(self.context, self._complain)
        self._address = self._answers_for()
        self._own = Library(self.path, self.name, Path(self.config.helpers), self.config.items, self)
        self._own.begin()
        self._starting = False
        self._own.configured()
        self.context.every(LOOK_S, self._settle)

    def on_cleanup(self) -> None:
        """Let it clean up. What it has not answered by now, it does not answer."""
        self._own.call(layouts.ON_CLEANUP)
        self._own.close()
        self._settle(time.monotonic() + ANSWER_S)

    def on_message(self, message: Message) -> Verdict:
        """Have it decide about a message."""
        number = self._names.number(message)
        self._deciding, self._has_answered = number, False
        text = message.body.encode()
        result, changed = self._own.on_message(self._words(message, number), message.to, message.sender, text)
        if result == OK:
            return PASS if changed is text else message.with_(body=_body(changed))
        if result == CONSUMES:
            if message.row:
                self._take(message, number)
            return CONSUMED
        raise ModuleError(f"on_message returned {result}: 0 lets a message go on, 1 consumes it")

    def on_message_status(self, message: Message, status: Status) -> None:
        """Tell it what became of a message of its own."""
        words = self._words(message, self._names.known(message.id))
        self._own.on_message_status(words, status.code, message.sender, message.to)

    def on_login(self, user: User) -> None:
        """Tell it who came or went."""
        self._own.on_login(user.address, online=user.online)

    def on_call(self, call: Call) -> Verdict:
        """Tell it of a call. It can't answer one: it is told nothing of it."""
        self._own.call(layouts.ON_CALL)
        return PASS

    def on_call_status(self, call: Call, state: CallState) -> None:
        """Tell it that a call changed."""
        self._own.call(layouts.ON_CALL_STATUS)

    def helpers(self) -> layouts.Helpers:
        """What its helpers are; see `boardtalk.native.shared_object.Host`."""
        network = self._network
        return layouts.Helpers(
            layouts.MESSAGE(self._guarded(self._message)),
            layouts.LOG(self._guarded(self._log)),
            layouts.HTTP(self._guarded(network.http)),
            layouts.FETCH(self._guarded(network.fetch)),
            layouts.FCGI(self._guarded(network.fcgi)),
            layouts.CONNECT(self._guarded(network.connect)),
            layouts.WRITE(self._guarded(network.write)),
            layouts.CLOSE(self._guarded(network.close)),
        )

    # What its helpers are asked for, from any thread ----------------------------------------------

    def _message(self, *given: Any) -> int:
        aid, number, refid, groupid, flags, type_, expiry, uflags, to, sender, text, length = given
        if length > MAX_BODY_BYTES:
            raise ValueError(f"its text has {length:,} bytes; {MAX_BODY_BYTES:,} is the most")
        message = Message(
            sender=check_address((sender or b"").decode() or self._address or self.name),
            to=self._names.group_of(groupid) if groupid else check_address((to or b"").decode()),
            body=_body(ctypes.string_at(text, length) if text else b""),
            id=self._names.sent(number),
            refid=self._names.referred(refid),
            type=type_,
            flags=flags & SENDABLE,
            expiry=None if expiry >= USUAL_EXPIRY else expiry,
            to_online=bool(uflags & 1),
            aid=aid,
        )
        taken, _ = self._taken.get(refid, (None, 0.0))
        self.context.send(message, DONE if taken and taken.sender == message.to else None)
        if taken:
            self._end(refid)
        elif refid == self._deciding:
            self._has_answered = True
        return OK

    def _log(self, level: int, address: int, length: int) -> None:
        if level > self.context.verbosity:
            return
        text = ctypes.string_at(address, length).decode(errors="replace").rstrip("\n")
        if self._starting:
            self.said.append(text)
            if MISMATCH in text:
                return
        self._in_loop(lambda: self.say(level, text))

    def _complain(self, text: str) -> None:
        self._in_loop(lambda: self.say(0, text))

    def _in_loop(self, call: Callable[[], None]) -> None:
        """The log is written to by the loop's thread alone."""
        if threading.get_ident() == self._thread:
            call()
        else:
            self._loop.call_soon_threadsafe(call)

    def _guarded(self, function: Callable[..., Any]) -> Callable[..., int]:
        """To C, an error is -1; what it was is in the log."""

        @functools.wraps(function)
        def guarded(*arguments: Any) -> int:
            try:
                return function(*arguments) or OK
            except Exception as error:  # noqa: BLE001 - none may go through C
                with suppress(RuntimeError):  # the loop is closed: this is the end
                    self._complain(f"{function.__name__.strip('_')}: {error}")
                return FAIL

        return guarded

    # ----------------------------------------------------------------------------------------------

    def _words(self, message: Message, number: int) -> tuple[int, ...]:
        """What the parameters of a message are in C, as far as they are numbers."""
        return (
            message.aid,
            number,
            self._names.known(message.refid) if message.refid else 0,
            self._names.group(message.to),
            message.flags,
            message.type,
            USUAL_EXPIRY if message.expiry is None else message.expiry,
            int(message.to_online),
        )

    def _take(self, message: Message, number: int) -> None:
        """It consumed a message: that is done when it has answered, or does not for a while."""
        self._taken[number] = message, time.monotonic() + ANSWER_S
        if self._has_answered:
            self._end(number)

    def _end(self, number: int) -> None:
        if taken := self._taken.pop(number, None):
            self.context.report(taken[0], DONE)

    def _answers_for(self) -> str:
        """The address that its block names, if it is somebody's to be talked to."""
        address: str = dict(reversed(self.config.items)).get("address", "")
        try:
            contact = Contact(
                address=check_name(address), kind=Kind.SERVICE, online=True, about=self.description
            )
            self.context.register(contact)
        except AddressError:  # it may mean something else to the module
            return ""
        except Refused as refused:
            self._complain(f"address = {address}: {refused}")
            return ""
        return address

    def _settle(self, now: float | None = None) -> None:
        """Report those as done that it took long ago and has not answered."""
        now = time.monotonic() if now is None else now
        for number, (_, until) in list(self._taken.items()):
            if until > now:
                return
            self._end(number)


def native(name: str, path: Path) -> type[Module]:
    """The class for a library. That is opened only when an instance of it starts."""
    facts = {"name": name, "description": f"native module {path.name}", "path": path}
    return type(f"Native {name}", (Native,), facts)


def _body(text: bytes) -> str:
    """A text from C. What is no UTF-8 shows as such; NULs at its end are not meant."""
    return text.rstrip(b"\0").decode(errors="replace")
