"""TCP and TLS connections for modules."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from boardtalk.instance.outside.target import encryption, failure, target
from boardtalk.sdk import OutsideError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PIECE_BYTES: Final = 64 * 1024
PROBES: Final = 3
"""That go unanswered before a silent peer is given up."""
CLOSE_S: Final = 2.0
"""A server that takes longer to say goodbye is left."""


@asynccontextmanager
async def connect(
    url: str, *, verify: bool = True, keepalive: float = 30.0, within: float = 10.0
) -> AsyncIterator[Stream]:
    """See `Context.connect`."""
    where = target(url)
    encrypted = encryption(where.scheme, verify=verify)
    name = where.host if encrypted else None
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(
                where.host, where.port, ssl=encrypted, server_hostname=name
            )
    except (OSError, TimeoutError) as error:
        raise failure(where, error, within) from error
    _keep_alive(writer.get_extra_info("socket"), keepalive)
    try:
        yield Stream(reader, writer, where.shown)
    finally:
        writer.close()
        try:
            async with asyncio.timeout(CLOSE_S):
                await writer.wait_closed()
        except (OSError, TimeoutError):
            writer.transport.abort()


class Stream:
    """See :class:`boardtalk.sdk.Connection`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, shown: str) -> None:
        self._reader, self._writer, self._shown = reader, writer, shown

    async def send(self, data: bytes | str) -> None:
        """See the SDK."""
        try:
            self._writer.write(data.encode() if isinstance(data, str) else data)
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise OutsideError(f"{self._shown}: the connection has ended") from error

    async def __aiter__(self) -> AsyncIterator[bytes | str]:
        """See the SDK."""
        try:
            while data := await self._reader.read(PIECE_BYTES):
                yield data
        except OSError as error:
            raise OutsideError(f"{self._shown}: the connection broke: {error}") from error


def _keep_alive(plain: socket.socket, seconds: float) -> None:
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
        plain.setsockopt(socket.IPPROTO_TCP, option, max(1, int(seconds)))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
