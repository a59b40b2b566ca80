"""Help for whoever mistyped a name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_CHARS: Final = 64
"""Of what was typed; comparing costs the square of the length."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant; "" if none is near."""
    near = get_close_matches(word[:MAX_CHARS], list(known), n=1)
    return near[0] if near else ""
