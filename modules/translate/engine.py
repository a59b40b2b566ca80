"""What translates: an engine. There is one for each value of the key `engine`."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from boardtalk.sdk import BoardtalkError

AUTO: Final = "auto"
"""In place of a language: the engine finds out."""


class NoTranslation(BoardtalkError):
    """There is none. The text says why and what to do; people see it.

    Args:
        reason: why, in words.
        rest: whether it would be the same with another text: then the engine is left alone for a while.
    """

    def __init__(self, reason: str, *, rest: bool = False) -> None:
        self.rest = rest
        super().__init__(reason)


class Wanted(NamedTuple):
    """What is to be translated."""

    text: str
    source: str
    """Language that it is written in, or `AUTO`."""
    target: str


class Translated(NamedTuple):
    """A translation."""

    text: str
    source: str
    """Language that it was translated from, as far as the engine knows."""


class Engine(Protocol):
    """Translates, several texts at the same time if it is asked to."""

    async def translate(self, wanted: Wanted) -> Translated:
        """The translation of a text.

        Raises:
            NoTranslation: there is none.
        """
        ...
