"""The socket of requests and answers: JSON lines, each taken as soon as it has come.

`Channel` wakes a task for each, which is a turn of the event loop more at either end: a quarter of the time
of a hop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec

from boardtalk.sdk import ServiceError
from boardtalk.sdk.channel import MAX_LINE_BYTES, MAX_UNREAD_BYTES

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

T = TypeVar("T")


class Lines(asyncio.Protocol, Generic[T]):
    """One end. `T` is the union of msgspec types that come in; nothing comes before `listen`."""

    def __init__(self, incoming: Any) -> None:
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(incoming)
        self._encoder = msgspec.json.Encoder()
        self._begun = b""
        """A line whose end has not come yet."""
        self._error = ""

    @classmethod
    async def connect(cls, connection: socket.socket, incoming: Any) -> Lines[T]:
        """Use a socket that is connected."""
        loop = asyncio.get_running_loop()
        _, lines = await loop.create_unix_connection(lambda: cls(incoming), sock=connection)
        return lines

    def listen(self, take: Callable[[T], None], end: Callable[[str], None]) -> None:
        """Have what comes taken.

        Args:
            take: gets each object.
            end: is called once, when either side has closed, with what could not be understood, or "".
        """
        self._take, self._end = take, end
        self._transport.resume_reading()

    def send(self, value: object) -> None:
        """Send one object; never blocks.

        Raises:
            ServiceError: the other end is gone or reads too slowly.
        """
        if self._transport.is_closing():
            raise ServiceError("the connection is closed")
        if self._transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self._transport.abort()
            raise ServiceError("the other end does not read what it gets: cut off")
        self._transport.write(self._encoder.encode(value) + b"\n")

    def close(self) -> None:
        """Close this end; what has not left it by now is dropped."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            try:
                value = self._decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                self._give_up(f"not understood: {error}")
                return
            self._take(value)
        if len(self._begun) > MAX_LINE_BYTES:
            self._give_up(f"a line longer than {MAX_LINE_BYTES} bytes")

    def connection_lost(self, _error: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._end(self._error)

    def _give_up(self, error: str) -> None:
        self._error = error
        self._transport.abort()
