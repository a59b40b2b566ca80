"""Text from outside, made fit to be shown."""

from __future__ import annotations

import unicodedata
from typing import Final

_INVISIBLE: Final = frozenset("Cc Cs".split())  # noqa: SIM905
_REORDERING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They let a text look like another one."""
_CUT: Final = " … (cut)"


def clean(text: str) -> str:
    """A text without control characters, except for its line ends."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    return "".join(each for each in text if each == "\n" or not _is_hidden(each)).strip()


def line(text: str, limit: int) -> str:
    """A text as one line of at most so many characters."""
    return cut(" ".join(clean(text).split()), limit)


def cut(text: str, limit: int) -> str:
    """A text of at most `limit` characters; it shows if there was more."""
    return text if len(text) <= limit else text[: max(0, limit - len(_CUT))] + _CUT


def _is_hidden(character: str) -> bool:
    return character in _REORDERING or unicodedata.category(character) in _INVISIBLE
