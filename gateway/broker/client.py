"""Sessions with an MQTT broker that outlive their connections.

Each speaks in one direction: who does not get rid of what he reads must still be able to hear the
acknowledgements of what he says, and on a shared connection these stand behind each other.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Self

import structlog

from boardtalk.sdk.mqtt import packets
from boardtalk.sdk.mqtt.connection import open_connection
from boardtalk.sdk.mqtt.endpoint import BrokerError
from boardtalk.sdk.mqtt.packets import Puback, Publish, Will

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from boardtalk.sdk.mqtt.connection import Connection
    from boardtalk.sdk.mqtt.endpoint import Endpoint

MIN_BACKOFF_S: Final = 0.1
MAX_BACKOFF_S: Final = 2.0
"""Longest wait before the next attempt: with the broker's own restart that stays below 5 s."""
MAX_IN_FLIGHT: Final = 256
"""Own publications without acknowledgement; `publish` waits beyond."""

log = structlog.get_logger()


def nothing() -> None:
    """Do nothing."""


class Session(ABC):
    """A connection to a broker, made again whenever it breaks. Use as an async context manager.

    The broker remembers nothing of it: what was said while the gateway was away is not heard.

    Args:
        endpoint: the broker and the login there.
        name: for the log and the client id.
        subscriptions: topic filters, each with its QoS (0 or 1).
        will: published by the broker, retained, whenever the connection ends.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        name: str,
        subscriptions: Mapping[str, int] | None = None,
        will: Will | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._name = name
        self._subscriptions = tuple((subscriptions or {}).items())
        self._will = will
        self._connection: Connection | None = None
        self._number = 0
        self._changed = asyncio.Condition()
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._keeper = self._tasks.create_task(self._keep(), name=f"mqtt {self._name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._keeper.cancel()
        await self._tasks.__aexit__(None, None, None)  # an error of the body stays itself

    async def connected(self, after: int = 0) -> int:
        """Wait for a connection, subscribed and all, newer than number `after`; its number."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._connection is not None and self._number > after)
        return self._number

    @abstractmethod
    async def _serve(self, connection: Connection) -> None:
        """Read from a fresh connection until `BrokerError` tells that it is lost."""

    async def _keep(self) -> None:
        """Connect, serve, and after a pause again."""
        backoff_s, told = MIN_BACKOFF_S, ""
        while True:
            try:
                connection = await open_connection(
                    self._endpoint, self._name, self._subscriptions, self._will
                )
                if told:
                    log.info("broker reached again", client=self._name, broker=str(self._endpoint))
                backoff_s, told = MIN_BACKOFF_S, ""
                try:
                    await self._change(connection)
                    await self._serve(connection)
                finally:
                    await self._change(None)
                    await connection.close()
            except (OSError, TimeoutError, BrokerError) as error:
                reason = str(error) or "no answer"
                if reason != told:
                    log.warning(
                        "broker not reached",
                        client=self._name,
                        broker=str(self._endpoint),
                        reason=reason,
                    )
                told = reason
            await asyncio.sleep(random.uniform(0, backoff_s))  # noqa: S311 - spreads reconnections, no secret
            backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)

    async def _change(self, connection: Connection | None) -> None:
        async with self._changed:
            self._connection = connection
            self._number += connection is not None
            self._changed.notify_all()


class Subscriber(Session):
    """Hears messages. While its reader is busy the broker has to wait."""

    def __init__(self, endpoint: Endpoint, name: str, subscriptions: Mapping[str, int]) -> None:
        super().__init__(endpoint, name, subscriptions)
        self._batches: asyncio.Queue[tuple[Connection, list[Publish]]] = asyncio.Queue(1)

    async def messages(self) -> AsyncIterator[list[Publish]]:
        """Messages in batches, each acknowledged when the reader comes back for the next."""
        while True:
            connection, batch = await self._batches.get()
            yield batch
            for message in batch:
                if message.qos:
                    connection.send(packets.puback(message.packet_id))

    async def _serve(self, connection: Connection) -> None:
        while True:
            received = await connection.read()
            if batch := [packet for packet in received if isinstance(packet, Publish)]:
                await self._batches.put((connection, batch))


class Publisher(Session):
    """Says messages with QoS 1. After a reconnection it repeats, in order, what was not acknowledged."""

    def __init__(self, endpoint: Endpoint, name: str, will: Will | None = None) -> None:
        super().__init__(endpoint, name, will=will)
        self._in_flight: dict[int, tuple[bytes, Callable[[], object]]] = {}
        """Packets, each with what to call when the broker has it, by packet id."""
        self._last_id = 0
        self._room = asyncio.Event()

    async def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, done: Callable[[], object] = nothing
    ) -> None:
        """Publish; waits while there is no connection or too much is under way.

        `done` is called when the broker has it.
        """
        while self._connection is None or len(self._in_flight) >= MAX_IN_FLIGHT:
            self._room.clear()
            await self._room.wait()
        packet_id = self._next_id()
        packet = packets.publish(topic, payload, packet_id, retain=retain)
        self._in_flight[packet_id] = packet, done
        self._connection.send(packet)

    async def publish_once(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 0: only who is connected now gets it, if we are."""
        while self._connection is not None and len(self._in_flight) >= MAX_IN_FLIGHT:
            self._room.clear()
            await self._room.wait()
        if self._connection is not None:
            self._connection.send(packets.publish_once(topic, payload))

    async def _serve(self, connection: Connection) -> None:
        for packet, _ in self._in_flight.values():
            connection.send(packets.again(packet))
        self._room.set()
        while True:
            for received in await connection.read():
                if isinstance(received, Puback):
                    _, done = self._in_flight.pop(received.packet_id, (b"", nothing))
                    done()
            self._room.set()

    def _next_id(self) -> int:
        """A packet id that nothing under way has."""
        while True:
            self._last_id = self._last_id % packets.MAX_PACKET_ID + 1
            if self._last_id not in self._in_flight:
                return self._last_id
