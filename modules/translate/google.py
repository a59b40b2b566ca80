"""The engine `google`: Google's Cloud Translation, by its REST API of version 2 ("Basic")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.modules.translate.engine import AUTO, NoTranslation, Translated
from boardtalk.modules.translate.web import Web

if TYPE_CHECKING:
    from boardtalk.modules.translate.engine import Wanted
    from boardtalk.modules.translate.settings import TranslateSettings
    from boardtalk.sdk import Context

CURES: Final = {
    400: "a language that it does not know (see `languages`), or `api_key` is not valid",
    401: "the token is not valid: a Google token lasts an hour; have `gcloud auth application-default "
    "print-access-token` write a new one into the file of `access_token_file`, or use an `api_key`",
    403: "this key or account may not translate: is the Cloud Translation API enabled, is its quota used up, "
    "and does the account need the key `project`?",
    429: "its quota is used up, try later",
}


class _Translation(msgspec.Struct, rename="camel"):
    translated_text: str
    detected_source_language: str = ""


class _Data(msgspec.Struct):
    translations: list[_Translation]


class _Answer(msgspec.Struct):
    data: _Data


class Google:
    """Asks Google."""

    def __init__(self, context: Context, settings: TranslateSettings) -> None:
        self._settings = settings
        self._web = Web(context, settings, "Google", CURES)

    async def translate(self, wanted: Wanted) -> Translated:
        """See `Engine`."""
        body = {"q": wanted.text, "target": wanted.target, "format": "text"}
        if wanted.source != AUTO:
            body["source"] = wanted.source
        headers, secret = await self._login()
        answer = await self._web.post(self._settings.url, body, _Answer, headers=headers, secret=secret)
        if not answer.data.translations:
            raise NoTranslation("Google answers without a translation")
        found = answer.data.translations[0]
        return Translated(found.translated_text, found.detected_source_language or wanted.source)

    async def _login(self) -> tuple[dict[str, str], str]:
        """Headers with a key or a token, and that secret."""
        if key := await self._web.api_key():
            return {"X-Goog-Api-Key": key}, key
        token = await self._web.access_token()
        headers = {"Authorization": f"Bearer {token}"}
        if self._settings.project:
            headers["X-Goog-User-Project"] = self._settings.project
        return headers, token
