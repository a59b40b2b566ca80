"""What the hub tells front-ends: messages for people, and what became of theirs."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from boardtalk.sdk import CallState, Message, Status


class Delivery(msgspec.Struct, frozen=True, gc=False, tag="message"):
    """A message for somebody."""

    recipient: str
    """Whose inbox it goes to; for a group, each member in turn."""
    message: Message
    at: float
    """UTC seconds."""
    status: Status | None = None
    """For answers: how the message that `refid` names ended."""
    replaces: int = 0
    """By `Flag.REPLACES`: the row of the message whose place it takes; 0: it is not known any more."""


class Sent(msgspec.Struct, frozen=True, gc=False, tag="sent"):
    """What `recipient` has said himself: in another session, over MQTT, by a module; or any stop."""

    recipient: str
    message: Message
    at: float
    """UTC seconds."""
    replaces: int = 0
    """As in `Delivery`."""


class Marked(msgspec.Struct, frozen=True, gc=False, tag="marked"):
    """`recipient` has read a conversation, as he said in another session."""

    recipient: str
    other: str
    """With whom: a user, a robot, or a group."""
    row: int
    """Up to which message."""


class Held(msgspec.Struct, frozen=True, gc=False, tag="held"):
    """Somebody has a robot for himself now, or nobody has."""

    address: str
    """The robot."""
    holder: str
    """Who drives it, has it moving, or took it over; "" if nobody does."""


Sample: TypeAlias = "tuple[float, float | str]"
"""UTC seconds, and what was measured then; a text of what is no number."""


class Values(msgspec.Struct, frozen=True, tag="values"):
    """What was measured, for who watches."""

    address: str
    """The robot."""
    series: dict[str, list[Sample]]
    """By name, oldest first."""


class Update(msgspec.Struct, frozen=True, gc=False, tag="status"):
    """A status change of a message that `recipient` sent."""

    recipient: str
    message_id: str
    to: str
    """Whom the message was sent to."""
    status: Status
    at: float
    """UTC seconds."""
    row: int = 0
    """Of the message; 0: it is not stored."""


class Presence(msgspec.Struct, frozen=True, gc=False, tag="presence"):
    """Somebody came or went, or a robot changed its state."""

    address: str
    online: bool
    state: str = ""
    viewers: tuple[str, ...] | None = None
    """To whom this is told; None: to everybody. Stands only in what goes to a broker."""


class CallUpdate(msgspec.Struct, frozen=True, tag="call"):
    """A call of `recipient`'s changed."""

    recipient: str
    call: str
    """Its id."""
    to: str
    state: CallState
    reason: str
    """In words; "" if there is nothing to say."""
    at: float
    """UTC seconds."""


class CallAsked(msgspec.Struct, frozen=True, tag="call asked"):
    """Somebody asks `recipient`, who has a call, to hand it over."""

    recipient: str
    ask: str
    """Its id, for the answer."""
    by: str
    """Who asks."""
    to: str
    """The robot."""
    until: float
    """UTC seconds; nothing said until then is a no."""


class CallDecided(msgspec.Struct, frozen=True, tag="call decided"):
    """What came of it, told to both."""

    recipient: str
    ask: str
    by: str
    """Who asked."""
    to: str
    granted: bool
    """Whether the robot is free for him now: it is kept for him for a few seconds."""
    reason: str


Event = Delivery | Sent | Marked | Update | Presence | Held | Values | CallUpdate | CallAsked | CallDecided
