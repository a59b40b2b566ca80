"""The door to paho-mqtt: one MQTT 3.1.1 connection that is kept up.

paho is the protocol engine only. The connection is asyncio's, TLS and all: `_Pipe` stands in for
paho's socket, so that nothing blocks the event loop, many packets share one system call (paho's own
way takes three to read one), and `TCP_NODELAY` is set, as asyncio does for every TCP connection.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion

from boardtalk.broker.base import BrokerError, LoginRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from types import TracebackType

    from boardtalk.broker.base import Endpoint

KEEPALIVE_S: Final = 15
"""A broker that says nothing for so long, twice over, is taken for dead."""
CONNECT_TIMEOUT_S: Final = 5.0
"""TCP, TLS, login and subscriptions together."""
MIN_BACKOFF_S: Final = 0.1
MAX_BACKOFF_S: Final = 2.0
"""Longest wait before the next attempt: with the broker's own restart that stays below 5 s."""
MAX_IN_FLIGHT: Final = 256
"""Own publications without PUBACK; `publish` waits beyond. paho's own limit is off: with one, each PUBACK
costs a walk through all of them."""
MAX_BATCH: Final = 256
"""Messages taken in before the reader must come for them: keeps the event loop's turns short."""
MAX_BUFFERED_BYTES: Final = 1 << 18
"""Bytes that wait for the reader before the socket is left alone, so that the broker feels it."""
CLOSE_TIMEOUT_S: Final = 1.0

log = structlog.get_logger()


class Incoming(NamedTuple):
    """A message as it came."""

    topic: str
    payload: bytes
    retain: bool
    """Kept by the broker from some earlier time, not said now."""
    dup: bool
    """The broker may have handed it over before."""
    qos: int
    packet_id: int
    connection: int
    """Number of the connection that it came over."""


class Will(NamedTuple):
    """What the broker publishes, retained, when the connection is gone."""

    topic: str
    payload: bytes


class _Pipe(asyncio.Protocol):
    """What paho takes for its socket: bytes in from asyncio, bytes out in one piece per turn."""

    def __init__(self, arrived: Any) -> None:
        self._arrived = arrived
        self._in = bytearray()
        self._out: list[bytes | bytearray] = []
        self._transport: asyncio.Transport | None = None
        self._reading = True
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # asyncio's side ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP and TLS transports are
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._in += data
        self._arrived()
        self.throttle()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - the reason is paho's business
        if not self.lost.done():
            self.lost.set_result(None)
        self._arrived()

    # paho's side ------------------------------------------------------------------------------

    def recv(self, size: int) -> bytes:
        data = bytes(self._in[:size])
        del self._in[:size]
        if not data and not self.lost.done():
            raise BlockingIOError
        return data

    def send(self, data: bytes | bytearray) -> int:
        self._out.append(data)
        return len(data)

    def close(self) -> None:
        self.flush()
        if self._transport:
            self._transport.close()

    def setblocking(self, _flag: bool) -> None: ...

    def fileno(self) -> int:
        return -1

    # ours -------------------------------------------------------------------------------------

    @property
    def buffered(self) -> int:
        return len(self._in)

    def flush(self) -> None:
        if self._transport and self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()

    def throttle(self) -> None:
        """Read on, or not, by how much waits already."""
        full = len(self._in) > MAX_BUFFERED_BYTES
        if self._transport and full == self._reading:
            self._reading = not full
            (self._transport.pause_reading if full else self._transport.resume_reading)()

    def abort(self) -> None:
        if self._transport:
            self._transport.abort()


class _Paho(paho.Client):
    """paho with our pipe in place of a socket of its own."""

    pipe: _Pipe | None = None

    def _create_socket(self) -> Any:
        return self.pipe


class MqttClient:
    """A connection to a broker, made again whenever it breaks. Use as an async context manager.

    Sessions are clean: what was said while the gateway was away is not heard. Own publications that
    were not acknowledged are repeated after a reconnection, in their order.

    Args:
        endpoint: the broker.
        name: for the log.
        subscriptions: topic filters with their QoS.
        will: published by the broker, retained, when this connection ends, however it does.
    """

    def __init__(
        self, endpoint: Endpoint, name: str, subscriptions: Mapping[str, int] | None = None, will: Will | None = None
    ) -> None:
        self._endpoint = endpoint
        self._name = name
        self._subscriptions = list((subscriptions or {}).items())
        self._incoming: list[Incoming] = []
        self._arrived = asyncio.Event()
        self._changed = asyncio.Condition()
        self._number = 0
        self._up = False
        self._in_flight = 0
        self._space = asyncio.Event()
        self._answer: asyncio.Future[list[Any]]
        self._pipe: _Pipe | None = None
        self._paho = self._engine(will)

    def _engine(self, will: Will | None) -> _Paho:
        # A random id: whoever knows a client's id can push it off the broker.
        engine = _Paho(
            CallbackAPIVersion.VERSION2, f"{self._name}-{secrets.token_hex(8)}", clean_session=True,
            reconnect_on_failure=False, manual_ack=True,
        )  # fmt: skip
        engine.username_pw_set(self._endpoint.user, self._endpoint.password)
        engine.max_inflight_messages_set(0)
        engine.connect_async(self._endpoint.host, self._endpoint.port, KEEPALIVE_S)
        if will:
            engine.will_set(will.topic, will.payload, qos=1, retain=True)
        engine.on_connect = lambda _c, _u, _f, reason, _p: self._answered([reason])
        engine.on_subscribe = lambda _c, _u, _m, reasons, _p: self._answered(reasons)
        engine.on_message = self._on_message
        engine.on_publish = self._on_publish
        engine.on_socket_register_write = lambda _c, _u, _s: asyncio.get_running_loop().call_soon(self._flush)
        return engine

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep(), name=f"mqtt {self._name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keeper.cancel()
        await asyncio.wait([self._keeper])
        if self._pipe is None:
            return
        # No DISCONNECT: that would take back the last will, which tells the truth now.
        self._flush()
        self._pipe.close()
        await asyncio.wait([self._pipe.lost], timeout=CLOSE_TIMEOUT_S)
        self._pipe.abort()

    async def connected(self, after: int = 0) -> int:
        """Wait for a connection, subscribed and all, that is newer than number `after`; its number."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._up and self._number > after)
        return self._number

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1; waits while there is no connection or too much is under way."""
        while not self._up or self._in_flight >= MAX_IN_FLIGHT:
            self._space.clear()
            await self._space.wait()
        self._in_flight += 1
        self._paho.publish(topic, payload, 1, retain)

    async def messages(self) -> AsyncIterator[list[Incoming]]:
        """Messages in batches. A batch is acknowledged when the reader comes back for the next one."""
        while True:
            while not self._incoming:
                self._arrived.clear()
                await self._arrived.wait()
            batch, self._incoming = self._incoming, []
            yield batch
            for message in batch:
                if message.qos and message.connection == self._number:
                    self._paho.ack(message.packet_id, message.qos)
            self._feed()

    # Connecting -------------------------------------------------------------------------------

    async def _keep(self) -> None:
        backoff_s, told = MIN_BACKOFF_S, ""
        while True:
            try:
                await self._connect()
                backoff_s, told = MIN_BACKOFF_S, ""
                log.debug("mqtt connected", client=self._name, broker=str(self._endpoint))
                await self._serve()
                log.warning("mqtt connection lost", client=self._name, broker=str(self._endpoint))
            except (OSError, TimeoutError, BrokerError) as error:
                reason = str(error) or "no answer"
                if reason != told:
                    log.warning("mqtt broker not reached", client=self._name, broker=str(self._endpoint), reason=reason)
                told = reason
            await asyncio.sleep(random.uniform(0, backoff_s))  # noqa: S311 - spreads reconnections, no secret
            backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)

    async def _connect(self) -> None:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            loop = asyncio.get_running_loop()
            endpoint = self._endpoint
            _, self._pipe = await loop.create_connection(
                lambda: _Pipe(self._feed), endpoint.host, endpoint.port, ssl=endpoint.context()
            )
            self._paho.pipe = self._pipe
            try:
                self._answer = loop.create_future()
                self._paho.reconnect()
                (reason,) = await self._first(self._answer)
                if reason.is_failure:
                    raise LoginRefused(f"{endpoint}: the broker refuses the login {endpoint.user!r}: {reason}")
                if self._subscriptions:
                    self._answer = loop.create_future()
                    self._paho.subscribe(self._subscriptions)
                    reasons = await self._first(self._answer)
                    if any(reason.is_failure for reason in reasons):
                        raise BrokerError(f"{endpoint}: the broker refuses the subscriptions {self._subscriptions}")
            except BaseException:
                self._pipe.abort()
                raise
        self._number += 1
        await self._set_up(True)

    async def _first(self, answer: asyncio.Future[list[Any]]) -> list[Any]:
        assert self._pipe is not None  # noqa: S101 - just connected
        await asyncio.wait([answer, self._pipe.lost], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise BrokerError(f"{self._endpoint}: the broker closed the connection")
        return answer.result()

    async def _serve(self) -> None:
        """Stay until the connection is lost, with a ping now and then."""
        assert self._pipe is not None  # noqa: S101 - just connected
        while not self._pipe.lost.done():
            await asyncio.wait([self._pipe.lost], timeout=KEEPALIVE_S / 3)
            self._paho.loop_misc()
        await self._set_up(False)

    async def _set_up(self, up: bool) -> None:
        self._up = up
        if up:
            self._space.set()
        async with self._changed:
            self._changed.notify_all()

    # paho's callbacks -------------------------------------------------------------------------

    def _feed(self) -> None:
        """Let paho read what is there, as long as the reader keeps up."""
        pipe = self._pipe
        if pipe is None:
            return
        while (pipe.buffered or pipe.lost.done()) and len(self._incoming) < MAX_BATCH:
            if self._paho.loop_read():
                pipe.abort()
                return
        pipe.throttle()

    def _flush(self) -> None:
        self._paho.loop_write()
        if self._pipe:
            self._pipe.flush()

    def _answered(self, reasons: list[Any]) -> None:
        if not self._answer.done():
            self._answer.set_result(reasons)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self._incoming.append(
            Incoming(message.topic, bytes(message.payload), message.retain, message.dup, message.qos, message.mid,
                     self._number)
        )
        self._arrived.set()

    def _on_publish(self, _client: Any, _data: Any, _id: int, _reason: Any, _properties: Any) -> None:
        self._in_flight -= 1
        if self._up:
            self._space.set()
