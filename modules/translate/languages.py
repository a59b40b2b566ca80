"""Who speaks which language, as the configuration says it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from boardtalk.sdk import check_address

if TYPE_CHECKING:
    from collections.abc import Iterable

_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


class Direction(NamedTuple):
    """From which language into which."""

    source: str
    target: str


def check_language(text: str) -> str:
    """The same text, if it can be the code of a language.

    Raises:
        ValueError: it can't.
    """
    if _LANGUAGE.fullmatch(text):
        return text
    raise ValueError(f"{text[:20]!r} is no code of a language, such as de or pt-BR")


class Speaker(str):
    """``alice: de``: somebody, and what he writes and reads."""

    __slots__ = ("address", "language")

    address: str
    language: str

    def __new__(cls, text: str) -> Self:
        """Check a text.

        Raises:
            ValueError: it is not of this form.
        """
        self = super().__new__(cls, text)
        address, _, language = text.partition(":")
        self.address = check_address(address.strip())
        self.language = check_language(language.strip())
        return self


class Pair(str):
    """``alice bob: de en``: in which languages two talk with each other; one language: both in the same."""

    __slots__ = ("addresses", "languages")

    addresses: tuple[str, str]
    languages: tuple[str, str]

    def __new__(cls, text: str) -> Self:
        """Check a text; raises as `Speaker` does."""
        self = super().__new__(cls, text)
        match [part.split() for part in text.split(":")]:
            case [[first, second], [mine, *others]] if len(others) <= 1:
                self.addresses = (check_address(first), check_address(second))
                self.languages = (check_language(mine), check_language(others[0] if others else mine))
                return self
        raise ValueError("expected NAME NAME: LANGUAGE LANGUAGE, such as alice bob: de en")


class Languages:
    """Finds out from which language into which.

    Args:
        speakers: those whose languages are known.
        pairs: those who talk with each other in other languages than with the rest.
    """

    def __init__(self, speakers: Iterable[Speaker], pairs: Iterable[Pair]) -> None:
        self._known = {each.address: each.language for each in speakers}
        self._pairs: dict[tuple[str, str], Direction] = {}
        for each in pairs:
            (first, second), (mine, other) = each.addresses, each.languages
            self._pairs[first, second] = Direction(mine, other)
            self._pairs[second, first] = Direction(other, mine)

    def between(self, sender: str, writes: str, to: str, reads: str) -> Direction | None:
        """The direction for what somebody says to somebody; None: it is not to be translated.

        Args:
            sender: his address.
            writes: his language, if nothing else is known; "": none.
            to: the other one's address.
            reads: his language, likewise.
        """
        direction = self._pairs.get((sender, to)) or Direction(
            self._known.get(sender, writes), self._known.get(to, reads)
        )
        source, target = direction
        return direction if source and target and source != target else None
