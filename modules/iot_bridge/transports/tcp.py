"""Boards behind a TCP port: ser2net, a terminal server, an ESP32 that listens.

asyncio's own streams rather than pyserial's `socket://`, which reads byte by byte and would need a thread.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final, Self
from urllib.parse import urlsplit

from boardtalk.modules.iot_bridge.errors import PortError, PortMissing
from boardtalk.modules.iot_bridge.transports.paced import READ_BYTES, PacedPort

SCHEME: Final = "tcp"
CONNECT_TIMEOUT_S: Final = 5.0


class TcpPort(PacedPort):
    """A `Transport` over TCP.

    Args:
        url: ``tcp://HOST:PORT``.
        baud: bits per second of the line at the far end.
    """

    def __init__(self, url: str, baud: int) -> None:
        super().__init__(baud)
        self.name = url

    async def __aenter__(self) -> Self:
        """Connect; see `Transport`."""
        host, port = address(self.name)
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self._reader, self._writer = await asyncio.open_connection(host, port, limit=READ_BYTES)
        except (OSError, TimeoutError) as error:
            raise explain(self.name, error) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up; what was not sent yet is dropped."""
        self._writer.transport.abort()

    async def read(self) -> bytes:
        """See `Transport.read`."""
        try:
            return await self._reader.read(READ_BYTES)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """See `Transport.write`."""
        self._writer.write(data)
        self._pace.wrote(len(data), self._loop.time())

    @property
    def _held(self) -> int:
        """Bytes that have found no room in the socket yet."""
        return self._writer.transport.get_write_buffer_size()


def address(url: str) -> tuple[str, int]:
    """Host and port.

    Raises:
        PortError: they are not there.
    """
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.path or parts.query:
        raise PortError(f"{url}: write `port = {parts.scheme}://HOST:PORT`")
    return host, port


def explain(url: str, error: Exception) -> PortError:
    """Why a connection could not be made, in words."""
    if isinstance(error, ConnectionRefusedError):
        return PortMissing(f"{url}: nobody listens there; is the serial server started?")
    if isinstance(error, socket.gaierror):
        return PortMissing(f"{url}: nobody knows a machine of this name")
    if isinstance(error, TimeoutError):
        return PortMissing(f"{url}: no answer; is the machine on, and does a firewall stand between?")
    return PortMissing(f"{url}: can't be reached ({getattr(error, 'strerror', None) or error})")
