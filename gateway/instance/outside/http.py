"""HTTP for modules: one client per instance, on httpx."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec

from boardtalk.sdk import OutsideError, Timeouts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

MAX_REDIRECTS: Final = 5
MAX_BODY_BYTES: Final = 16 << 20
"""A longer answer is cut off, if the module does not ask for more: it must not fill our memory."""


class Client:
    """Makes requests, and keeps connections open between them."""

    def __init__(self) -> None:
        self._clients: dict[bool, httpx.AsyncClient] = {}
        self._client(verify=True)  # it reads certificates, which takes a moment: not with the first request

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()

    @asynccontextmanager
    async def request(
        self,
        url: str,
        *,
        method: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        json: Any = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - immutable
        etag: str = "",
        modified_since: float | None = None,
        verify: bool = True,
        max_bytes: int = MAX_BODY_BYTES,
    ) -> AsyncIterator[Answer]:
        """See `Context.http`."""
        all_headers = {**(headers or {})}
        if json is not None:
            body = msgspec.json.encode(json)
            all_headers.setdefault("Content-Type", "application/json")
        if etag:
            all_headers["If-None-Match"] = etag
        if modified_since is not None:
            all_headers["If-Modified-Since"] = format_datetime(
                datetime.fromtimestamp(modified_since, UTC), True
            )
        client = self._client(verify=verify)
        try:
            request = client.build_request(
                method or ("GET" if body is None else "POST"),
                url,
                content=body,
                headers=all_headers,
                timeout=httpx.Timeout(None, connect=timeouts.connect),
            )
        except (httpx.InvalidURL, UnicodeError, TypeError) as error:
            raise OutsideError(f"not a URL that can be asked: {error}") from error
        server = f"{request.url.scheme}://{request.url.netloc.decode()}{request.url.path}"
        limit = asyncio.timeout(timeouts.total)
        try:
            async with limit:
                response = await _headers(client, request, server, timeouts)
                try:
                    yield Answer(response, server, timeouts.body, max_bytes)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            if limit.expired():
                raise OutsideError(f"{server}: not done within {timeouts.total:g} s") from error
            raise

    def _client(self, *, verify: bool) -> httpx.AsyncClient:
        if verify not in self._clients:
            self._clients[verify] = httpx.AsyncClient(
                verify=verify,
                follow_redirects=True,
                max_redirects=MAX_REDIRECTS,
                headers={"User-Agent": "boardtalk"},
            )
        return self._clients[verify]


async def _headers(
    client: httpx.AsyncClient, request: httpx.Request, server: str, timeouts: Timeouts
) -> httpx.Response:
    try:
        async with asyncio.timeout(timeouts.connect + timeouts.header):
            return await client.send(request, stream=True)
    except TimeoutError as error:
        raise OutsideError(f"{server}: no answer within {timeouts.header:g} s") from error
    except httpx.ConnectTimeout as error:
        raise OutsideError(f"{server}: no connection within {timeouts.connect:g} s") from error
    except httpx.HTTPError as error:
        raise OutsideError(f"{server}: {_reason(error)}") from error


class Answer:
    """See :class:`boardtalk.sdk.Response`."""

    def __init__(self, response: httpx.Response, server: str, silence_s: float, max_bytes: int) -> None:
        self._response = response
        self._server = server
        self._silence_s = silence_s
        self._max_bytes = max_bytes
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        length = response.headers.get("Content-Length", "")
        self.length = int(length) if length.isdecimal() else None
        self.received = 0
        self._overhear: Callable[[bytes], None] | None = None

    def overheard_by(self, take: Callable[[bytes], None]) -> None:
        """Have this called with each piece that is read, too."""
        self._overhear = take

    @property
    def not_modified(self) -> bool:
        """See the SDK."""
        return self.status == HTTPStatus.NOT_MODIFIED

    @property
    def etag(self) -> str:
        """See the SDK."""
        return self.headers.get("ETag", "")

    def require_ok(self) -> None:
        """See the SDK."""
        if not self._response.is_success:
            reason = f"{self._server}: {self.status} {self._response.reason_phrase}".rstrip()
            raise OutsideError(reason, self.status)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """See the SDK."""
        pieces = self._response.aiter_bytes()
        taken = 0
        while True:
            try:
                async with asyncio.timeout(self._silence_s):
                    piece = await anext(pieces)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                reason = f"stopped in the middle: nothing came for {self._silence_s:g} s"
                raise OutsideError(f"{self._server}: {reason}") from error
            except httpx.HTTPError as error:
                raise OutsideError(f"{self._server}: {_reason(error)}") from error
            taken += len(piece)
            self.received = self._response.num_bytes_downloaded
            if self._overhear is not None:
                self._overhear(piece)
            if taken > self._max_bytes:
                raise OutsideError(f"{self._server}: answers more than {self._max_bytes} bytes")
            yield piece

    async def read(self) -> bytes:
        """See the SDK."""
        return b"".join([piece async for piece in self])

    async def text(self) -> str:
        """See the SDK."""
        data = await self.read()
        try:
            return data.decode(self._response.charset_encoding or "utf-8", "replace")
        except LookupError:
            return data.decode("utf-8", "replace")

    async def json(self) -> Any:
        """See the SDK."""
        data = await self.read()
        try:
            return msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise OutsideError(f"{self._server}: answers no JSON ({error})") from error


def _reason(error: httpx.HTTPError) -> str:
    """What went wrong, in words; httpx often says nothing."""
    return str(error) or type(error).__name__
