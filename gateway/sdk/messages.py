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
    """Return `text` if it can name a user, a robot or a group.

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
    """Return `text` if somebody can be called so: an address that is not reserved.

    Raises:
        AddressError: nobody can.
    """
    if text in RESERVED:
        raise AddressError(f"{text!r} means something else in chat: choose another name")
    return check_address(text)


class Flag(IntFlag):
    """Bits of `Message.flags`."""

    DELIVERY_RECEIPT = 0x1
    READ_RECEIPT = 0x2
    TRANSIENT = 0x4
    """Never stored: gone if it can't be handed over now."""
    PRESENCE = 0x8


class Code(IntEnum):
    """Status codes. 1 to 3 are good news, 0x80 and above are final failures."""

    ACCEPTED = 1
    """On disk at the gateway (the ancestor's "sent")."""
    DELIVERED = 2
    """The recipient has it; for a robot: the board has it."""
    DONE = 3
    """Read by a person; executed by a board."""
    FAILED = 0x80
    OFFLINE = 0x81
    BUSY = 0x82
    BAD_ADDRESS = 0x83
    EXPIRED = 0x84
    NO_INCOMING = 0x86
    DENIED = 0x88

    @property
    def failed(self) -> bool:
        """Whether this code tells of a failure."""
        return self >= Code.FAILED


class State(StrEnum):
    """The richer states that travel beside the codes.

    ``accepted → sent → started →`` exactly one of the terminal states.
    """

    ACCEPTED = "accepted"
    SENT = "sent"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def terminal(self) -> bool:
        """Whether nothing follows this state (only `UNKNOWN` may later be corrected)."""
        return self not in _PASSING


_PASSING = frozenset({State.ACCEPTED, State.SENT, State.STARTED})


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One chat message on its way through the gateway. Immutable: a module answers with a new one.

    Use :func:`msgspec.structs.replace` (or `Message.with_`) for a changed copy.
    """

    sender: str
    """Address of the author (the parameter `from`)."""
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
    """Free for applications."""
    flags: int = 0
    """Bits of `Flag`."""
    expiry: int | None = None
    """Seconds within which it must be delivered; 0 = now or never; None = the gateway's default."""
    to_online: bool = False
    """Deliver only if the recipient is online."""
    aid: int = 0
    """Application id; copied into answers."""

    row: int = 0
    """Row of the ledger, given by the gateway on acceptance; 0 = not stored."""
    accepted: float = 0.0
    """Monotonic seconds of the gateway's acceptance: a command's age counts from here."""

    def with_(self, **changes: object) -> Message:
        """A copy with some fields changed."""
        return msgspec.structs.replace(self, **changes)


class Status(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of a message, so far."""

    code: Code
    state: State
    detail: str = ""
    """In words, for a person: what went wrong and what to do."""


def iso(at: float) -> str:
    """UTC seconds as people and programs read them: ISO 8601 with milliseconds."""
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return moment.removesuffix("+00:00") + "Z"
