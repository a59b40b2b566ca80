"""Text from outside: made fit to be shown, and values found in JSON."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def json_extract(source: str | bytes, key: str, default: Any = None) -> Any:
    """The first value that a key has, at any depth of a JSON text, outer ones before inner ones.

    Args:
        source: the JSON text.
        key: a key, or several with dots between them: ``data.translations.translatedText``; each is
            looked for inside the value of the one before.
        default: what is returned if there is none, or the text is no JSON.
    """
    return next(json_extract_all(source, key), default)


def json_extract_all(source: str | bytes, key: str) -> Iterator[Any]:
    """All values that a key has, as `json_extract` finds the first."""
    try:
        value = msgspec.json.decode(source)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    yield from _inside([value], key.split("."))


def _inside(values: list[Any], keys: list[str]) -> Iterator[Any]:
    if not keys:
        yield from values
        return
    for value in values:
        for found in _named(value, keys[0]):
            yield from _inside([found], keys[1:])


def _named(value: Any, key: str) -> Iterator[Any]:
    """Breadth first: what stands further out is meant."""
    level = [value]
    while level:
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                if key in each:
                    yield each[key]
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        level = inner


def _is_hidden(character: str) -> bool:
    return character in _REORDERING or unicodedata.category(character) in _INVISIBLE
