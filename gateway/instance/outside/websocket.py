"""WebSocket connections for modules, by the library websockets."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from websockets.asyncio.client import connect as open_connection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from boardtalk.instance.outside.target import encryption, failure, target
from boardtalk.sdk import OutsideError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection

MAX_MESSAGE_BYTES: Final = 1 << 20
"""A longer message ends the connection."""
CLOSE_S: Final = 2.0
"""A server that takes longer to say goodbye is left."""


@asynccontextmanager
async def connect(
    url: str, *, verify: bool = True, keepalive: float = 30.0, within: float = 10.0
) -> AsyncIterator[WebSocket]:
    """See `Context.connect`."""
    where = target(url)
    try:
        connection = await open_connection(
            url,
            ssl=encryption(where.scheme, verify=verify),
            open_timeout=within,
            ping_interval=keepalive,
            ping_timeout=keepalive,
            close_timeout=CLOSE_S,
            max_size=MAX_MESSAGE_BYTES,
        )
    except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
        raise failure(where, error, within) from error
    async with connection:
        yield WebSocket(connection, where.shown)


class WebSocket:
    """See :class:`boardtalk.sdk.Connection`."""

    def __init__(self, connection: ClientConnection, shown: str) -> None:
        self._connection, self._shown = connection, shown

    async def send(self, data: bytes | str) -> None:
        """See the SDK."""
        try:
            await self._connection.send(data)
        except ConnectionClosed as error:
            raise OutsideError(f"{self._shown}: the connection has ended") from error

    async def __aiter__(self) -> AsyncIterator[bytes | str]:
        """See the SDK."""
        try:
            async for message in self._connection:
                yield message
        except ConnectionClosed as error:
            raise OutsideError(f"{self._shown}: the connection broke: {error}") from error
