"""The engine `libretranslate`: a LibreTranslate server, or what answers like one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.modules.translate.engine import Translated
from boardtalk.modules.translate.web import Web

if TYPE_CHECKING:
    from boardtalk.modules.translate.engine import Wanted
    from boardtalk.modules.translate.settings import TranslateSettings
    from boardtalk.sdk import Context

CURES: Final = {
    400: "it does not know one of the languages, or wants an `api_key`; "
    "ENDPOINT/languages lists what it knows",
    403: "the key is missing or not valid, see `api_key` and `api_key_file`",
    404: "`endpoint` is not right: it ends before /translate",
    429: "too many requests for it, try later",
}


class _Detected(msgspec.Struct):
    language: str = ""


class _Answer(msgspec.Struct, rename="camel"):
    translated_text: str
    detected_language: _Detected | None = None


class LibreTranslate:
    """Asks a server, which may well be on this machine."""

    def __init__(self, context: Context, settings: TranslateSettings) -> None:
        self._url = f"{settings.url}/translate"
        self._web = Web(context, settings, "LibreTranslate", CURES)

    async def translate(self, wanted: Wanted) -> Translated:
        """See `Engine`."""
        body = {"q": wanted.text, "source": wanted.source, "target": wanted.target, "format": "text"}
        if key := await self._web.api_key():
            body["api_key"] = key
        answer = await self._web.post(self._url, body, _Answer, secret=key)
        detected = answer.detected_language.language if answer.detected_language else ""
        return Translated(answer.translated_text, detected or wanted.source)
