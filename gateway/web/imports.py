"""Which modules a page consists of: read from the import statements of its scripts."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SCRIPT: Final = re.compile(r'<script type="module" src="([^"]+)"')
STATIC: Final = re.compile(r"""^(?:import|export)\b(?:[^"'();]*\bfrom)?\s*["'](\.[^"']+)["']""", re.MULTILINE)
DYNAMIC: Final = re.compile(r"""\bimport\(["'](\.[^"']+)["']\)""")


def modules(html: str, read: Callable[[str], str]) -> tuple[list[str], list[str]]:
    """Addresses of all modules: those without which the page shows nothing, and those that follow.

    Args:
        html: the page.
        read: gives the source of a module by its address.
    """
    first = _behind(SCRIPT.findall(html), read)
    later = _behind((name for each in first for name in _named(DYNAMIC, each, read)), read)
    return first, [each for each in later if each not in first]


def _behind(entries: Iterable[str], read: Callable[[str], str]) -> list[str]:
    """Those, and what they import, and so on; what is nearest comes first."""
    found = list(dict.fromkeys(entries))
    for address in found:
        found += [each for each in dict.fromkeys(_named(STATIC, address, read)) if each not in found]
    return found


def _named(statement: re.Pattern[str], address: str, read: Callable[[str], str]) -> list[str]:
    folder = posixpath.dirname(address)
    return [posixpath.normpath(posixpath.join(folder, name)) for name in statement.findall(read(address))]
