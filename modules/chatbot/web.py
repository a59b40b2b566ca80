"""Asking the service of an engine, with the token of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from boardtalk.modules.chatbot.engine import NoAnswer
from boardtalk.sdk import JsonService, OutsideError, read_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boardtalk.modules.chatbot.settings import ChatbotSettings
    from boardtalk.sdk import Context

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
TOO_MANY: Final = 429

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
        self._service = JsonService(context, name, settings.url, settings.timeout, cures)

    async def post(self, url: str, body: Any, shape: type[T]) -> tuple[T, bytes]:
        """The service's answer, as a type and as it came.

        Raises:
            NoAnswer: there is none, or it is not of this type.
        """
        settings = self._settings
        try:
            token = await read_secret(
                self._context, settings.access_token, settings.access_token_file, "access_token"
            )
            headers = {"Authorization": f"Bearer {token}"} if token else None
            return await self._service.post(url, body, shape, headers=headers, secret=token)
        except OutsideError as error:
            raise NoAnswer(str(error)) from error
