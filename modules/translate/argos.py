"""The engine `argos`: Argos Translate, on this machine and without any network.

With its models it takes hundreds of megabytes of memory, so it lives in a process of its own.
"""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from boardtalk.modules.translate.engine import AUTO, NoTranslation, Translated
from boardtalk.sdk import ModuleError

if TYPE_CHECKING:
    from boardtalk.modules.translate.engine import Wanted
    from boardtalk.modules.translate.settings import TranslateSettings
    from boardtalk.sdk import Context

PACKAGE: Final = "argostranslate"


class Argos:
    """Asks a process, one text after the other: a second process would take the memory twice."""

    def __init__(self, context: Context, settings: TranslateSettings) -> None:
        self._context = context
        self._timeout = settings.timeout
        self._turn = asyncio.Lock()

    @staticmethod
    def require() -> None:
        """See that it can work at all.

        Raises:
            ModuleError: Argos Translate is not installed.
        """
        if find_spec(PACKAGE) is None:
            raise ModuleError(
                "engine = argos needs Argos Translate (320 MB): pip install 'boardtalk[translate]'"
            )

    async def translate(self, wanted: Wanted) -> Translated:
        """See `Engine`."""
        if wanted.source == AUTO:
            raise NoTranslation("Argos Translate does not find out languages: tell them by `languages`")
        try:
            async with self._turn, asyncio.timeout(self._timeout):
                return Translated(await self._context.run_in_process(translate, *wanted), wanted.source)
        except NoTranslation:
            raise
        except TimeoutError as error:
            reason = f"Argos Translate took longer than {self._timeout:g} s; the first text takes longest"
            raise NoTranslation(f"{reason}: give it more by the key `timeout`", rest=True) from error
        except Exception as error:  # whatever a model raises
            raise NoTranslation(
                f"Argos Translate failed: {type(error).__name__}: {error}", rest=True
            ) from error


def translate(text: str, source: str, target: str) -> str:
    """In the other process: the translation of a text.

    Raises:
        NoTranslation: no language package is installed for these languages.
    """
    from argostranslate import translate as argos

    installed = {language.code: language for language in argos.get_installed_languages()}
    here, there = installed.get(source), installed.get(target)
    translation = here.get_translation(there) if here and there else None
    if translation is None:
        known = ", ".join(sorted(installed)) or "none"
        raise NoTranslation(
            f"Argos Translate has no package from {source} to {target} (languages installed: {known}): "
            f"`argospm update`, then `argospm install translate-{source}_{target}`"
        )
    return str(translation.translate(text))
