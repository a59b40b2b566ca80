"""JSON lines over a Unix socket: how processes of one gateway talk to each other.

One line is one JSON object, UTF-8, at most `MAX_LINE_BYTES`. Used by ``control.sock`` (command
line and terminal) and by ``link.sock`` (the link process).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from boardtalk.sdk.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MAX_LINE_BYTES: Final = 1 << 20
MAX_UNREAD_BYTES: Final = 1 << 20
"""A peer that leaves more than this unread is cut off: it must not fill our memory."""

READ_WITHIN_S: Final = 10.0
"""A peer that takes longer to read what it got is cut off where the other side waits for it."""

T = TypeVar("T")


class Channel(Generic[T]):
    """One end of a connection. `T` is the (union of) msgspec types that come in.

    Closing is idempotent; iteration ends when either side closes.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        incoming: Any,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(incoming)
        self._encoder = msgspec.json.Encoder()

    @classmethod
    async def connect(cls, path: Path, incoming: Any) -> Channel[T]:
        """Connect to a socket of a gateway.

        Raises:
            ServiceError: nothing listens there.
        """
        try:
            reader, writer = await asyncio.open_unix_connection(path, limit=MAX_LINE_BYTES)
        except OSError as error:
            raise ServiceError(
                f"no gateway runs on {path.parent}; `boardtalk run` or `boardtalk demo` starts one "
                f"({path.name}: {error.strerror or error})"
            ) from error
        return cls(reader, writer, incoming)

    def send(self, value: object) -> None:
        """Queue one object; never blocks.

        Raises:
            ServiceError: the other end is gone or reads too slowly.
        """
        if self._writer.is_closing():
            raise ServiceError("the connection is closed")
        if self._writer.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            raise self._cut_off()
        self._writer.write(self._encoder.encode(value) + b"\n")

    async def drained(self) -> None:
        """Wait until all that was sent has left this process.

        Raises:
            ServiceError: the other end is gone or does not read.
        """
        self._writer.transport.set_write_buffer_limits(0)
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                await self._writer.drain()
        except TimeoutError:
            raise self._cut_off() from None
        except OSError as error:
            raise ServiceError("the connection is closed") from error

    async def receive(self) -> T | None:
        """The next object, or None when the other end closed.

        Raises:
            ServiceError: what came is not one of the expected objects.
        """
        try:
            line = await self._reader.readline()
        except (ConnectionError, OSError):
            return None
        except ValueError as error:
            raise ServiceError(f"a line longer than {MAX_LINE_BYTES} bytes") from error
        if not line.endswith(b"\n"):
            return None
        try:
            return self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ServiceError(f"not understood: {error}") from error

    async def __aiter__(self) -> AsyncIterator[T]:
        """All objects until the other end closes."""
        while (value := await self.receive()) is not None:
            yield value

    def close(self) -> None:
        """Close this end."""
        self._writer.close()

    def _cut_off(self) -> ServiceError:
        """Close at once: `close` would wait until the other end has read the rest, which it does not."""
        self._writer.transport.abort()
        return ServiceError("the other end does not read what it gets: cut off")
