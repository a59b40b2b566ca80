"""Documents, and the parts of them that are made."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from boardtalk.reference.api import definitions
from boardtalk.reference.keys import known_tables, table

MARK: Final = re.compile(r"(<!-- (keys|api): (.+?) -->\n).*?(?=<!-- end -->)", re.DOTALL)
"""A part: its mark, what is made, and what it is made of."""


def updated(text: str) -> str:
    """A document with its parts made anew.

    Raises:
        KeyError: it asks for a table or a name that there isn't.
    """
    return MARK.sub(lambda found: found[1] + _made(found[2], found[3]), text)


def _made(what: str, names: str) -> str:
    if what == "keys":
        return table(_tables()[names])
    return "\n".join(_definitions()[name] for name in names.split())


_tables = cache(known_tables)
_definitions = cache(definitions)
