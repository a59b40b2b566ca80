"""What the gateway saw and said, told to who looks on: a recorder. Nobody ever waits for them.

`at` is in seconds of this machine's monotonic clock, which the link process shares.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from boardtalk.events import Event
from boardtalk.sdk import Call, Code, Message, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_LOGIN: Final = re.compile(r"^([a-z]+://)[^/]*@")


class Said(msgspec.Struct, frozen=True, tag="said"):
    """A person's message, as a front-end handed it over."""

    at: float
    message: Message


class TurnedAway(msgspec.Struct, frozen=True, tag="turned away"):
    """What a front-end did not take: it can't be read, comes too fast, or asks for a call in vain."""

    at: float
    message: Message
    code: Code
    reason: str


class Stopped(msgspec.Struct, frozen=True, tag="stopped"):
    """A stop, which goes past hub and modules, and what came of it."""

    at: float
    message: Message
    text: str
    status: Status


class Sent(msgspec.Struct, frozen=True, tag="sent"):
    """A message of a module."""

    at: float
    instance: str
    message: Message
    status: Status | None = None


class Passage(msgspec.Struct, frozen=True, array_like=True):
    """One stage, and its word on a message."""

    stage: str
    verdict: str
    ms: float


class Passed(msgspec.Struct, frozen=True, tag="passed"):
    """A message's way through the chain, at its end."""

    at: float
    sender: str
    to: str
    row: int
    stages: tuple[Passage, ...]
    name: str = ""
    """By which statuses name it."""


class Called(msgspec.Struct, frozen=True, tag="called"):
    """A person wants live control."""

    at: float
    call: Call


class Steered(msgspec.Struct, frozen=True, tag="steered"):
    """Live values of a call."""

    at: float
    call: str
    values: str


class HungUp(msgspec.Struct, frozen=True, tag="hung up"):
    """The caller ended a call, or left."""

    at: float
    call: str
    reason: str


class Told(msgspec.Struct, frozen=True, tag="told"):
    """What people were told."""

    at: float
    event: Event


class Came(msgspec.Struct, frozen=True, tag="came"):
    """A person came or went."""

    at: float
    user: str
    online: bool


class Drew(msgspec.Struct, frozen=True, tag="drew"):
    """What a module saw of the world outside: time, a random number, an answer by HTTP."""

    at: float
    instance: str
    what: str
    """`now`, `time`, `random`, `http`."""
    value: Any


Seen: TypeAlias = Said | TurnedAway | Stopped | Sent | Passed | Called | Steered | HungUp | Told | Came | Drew


def public_url(url: str) -> str:
    """A URL without login and query: both may hold secrets."""
    return _LOGIN.sub(r"\1", url.partition("?")[0])


class Witness:
    """Tells all who look on. Costs a test while there are none."""

    def __init__(self) -> None:
        self._watchers: list[Callable[[Seen], None]] = []

    def __bool__(self) -> bool:
        """Whether anybody looks on."""
        return bool(self._watchers)

    @contextmanager
    def watched(self, watcher: Callable[[Seen], None]) -> Iterator[None]:
        """Tell this one too, while the context lasts. It must neither fail nor take time."""
        self._watchers.append(watcher)
        try:
            yield
        finally:
            self._watchers.remove(watcher)

    def tell(self, kind: Callable[..., Seen], *fields: object) -> None:
        """Tell of something that happens now."""
        if self._watchers:
            seen = kind(time.monotonic(), *fields)
            for watcher in self._watchers:
                watcher(seen)
