"""Finding words in a text, however they are written. Pure.

Text is compared in a folded form: without case, accents, and characters that nobody sees. Each folded
character knows where it came from, so that what is found can be masked in the original.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

INVISIBLE: Final = frozenset({"Mn", "Me", "Cf", "Cc"})
"""Categories of combining marks and of format and control characters; white space is kept."""

_WORD: Final = re.compile(r"[^\W_]+")


class Span(NamedTuple):
    """A part of a text, from `start` up to but not including `end`."""

    start: int
    end: int


class Folded(NamedTuple):
    """A text as it is compared."""

    text: str
    origins: Sequence[int]
    """Of each of its characters, the index in the original."""

    def span(self, start: int, end: int) -> Span:
        """Where a part of the folded text stands in the original."""
        return Span(self.origins[start], self.origins[end - 1] + 1)


def fold(text: str) -> Folded:
    """A text without case, accents, compatibility forms and invisible characters."""
    if text.isascii():
        return Folded(text.lower(), range(len(text)))
    letters: list[str] = []
    origins: list[int] = []
    for index, letter in enumerate(text):
        for part in _fold_letter(letter):
            letters.append(part)
            origins.append(index)
    return Folded("".join(letters), origins)


@lru_cache(maxsize=4096)
def _fold_letter(letter: str) -> str:
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", letter).casefold())
    return "".join(part for part in parts if part.isspace() or unicodedata.category(part) not in INVISIBLE)


class Words:
    """Blocked words and phrases, prepared once.

    Args:
        words: empty ones are left out.
        anywhere: whether they are found inside other words too.
    """

    def __init__(self, words: Iterable[str], *, anywhere: bool = False) -> None:
        folded = {" ".join(fold(word).text.split()) for word in words} - {""}
        split = {word: tuple(_WORD.findall(word)) for word in folded}
        self._parts = [word for word in folded if anywhere or " ".join(split[word]) != word]
        """What is looked for letter by letter: all, or what has signs in it, such as ``c++``."""
        self._anywhere = anywhere
        self._phrases = {split[word] for word in folded.difference(self._parts)}
        self._lengths: dict[str, set[int]] = {}
        """Of the phrases that begin with a word, in words."""
        for phrase in self._phrases:
            self._lengths.setdefault(phrase[0], set()).add(len(phrase))
        self._count = len(folded)

    def __len__(self) -> int:
        return self._count

    def find(self, text: str) -> list[Span]:
        """Where blocked words stand, in order, not overlapping."""
        folded = fold(text)
        found = sorted([*self._find_phrases(folded), *self._find_parts(folded)])
        spans: list[Span] = []
        for span in found:
            if spans and span.start < spans[-1].end:
                spans[-1] = Span(spans[-1].start, max(span.end, spans[-1].end))
            else:
                spans.append(span)
        return spans

    def _find_phrases(self, folded: Folded) -> Iterator[Span]:
        if not self._phrases:
            return
        matches = list(_WORD.finditer(folded.text))
        words = [match[0] for match in matches]
        for index, word in enumerate(words):
            for length in self._lengths.get(word, ()):
                phrase = tuple(words[index : index + length])  # at the end, fewer words are left
                if phrase in self._phrases:
                    yield folded.span(matches[index].start(), matches[index + len(phrase) - 1].end())

    def _find_parts(self, folded: Folded) -> Iterator[Span]:
        for part in self._parts:
            start = folded.text.find(part)
            while start >= 0:
                end = start + len(part)
                if self._anywhere or _stands_alone(folded.text, start, end):
                    yield folded.span(start, end)
                start = folded.text.find(part, start + 1)


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether no letter or digit goes on at an end that is one itself."""
    joined_before = start > 0 and text[start].isalnum() and text[start - 1].isalnum()
    joined_behind = end < len(text) and text[end - 1].isalnum() and text[end].isalnum()
    return not (joined_before or joined_behind)
