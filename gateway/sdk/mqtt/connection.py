"""One TCP or TLS connection to an MQTT broker, from login to loss. Single use.

Packets that are sent in one turn of the event loop leave in one system call, without Nagle's delay
(asyncio sets `TCP_NODELAY` by itself), which would make relaying 30 times slower.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Final, TypeVar

from boardtalk.sdk.mqtt import packets
from boardtalk.sdk.mqtt.endpoint import BrokerError, LoginRefused
from boardtalk.sdk.mqtt.packets import Connack, Packet, PacketError, Publish, Suback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boardtalk.sdk.mqtt.endpoint import Endpoint

KEEPALIVE_S: Final = 15
"""A ping so often."""
DEAD_S: Final = 2 * KEEPALIVE_S
"""Who says nothing for so long is taken for dead; the broker takes us for dead by the same rule."""
CONNECT_TIMEOUT_S: Final = 5.0
"""TCP, TLS, login and subscriptions together."""
CLOSE_TIMEOUT_S: Final = 1.0
MAX_BATCH: Final = 256
"""Packets handed over at once: keeps the event loop's turns at a few milliseconds."""
MAX_BUFFERED_BYTES: Final = 1 << 18
"""Bytes that wait for the reader before the socket is left alone, so that the broker feels it."""

A = TypeVar("A", Connack, Suback)


class Connection(asyncio.Protocol):
    """The connection, as asyncio's protocol. Make one with `open_connection`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._in = bytearray()
        self._out: list[bytes] = []
        self._early: list[Packet] = []
        self._arrived = asyncio.Event()
        self._lost = self._loop.create_future()
        self._paused = False
        self._heard_s = time.monotonic()

    @property
    def waiting_bytes(self) -> int:
        """What was sent in earlier turns and has found no room in the socket yet."""
        return self._transport.get_write_buffer_size()

    def send(self, data: bytes) -> None:
        """Send with what else is sent in this turn. After a loss: into the void."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    async def read(self, most: int = MAX_BATCH) -> list[Packet]:
        """The next packets: at least one, at most `most`.

        Raises:
            BrokerError: the connection is lost, or what came is not MQTT.
        """
        if self._early:
            batch, self._early = self._early, []
            return batch
        if self._in:
            await asyncio.sleep(0)  # others have their turn even if there is always more to read
        while not (batch := packets.take(self._in, most)):
            if self._lost.done():
                raise BrokerError("the broker closed the connection")
            self._resume()
            self._arrived.clear()
            await self._arrived.wait()
        if len(self._in) < MAX_BUFFERED_BYTES:
            self._resume()
        return batch

    async def expect(self, kind: type[A]) -> A:
        """Wait for the answer of this kind. Messages that come before it are kept for `read`.

        Raises:
            BrokerError: something else comes, or the connection is lost.
        """
        early: list[Packet] = []
        while isinstance(packet := (await self.read(1))[0], Publish):
            early.append(packet)
        self._early = early
        if isinstance(packet, kind):
            return packet
        raise PacketError(f"the broker answers with {type(packet).__name__}, not {kind.__name__}")

    async def close(self) -> None:
        """Hand over what was sent, then hang up without good-bye: the last will is published."""
        self._flush()
        self._transport.close()
        await asyncio.wait([self._lost], timeout=CLOSE_TIMEOUT_S)
        self._transport.abort()

    # asyncio's calls --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP and TLS give one
        self._transport = transport
        self._ping = self._loop.call_later(KEEPALIVE_S, self._keep_alive)

    def data_received(self, data: bytes) -> None:
        """Take bytes; stop reading when too many wait."""
        self._heard_s = time.monotonic()
        self._in += data
        self._arrived.set()
        if len(self._in) > MAX_BUFFERED_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def connection_lost(self, _error: Exception | None) -> None:
        """End."""
        self._ping.cancel()
        self._lost.set_result(None)
        self._arrived.set()

    # Inside -----------------------------------------------------------------------------------

    def _flush(self) -> None:
        if self._out and not self._transport.is_closing():
            self._transport.write(b"".join(self._out))
        self._out.clear()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._heard_s = time.monotonic()
            self._transport.resume_reading()

    def _keep_alive(self) -> None:
        if not self._paused and time.monotonic() - self._heard_s > DEAD_S:
            self._transport.abort()
            return
        self.send(packets.PINGREQ)
        self._ping = self._loop.call_later(KEEPALIVE_S, self._keep_alive)


async def open_connection(
    endpoint: Endpoint,
    name: str,
    subscriptions: Sequence[tuple[str, int]] = (),
    will: packets.Will | None = None,
) -> Connection:
    """Connect, log in with a clean session, subscribe.

    Raises:
        LoginRefused: user name and password don't fit.
        BrokerError: the broker refuses a subscription, or says something else than it should.
        OSError: there is no way to it. TimeoutError: no answer within `CONNECT_TIMEOUT_S`.
    """
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        _, connection = await asyncio.get_running_loop().create_connection(
            Connection, endpoint.host, endpoint.port, ssl=endpoint.context()
        )
        try:
            await _introduce(connection, endpoint, name, subscriptions, will)
        except BaseException:
            await connection.close()
            raise
    return connection


async def _introduce(
    connection: Connection,
    endpoint: Endpoint,
    name: str,
    subscriptions: Sequence[tuple[str, int]],
    will: packets.Will | None,
) -> None:
    """Log in and subscribe."""
    # A random id: whoever knows a client's id can push it off the broker.
    client_id = f"{name}-{secrets.token_hex(8)}"
    connection.send(packets.connect(client_id, endpoint.user, endpoint.password, DEAD_S, will))
    if code := (await connection.expect(Connack)).code:
        raise LoginRefused(f"{endpoint}: the broker refuses the login {endpoint.user!r} (code {code})")
    if not subscriptions:
        return
    connection.send(packets.subscribe(1, subscriptions))
    if packets.REFUSED in (await connection.expect(Suback)).codes:
        raise BrokerError(f"{endpoint}: the broker refuses {endpoint.user!r} a subscription")
