"""The data that flows: messages and their statuses.

Names and meanings follow the message parameters of the loadable-module system that this one
descends from; where a Python keyword forbids one, the replacement stands in the field's comment.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import IntEnum, IntFlag, StrEnum
from typing import Final

import msgspec

from boardtalk.sdk.errors import AddressError

MAX_BODY_BYTES: Final = 64 * 1024
"""Longest text of a message, UTF-8, in bytes."""

MAX_ID_CHARS: Final = 64
"""Longest message id that a sender may choose."""

SYSTEM: Final = "gateway"
"""Address that the gateway itself speaks from."""
RESERVED: Final = frozenset({SYSTEM, "all", "everybody", "stop", "halt", "help"})
"""Addresses that nobody can have: they would be taken for the gateway, or for a word."""

_ADDRESS = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


def check_address(text: str) -> str:
    """The same text, if it can name a user, a robot or a group.

    Raises:
        AddressError: it can't; the text says what is allowed.
    """
    if _ADDRESS.fullmatch(text):
        return text
    raise AddressError(
        f"{text[:40]!r} is not an address: use 1 to 32 of a-z, 0-9, '-' and '_', "
        "beginning with a letter or digit"
    )


def check_name(text: str) -> str:
    """The same text, if somebody new can be called so: an address that means nothing else in chat.

    Raises:
        AddressError: nobody can; the text says why.
    """
    if text in RESERVED:
        raise AddressError(f"{text!r} means something else in chat: choose another name")
    return check_address(text)


class Flag(IntFlag):
    """Bits of `Message.flags`."""

    DELIVERY_RECEIPT = 0x1
    """Its sender is told once it is delivered, also if it has no `id`; in a group, of each member."""
    READ_RECEIPT = 0x2
    """Its sender is told once a person has read it, if that person's client says so; in a group, of each."""
    TRANSIENT = 0x4
    """Never stored: gone if it can't be handed over now."""
    PRESENCE = 0x8
    """News of a person, such as that he is typing; never stored. Nothing to answer."""
    TRANSLATED = 0x10
    """The text is a translation, or wants none: modules leave its language alone."""
    REPLACES = 0x20
    """It takes the place of the message whose id is its `refid`: of the same sender, to the same recipient.

    For modules only. With `TRANSIENT` it is seen by who is there, and the history keeps the text of before.
    """


class Code(IntEnum):
    """Status codes. 1 to 3 are good news, 0x80 and above are final failures."""

    ACCEPTED = 1
    """On disk at the gateway."""
    DELIVERED = 2
    """The recipient has it; for a robot: the board has it."""
    DONE = 3
    """The board has executed it; the program has answered it; the person has read it."""
    FAILED = 0x80
    """It went wrong, or was refused for another reason than those below."""
    OFFLINE = 0x81
    """The recipient is not there."""
    BUSY = 0x82
    """Too much to do just now: try later."""
    BAD_ADDRESS = 0x83
    """Nobody has this address."""
    EXPIRED = 0x84
    """Too late, and so not done."""
    NO_INCOMING = 0x86
    """The recipient takes no messages."""
    DENIED = 0x88
    """The sender may not do that."""

    @property
    def failed(self) -> bool:
        """Whether it tells of a failure."""
        return self >= Code.FAILED


class State(StrEnum):
    """How far a message is, finer than by `Code`.

    First ``accepted``, then perhaps ``sent`` and ``started``, then exactly one of the others. Of a message
    with receipts, ``done`` may come once for each member of a group, and ``read`` follows.
    """

    ACCEPTED = "accepted"
    """On disk at the gateway."""
    SENT = "sent"
    """The board has it."""
    STARTED = "started"
    """The board has begun."""
    DONE = "done"
    """Executed, answered, or handed over to a person."""
    READ = "read"
    """A person has read it: a receipt, asked for by `Flag.READ_RECEIPT`."""
    FAILED = "failed"
    """It went wrong."""
    EXPIRED = "expired"
    """Too late, and so not done."""
    REJECTED = "rejected"
    """Refused, and so not done."""
    CANCELLED = "cancelled"
    """Stopped on the way."""
    UNKNOWN = "unknown"
    """Nobody knows: the board or the link was lost meanwhile."""

    @property
    def terminal(self) -> bool:
        """Whether nothing follows this state (only `UNKNOWN` may later be corrected)."""
        return self not in _PASSING


_PASSING = frozenset({State.ACCEPTED, State.SENT, State.STARTED})


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One chat message on its way through the gateway.

    It can't be changed: modules that want another one make a copy by `with_`.
    """

    sender: str
    """Address of the author; ``from`` in envelopes."""
    to: str
    """Address of the recipient: a user, a robot or a group."""
    body: str
    """Text, at most `MAX_BODY_BYTES` of UTF-8."""
    id: str = ""
    """Chosen by the sender, unique per sender, at most 64 characters; "" = none chosen."""
    refid: str = ""
    """Id of the message that this one answers."""
    groupid: str = ""
    """The group that this copy was sent to; "" = one to one."""
    type: int = 0
    """A number, free for applications."""
    flags: int = 0
    """A sum of `Flag`."""
    expiry: int | None = None
    """Seconds within which it must be delivered; 0 = now or never; None = the gateway's default."""
    to_online: bool = False
    """Deliver only if the recipient is online."""
    aid: int = 0
    """Application id; copied into answers."""

    row: int = 0
    """The gateway's own: where it is stored; 0 = nowhere."""
    accepted: float = 0.0
    """When the gateway took it, by `Context.now`: a command's age counts from here."""
    via: str = ""
    """The gateway's own: the front-end that it came through."""

    def with_(self, **changes: object) -> Message:
        """A copy with some fields changed: ``message.with_(body="good day")``."""
        return msgspec.structs.replace(self, **changes)


class Status(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of a message, so far."""

    code: Code
    """As a number, for programs."""
    state: State
    """As a word, finer than the code."""
    detail: str = ""
    """In words, for a person: what went wrong and what to do; of what has started, how far it is."""

    @property
    def words(self) -> str:
        """The state for people: ``started 40 %``. Of a failure the answer tells the rest."""
        return f"{self.state} {self.detail}".strip() if self.state is State.STARTED else self.state


def iso(at: float) -> str:
    """A time, such as `Context.time` has, in ISO 8601 with milliseconds: ``2026-01-31T12:00:00.000Z``."""
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return moment.removesuffix("+00:00") + "Z"
