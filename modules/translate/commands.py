"""What people say to robots and robots to people, and what must not be lost of it. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from boardtalk.sdk import CommandInfo

STOP_WORDS: Final = frozenset({"stop", "halt"})
OWN_WORDS: Final = frozenset({"help", "?", "rearm", "watch", "unwatch"})
"""What every robot understands, though none lists it."""
AROUND: Final = " .!。"
"""What translators put around a command."""

_WORD: Final = re.compile(r"[^\W_]+")
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_UNIT: Final = re.compile(
    r"(\d)\s?(°[CF]?|%|[kMGmµμunpcdh]?(?:m|g|s|V|A|W|Hz|N|Pa|Ω|J|Wh|Ah|l|B|bit)|rpm|dB|K)(?![^\W\d_])"
)


class Word(str):
    """``vorwärts: forward``: how a command begins in somebody's language, and what it is."""

    __slots__ = ("meaning", "said")

    said: str
    meaning: str

    def __new__(cls, text: str) -> Self:
        """Check a text.

        Raises:
            ValueError: it is not of this form.
        """
        self = super().__new__(cls, text)
        said, _, meaning = text.partition(":")
        self.said, self.meaning = folded(said), meaning.strip()
        if self.said and self.meaning:
            return self
        raise ValueError("expected WORDS: COMMAND, such as vorwärts: forward")


def folded(text: str) -> str:
    """A text as it is compared: one space between words, case and width do not matter."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def has_words(text: str) -> bool:
    """Whether there is anything to translate: a letter."""
    return any(each.isalpha() for each in text)


def says_stop(text: str) -> bool:
    """Whether a stop word stands in a text."""
    return not STOP_WORDS.isdisjoint(_WORD.findall(folded(text)))


def is_rearm(text: str) -> bool:
    """Whether a text lets a robot move again."""
    return folded(text).strip(AROUND) == "rearm"


def is_command(text: str, commands: Iterable[CommandInfo]) -> bool:
    """Whether a text begins like something that a robot understands as it is."""
    first = folded(text).removeprefix("/").partition(" ")[0]
    return first in OWN_WORDS or any(first == each.name.casefold() for each in commands)


def reworded(text: str, words: Iterable[Word]) -> str | None:
    """A text with its beginning as the command that it stands for, the longest that fits; None: none does."""
    parts = text.split()
    for word in sorted(words, key=lambda each: -len(each.said)):
        count = len(word.said.split())
        if folded(" ".join(parts[:count])) == word.said:
            return " ".join([word.meaning, *parts[count:]])
    return None


def keeps_numbers(text: str, translation: str) -> bool:
    """Whether a translation has the numbers of a text, all of them and no other."""
    return _numbers(text) == _numbers(translation)


def keeps_values(text: str, translation: str) -> bool:
    """Whether a translation has the numbers of a text, and the units behind them."""
    return keeps_numbers(text, translation) and _units(text) == _units(translation)


def _numbers(text: str) -> list[str]:
    return sorted(each.replace(",", ".") for each in _NUMBER.findall(unicodedata.normalize("NFKC", text)))


def _units(text: str) -> list[str]:
    return sorted(unit for _, unit in _UNIT.findall(text))
