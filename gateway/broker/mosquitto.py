"""mosquitto, if it is installed."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

from boardtalk.broker.base import MAX_CONNECTIONS, MAX_UNACKNOWLEDGED, write_private
from boardtalk.broker.hosted import Hosted
from boardtalk.broker.permissions import Grant, mosquitto_acl, mosquitto_passwords
from boardtalk.sdk.mqtt.endpoint import MAX_PACKET_BYTES, BrokerError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_QUEUED: Final = 10_000
"""Messages that wait for one client; mosquitto drops further ones."""
MAX_QUEUED_BYTES: Final = 64 << 20

_CONFIGURATION: Final = """\
# Written by boardtalk at each start. Started as root, mosquitto would become a user of its own, who
# can't read these files; otherwise `user` means nothing.
user root
per_listener_settings false
listener {port} {host}
allow_anonymous false
password_file {secrets}/mosquitto.passwd
acl_file {secrets}/mosquitto.acl
persistence true
persistence_location {store}/
persistent_client_expiration 7d
set_tcp_nodelay true
allow_duplicate_messages true
max_connections {max_connections}
max_packet_size {max_packet_bytes}
max_inflight_messages {max_unacknowledged}
max_queued_messages {max_queued}
max_queued_bytes {max_queued_bytes}
log_dest stderr
log_type error
log_type warning
log_type notice
"""
_WEBSOCKET: Final = """\
listener {port} {host}
protocol websockets
socket_domain {domain}
"""
"""Without `socket_domain` mosquitto 2.0.11 listens for WebSockets on all networks, whatever the host."""


class Mosquitto(Hosted):
    """mosquitto 2.0.11 or newer."""

    name = "mosquitto"

    def _command(self) -> Sequence[str]:
        path = shutil.which(self.name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
        if path is None:
            raise BrokerError(
                "mosquitto is not installed: `sudo apt install mosquitto`, or write `broker { }`"
            )
        return path, "-c", str(self._secrets / "mosquitto.conf")

    def _write(self, granted: list[Grant]) -> None:
        if not str(self._state).isprintable():
            raise BrokerError(f"{self._state!s:.80}: mosquitto can't have a state folder of this name")
        text = _CONFIGURATION.format(
            host=self.listen_host,
            port=self.endpoint.port,
            secrets=self._secrets,
            store=self._store,
            max_connections=MAX_CONNECTIONS,
            max_packet_bytes=MAX_PACKET_BYTES,
            max_unacknowledged=MAX_UNACKNOWLEDGED,
            max_queued=MAX_QUEUED,
            max_queued_bytes=MAX_QUEUED_BYTES,
        )
        if self.websocket_port:
            domain = "ipv6" if ":" in self.listen_host else "ipv4"
            text += _WEBSOCKET.format(host=self.listen_host, port=self.websocket_port, domain=domain)
        write_private(self._secrets / "mosquitto.passwd", mosquitto_passwords(granted))
        write_private(self._secrets / "mosquitto.acl", mosquitto_acl(granted))
        write_private(self._secrets / "mosquitto.conf", text)
