"""Asking a service over HTTP; what goes wrong, in words that help."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from boardtalk.modules.chatbot.engine import NoAnswer
from boardtalk.modules.chatbot.text import line
from boardtalk.sdk import OutsideError, Timeouts, json_extract

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from boardtalk.modules.chatbot.settings import ChatbotSettings
    from boardtalk.sdk import Context, Response

MAX_ANSWER_BYTES: Final = 256 * 1024
MAX_TOKEN_BYTES: Final = 16 * 1024
MAX_DETAIL_CHARS: Final = 200
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
TOO_MANY: Final = 429
_TOKEN: Final = re.compile("[!-~]+")

T = TypeVar("T")


class Web:
    """A service that answers JSON with JSON.

    Args:
        name: what people call it.
        cures: what to do, by HTTP status.
    """

    def __init__(
        self, context: Context, settings: ChatbotSettings, name: str, cures: Mapping[int, str]
    ) -> None:
        self._context = context
        self._settings = settings
        self._name = name
        self._cures = cures

    async def post(self, url: str, body: Any, shape: type[T]) -> tuple[T, bytes]:
        """The service's answer, as a type and as it came.

        Raises:
            NoAnswer: there is none, or it is not of this type.
        """
        data = await self._posted(url, body)
        try:
            return msgspec.json.decode(data, type=shape), data
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            reason = line(str(error), MAX_DETAIL_CHARS)
            raise NoAnswer(
                f"{self._name} answers what I don't understand ({reason}): {self._look}"
            ) from error

    @property
    def _look(self) -> str:
        return f"is `endpoint` right? It is {self._settings.url}"

    async def _posted(self, url: str, body: Any) -> bytes:
        token = await self._token()
        seconds = self._settings.timeout
        answered = False
        try:
            async with self._context.http(
                url,
                headers={"Authorization": f"Bearer {token}"} if token else None,
                json=body,
                timeouts=Timeouts(header=seconds, body=seconds, total=seconds),
                max_bytes=MAX_ANSWER_BYTES,
            ) as response:
                answered = True
                if response.status // 100 == 2:
                    return await response.read()
                raise NoAnswer(self._refusal(response.status, await _detail(response, token)))
        except OutsideError as error:
            running = f"is {self._name} running at {self._settings.url}?"
            hint = "" if answered else f"; {running} A slow one gets more time by the key `timeout`"
            raise NoAnswer(f"{line(str(error), 300)}{hint}") from error

    def _refusal(self, status: int, detail: str) -> str:
        cure = self._cures.get(status)
        if cure is None:
            cure = "it has a fault of its own, try later" if status // 100 == 5 else self._look
        said = f", says: {detail}" if detail else ""
        return f"{self._name} refuses (status {status}): {cure}{said}"

    async def _token(self) -> str:
        path = self._settings.access_token_file
        if path is None:
            return _checked(self._settings.access_token, "access_token")
        try:
            text = await self._context.run_in_thread(_read, path)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise NoAnswer(f"access_token_file {path} can't be read: {reason}") from error
        if not text:
            raise NoAnswer(f"access_token_file {path} is empty: write the token into it")
        return _checked(text, f"access_token_file {path}")


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_TOKEN_BYTES).decode("utf-8", "replace").strip()


def _checked(token: str, what: str) -> str:
    if token and not _TOKEN.fullmatch(token):
        raise NoAnswer(f"{what}: that is no token; one has no spaces and no letters beyond ASCII")
    return token


async def _detail(response: Response, token: str) -> str:
    """What the service says about its refusal, without the token, which some repeat."""
    try:
        data = await response.read()
    except OutsideError:
        return ""
    found = json_extract(data, "error.message") or json_extract(data, "error")
    if not isinstance(found, str):
        return ""
    return line(found.replace(token, "…") if token else found, MAX_DETAIL_CHARS)
