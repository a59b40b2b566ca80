"""Listens to a running gateway and its link process, and writes what happens."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from boardtalk.frontends import control
from boardtalk.hil.record.entries import (
    FORMAT,
    AnyEntry,
    Dictionary,
    Gateway,
    Head,
    Link,
    RecordingError,
)
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import ask
from boardtalk.sdk import ServiceError
from boardtalk.sdk.channel import Channel
from boardtalk.sdk.tasks import cancel_and_wait, first_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

BEGINS_S = 10.0
"""How long it may take to begin."""
RETRY_S = 0.2
"""Between attempts to find the link process, which may start again."""


@asynccontextmanager
async def captured(state: Path, keep: Callable[[AnyEntry], object]) -> AsyncIterator[None]:
    """Record a gateway that has a link process while the context lasts; see `Capture`.

    Raises:
        ServiceError: there is none.
        RecordingError: an entry could not be kept; that is told at the end.
    """
    capture = Capture(state, keep)
    running = asyncio.create_task(capture.run(), name="recorder")
    complete = asyncio.create_task(capture.complete.wait(), name="recording")
    try:
        await asyncio.wait({running, complete}, timeout=BEGINS_S, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        if not complete.done():
            raise ServiceError(f"{state}: gateway or link process does not let itself be recorded")
        yield
    finally:
        ended, _ = await cancel_and_wait(running, complete)
    if isinstance(ended, RecordingError):
        raise ended


class Capture:
    """One recording in the making.

    Args:
        state: the gateway's state folder.
        keep: is given each entry.
    """

    def __init__(self, state: Path, keep: Callable[[AnyEntry], object]) -> None:
        self.entries = 0
        """So many so far."""
        self.complete = asyncio.Event()
        """Set when nothing is missed any more: gateway and link process are listened to."""
        self._state = state
        self._keep = keep
        self._dictionaries: set[str] = set()

    async def run(self) -> None:
        """Record until cancelled, or until the gateway ends.

        Raises:
            ServiceError: no gateway runs there.
            RecordingError: an entry can't be kept.
        """
        gateway: Channel[control.Reply] = await Channel.connect(self._state / control.SOCKET, control.Reply)
        try:
            gateway.send(control.Record())
            head = await gateway.receive()
            if not isinstance(head, control.Recording):
                raise ServiceError(f"the gateway does not let itself be recorded: {head}")
            self._put(Head(FORMAT, time.time(), time.monotonic(), head))
            await first_of(
                asyncio.create_task(self._listen_to_gateway(gateway), name="record control.sock"),
                asyncio.create_task(self._listen_to_link(), name="record link.sock"),
            )
        finally:
            gateway.close()

    async def _listen_to_gateway(self, gateway: Channel[control.Reply]) -> None:
        async for reply in gateway:
            if isinstance(reply, control.Observed):
                self._put(Gateway(reply.seen))

    async def _listen_to_link(self) -> None:
        """Over all link processes that there are, one after the other."""
        while True:
            try:
                channel: Channel[api.AnyAnswer] = await Channel.connect(
                    self._state / api.SOCKET, api.AnyAnswer
                )
            except ServiceError:
                await asyncio.sleep(RETRY_S)
                continue
            try:
                channel.send(api.Tap(board=None, re=1))
                async for answer in channel:
                    if isinstance(answer, api.Done):
                        self.complete.set()
                    if isinstance(answer, api.Traffic | api.Asked | api.Heard):
                        self._put(Link(answer))
                        await self._learn(answer)
            except ServiceError:
                continue
            finally:
                channel.close()

    async def _learn(self, answer: api.Traffic | api.Asked | api.Heard) -> None:
        """Have a dictionary told, once."""
        if not isinstance(answer, api.Heard) or not isinstance(answer.event, api.BoardChanged):
            return
        board = answer.event
        if not board.dictionary or board.dictionary in self._dictionaries:
            return
        told = await ask(self._state, api.GetDictionary(board=board.name, re=1))
        if isinstance(told, api.DictionaryText):
            self._dictionaries.add(board.dictionary)
            self._put(Dictionary(board.dictionary, told.data.decode()))

    def _put(self, entry: AnyEntry) -> None:
        self.entries += 1
        self._keep(entry)
