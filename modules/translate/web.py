"""Engines that ask a server over HTTP: what they share."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

from boardtalk.modules.translate.engine import NoTranslation
from boardtalk.sdk import JsonService, OutsideError, read_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boardtalk.modules.translate.settings import TranslateSettings
    from boardtalk.sdk import Context

OF_THE_TEXT: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
"""Refusals that say nothing about other texts and languages."""

T = TypeVar("T")


class Web:
    """A server that translates, and the secrets that it wants to see.

    Args:
        name: what people call it.
        cures: what to do about a refusal, by HTTP status.
    """

    def __init__(
        self, context: Context, settings: TranslateSettings, name: str, cures: Mapping[int, str]
    ) -> None:
        self._context = context
        self._settings = settings
        self._service = JsonService(context, name, settings.url, settings.timeout, cures)

    async def access_token(self) -> str:
        """The value of `access_token`, or what its file has now; "": none.

        Raises:
            NoTranslation: it can't be read.
        """
        return await self._secret(
            self._settings.access_token, self._settings.access_token_file, "access_token"
        )

    async def api_key(self) -> str:
        """The value of `api_key`, likewise."""
        return await self._secret(self._settings.api_key, self._settings.api_key_file, "api_key")

    async def post(
        self, url: str, body: Any, shape: type[T], *, headers: Mapping[str, str] | None = None, secret: str
    ) -> T:
        """The server's answer.

        Raises:
            NoTranslation: there is none, or it is not of this type.
        """
        try:
            answer, _ = await self._service.post(url, body, shape, headers=headers, secret=secret)
        except OutsideError as error:
            raise NoTranslation(str(error), rest=error.status not in OF_THE_TEXT) from error
        return answer

    async def _secret(self, given: str, file: Any, key: str) -> str:
        try:
            return await read_secret(self._context, given, file, key)
        except OutsideError as error:
            raise NoTranslation(str(error), rest=True) from error
