"""What a module gets from the world outside: answers to HTTP requests, and connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from boardtalk.sdk.errors import BoardtalkError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


class OutsideError(BoardtalkError):
    """A server can't be reached, takes too long, or answers what it should not.

    The text names the server, but neither passwords nor the query of its URL.

    Args:
        reason: what went wrong, in words.
        status: the HTTP status by which the server refused; 0: something else happened.
    """

    def __init__(self, reason: str, status: int = 0) -> None:
        self.status = status
        super().__init__(reason)


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long an exchange may take, in seconds; after that it ends in an `OutsideError`."""

    connect: float = 5.0
    """Until the connection stands, encryption included."""
    header: float = 10.0
    """Until the status and the headers of the answer are there."""
    body: float = 10.0
    """The longest silence while the body comes."""
    total: float = 60.0
    """For everything."""


class Response(Protocol):
    """The answer to a request: its status and headers are there, its body comes as it is read.

    ::

        async with self.context.http("https://example.org/big") as response:
            async for chunk in response:
                share = response.received / response.length if response.length else 0
    """

    status: int
    """Such as 200; it is for you to look at, or to `require_ok`."""
    headers: Mapping[str, str]
    """By name, whatever its case."""
    length: int | None
    """Of the body in bytes; None if the server did not say."""
    received: int
    """Bytes of the body so far."""

    @property
    def not_modified(self) -> bool:
        """Whether the server says that the version you know is still the newest (status 304)."""
        ...

    @property
    def etag(self) -> str:
        """Names this version of the content, for `etag` of the next request; "" if it has no name."""
        ...

    def require_ok(self) -> None:
        """See that the status is 200 to 299.

        Raises:
            OutsideError: it is another; the text has the status.
        """
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """`async for piece in response`: the body, decompressed, in pieces as they come."""
        ...

    async def read(self) -> bytes:
        """The rest of the body."""
        ...

    async def text(self) -> str:
        """The rest of the body as text, in the encoding that its headers name."""
        ...

    async def json(self) -> Any:
        """The rest of the body as what it says in JSON.

        Raises:
            OutsideError: it is no JSON.
        """
        ...


class Connection(Protocol):
    """A connection to a server.

    ::

        async with self.context.connect("tcp://localhost:7") as connection:
            await connection.send("hello")
            async for data in connection:
                ...

    It ends with `async with`; the loop ends too when the server ends it.
    """

    async def send(self, data: bytes | str) -> None:
        """Send; waits while the server does not take more. Text becomes a text message of a WebSocket.

        Raises:
            OutsideError: the connection has ended.
        """
        ...

    def __aiter__(self) -> AsyncIterator[bytes | str]:
        """`async for data in connection`: pieces of a stream, whole messages of a WebSocket."""
        ...
