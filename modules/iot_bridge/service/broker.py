"""Boards that come over a message broker: one connection for all, and a `Transport` to each.

It has a login of its own, which the gateway leaves in the state folder: stop and leases go on while the
gateway hangs. One MQTT message carries one frame, without COBS.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Self

import msgspec

from boardtalk.modules.iot_bridge.errors import PortMissing
from boardtalk.modules.iot_bridge.link.framing import MAX_PIECE_BYTES, stuff, unstuff
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.upkeep import MQTT, Upkeep
from boardtalk.modules.iot_bridge.transports.paced import FedPort
from boardtalk.sdk.mqtt import packets

if TYPE_CHECKING:
    from pathlib import Path

    from boardtalk.sdk.mqtt.connection import Connection

SUBSCRIPTIONS: Final = (("boards/+/status", 1), ("boards/+/tx", 0))
ONLINE: Final = b"online"
BAUD: Final = 1_000_000
"""What Wi-Fi and a board are taken to carry."""
UNREAD_BYTES: Final = 1 << 15
"""What a board says beyond this before it is read is dropped; its link repeats what matters."""
MAX_NAMES: Final = 1000
"""Boards that are known by their last will; a broker that anybody may log in at could name any number."""
AWAY: Final = "no link process: nobody knows how it is"

log = logging.getLogger(__name__)


class Broker(Upkeep):
    """The connection, kept up while `run` runs.

    Args:
        state: the state folder, where the gateway leaves the login.
    """

    def __init__(self, state: Path) -> None:
        super().__init__(state, "link", SUBSCRIPTIONS)
        self.connection: Connection | None = None
        self._online: dict[str, asyncio.Event] = {}
        """By name, whether a board is logged in."""
        self._ports: dict[str, MqttPort] = {}
        self._shown: dict[str, bytes] = {}
        """What everybody may read of each board."""
        self._packet_id = 0

    def port(self, name: str) -> MqttPort:
        """The transport to a board; unopened, for one use."""
        return MqttPort(name, self)

    def online(self, name: str) -> asyncio.Event:
        """Whether a board is logged in."""
        return self._online.setdefault(name, asyncio.Event())

    def show(self, board: api.BoardChanged) -> None:
        """Let everybody see how a board is, now and later."""
        if not board.name:
            return
        told = {key: getattr(board, key) for key in ("state", "detail", "uid", "port", "firmware")}
        self._shown[board.name] = msgspec.json.encode(told)
        self._publish_state(board.name)

    def forget(self, name: str) -> None:
        """Show no longer that there is such a board."""
        if self._shown.pop(name, None):
            self._publish_state(name)

    def open(self, port: MqttPort) -> Connection:
        """Have what a board says come to this port.

        Raises:
            PortMissing: the broker is away, or the board is not logged in.
        """
        if self.connection is None:
            raise PortMissing(f"{MQTT}: {self.reason}")
        if not self.online(port.board).is_set():
            raise PortMissing(
                f"{MQTT}: not logged in at the broker; `boardtalk boards credentials {port.board}` "
                "makes the login that its boardtalk.json needs"
            )
        self._ports[port.board] = port
        return self.connection

    def close(self, port: MqttPort) -> None:
        """It no longer listens."""
        if self._ports.get(port.board) is port:
            del self._ports[port.board]

    async def _serve(self, connection: Connection) -> None:
        self.connection, self.reason = connection, ""
        try:
            for name in self._shown:
                self._publish_state(name)
            while True:
                for packet in await connection.read():
                    if isinstance(packet, packets.Publish):
                        self._take(connection, packet)
        except asyncio.CancelledError:
            for name, shown in self._shown.items():
                away = {**msgspec.json.decode(shown), "state": api.BoardState.OFFLINE, "detail": AWAY}
                self._shown[name] = msgspec.json.encode(away)
                self._publish_state(name)
            raise
        finally:
            self.connection = None
            for online in self._online.values():
                online.clear()
            for port in self._ports.values():
                port.lose()
            await connection.close()

    def _take(self, connection: Connection, message: packets.Publish) -> None:
        if message.qos:
            connection.send(packets.puback(message.packet_id))
        name, _, what = message.topic.removeprefix("boards/").partition("/")
        port = self._ports.get(name)
        if what == "status":
            self._on_status(name, online=message.payload == ONLINE)
        elif message.retain or message.dup:
            log.warning("a repeated or retained message from %s is not acted on", name)
        elif port is not None:
            port.take(message.payload)

    def _on_status(self, name: str, *, online: bool) -> None:
        if name not in self._online and len(self._online) >= MAX_NAMES:
            return
        there = self.online(name)
        port = self._ports.get(name)
        if port is not None and there.is_set():  # it went, or came anew without going
            port.lose()
        if online:
            there.set()
        else:
            there.clear()

    def _publish_state(self, name: str) -> None:
        if self.connection is not None:
            self._packet_id = self._packet_id % packets.MAX_PACKET_ID + 1
            topic = f"boards/{name}/state"
            shown = self._shown.get(name, b"")
            self.connection.send(packets.publish(topic, shown, self._packet_id, retain=True))


class MqttPort(FedPort):
    """A `Transport` to one board."""

    name = MQTT

    def __init__(self, board: str, broker: Broker) -> None:
        super().__init__(BAUD)
        self.board = board
        self._broker = broker
        self._topic = f"boards/{board}/rx"
        self._loop = asyncio.get_running_loop()

    @property
    def _held(self) -> int:
        return self._connection.waiting_bytes

    async def __aenter__(self) -> Self:
        """See `Transport`."""
        self._connection = self._broker.open(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave the board alone."""
        self.lose()
        self._broker.close(self)

    def write(self, data: bytes) -> None:
        """See `Transport.write`; `data` is made of whole frames."""
        if self._lost:
            return
        for piece in data.split(b"\0"):
            if piece and (frame := unstuff(piece)) is not None:
                self._connection.send(packets.publish_once(self._topic, frame))
        self._pace.wrote(len(data), self._loop.time())

    async def appears(self) -> None:
        """See `Port.appears`."""
        await self._broker.online(self.board).wait()

    def take(self, frame: bytes) -> None:
        """A frame has come."""
        if len(frame) < MAX_PIECE_BYTES and len(self._input) < UNREAD_BYTES:
            self._input += stuff(frame) + b"\0"
            self._arrived.set()
