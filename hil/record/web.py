"""Answers by HTTP as modules got them then."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from boardtalk.sdk import OutsideError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

SUCCESS = 2
"""Hundreds."""


class RecordedAnswer:
    """See :class:`boardtalk.sdk.Response`.

    Args:
        recorded: as `Context.http` noted it. Raises OutsideError if there was no answer.
    """

    def __init__(self, recorded: Mapping[str, Any]) -> None:
        self._url: str = recorded["url"]
        self._error: str = recorded.get("error", "")
        if "status" not in recorded:
            raise OutsideError(self._error or f"{self._url}: no answer was recorded")
        self._body = base64.b64decode(recorded["body"])
        self.status: int = recorded["status"]
        self.headers: Mapping[str, str] = {"Content-Type": recorded["type"]}
        self.length: int | None = len(self._body)
        self.received = 0

    @property
    def not_modified(self) -> bool:
        """See the SDK."""
        return self.status == HTTPStatus.NOT_MODIFIED

    @property
    def etag(self) -> str:
        """Not recorded."""
        return ""

    def require_ok(self) -> None:
        """See the SDK."""
        if self.status // 100 != SUCCESS:
            raise OutsideError(f"{self._url}: {self.status}", self.status)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """See the SDK."""
        self.received = len(self._body)
        yield self._body
        if self._error:
            raise OutsideError(self._error)

    async def read(self) -> bytes:
        """See the SDK."""
        return b"".join([piece async for piece in self])

    async def text(self) -> str:
        """See the SDK."""
        return (await self.read()).decode(errors="replace")

    async def json(self) -> Any:
        """See the SDK."""
        try:
            return msgspec.json.decode(await self.read())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise OutsideError(f"{self._url}: answers no JSON ({error})") from error
