"""The gateway's end of ``link.sock``: finds or starts the link process and talks to it."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from boardtalk.modules.iot_bridge import service_api as api
from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.sdk import ServiceError
from boardtalk.sdk.channel import Channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

START_TIMEOUT_S: Final = 10.0
ANSWER_TIMEOUT_S: Final = 5.0
"""Longest wait for an answer; a stop or re-arm takes a second at most."""

A = TypeVar("A", bound=api.Answer)


class LinkClient:
    """A connection to the link process.

    Commands, renewals, cancels and set-points are sent without waiting: what becomes of them comes
    as events. Everything else is a call that returns its answer.
    """

    def __init__(self, channel: Channel[api.AnyAnswer]) -> None:
        self.boards: tuple[api.BoardChanged, ...] = ()
        """All boards, as they were on attaching."""
        self._channel = channel
        self._calls: dict[int, asyncio.Future[api.AnyAnswer]] = {}
        self._number = 0
        self._events: asyncio.Queue[api.AnyAnswer | None] = asyncio.Queue(EVENTS)

    @classmethod
    async def start(
        cls,
        state: Path,
        boards: Iterable[api.WantedBoard],
        *,
        adopt_all: bool = False,
        usb: Iterable[tuple[int, int]] = (),
    ) -> LinkClient:
        """Find the link process of a state folder, or start it, and attach to it.

        Raises:
            ServiceError: it does not start, or another gateway is attached to it.
        """
        raise NotImplementedError

    @classmethod
    @asynccontextmanager
    async def open(cls, state: Path, boards: Iterable[api.WantedBoard]) -> AsyncIterator[LinkClient]:
        """`start` and `close` as a context."""
        raise NotImplementedError
        yield

    # signatures; bodies follow

    async def close(self, *, shutdown: bool = True) -> None:
        """Leave. With `shutdown` the link process ends too; motions end with their leases."""

    async def events(self) -> AsyncIterator[api.AnyAnswer]:
        """Everything that happens, until the link process goes away."""
        raise NotImplementedError
        yield

    def command(self, command: api.Command) -> None:
        """Carry out a command; raises ServiceError if the link process is gone."""

    def renew(self, board: str, id_: int, lease_ms: int) -> None:
        """The lease of a running motion, again."""

    def cancel(self, board: str, id_: int) -> None:
        """End a running command."""

    def set_point(self, board: str, index: int, lease_ms: int, values: bytes) -> None:
        """Live values for a control channel."""

    async def rearm(self, board: str, by: str) -> None:
        """Let a stopped board move again. Raises LinkError if it can't."""

    async def adopt(self, uid: str, name: str) -> None:
        """Give a waiting board a name, for good. Raises LinkError if it can't."""

    async def dictionary(self, board: str) -> bytes:
        """A board's dictionary as JSON text. Raises LinkError if it is not known."""
        raise NotImplementedError
