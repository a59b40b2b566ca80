"""Asking a server that answers JSON with JSON; what goes wrong, in words that help who set it up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from boardtalk.sdk.outside import OutsideError, Timeouts
from boardtalk.sdk.text import json_extract, line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from boardtalk.sdk.module import Context
    from boardtalk.sdk.outside import Response

MAX_ANSWER_BYTES: Final = 256 * 1024
MAX_SECRET_BYTES: Final = 16 * 1024
MAX_DETAIL_CHARS: Final = 200
MAX_REASON_CHARS: Final = 300
_SECRET: Final = re.compile("[!-~]+")

T = TypeVar("T")


class JsonService:
    """A server that answers JSON with JSON; made in `on_start`, which is when it loads what it needs.

    ::

        service = JsonService(self.context, "the weather", self.config.endpoint, self.config.timeout)
        weather, _ = await service.post(f"{self.config.endpoint}/at", {"place": "Rome"}, Weather)

    Args:
        context: of the module that asks. Its keys `endpoint` and `timeout` are what errors point at.
        name: what people call the server.
        endpoint: where it is.
        timeout: seconds until it must have answered.
        cures: what to do about a refusal, by its HTTP status.

    Raises:
        OutsideError: the module is isolated, and may not use the network.
    """

    def __init__(
        self,
        context: Context,
        name: str,
        endpoint: str,
        timeout: float,
        cures: Mapping[int, str] | None = None,
    ) -> None:
        self._context = context
        self._name = name
        self._endpoint = endpoint
        self._timeout = timeout
        self._cures = cures or {}
        context.http(endpoint)  # asks nothing, but begins to load a library: the first message need not wait

    async def post(
        self,
        url: str,
        body: Any,
        shape: type[T],
        *,
        headers: Mapping[str, str] | None = None,
        secret: str = "",
    ) -> tuple[T, bytes]:
        """The server's answer, as a type and as it came.

        Args:
            url: what is asked.
            body: what is sent, as JSON.
            shape: the type of the answer.
            headers: further ones.
            secret: what must not stand in an error, even if the server repeats it.

        Raises:
            OutsideError: there is no answer, or it is not of this type.
        """
        data = await self._posted(url, body, headers, secret)
        try:
            return msgspec.json.decode(data, type=shape), data
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            reason = line(str(error), MAX_DETAIL_CHARS)
            raise OutsideError(
                f"{self._name} answers what I don't understand ({reason}): {self._look}"
            ) from error

    @property
    def _look(self) -> str:
        return f"is `endpoint` right? It is {self._endpoint}"

    async def _posted(self, url: str, body: Any, headers: Mapping[str, str] | None, secret: str) -> bytes:
        seconds = self._timeout
        answered = False
        try:
            async with self._context.http(
                url,
                headers=headers,
                json=body,
                timeouts=Timeouts(header=seconds, body=seconds, total=seconds),
                max_bytes=MAX_ANSWER_BYTES,
            ) as response:
                answered = True
                if response.status // 100 == 2:
                    return await response.read()
                reason = self._refusal(response.status, await _detail(response, secret))
        except OutsideError as error:
            running = f"is {self._name} running at {self._endpoint}?"
            hint = "" if answered else f"; {running} A slow one gets more time by the key `timeout`"
            raise OutsideError(f"{line(str(error), MAX_REASON_CHARS)}{hint}") from error
        raise OutsideError(reason, response.status)

    def _refusal(self, status: int, detail: str) -> str:
        cure = self._cures.get(status)
        if cure is None:
            cure = "it has a fault of its own, try later" if status // 100 == 5 else self._look
        said = f", says: {detail}" if detail else ""
        return f"{self._name} refuses (status {status}): {cure}{said}"


async def read_secret(context: Context, given: str, file: Path | None, key: str) -> str:
    """A token that stands in the configuration, or in a file, which is read anew each time.

    Args:
        context: of the module that needs it.
        given: the value of its key, such as `access_token`.
        file: the value of the key with `_file` behind its name.
        key: the name of the first of the two, for errors.

    Raises:
        OutsideError: the file can't be read or is empty, or that is no token. It is not told.
    """
    if file is None:
        return _checked(given, key)
    try:
        text = await context.run_in_thread(_read, file)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutsideError(f"{key}_file {file} can't be read: {reason}") from error
    if not text:
        raise OutsideError(f"{key}_file {file} is empty: write the token into it")
    return _checked(text, f"{key}_file {file}")


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_SECRET_BYTES).decode("utf-8", "replace").strip()


def _checked(secret: str, what: str) -> str:
    if secret and not _SECRET.fullmatch(secret):
        raise OutsideError(f"{what}: that is no token; one has no spaces and no letters beyond ASCII")
    return secret


async def _detail(response: Response, secret: str) -> str:
    """What the server says about its refusal, without the secret, which some repeat."""
    try:
        data = await response.read()
    except OutsideError:
        return ""
    found = json_extract(data, "error.message") or json_extract(data, "error")
    if not isinstance(found, str):
        return ""
    return line(found.replace(secret, "…") if secret else found, MAX_DETAIL_CHARS)
