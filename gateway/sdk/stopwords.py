"""Stop, as people say it: the same words at each door."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

ALL: Final = ""
"""The target that means every robot."""
MAX_LINE_CHARS: Final = 256
"""A longer line is no stop word; to look through a megabyte of blanks would take minutes."""

_STOP_LINE = re.compile(
    r"\s*(?:([a-z0-9][a-z0-9_-]{0,31})\s*:)?\s*(?:stop|halt)(\s+all)?\s*[.!]*\s*", re.IGNORECASE
)
_WORD = re.compile(r"[^\W_][\w'-]*")
_STOP_WORD = re.compile(r"stop+|halt+")
_EVERYBODY: Final = frozenset({"all", "everything", "everybody", "everyone", "robots"})
_FILLERS: Final = frozenset(
    "please now it immediately right away at once the robot emergency moving and".split()  # noqa: SIM905
)
"""What people say around it."""


def target(line: str) -> str | None:
    """Whom a typed line stops: an address, `ALL`, "" for `stop` alone; None: it is no stop word.

    Case and trailing ``!`` don't matter: in an emergency nobody types neatly.
    """
    match = _STOP_LINE.fullmatch(_plain(line)) if len(line) <= MAX_LINE_CHARS else None
    if match is None:
        return None
    address, everything = match.groups()
    return ALL if everything or not address else address.lower()


def meant(text: str, to: str | None, moves: Callable[[str], bool]) -> str | None:
    """Whom a text to the robot `to` stops, however it is put: an address or `ALL`; None: it is no stop.

    In doubt it is one: whatever begins with the word, and whatever says no more than that and who,
    such as ``please stop`` or ``rover, stop!``. If nobody is addressed (`to` is None) it must say who.
    """
    words = _WORD.findall(_plain(text).lower())
    stops = {word for word in words if _STOP_WORD.fullmatch(word)}
    if not stops:
        return None
    others = [word for word in words if word not in stops | _FILLERS]
    named = {word for word in others if word in _EVERYBODY or moves(word)}
    if (to is None or words[0] not in stops) and named != set(others):
        return None
    if not named:
        return ALL if to is None and "robot" in words else to
    name = named.pop()
    return ALL if named or name in _EVERYBODY else name


def _plain(text: str) -> str:
    """A text as people read it: letters of full width as plain ones, and nothing that is not seen."""
    if text.isascii():
        return text
    seen = unicodedata.normalize("NFKC", text)
    return "".join(each for each in seen if unicodedata.category(each) != "Cf")
