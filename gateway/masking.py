"""Keeps secrets out of what people hand on: those that are known, and what looks like one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from boardtalk.conf import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MIN_CHARS: Final = 6
"""Shorter ones are hidden where their key tells: everywhere they would take whole texts with them."""
LONG_WORD: Final = re.compile(r"[\w+/=-]{16,}")
"""In a file that is no JSON, what may be a token or a part of a key."""
HARMLESS: Final = frozenset({"address", "role", "user", "seen_by", "agent", "host", "sha256"})
"""Keys of files in ``secrets/`` whose values are nobody's secret."""
LOOKS_SECRET: Final = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", re.DOTALL), HIDDEN),
    (re.compile(r"(://)[^/@\s\"]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"scrypt\$\w+\$\w+"), HIDDEN),
    (re.compile(r"(#setup=)[\w-]+"), rf"\1{HIDDEN}"),
    (
        re.compile(
            r"((?:token|passw(?:or)?d|passphrase|psk|secret|credential|cookie)\w*[\"']?[ ]*[=:][ ]*[\"']?)"
            r"[^\s\"',;}]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
)


class Mask:
    """Hides secrets in texts.

    Args:
        known: secrets.
    """

    def __init__(self, known: Iterable[str]) -> None:
        longest_first = sorted({each for each in known if len(each) >= MIN_CHARS}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """The same without them."""
        if self._known:
            text = self._known.sub(HIDDEN, text)
        for looks, shown in LOOKS_SECRET:
            text = looks.sub(shown, text)
        return text

    def value(self, value: Any) -> Any:
        """What JSON can say, without them: names are kept."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {key: self.value(each) for key, each in value.items()}
            case list() | tuple():
                return [self.value(each) for each in value]
            case _:
                return value


def on_disk(state: Path) -> set[str]:
    """The secrets that a state folder keeps: tokens, hashes of passwords, keys."""
    found: set[str] = set()
    for path in (state / "secrets").rglob("*"):
        try:
            if path.is_file():
                found |= _secrets(path.read_text(errors="replace"))
        except OSError:
            continue  # whoever may not read it can't hand it on either
    return found


def _secrets(text: str) -> set[str]:
    try:
        return set(_leaves(msgspec.json.decode(text)))
    except msgspec.DecodeError:
        return {*LONG_WORD.findall(text), *(line.strip() for line in text.splitlines())}


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, each in value.items():
                if key not in HARMLESS:
                    yield from _leaves(each)
        case list():
            for each in value:
                yield from _leaves(each)
