"""Finding a value in JSON text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator


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
