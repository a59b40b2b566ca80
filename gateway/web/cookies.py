"""Cookies, as both processes of the page read them. Any site on this machine may set others beside ours."""

from __future__ import annotations

from typing import Final

MAX_VALUES: Final = 10
"""Of one name; only so many are looked at."""


def values(header: str, name: str) -> list[str]:
    """What a `Cookie` header holds under a name: several, if somebody else sets one for another path."""
    found = [part.strip().partition("=") for part in header.split(";")]
    return [value.strip('"') for key, _, value in found if key == name][:MAX_VALUES]
